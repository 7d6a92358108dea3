package pgbackup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pglogrepl"

	"github.com/andon-go/andon/internal/atomicfile"
	"github.com/andon-go/andon/recovery"
)

// The log of a stream is a directory of segments that are only ever added to:
//
//	segment  "ANDON-WAL 1\n", the chain at the end of the segment before, the chain
//	frame    length of the message (4), position (8), message, chain (16)
//
// The chain is the first half of the SHA-256 of the chain before it and the frame, so
// that a frame that was changed, left out or put elsewhere breaks all that follow.

const (
	walMagic   = "ANDON-WAL 1\n"
	chainSize  = 16
	walHeader  = len(walMagic) + 2*chainSize
	frameHead  = 12
	maxMessage = 1 << 30
)

type chain [chainSize]byte

func (c chain) next(parts ...[]byte) (n chain) {
	h := sha256.New()
	h.Write(c[:])
	for _, p := range parts {
		h.Write(p)
	}
	copy(n[:], h.Sum(nil))
	return n
}

// Messages of the log that are not pgoutput's own.
const (
	markMessage = 'm' // everything before its position is in the log
	gapMessage  = 'g' // what happened just before it is not: why, as text

	tablesMessage    = 'd' // what all tables were then, as JSON of definitions
	sequencesMessage = 'q' // where sequences stood that have moved, as JSON of SequenceAt
	prunedMessage    = 'p' // the chain at the end of what was pruned; its position is that of the last commit there
)

// walFrame is one message of the log, valid during the call that gives it.
type walFrame struct {
	lsn     pglogrepl.LSN
	message []byte
}

// walLog is the writer of a log. It is not safe for concurrent use.
type walLog struct {
	dir     string
	max     int64 // bytes of a segment
	n       int   // of the segment
	f       *os.File
	size    int64
	chain   chain
	buf     []byte
	written int64         // bytes of the batch that are written already and not synced
	durable pglogrepl.LSN // everything before it is in the log, synced
	commit  pglogrepl.LSN // of the last transaction in it

	tables    []definition          // as it says them last; nil: it does not
	sequences map[string]SequenceAt // by name
	begun     bool                  // its first gap is where it begins
	baseDue   pglogrepl.LSN         // see StreamStatus
}

// openLog opens the log of a directory, which it makes, for writing. What a crash left
// half written at its end is cut off.
func openLog(ctx context.Context, dir string, maxBytes int64) (_ *walLog, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	l := &walLog{dir: dir, max: maxBytes, sequences: map[string]SequenceAt{}}
	names, err := segments(dir)
	if err != nil {
		return nil, err
	}
	end, err := scanLog(ctx, dir, names, l.seen)
	if err != nil {
		return nil, err
	}
	l.chain = end.chain
	if len(names) > 0 {
		if l.n, err = strconv.Atoi(strings.TrimSuffix(names[len(names)-1], ".wal")); err != nil {
			return nil, err
		}
	}
	if len(names) == 0 || end.size == 0 {
		if end.size == 0 && len(names) > 0 { // its header was not whole
			l.n--
			if err := os.Remove(filepath.Join(dir, names[len(names)-1])); err != nil {
				return nil, err
			}
		}
		return l, l.rotate()
	}
	if l.f, err = os.OpenFile(filepath.Join(dir, names[len(names)-1]), os.O_WRONLY, 0o600); err != nil {
		return nil, err
	}
	l.size = end.size
	if err := errors.Join(l.f.Truncate(end.size), l.f.Sync()); err != nil {
		return nil, errors.Join(err, l.f.Close())
	}
	_, err = l.f.Seek(end.size, io.SeekStart)
	return l, err
}

// seen notes what a frame makes durable, and what it says of tables and sequences.
func (l *walLog) seen(f walFrame) error {
	switch f.message[0] {
	case byte(pglogrepl.MessageTypeCommit):
		var c pglogrepl.CommitMessage
		if c.Decode(f.message[1:]) == nil {
			l.durable, l.commit = max(l.durable, c.TransactionEndLSN), max(l.commit, c.CommitLSN)
		}
	case markMessage:
		l.durable = max(l.durable, f.lsn)
	case gapMessage:
		if l.begun {
			l.baseDue = max(l.baseDue, f.lsn)
		}
		l.begun = true
	case prunedMessage:
		l.commit = max(l.commit, f.lsn)
	case tablesMessage:
		if l.tables != nil {
			l.baseDue = max(l.baseDue, f.lsn)
		}
		l.tables = nil
		return json.Unmarshal(f.message[1:], &l.tables)
	case sequencesMessage:
		var all []SequenceAt
		if err := json.Unmarshal(f.message[1:], &all); err != nil {
			return err
		}
		for _, s := range all {
			l.sequences[s.Sequence] = s
		}
	}
	return nil
}

func segmentName(n int) string { return fmt.Sprintf("%08d.wal", n) }

// segments lists the files of a log, in order: the base of a pruned one, and the segments
// from there on. One that is missing between them is damage.
func segments(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	base := ""
	for _, e := range entries { // in order
		switch filepath.Ext(e.Name()) {
		case ".wal":
			names = append(names, e.Name())
		case baseSuffix:
			base = e.Name()
		}
	}
	first := 1
	if base != "" {
		n, err := strconv.Atoi(strings.TrimSuffix(base, baseSuffix))
		if err != nil {
			return nil, &recovery.DamagedError{Backup: dir, File: base, Reason: "it is no file of a log"}
		}
		first = n + 1
		names = slices.DeleteFunc(names, func(name string) bool { return name < segmentName(first) })
		if len(names) == 0 {
			return nil, &recovery.DamagedError{Backup: dir, File: segmentName(first), Reason: "it is missing"}
		}
	}
	for i, name := range names {
		if name != segmentName(first+i) {
			return nil, &recovery.DamagedError{Backup: dir, File: segmentName(first + i), Reason: "it is missing"}
		}
	}
	if base != "" {
		names = slices.Insert(names, 0, base)
	}
	return names, nil
}

// rotate begins a new segment, once all of the old one is durable.
func (l *walLog) rotate() error {
	if l.f != nil {
		if err := errors.Join(l.f.Sync(), l.f.Close()); err != nil {
			return err
		}
	}
	l.n++
	f, err := os.OpenFile(filepath.Join(l.dir, segmentName(l.n)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	first := l.chain.next([]byte(walMagic))
	header := slices.Concat([]byte(walMagic), l.chain[:], first[:])
	if _, err = f.Write(header); err == nil {
		err = errors.Join(f.Sync(), atomicfile.SyncDir(l.dir))
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.f, l.size, l.chain = f, int64(len(header)), first
	return nil
}

// add adds a message. It is durable after the next sync.
func (l *walLog) add(f walFrame) {
	var head [frameHead]byte
	binary.BigEndian.PutUint32(head[:], uint32(len(f.message)))
	binary.BigEndian.PutUint64(head[4:], uint64(f.lsn))
	l.chain = l.chain.next(head[:], f.message)
	l.buf = append(l.buf, head[:]...)
	l.buf = append(l.buf, f.message...)
	l.buf = append(l.buf, l.chain[:]...)
}

// write gives what was added to the system.
func (l *walLog) write() error {
	if len(l.buf) == 0 {
		return nil
	}
	_, err := l.f.Write(l.buf)
	l.size += int64(len(l.buf))
	l.written += int64(len(l.buf))
	l.buf = l.buf[:0]
	return err
}

// sync makes durable what was added. After an error the log must be opened anew: what
// is on the disk is not known.
func (l *walLog) sync() error {
	if err := l.write(); err != nil {
		return err
	}
	if err := l.f.Sync(); err != nil {
		return err
	}
	if l.size >= l.max {
		return l.rotate()
	}
	return nil
}

func (l *walLog) close() error { return l.f.Close() }

// logEnd is where a log ends.
type logEnd struct {
	chain chain
	size  int64 // of the last segment, as far as it is whole
}

// scanLog calls f for each message. The last segment may end within a frame: that is
// what a crash leaves. Everything else that does not fit is *recovery.DamagedError.
func scanLog(ctx context.Context, dir string, names []string, f func(walFrame) error) (end logEnd, err error) {
	for i, name := range names {
		if end, err = scanOne(ctx, dir, name, end.chain, i == len(names)-1, f); err != nil {
			return end, err
		}
	}
	return end, nil
}

// scanOne is scanLog of one of its files.
func scanOne(ctx context.Context, dir, name string, c chain, last bool, f func(walFrame) error) (end logEnd, err error) {
	use, pruned := f, (*chain)(nil)
	base := strings.HasSuffix(name, baseSuffix)
	if base {
		use = func(frame walFrame) error {
			if frame.message[0] == prunedMessage && len(frame.message) == 1+chainSize {
				pruned = (*chain)(slices.Clone(frame.message[1:]))
			}
			return f(frame)
		}
	}
	end, err = scanSegment(ctx, filepath.Join(dir, name), c, last, use)
	if err == nil && base && pruned == nil {
		err = &segmentError{end.size, "it is cut off"}
	}
	if bad, ok := errors.AsType[*segmentError](err); ok {
		return end, &recovery.DamagedError{Backup: dir, File: name, Reason: bad.Error()}
	}
	if err == nil && base {
		end.chain = *pruned
	}
	return end, err
}

// segmentError says where a segment does not fit.
type segmentError struct {
	at   int64
	what string
}

func (e *segmentError) Error() string { return fmt.Sprintf("at byte %d: %s", e.at, e.what) }

func scanSegment(ctx context.Context, path string, c chain, last bool, use func(walFrame) error) (end logEnd, err error) {
	f, err := os.Open(path)
	if err != nil {
		return end, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return end, err
	}
	r := &segmentReader{r: bufioReader(f), left: info.Size()}
	end = logEnd{chain: c}
	header, err := r.take(walHeader)
	if errors.Is(err, errTorn) && last {
		return end, nil
	}
	first := c.next([]byte(walMagic))
	if err != nil || !bytes.Equal(header, slices.Concat([]byte(walMagic), c[:], first[:])) {
		return end, errors.Join(notTorn(err), &segmentError{0, "it does not follow the segment before it"})
	}
	end = logEnd{first, int64(walHeader)}
	for n := 0; r.left > 0; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return end, ctx.Err()
		}
		frame, size, next, err := r.frame(end.chain)
		if errors.Is(err, errTorn) && last {
			return end, nil
		}
		if err != nil {
			return end, errors.Join(notTorn(err), &segmentError{end.size, "a message differs from what was written"})
		}
		if err := use(frame); err != nil {
			return end, err
		}
		end = logEnd{next, end.size + size}
	}
	return end, nil
}

var errTorn = errors.New("it ends within a message")

// notTorn is an error of the disk, and nil for one of what is on it.
func notTorn(err error) error {
	if errors.Is(err, errTorn) {
		return nil
	}
	return err
}

type segmentReader struct {
	r    io.Reader
	left int64
	buf  []byte
}

func (r *segmentReader) take(n int) ([]byte, error) {
	if int64(n) > r.left {
		return nil, errTorn
	}
	r.buf = slices.Grow(r.buf[:0], n)[:n]
	_, err := io.ReadFull(r.r, r.buf)
	r.left -= int64(n)
	return r.buf, err
}

// frame reads a frame whose chain must follow c. One that ends early, or does not
// follow and is the last of its file, is torn.
func (r *segmentReader) frame(c chain) (f walFrame, size int64, next chain, err error) {
	head, err := r.take(frameHead)
	if err != nil {
		return f, 0, next, err
	}
	var fixed [frameHead]byte
	copy(fixed[:], head)
	n := binary.BigEndian.Uint32(fixed[:])
	if n == 0 || n > maxMessage {
		return f, 0, next, errTorn
	}
	rest, err := r.take(int(n) + chainSize)
	if err != nil {
		return f, 0, next, err
	}
	next = c.next(fixed[:], rest[:n])
	if !bytes.Equal(next[:], rest[n:]) {
		return f, 0, next, errTorn
	}
	return walFrame{pglogrepl.LSN(binary.BigEndian.Uint64(fixed[4:])), rest[:n]}, int64(frameHead) + int64(n) + chainSize, next, nil
}
