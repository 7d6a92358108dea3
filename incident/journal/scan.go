package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/andon-go/andon/incident"
)

// Tip is the newest record of a journal: what to publish where nobody who can
// write the journal can write.
type Tip struct {
	Seq  uint64 // 0 for a journal without records
	Hash incident.Hash
}

// markEvery is how many records lie between two places that Read can start from.
const markEvery = 512

// extent is what is known of a journal's file.
type extent struct {
	tip   Tip
	size  int64   // of the records, in bytes; a torn tail lies behind it
	marks []int64 // where record 1, 1+markEvery, 1+2*markEvery ... begin
	torn  []byte  // the tail that is no record
}

// add takes in the next record, whose line has n bytes with its newline.
func (x *extent) add(seq uint64, hash incident.Hash, n int) {
	if (seq-1)%markEvery == 0 {
		x.marks = append(x.marks, x.size)
	}
	x.tip, x.size = Tip{seq, hash}, x.size+int64(n)
}

// scan reads a whole journal and checks the chain. look sees every record's tip.
// Errors are *DamagedError without a path, and those of r.
func scan(r io.Reader, look func(Tip) error) (extent, error) {
	var x extent
	br := bufio.NewReaderSize(r, 1<<16)
	for n := 1; ; n++ {
		line, err := readLine(br)
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return x, nil
		case errors.Is(err, io.EOF):
			if !torn(line, x.tip.Seq+1) {
				return x, &DamagedError{Line: n, At: x.size, Record: x.tip.Seq + 1, Why: "it is no record of a journal, nor the beginning of one"}
			}
			x.torn = bytes.Clone(line)
			return x, nil
		case err != nil && !errors.Is(err, errLong):
			return x, err
		}
		link, perr := incident.ParseLink(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			perr = err
		}
		if d := follows(x.tip, link, perr); d != nil {
			d.Line, d.At = n, x.size
			return x, d
		}
		x.add(link.Seq, link.Hash, len(line))
		if err := look(x.tip); err != nil {
			return x, err
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
	want := tip.Seq + 1
	switch {
	case perr != nil:
		return &DamagedError{Record: want, Why: perr.Error()}
	case l.Seq != want:
		return &DamagedError{Record: want, Why: fmt.Sprintf("record %d stands in its place: it was removed or moved", l.Seq)}
	case l.Prev != tip.Hash && tip.Seq == 0:
		return &DamagedError{Record: want, Why: "it does not begin a chain"}
	case l.Prev != tip.Hash:
		return &DamagedError{Record: tip.Seq, Why: fmt.Sprintf("it was rewritten: record %d follows a record with another hash", want)}
	}
	return nil
}

// torn reports whether the last bytes of a file, which no newline ends, can be
// record seq that was being written when the machine stopped: its beginning, or
// the zero bytes that a file system leaves where data did not reach the disk.
func torn(tail []byte, seq uint64) bool {
	text := bytes.TrimRight(tail, "\x00")
	open := fmt.Appendf(nil, `{"seq":%d,"at":"`, seq)
	n := min(len(text), len(open))
	return bytes.Equal(text[:n], open[:n])
}
