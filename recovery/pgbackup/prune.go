package pgbackup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pglogrepl"

	"github.com/andon-go/andon/internal/atomicfile"
	"github.com/andon-go/andon/recovery"
)

// Pruned is what was removed of a log.
type Pruned struct {
	Segments int
	Bytes    int64
	From     pglogrepl.LSN // the log holds what happened after it; 0: nothing was removed
}

// PruneLog removes the segments of a log that no verified backup of the store needs: those
// that end before the oldest of them was taken. Without a verified backup nothing is
// removed: recovery.ErrNoBackup. A stream may write to the log meanwhile. It reads the log up
// to there; after a crash call it again.
func (s *Store) PruneLog(ctx context.Context, dir string) (_ Pruned, err error) {
	ctx, span := s.tracer.Start(ctx, "pgbackup.PruneLog")
	defer func() { endSpan(span, err) }()
	backups, err := s.Backups(ctx)
	if err != nil {
		return Pruned{}, err
	}
	var oldest pglogrepl.LSN
	for _, b := range backups {
		if !b.Good() {
			continue
		}
		d, err := s.Details(ctx, b.Name)
		if err != nil {
			return Pruned{}, fmt.Errorf("pruning %s: %w", dir, err)
		}
		at, err := pglogrepl.ParseLSN(d.Source.LSN)
		if err != nil {
			return Pruned{}, fmt.Errorf("pruning %s: the position of %s is not known: %w", dir, b.Name, err)
		}
		if oldest == 0 || at < oldest {
			oldest = at
		}
	}
	if oldest == 0 {
		return Pruned{}, fmt.Errorf("pruning %s: %w among %d", dir, recovery.ErrNoBackup, len(backups))
	}
	p, err := pruneLog(ctx, dir, oldest)
	if err != nil {
		return p, fmt.Errorf("pruning %s: %w", dir, err)
	}
	s.cfg.Logger.InfoContext(ctx, "the log was pruned", "dir", dir, "segments", p.Segments, "bytes", p.Bytes, "from", p.From)
	return p, nil
}

// A pruned log begins with a base: a segment that says what those that were removed said of
// tables and sequences, and with which chain the next one goes on. It is written whole
// before any of them is removed, and those that it stands for are not read any more.
const baseSuffix = ".base"

// stand is what a log says up to one of its places.
type stand struct {
	until     pglogrepl.LSN // everything before it has come
	commit    pglogrepl.LSN
	open      bool // within a transaction
	relations map[uint32][]byte
	tables    walFrame
	sequences map[string]reach
}

// reach is how far a sequence went, up and down: which of them counts its direction tells.
type reach struct{ lowest, highest SequenceAt }

func (s *stand) drawn(at SequenceAt) {
	r, known := s.sequences[at.Sequence]
	if !known || at.Last < r.lowest.Last || at.Last == r.lowest.Last && at.Called {
		r.lowest = at
	}
	if !known || at.Last > r.highest.Last || at.Last == r.highest.Last && at.Called {
		r.highest = at
	}
	s.sequences[at.Sequence] = r
}

func (s *stand) seen(f walFrame) error {
	message := slices.Clone(f.message)
	switch f.message[0] {
	case markMessage:
		s.until = max(s.until, f.lsn)
		return nil
	case gapMessage:
		s.open, s.until = false, max(s.until, f.lsn)
		return nil
	case prunedMessage:
		s.commit = max(s.commit, f.lsn)
		return nil
	case tablesMessage:
		s.tables = walFrame{f.lsn, message}
		return nil
	case sequencesMessage:
		var all []SequenceAt
		if err := json.Unmarshal(f.message[1:], &all); err != nil {
			return fmt.Errorf("a message at %v: %w", f.lsn, err)
		}
		for _, at := range all {
			s.drawn(at)
		}
		return nil
	}
	switch pglogrepl.MessageType(f.message[0]) {
	case pglogrepl.MessageTypeBegin:
		s.open = true
	case pglogrepl.MessageTypeCommit:
		var c pglogrepl.CommitMessage
		if err := c.Decode(f.message[1:]); err != nil {
			return fmt.Errorf("a message at %v: %w", f.lsn, err)
		}
		s.open, s.until, s.commit = false, max(s.until, c.TransactionEndLSN), max(s.commit, c.CommitLSN)
	case pglogrepl.MessageTypeRelation:
		var r pglogrepl.RelationMessage
		if err := r.Decode(f.message[1:]); err != nil {
			return fmt.Errorf("a message at %v: %w", f.lsn, err)
		}
		s.relations[r.RelationID] = message
	}
	return nil
}

// base returns the base of a log whose segments end with this chain here.
func (s *stand) base(end chain) ([]byte, error) {
	l := &walLog{chain: chain{}.next([]byte(walMagic))}
	header := slices.Concat([]byte(walMagic), make([]byte, chainSize), l.chain[:])
	l.add(walFrame{s.until, append([]byte{gapMessage}, "what came before was pruned"...)})
	for _, id := range slices.Sorted(maps.Keys(s.relations)) {
		l.add(walFrame{s.until, s.relations[id]})
	}
	if s.tables.message != nil {
		l.add(s.tables)
	}
	if len(s.sequences) > 0 {
		var all []SequenceAt
		for _, name := range slices.Sorted(maps.Keys(s.sequences)) {
			all = append(all, s.sequences[name].lowest, s.sequences[name].highest)
		}
		text, err := json.Marshal(all)
		if err != nil {
			return nil, err
		}
		l.add(walFrame{s.until, append([]byte{sequencesMessage}, text...)})
	}
	l.add(walFrame{s.commit, append([]byte{prunedMessage}, end[:]...)})
	l.add(walFrame{s.until, []byte{markMessage}})
	return append(header, l.buf...), nil
}

// pruneLog removes the segments that hold only what happened before a position. One in
// whose end a transaction is open stays, and so does the last.
func pruneLog(ctx context.Context, dir string, before pglogrepl.LSN) (done Pruned, err error) {
	names, err := segments(dir)
	if err != nil {
		return done, err
	}
	s := &stand{relations: map[uint32][]byte{}, sequences: map[string]reach{}}
	var end logEnd
	var base []byte
	last := ""
	for _, name := range names[:max(0, len(names)-1)] {
		if end, err = scanOne(ctx, dir, name, end.chain, false, s.seen); err != nil {
			return done, err
		}
		if s.until > before {
			break
		}
		if s.open || strings.HasSuffix(name, baseSuffix) {
			continue
		}
		if base, err = s.base(end.chain); err != nil {
			return done, err
		}
		last, done.From = name, s.until
	}
	if last != "" {
		if err := atomicfile.Write(filepath.Join(dir, strings.TrimSuffix(last, ".wal")+baseSuffix), base, 0o600); err != nil {
			return Pruned{}, err
		}
	}
	return done, errors.Join(sweep(dir, &done), atomicfile.SyncDir(dir))
}

// sweep removes what the base stands for, also what was left of an interrupted try.
func sweep(dir string, done *Pruned) error {
	stay, err := segments(dir)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if slices.Contains(stay, e.Name()) || filepath.Ext(e.Name()) != ".wal" && filepath.Ext(e.Name()) != baseSuffix {
			continue
		}
		info, err := e.Info()
		if err == nil {
			err = os.Remove(filepath.Join(dir, e.Name()))
		}
		if err != nil {
			return err
		}
		if filepath.Ext(e.Name()) == ".wal" {
			done.Segments, done.Bytes = done.Segments+1, done.Bytes+info.Size()
		}
	}
	return nil
}
