package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/andon-go/andon/incident"
)

// Tip is the newest record of a journal: what to publish where nobody who can
// write the journal can write.
type Tip = incident.Tip

// markEvery is how many records lie between two places that Read can start from.
const markEvery = 512

// extent is what is known of a journal.
type extent struct {
	tip      Tip
	size     int64   // of the records, in bytes; a torn tail lies behind it
	marks    []int64 // where record 1, 1+markEvery, 1+2*markEvery ... begin
	segments []segment
}

// add takes in the next record, whose line has n bytes with its newline.
func (x *extent) add(seq uint64, hash incident.Hash, n int) {
	if (seq-1)%markEvery == 0 {
		x.marks = append(x.marks, x.size)
	}
	x.tip, x.size = Tip{Seq: seq, Hash: hash}, x.size+int64(n)
}

// piece is what one file holds; its offsets begin with the file.
type piece struct {
	extent
	prev  incident.Hash // what its first record follows
	torn  []byte        // the tail that is no record
	index index
	err   error
}

// check reads the files of a journal, several at a time, and checks the whole chain
// and that each of the published tips is in it. Errors are *DamagedError with their
// path, and those of reading. torn is the tail of the last file that is no record.
func check(segments []segment, published []Tip) (x extent, idx index, torn []byte, err error) {
	want, err := wanted(published)
	if err != nil {
		return extent{}, nil, nil, err
	}
	pieces := make([]piece, len(segments))
	var wg sync.WaitGroup
	for i, s := range segments {
		wg.Go(func() { pieces[i] = scan(s.f, s.first, want) })
	}
	wg.Wait()
	idx = index{}
	for i, p := range pieces {
		s := segments[i]
		s.at = x.size
		if err := joins(x.tip, s, p); err != nil {
			return x, idx, nil, err
		}
		for _, m := range p.marks {
			x.marks = append(x.marks, m+x.size)
		}
		idx.join(p.index, x.size)
		x.segments, x.size = append(x.segments, s), x.size+p.size
		if p.tip.Seq >= s.first {
			x.tip = p.tip
		}
		if torn = p.torn; len(torn) > 0 && i < len(pieces)-1 {
			return x, idx, nil, &DamagedError{Path: s.path, Record: x.tip.Seq + 1, Why: "it is cut short, and another file follows"}
		}
	}
	for seq := range want {
		if seq > x.tip.Seq {
			return x, idx, nil, &DamagedError{Record: x.tip.Seq + 1, Why: fmt.Sprintf("the records end before it, and the tip of record %d was published: they were cut off", seq)}
		}
	}
	return x, idx, torn, nil
}

// wanted sorts the tips that were published.
func wanted(published []Tip) (map[uint64]Tip, error) {
	want := map[uint64]Tip{}
	for _, t := range published {
		if old, twice := want[t.Seq]; twice && old != t {
			return nil, fmt.Errorf("two tips that differ were published for record %d", t.Seq)
		}
		want[t.Seq] = t
	}
	delete(want, 0)
	return want, nil
}

// joins says what is wrong with a file, or with its place behind tip.
func joins(tip Tip, s segment, p piece) error {
	d, isDamage := errors.AsType[*DamagedError](p.err)
	if isDamage {
		d.Path = s.path
	}
	switch {
	case s.first != tip.Seq+1, p.size > 0 && p.prev != tip.Hash:
		record, why := tip.Follow(incident.Link{Seq: s.first, Prev: p.prev})
		return &DamagedError{Path: s.path, Record: record, Why: why}
	}
	return p.err
}

// scan reads one file, whose first record is first, and checks its chain. Errors are
// *DamagedError without a path, and those of r.
func scan(r io.Reader, first uint64, want map[uint64]Tip) piece {
	p := piece{index: index{}}
	p.tip.Seq = first - 1
	br := bufio.NewReaderSize(r, 1<<16)
	for n := 1; ; n++ {
		line, err := readLine(br)
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return p
		case errors.Is(err, io.EOF):
			if p.torn = bytes.Clone(line); !torn(line, p.tip.Seq+1) {
				p.torn, p.err = nil, &DamagedError{Line: n, At: p.size, Record: p.tip.Seq + 1, Why: "it is no record of a journal, nor the beginning of one"}
			}
			return p
		case err != nil && !errors.Is(err, errLong):
			p.err = err
			return p
		}
		link, perr := incident.ParseLink(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			perr = err
		}
		if n == 1 && first > 1 && perr == nil {
			p.prev, p.tip.Hash = link.Prev, link.Prev // joins looks at it
		}
		if d := follows(p.tip, link, perr); d != nil {
			d.Line, d.At, p.err = n, p.size, d
			return p
		}
		p.index.add(numberOf(line), newEntry(p.size, len(line), link.Hash))
		p.add(link.Seq, link.Hash, len(line))
		if w, ok := want[link.Seq]; ok && w != p.tip {
			p.err = &DamagedError{Record: link.Seq, Why: "it is not the record whose tip was published: it, or one before it, was written anew"}
			return p
		}
	}
}

// errLong says that a line is longer than any record.
var errLong = fmt.Errorf("the line is longer than %d bytes", incident.MaxLine)

// readLine reads one line with its newline. It is valid until the next call. At
// the end of the file it returns what is left with io.EOF.
func readLine(br *bufio.Reader) ([]byte, error) {
	line, err := br.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	long := bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(long) > incident.MaxLine {
			return long, errLong
		}
		line, err = br.ReadSlice('\n')
		long = append(long, line...)
	}
	return long, err
}

// follows says what is wrong with the record after tip.
func follows(tip Tip, l incident.Link, perr error) *DamagedError {
	if perr != nil {
		return &DamagedError{Record: tip.Seq + 1, Why: perr.Error()}
	}
	if record, why := tip.Follow(l); why != "" {
		return &DamagedError{Record: record, Why: why}
	}
	return nil
}

// torn reports whether the last bytes of a file, which no newline ends, can be
// record seq that was being written when the machine stopped: its beginning, or
// the zero bytes that a file system leaves where data did not reach the disk.
func torn(tail []byte, seq uint64) bool {
	text := bytes.TrimRight(tail, "\x00")
	if n := len(text); n > 0 {
		if _, err := incident.ParseLink(text[:n-1]); err == nil {
			return false // a whole record whose newline is something else: it was acknowledged, and altered
		}
	}
	open := fmt.Appendf(nil, `{"seq":%d,"at":"`, seq)
	n := min(len(text), len(open))
	return bytes.Equal(text[:n], open[:n])
}
