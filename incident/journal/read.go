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
		r := bufio.NewReaderSize(x.reader(from), 1<<16)
		at := place{extent: &x, offset: from, tip: Tip{Seq: mark * markEvery}}
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
	extent *extent
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
		return incident.Event{}, p.extent.locate(&DamagedError{Record: p.tip.Seq + 1, Why: err.Error()}, p.offset)
	}
	e, err := incident.ParseLine(bytes.TrimSuffix(line, []byte("\n")))
	if !p.begun && err == nil {
		p.tip.Hash, p.begun = e.Prev, true
	}
	if d := follows(p.tip, e.Link(), err); d != nil {
		return incident.Event{}, p.extent.locate(d, p.offset)
	}
	p.offset, p.tip = p.offset+int64(len(line)), e.Tip()
	return e, nil
}

// ReadIncident is incident.Store's. It reads the records of that incident and no
// other. Each is checked to be the one that was written, or that Open has seen.
func (j *Journal) ReadIncident(ctx context.Context, number string) iter.Seq2[incident.Event, error] {
	return func(yield func(incident.Event, error) bool) {
		j.extentMu.RLock()
		x := j.extent
		var entries []entry
		if list := j.index[number]; list != nil {
			entries = *list
		}
		j.extentMu.RUnlock()
		if j.closed.Load() {
			yield(incident.Event{}, named(j.path, ErrClosed))
			return
		}
		var line []byte
		for _, it := range entries {
			e, err := x.fetch(ctx, it, &line)
			if err != nil {
				yield(incident.Event{}, named(j.path, err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// fetch reads one record that the index knows.
func (x *extent) fetch(ctx context.Context, it entry, line *[]byte) (incident.Event, error) {
	if err := ctx.Err(); err != nil {
		return incident.Event{}, err
	}
	at, n := it.at()
	if *line = (*line)[:0]; cap(*line) < n {
		*line = make([]byte, 0, n)
	}
	*line = (*line)[:n]
	s := x.segments[0]
	for _, next := range x.segments[1:] {
		if next.at > at {
			break
		}
		s = next
	}
	damaged := func(why string) error { return &DamagedError{Path: s.path, At: at - s.at, Why: why} }
	switch _, err := s.f.ReadAt(*line, at-s.at); {
	case errors.Is(err, os.ErrClosed):
		return incident.Event{}, ErrClosed
	case errors.Is(err, io.EOF):
		return incident.Event{}, damaged("the file ends before it")
	case err != nil:
		return incident.Event{}, err
	}
	e, err := incident.ParseLine(bytes.TrimSuffix(*line, []byte("\n")))
	switch {
	case err != nil:
		return incident.Event{}, damaged(err.Error())
	case sum(e.Hash) != it.sum:
		return incident.Event{}, damaged("it was rewritten since it was last seen")
	}
	return e, nil
}
