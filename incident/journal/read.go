package journal

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"os"

	"github.com/andon-go/andon/incident"
)

// Read is incident.Store's. Every record is checked again as it is read; one that
// has changed on disk since it was written is a *DamagedError.
func (j *Journal) Read(ctx context.Context, after uint64) iter.Seq2[incident.Event, error] {
	return func(yield func(incident.Event, error) bool) {
		j.extentMu.RLock()
		x := j.extent
		j.extentMu.RUnlock()
		switch {
		case j.closed.Load():
			yield(incident.Event{}, named(j.path, ErrClosed))
			return
		case after >= x.tip.Seq:
			return
		}
		mark := after / markEvery
		from := x.marks[mark]
		r := bufio.NewReaderSize(io.NewSectionReader(j.f, from, x.size-from), 1<<16)
		at := place{line: int(mark*markEvery) + 1, offset: from, tip: Tip{Seq: mark * markEvery}}
		for at.tip.Seq < x.tip.Seq {
			e, err := at.next(ctx, r)
			if err != nil {
				yield(incident.Event{}, named(j.path, err))
				return
			}
			if e.Seq > after && !yield(e, nil) {
				return
			}
		}
	}
}

// place is how far a reader has come.
type place struct {
	line   int
	offset int64
	tip    Tip
	begun  bool // tip.Hash is known
}

// next reads the next record.
func (p *place) next(ctx context.Context, r *bufio.Reader) (incident.Event, error) {
	if err := ctx.Err(); err != nil {
		return incident.Event{}, err
	}
	line, err := readLine(r)
	switch {
	case errors.Is(err, os.ErrClosed):
		return incident.Event{}, ErrClosed
	case errors.Is(err, io.EOF):
		err = errors.New("the file ends before it")
	case err != nil && !errors.Is(err, errLong):
		return incident.Event{}, err
	}
	if err != nil {
		return incident.Event{}, &DamagedError{Line: p.line, At: p.offset, Record: p.tip.Seq + 1, Why: err.Error()}
	}
	e, err := incident.ParseLine(bytes.TrimSuffix(line, []byte("\n")))
	if !p.begun && err == nil {
		p.tip.Hash, p.begun = e.Prev, true
	}
	if d := follows(p.tip, incident.Link{Seq: e.Seq, Prev: e.Prev, Hash: e.Hash}, err); d != nil {
		d.Line, d.At = p.line, p.offset
		return incident.Event{}, d
	}
	p.line, p.offset, p.tip = p.line+1, p.offset+int64(len(line)), Tip{e.Seq, e.Hash}
	return e, nil
}
