package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/andon-go/andon/internal/boottime"
	"github.com/andon-go/andon/safety"
)

// Member joins one switch to a fleet. It is the switch's Lease: give it to safety.Open in
// Config.Lease, then Run it. It is a handle on the fleet too. Safe for concurrent use.
type Member struct {
	*Fleet

	until atomic.Int64 // when the lease ends, by CLOCK_BOOTTIME; zero while there is none
	wake  chan struct{}

	mu       sync.Mutex // taken before the switch's, never inside it
	sw       *safety.Switch
	epoch    uint64 // rises with every word that the order changed; a renewal that began before is void
	pending  []pendingHalt
	said     string // the condition that the switch has from us
	seen     uint64 // the highest generation read
	shutSaid bool   // the condition halts
	closed   bool   // a word has closed an open gate, and nothing was asked since

	// Of the goroutine of Run.
	self    member
	rev     int64         // of our record; zero while it is not known to be there
	beat    int64         // the revision of our beat; zero before the first
	beats   int64         // how many we have written
	failing bool          // the last renewal did
	woken   bool          // there is word of a change
	drained chan struct{} // closed once a Drain under way is over; nil while there is none
}

// NewMember returns a member that has no lease yet, so that nothing adds exposure before
// Run has reached the backend. Errors are those of New.
func NewMember(cfg Config) (*Member, error) {
	f, err := New(cfg)
	if err != nil {
		return nil, err
	}
	return &Member{Fleet: f, wake: make(chan struct{}, 1)}, nil
}

// Until returns when the lease ends, and zero while there is none. See safety.Lease.
func (m *Member) Until() time.Duration { return time.Duration(m.until.Load()) }

// Now reads CLOCK_BOOTTIME.
func (m *Member) Now() time.Duration { return m.clock() }

// Halt stops every bot of the fleet, this one first: before anything is asked of the
// backend, the own gate is closed. Otherwise it is Fleet.Halt. With ErrNotFleetWide the
// own switch is halted for good, by a hold that its own Resume lifts, and the member goes
// on trying to halt the fleet while it runs.
func (m *Member) Halt(ctx context.Context, by, reason string) (Roster, error) {
	h := newHold(by, reason)
	m.mu.Lock()
	m.pending = append(m.pending, pendingHalt{hold: h})
	m.shut("the fleet is " + h.String())
	m.mu.Unlock()
	o, err := m.place(ctx, h)
	if err != nil {
		return Roster{Hold: h}, errors.Join(fmt.Errorf("fleet: %w: %w", ErrNotFleetWide, err), m.fallBack(h))
	}
	m.mu.Lock()
	m.written(h)
	m.mu.Unlock()
	signal(m.wake)
	return m.halted(ctx, h, o)
}

// fallBack halts the own switch for good, and leaves it to Run to halt the fleet.
func (m *Member) fallBack(h Hold) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.pending {
		m.pending[i].retry = m.pending[i].retry || m.pending[i].hold.ID == h.ID
	}
	signal(m.wake)
	if m.sw == nil {
		return nil
	}
	return m.sw.Engage(h.By, h.Reason)
}

// pendingHalt is a halt of this process that the records may not have yet.
type pendingHalt struct {
	hold  Hold
	retry bool // its Halt has given up, so that Run writes it
}

// written notes that the records have a hold. Called with mu held.
func (m *Member) written(h Hold) {
	m.epoch++ // a renewal that did not read it is void
	m.pending = slices.DeleteFunc(m.pending, func(p pendingHalt) bool { return p.hold.ID == h.ID })
}

// shut gives up the lease and halts the switch, until a read that begins later says that
// the fleet may trade. Called with mu held.
func (m *Member) shut(why string) {
	m.epoch++
	m.closed = m.closed || m.until.Load() != 0
	m.until.Store(0)
	m.condition(safety.Halted, why)
}

// tookEffect reports, once, whether the gate was open when the last word came.
func (m *Member) tookEffect() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.closed
	m.closed = false
	return was
}

// condition tells the switch what the fleet makes of trading. Called with mu held.
func (m *Member) condition(state safety.TradingState, why string) {
	if m.sw == nil || m.said == why && m.shutSaid == (state == safety.Halted) {
		return
	}
	if err := m.sw.Condition(byFleet, state, why); err != nil {
		m.cfg.Log.Error("fleet: the switch takes no condition", "err", err)
		return
	}
	m.said, m.shutSaid = why, state == safety.Halted
}

// Run keeps the switch in the fleet until ctx ends: it renews the lease, hears halts and
// resumes, and confirms halts. Without it nothing adds exposure. At its end the gate
// closes; a member with nothing in flight then leaves the fleet, and one with something
// stays in the records, so that the next halt names it. It returns nil once ctx ends, and
// ErrRunning at once where it runs already.
func (m *Member) Run(ctx context.Context, sw *safety.Switch) error {
	m.mu.Lock()
	if m.sw != nil {
		m.mu.Unlock()
		return ErrRunning
	}
	m.sw, m.said = sw, ""
	m.shut("the fleet's order is not read yet")
	m.mu.Unlock()
	if err := m.newSelf(); err != nil {
		return errors.Join(err, m.end(ctx))
	}
	work := work{ctx: ctx}
	work.Go(func() { m.watch(ctx, orderKey, m.heard) })
	for ctx.Err() == nil {
		m.round(ctx, &work)
	}
	err := m.end(ctx)
	work.Wait()
	return err
}

// work is what goes on beside Run's own goroutine, until ctx ends.
type work struct {
	sync.WaitGroup
	ctx context.Context
}

// newSelf makes the member one that nobody has seen before.
func (m *Member) newSelf() error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	m.self = member{
		Version: version, ID: m.cfg.Name + "@" + rand.Text()[:12], Name: m.cfg.Name,
		Host: bounded(host), PID: os.Getpid(), Joined: time.Now().Round(0), Lease: m.cfg.Lease, Seen: m.seen,
	}
	m.rev, m.beat, m.beats = 0, 0, 0
	m.until.Store(0)
	return nil
}

// heard takes the word that the order may have changed. The gate closes on the word
// alone, and what the order says is read next.
func (m *Member) heard(key string) {
	if key == orderKey {
		m.mu.Lock()
		if !m.shutSaid {
			m.shut("the fleet's order has changed and is being read")
		} else {
			m.epoch++
		}
		m.mu.Unlock()
	}
	signal(m.wake)
}

// round renews once and waits for the next time.
func (m *Member) round(ctx context.Context, bg *work) {
	every := m.cfg.Lease / 3
	attempt, done := context.WithTimeout(ctx, every)
	err := m.renew(attempt, bg)
	done()
	wait := every
	switch {
	case errors.Is(err, errVoid):
		return // the order changed during it: again at once
	case err != nil && ctx.Err() == nil:
		m.lost(err)
		wait = every / 8
	case err == nil && m.failing:
		m.failing = false
		m.cfg.Log.Info("fleet: the lease is renewed again", "member", m.self.ID)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-m.wake:
		m.woken = true
		if m.tookEffect() {
			yield(ctx)
		}
	case <-timer.C:
	}
}

// lost notes that the backend gave no answer. The lease runs on to its end; that it is
// over is said to the switch for people to see, the gate knows by itself.
func (m *Member) lost(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.failing {
		m.failing = true
		m.cfg.Log.Warn("fleet: the lease cannot be renewed, trying on", "member", m.self.ID, "err", err)
	}
	if !m.shutSaid && m.until.Load() <= int64(m.now()) {
		m.condition(safety.Reducing, "the fleet's backend does not answer, and the lease is over")
	}
}

var (
	errVoid   = errors.New("the order changed during the renewal")
	errJoined = errors.New("this member's records are gone: joining anew")
)

// renew writes the beat, reads all records, and takes the lease that they give, good from
// before the beat.
func (m *Member) renew(ctx context.Context, bg *work) error {
	m.mu.Lock()
	epoch, pending := m.epoch, slices.Clone(m.pending)
	m.mu.Unlock()
	for _, p := range pending {
		if !p.retry {
			continue
		}
		if _, err := m.place(ctx, p.hold); err != nil {
			return err
		}
		m.mu.Lock()
		m.written(p.hold)
		epoch = m.epoch
		m.mu.Unlock()
	}
	if m.woken {
		m.woken = false
		if done, err := m.answer(ctx, epoch, bg); done || err != nil {
			return err
		}
	}
	from := m.now()
	if err := m.announce(ctx); err != nil {
		return err
	}
	v, err := m.read(ctx)
	if err != nil {
		return err
	}
	if err := m.apply(v, epoch, from); err != nil {
		return err
	}
	if err := m.confirm(ctx, v, bg); err != nil {
		return err
	}
	return m.bury(ctx, v)
}

// answer reads first, when there is word of a change, and confirms a halt at once: no
// lease is to be had from it, so it needs no beat before. It is false where the fleet may
// trade.
func (m *Member) answer(ctx context.Context, epoch uint64, bg *work) (done bool, err error) {
	if m.rev == 0 {
		return false, nil
	}
	v, err := m.read(ctx)
	if err != nil || len(v.order.Holds) == 0 {
		return false, err
	}
	if err := m.apply(v, epoch, 0); err != nil {
		return false, err
	}
	return true, m.confirm(ctx, v, bg)
}

// announce writes our record, where it is not there yet, and our beat.
func (m *Member) announce(ctx context.Context) error {
	if m.rev == 0 {
		if err := m.write(ctx, memberPrefix, encode(m.self), &m.rev, false); err != nil {
			return err
		}
	}
	err := m.write(ctx, beatPrefix, fmt.Appendf(nil, "%d", m.beats+1), &m.beat, true)
	if err == nil {
		m.beats++
	}
	return err
}

// write writes one of our records. Where it has another revision than we know, an answer
// was lost, or somebody has taken us for dead: what the records say counts.
func (m *Member) write(ctx context.Context, prefix string, value []byte, rev *int64, quiet bool) error {
	now, err := m.cfg.Backend.Write(ctx, Record{Key: prefix + m.self.ID, Value: value, Revision: *rev}, quiet)
	if err == nil {
		*rev = now
		return nil
	}
	err = fmt.Errorf("write %s%s: %w", prefix, m.self.ID, err)
	if !errors.Is(err, ErrConflict) {
		return err
	}
	v, readErr := m.read(ctx)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	s := v.seat(m.self.ID)
	if s == nil || s.beat == 0 && m.beat != 0 {
		return errors.Join(errJoined, m.newSelf())
	}
	m.rev, m.beat = s.rev, s.beat
	return err
}

// apply makes of the switch what the records say, if nothing newer was heard meanwhile.
func (m *Member) apply(v *view, epoch uint64, from time.Duration) error {
	s := v.seat(m.self.ID)
	if s == nil {
		return errors.Join(errJoined, m.newSelf())
	}
	m.rev = s.rev
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.epoch != epoch {
		return errVoid
	}
	switch {
	case v.order.Generation < m.seen && v.order.Generation > 0:
		m.until.Store(0)
		m.condition(safety.Halted, fmt.Sprintf("the fleet's order went back from generation %d to %d: the backend has lost what it had confirmed; halt and resume the fleet",
			m.seen, v.order.Generation))
	case len(m.pending) > 0:
		m.until.Store(0)
		m.condition(safety.Halted, "the fleet is "+m.pending[0].hold.String())
	case len(v.order.Holds) > 0:
		m.until.Store(0)
		h := v.order.Holds[len(v.order.Holds)-1]
		why := "the fleet is " + h.String()
		if n := len(v.order.Holds) - 1; n > 0 {
			why += fmt.Sprintf(" (and %d more)", n)
		}
		m.condition(safety.Halted, why)
	case from == boottime.Never:
		m.until.Store(0)
		m.condition(safety.Reducing, "CLOCK_BOOTTIME cannot be read")
	default:
		m.until.Store(int64(from + m.cfg.Lease))
		m.condition(safety.Active, fmt.Sprintf("the fleet was resumed by %s: %s", v.order.Resumed.By, v.order.Resumed.Note))
	}
	m.seen = max(m.seen, v.order.Generation)
	return nil
}

// confirm says in our record what we have seen, and, while the fleet is halted, that the
// gate is closed and what is in flight.
func (m *Member) confirm(ctx context.Context, v *view, bg *work) error {
	m.mu.Lock()
	want, halted := m.self, m.shutSaid
	want.Seen, want.Closed, want.Settled, want.InFlight = m.seen, 0, false, nil
	m.mu.Unlock()
	if halted {
		want.Closed, want.InFlight = want.Seen, m.inFlight(ctx)
		want.Settled = want.Closed > 0 && len(want.InFlight) == 0
	}
	if want.Seen != m.self.Seen || want.Closed != m.self.Closed || want.Settled != m.self.Settled || !slices.Equal(want.InFlight, m.self.InFlight) {
		if err := m.write(ctx, memberPrefix, encode(want), &m.rev, !halted); err != nil {
			return err
		}
		m.self = want
	}
	if len(want.InFlight) > 0 {
		m.drain(bg)
	}
	return nil
}

// inFlight returns the client ids of what is in flight now.
func (m *Member) inFlight(ctx context.Context) []string {
	if m.sw.Status().InFlight == 0 {
		return nil
	}
	now, cancel := context.WithCancel(ctx)
	cancel()
	ids, err := m.sw.Drain(now)
	if err != nil && !errors.Is(err, safety.ErrNotDurable) {
		m.cfg.Log.Warn("fleet: what is in flight", "err", err)
	}
	return ids
}

// drain has us woken once the orders in flight have settled.
func (m *Member) drain(bg *work) {
	if m.drained != nil {
		select {
		case <-m.drained:
		default:
			return
		}
	}
	m.drained = make(chan struct{})
	done, sw := m.drained, m.sw
	bg.Go(func() {
		defer close(done)
		if ids, err := sw.Drain(bg.ctx); err == nil && len(ids) == 0 {
			signal(m.wake)
		}
	})
}

// bury removes an earlier start of ourselves that is dead for certain: this process has
// taken its place, with its orders. While the fleet is halted it stays, so that a roster
// names it.
func (m *Member) bury(ctx context.Context, v *view) error {
	if len(v.order.Holds) > 0 {
		return nil
	}
	for i := range v.members {
		s := &v.members[i]
		if s.member == nil || s.Name != m.cfg.Name || s.id == m.self.ID || v.at < m.gone(s, v.at) {
			continue
		}
		if err := m.remove(ctx, s); err != nil {
			m.cfg.Log.Warn("fleet: an earlier start of this member is not removed yet", "err", err)
			continue
		}
		m.cfg.Log.Info("fleet: removed an earlier start of this member, silent for longer than its lease", "id", s.id)
	}
	return nil
}

// leaveWithin is how long a member that ends tries to take its records away.
const leaveWithin = 2 * time.Second

// end closes the gate, and leaves the fleet if nothing is in flight.
func (m *Member) end(ctx context.Context) error {
	m.mu.Lock()
	m.shut("the fleet's member does not run")
	sw := m.sw
	m.sw = nil
	m.mu.Unlock()
	if n := sw.Status().InFlight; n > 0 || m.rev == 0 {
		if n > 0 {
			m.cfg.Log.Warn("fleet: this member ends with orders in flight, so it stays in the records", "in_flight", n, "id", m.self.ID)
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer cancel()
	if err := m.remove(ctx, &seat{member: &m.self, id: m.self.ID, rev: m.rev, beat: m.beat}); err != nil {
		m.cfg.Log.Warn("fleet: this member could not leave; it is taken for dead when its lease is over", "err", err)
	}
	return nil
}
