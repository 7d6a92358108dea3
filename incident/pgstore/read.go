package pgstore

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/andon-go/andon/incident"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// page is how many events one statement reads. No connection is held while they are
// looked at.
const page = 500

// Tip returns the newest event's place.
func (s *Store) Tip(ctx context.Context) (incident.Tip, error) {
	r, err := s.end(ctx)
	if err != nil || r.seq == 0 {
		return incident.Tip{}, err
	}
	link, err := r.link()
	return incident.Tip{Seq: link.Seq, Hash: link.Hash}, err
}

// end returns the newest row as it stands there; the zero row where there is none.
func (s *Store) end(ctx context.Context) (row, error) {
	if err := errors.Join(ctx.Err(), s.open()); err != nil {
		return row{}, s.failed("read", err)
	}
	rows, err := s.query(ctx, "SELECT seq, incident, line FROM "+s.table("events")+" ORDER BY seq DESC LIMIT 1")
	if err != nil || len(rows) == 0 {
		return row{}, err
	}
	return rows[0], nil
}

// row is one event as the table has it.
type row struct {
	seq          int64
	number, line string
}

// link checks the row by itself.
func (r row) link() (incident.Link, error) {
	l, err := incident.ParseLink([]byte(r.line))
	switch {
	case err != nil:
		return l, &DamagedError{uint64(r.seq), err.Error()}
	case l.Seq != uint64(r.seq):
		return l, &DamagedError{uint64(r.seq), fmt.Sprintf("record %d stands in its place", l.Seq)}
	}
	return l, nil
}

// event checks the row and what belongs to it.
func (r row) event() (incident.Event, error) {
	if _, err := r.link(); err != nil {
		return incident.Event{}, err
	}
	e, err := incident.ParseLine([]byte(r.line))
	switch {
	case err != nil:
		return e, &DamagedError{uint64(r.seq), err.Error()}
	case number(e.Incident) != r.number:
		return e, &DamagedError{uint64(r.seq), fmt.Sprintf("it is listed under incident %s and belongs to %s", r.number, number(e.Incident))}
	}
	return e, nil
}

// query reads some rows within the time of a call. A connection that turns out to be
// gone is replaced, since reading twice does no harm.
func (s *Store) query(ctx context.Context, sql string, args ...any) ([]row, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	for {
		rows, err := s.pool.Query(ctx, sql, args...)
		if err == nil {
			var all []row
			all, err = pgx.CollectRows(rows, func(c pgx.CollectableRow) (r row, err error) {
				err = c.Scan(&r.seq, &r.number, &r.line)
				return r, err
			})
			if err == nil {
				return all, nil
			}
		}
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok && refused(pg) || !again(ctx) {
			return nil, s.failed("read", errors.Join(err, ctx.Err()))
		}
	}
}

// Read is incident.Store's. Every event is checked as it is read; one that is not as it
// was appended is a *DamagedError.
func (s *Store) Read(ctx context.Context, after uint64) iter.Seq2[incident.Event, error] {
	return func(yield func(incident.Event, error) bool) {
		for r, err := range s.rows(ctx, after) {
			var e incident.Event
			if err == nil {
				e, err = r.event()
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// rows yields the rows behind after, as far as they go now, and checks the chain.
func (s *Store) rows(ctx context.Context, after uint64) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		end, err := s.end(ctx)
		if err != nil {
			yield(row{}, err)
			return
		}
		begun := after == 0 // the tip's hash is known
		for tip := (incident.Tip{Seq: after}); tip.Seq < uint64(end.seq); {
			rows, err := s.query(ctx, "SELECT seq, incident, line FROM "+s.table("events")+
				" WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3", int64(tip.Seq), end.seq, page)
			if err == nil && len(rows) == 0 {
				err = &DamagedError{tip.Seq + 1, "it is not there, and later ones are: it was removed"}
			}
			if err != nil {
				yield(row{}, err)
				return
			}
			for _, r := range rows {
				link, err := r.link()
				if !begun {
					tip.Hash, begun = link.Prev, true
				}
				if record, why := tip.Follow(link); err == nil && why != "" {
					err = &DamagedError{record, why}
				}
				if err == nil {
					err = ctx.Err()
				}
				if !yield(r, err) || err != nil {
					return
				}
				tip = incident.Tip{Seq: link.Seq, Hash: link.Hash}
			}
		}
	}
}

// ReadIncident is incident.Store's, by an index. It checks each event by itself; that
// none is missing between them only Read and Verify see.
func (s *Store) ReadIncident(ctx context.Context, num string) iter.Seq2[incident.Event, error] {
	return func(yield func(incident.Event, error) bool) {
		if err := errors.Join(ctx.Err(), s.open()); err != nil {
			yield(incident.Event{}, s.failed("read", err))
			return
		}
		for last := int64(0); ; {
			rows, err := s.query(ctx, "SELECT seq, incident, line FROM "+s.table("events")+
				" WHERE hashtextextended(incident, 0) = hashtextextended($1, 0) AND incident = $1 AND seq > $2 ORDER BY seq LIMIT $3", number(num), last, page)
			if err != nil {
				yield(incident.Event{}, err)
				return
			}
			for _, r := range rows {
				e, err := r.event()
				if err == nil {
					err = ctx.Err()
				}
				if !yield(e, err) || err != nil {
					return
				}
				last = r.seq
			}
			if len(rows) < page {
				return
			}
		}
	}
}

// Verify reads every event and checks the whole chain, and that each of the published
// tips is in it. It returns the newest. A *DamagedError names the first event that was
// altered, removed or moved.
func (s *Store) Verify(ctx context.Context, published ...incident.Tip) (incident.Tip, error) {
	want := map[uint64]incident.Hash{}
	for _, t := range published {
		if old, twice := want[t.Seq]; twice && old != t.Hash {
			return incident.Tip{}, fmt.Errorf("pgstore: verify: two tips that differ were published for record %d", t.Seq)
		}
		want[t.Seq] = t.Hash
	}
	delete(want, 0)
	var tip incident.Tip
	for e, err := range s.Read(ctx, 0) {
		if err != nil {
			return tip, fmt.Errorf("pgstore: verify: %w", err)
		}
		tip = e.Tip()
		if hash, ok := want[e.Seq]; ok && hash != e.Hash {
			return tip, fmt.Errorf("pgstore: verify: %w", &DamagedError{e.Seq, "it is not the record whose tip was published: it, or one before it, was written anew"})
		}
		delete(want, e.Seq)
	}
	for seq := range want {
		return tip, fmt.Errorf("pgstore: verify: %w", &DamagedError{tip.Seq + 1, fmt.Sprintf("the records end before it, and the tip of record %d was published: they were cut off", seq)})
	}
	return tip, nil
}
