package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/andon-go/andon/internal/boottime"
	"github.com/andon-go/andon/safety"
)

// Halt stops every bot of the fleet and returns the roster of its members. Nil means that
// no Enter of any member succeeds any more for an order that adds exposure until somebody
// resumes the fleet, and that every member is in the roster. That takes as long as the
// slowest member needs to confirm and to settle its orders, and a lease and its margin at
// most.
//
// The error is ErrNotFleetWide where the halt could not be written within WriteWithin or
// ctx: ask again. It is an *IncompleteError where it is written and some members could
// not be accounted for within ctx. An empty by or reason is filled in rather than refused.
func (f *Fleet) Halt(ctx context.Context, by, reason string) (Roster, error) {
	h := newHold(by, reason)
	o, err := f.place(ctx, h)
	if err != nil {
		return Roster{Hold: h}, fmt.Errorf("fleet: %w: %w", ErrNotFleetWide, err)
	}
	return f.halted(ctx, h, o)
}

// halted has the halt recorded, now that it is written, and makes the roster.
func (f *Fleet) halted(ctx context.Context, h Hold, o order) (Roster, error) {
	placed := f.now()
	recorded := make(chan error, 1)
	go func() { // beside the stop, which never waits for it
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.cfg.WriteWithin)
		defer cancel()
		recorded <- f.record(ctx, h.By, "fleet halted", h.Reason)
	}()
	r, err := f.gather(ctx, h, o, placed)
	if err := <-recorded; err != nil {
		f.cfg.Log.Error("fleet: the halt is not recorded", "by", h.By, "err", err)
	}
	return r, err
}

// place writes a hold into the order, again and again until it is there.
func (f *Fleet) place(ctx context.Context, h Hold) (order, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.WriteWithin)
	defer cancel()
	f.mu.Lock()
	g := f.known
	f.mu.Unlock()
	again := againFirst
	var last error
	for {
		if g.next != 0 {
			o := g.order.with(h, g.next)
			attempt, done := context.WithTimeout(ctx, f.cfg.WriteWithin/4)
			_, err := f.cfg.Backend.Write(attempt, Record{Key: orderKey, Value: encode(o), Revision: g.rev}, false)
			done()
			if err == nil {
				return o, nil
			}
			if !errors.Is(err, ErrConflict) {
				last = err
			}
		}
		attempt, done := context.WithTimeout(ctx, f.cfg.WriteWithin/4)
		v, err := f.read(attempt)
		done()
		switch {
		case err != nil:
			last = err
		case v.order.has(h.ID): // a write whose answer did not come
			return v.order, nil
		default:
			g = guess{v.order, v.orderRev, v.next()}
			if last == nil {
				continue
			}
		}
		select {
		case <-time.After(again):
			again = min(2*again, againMost)
		case <-ctx.Done():
			return order{}, errors.Join(last, ctx.Err())
		}
	}
}

// The patience after an attempt that failed.
const (
	againFirst = 20 * time.Millisecond
	againMost  = time.Second
)

// rosterPoll is how often the members' records are read, notification or not.
const rosterPoll = 100 * time.Millisecond

// gather waits until every member has confirmed with nothing in flight or its lease is
// over.
func (f *Fleet) gather(ctx context.Context, h Hold, o order, placed time.Duration) (Roster, error) {
	ctx, cancel := context.WithCancel(ctx)
	woken := make(chan struct{}, 1)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		f.watch(ctx, memberPrefix, func(string) { signal(woken) })
	}()
	defer func() { cancel(); <-watched }()

	yield(ctx)
	g := gathering{f: f, hold: h, order: o, placed: placed, confirmed: map[string]time.Time{}}
	for {
		readCtx, readDone := context.WithTimeout(ctx, max(f.cfg.Lease/3, rosterPoll))
		v, err := f.read(readCtx)
		readDone()
		if err == nil {
			g.see(v)
		}
		r, missing, done := g.roster()
		if done || g.resumed != "" {
			return r, g.resumedError()
		}
		if ctx.Err() != nil || g.patience() <= 0 {
			return r, &IncompleteError{Missing: missing, Why: g.why(ctx), Err: err}
		}
		select {
		case <-woken:
		case <-time.After(rosterPoll):
		case <-ctx.Done():
		}
	}
}

// gathering is a roster on its way.
type gathering struct {
	f      *Fleet
	hold   Hold
	order  order         // as it was written with the hold
	placed time.Duration // when that was known to be written, by our clock

	seats     []seat // of the last view; a view after the halt lacks nobody who can have a lease
	listed    bool
	confirmed map[string]time.Time // when it was first seen that a member's gate is closed
	resumed   string
}

// see takes in a view that was asked for after the halt was written.
func (g *gathering) see(v *view) {
	if r := v.order.Resumed; v.order.Generation > g.order.Generation && !sameResumption(r, g.order.Resumed) {
		// Halted again or not: leases may have been given out since.
		g.resumed = fmt.Sprintf("%s has resumed the fleet meanwhile: %s", r.By, r.Note)
		return
	}
	g.seats, g.listed = v.members, true
	for i := range g.seats {
		s := &g.seats[i]
		if _, ok := g.confirmed[s.id]; !ok && s.member != nil && s.Closed >= g.order.Generation {
			g.confirmed[s.id] = g.f.wall(v.at)
		}
	}
}

// roster judges every member, and names those of whom nothing is known yet.
func (g *gathering) roster() (r Roster, missing []string, done bool) {
	r = Roster{Hold: g.hold, Generation: g.order.Generation}
	now := g.f.now()
	for i := range g.seats {
		s := &g.seats[i]
		st := Standing{ID: s.id}
		if s.member != nil {
			st.Name, st.Host, st.PID = s.Name, s.Host, s.PID
		}
		since, confirmed := g.confirmed[s.id]
		over := g.f.gone(s, g.placed)
		switch {
		case confirmed && s.Settled:
			st.Since, st.Confirmed = since, true
			r.Settled = append(r.Settled, st)
		case now < over || now == boottime.Never:
			missing = append(missing, s.title())
		case confirmed:
			st.Since, st.Confirmed, st.InFlight = since, true, s.InFlight
			r.Unsettled = append(r.Unsettled, st)
		default:
			st.Since = g.f.wall(over)
			r.Unsettled = append(r.Unsettled, st)
		}
	}
	return r, missing, g.listed && len(missing) == 0
}

// patience returns how long there is still something to wait for: the leases of those
// who are listed, or a listing. A member whose record cannot be read has promised no
// lease.
func (g *gathering) patience() time.Duration {
	until := g.placed + g.f.cfg.Lease + margin(g.f.cfg.Lease)
	for i := range g.seats {
		if s := &g.seats[i]; s.member != nil {
			until = max(until, g.f.gone(s, g.placed))
		}
	}
	return until + g.f.cfg.WriteWithin - g.f.now()
}

func (g *gathering) resumedError() error {
	if g.resumed == "" {
		return nil
	}
	return &IncompleteError{Why: g.resumed}
}

func (g *gathering) why(ctx context.Context) string {
	switch {
	case ctx.Err() != nil:
		return "the caller did not wait: " + ctx.Err().Error()
	case !g.listed:
		return "the members could not be listed"
	}
	return "records that cannot be read promise no end of a lease: end these processes, then Forget them"
}

// wall returns what this machine's wall clock said, about, when its other clock said at.
func (f *Fleet) wall(at time.Duration) time.Time {
	return time.Now().Add(at - f.now()).Round(0)
}

// watch watches until ctx ends, again after every failure. Reading goes on beside it.
func (f *Fleet) watch(ctx context.Context, prefix string, woken func(key string)) {
	again := againFirst
	for ctx.Err() == nil {
		err := f.cfg.Backend.Watch(ctx, prefix, func(key string) {
			again = againFirst
			woken(key)
		})
		if ctx.Err() != nil {
			return
		}
		f.cfg.Log.Warn("fleet: watching again; what changes meanwhile is seen by reading", "records", prefix, "err", err)
		select {
		case <-time.After(again):
			again = min(2*again, againMost)
		case <-ctx.Done():
		}
	}
}

// yieldFor is how long whoever has heard of a change waits before asking the backend.
const yieldFor = 5 * time.Millisecond

// yield lets the backend tell the others first. The gate is closed by the word alone; what
// follows on it, a read and a durable write of each member, would come to the server just
// when it has the rest of the fleet to notify, and their gates are open still.
func yield(ctx context.Context) {
	timer := time.NewTimer(yieldFor)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func sameResumption(a, b safety.Resumption) bool {
	return a.By == b.By && a.Note == b.Note && a.At.Equal(b.At)
}
