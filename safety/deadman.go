package safety

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/boottime"
)

// DeadMan is a venue's own dead man's switch: unless it is armed again in time, the
// venue cancels every order of the account by itself. Kraken has CancelAllOrdersAfter,
// BitMEX cancelAllAfter, Deribit cancel-on-disconnect, Hyperliquid scheduleCancel.
type DeadMan interface {
	// Arm has the venue cancel every order after the given time, unless Arm or Disarm
	// is called before that. Nil means that the venue said it will.
	Arm(ctx context.Context, after time.Duration) error

	// Disarm takes that back. Nil means that the venue said so.
	Disarm(ctx context.Context) error

	// SparesProtection reports whether the venue leaves protective orders alone when it
	// fires. None of the four above does.
	SparesProtection() bool
}

// DeadManConfig says how a venue's dead man's switch is kept from firing. Venue and
// Account are required.
type DeadManConfig struct {
	// Venue is its name, for the holds.
	Venue string

	// Account is where the positions are that must be protected before trading goes on.
	Account andon.Account

	// Requirements say which orders count as protection.
	Requirements Requirements

	// Timeout is what the venue is given; it is armed again every quarter of it.
	// Defaults to 60 s.
	Timeout time.Duration

	// AcceptNaked says that the venue may take protective stops away when it fires,
	// while the process that would place them again is dead. Without it, a venue that
	// does not spare them is refused.
	AcceptNaked bool
}

func (c DeadManConfig) withDefaults() DeadManConfig {
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	return c
}

func (c DeadManConfig) validate(venue DeadMan) error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Venue == "" {
		add("Venue is empty")
	}
	if c.Account == nil {
		add("Account is nil: whether positions are protected could not be told")
	}
	if c.Timeout < 4*time.Millisecond {
		add("Timeout %v is too short", c.Timeout)
	}
	if err := c.Requirements.validate(); err != nil {
		add("Requirements: %w", err)
	}
	if venue == nil {
		add("the venue's switch is nil")
	} else if !venue.SparesProtection() && !c.AcceptNaked {
		add("AcceptNaked is not set, and this venue cancels protective stops too when it fires: a dead process would leave positions naked")
	}
	return errors.Join(errs...)
}

// DeadManSwitch keeps a venue's dead man's switch armed while the process lives, halted
// or not. It is off unless one is made and run.
//
//	dm, err := safety.NewDeadManSwitch(sw, kraken, safety.DeadManConfig{
//		Venue: "kraken", Account: kraken, AcceptNaked: true,
//	})
//	go dm.Run(ctx)
//
// A refresh that fails places a hold at once, which says from when on the venue may fire,
// and a passing hold until the venue is armed again; it is tried again at a sixteenth of
// the timeout. What may have fired, while the process was dead too, has taken protective
// stops with it: from the start, and from then on, a passing hold keeps trading narrowed
// until every position is seen to be protected, as ReadProtection sees it. Placing the
// stops is the Protector's work, which passes every gate.
//
// When ctx of Run ends, the venue is disarmed, since an orderly end should leave the
// stops where they are; one that spares protection stays armed, and cancels what else is
// live. Safe for concurrent use.
type DeadManSwitch struct {
	sw     *Switch
	venue  DeadMan
	cfg    DeadManConfig
	by     string
	asleep func() time.Duration // how long the machine has slept; tests let it sleep
	shown  atomic.Pointer[armament]

	// The rest belongs to Run.
	running sync.Mutex
	start   time.Time
	slept   time.Duration

	armed    bool          // the last attempt was answered well
	fires    time.Duration // when the venue may fire at the earliest; zero while it was never armed
	firesAt  time.Time     // the same on the wall clock, for people
	failing  bool          // a hold has named this failure
	pending  chan struct{} // closed when the last call that was given up has ended; nil while there is none
	verified bool          // every position was seen to be protected since it may last have fired
}

const byDeadMan = "andon/deadman/" // and the venue

// NewDeadManSwitch makes one. A passing hold is in force until Run has armed the venue
// and seen every position protected.
func NewDeadManSwitch(sw *Switch, venue DeadMan, cfg DeadManConfig) (*DeadManSwitch, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(venue); err != nil {
		return nil, fmt.Errorf("dead man's switch: %w", err)
	}
	d := &DeadManSwitch{sw: sw, venue: venue, cfg: cfg, by: byDeadMan + cfg.Venue, asleep: boottime.Slept, verified: venue.SparesProtection()}
	if err := sw.Condition(d.by, Reducing, "the venue's dead man's switch is not armed"); err != nil {
		return nil, fmt.Errorf("dead man's switch: %w", err)
	}
	sw.observe(d.instrument)
	return d, nil
}

// Run keeps the venue armed until ctx ends. It returns nil then, what Disarm said if the
// venue may fire still, and ErrRunning at once where it runs already.
func (d *DeadManSwitch) Run(ctx context.Context) error {
	if !d.running.TryLock() {
		return fmt.Errorf("dead man's switch of %s: %w", d.cfg.Venue, ErrRunning)
	}
	defer d.running.Unlock()
	d.start, d.slept = time.Now(), d.asleep()
	d.armed, d.fires = false, 0
	d.verified = d.venue.SparesProtection() // nobody has kept it from firing since the last Run
	d.shown.Store(&armament{})
	defer d.shown.Store(nil)
	for {
		d.refresh(ctx)
		wait := d.cfg.Timeout / 4
		if !d.armed || !d.verified {
			wait = d.cfg.Timeout / 16
		}
		next := time.NewTimer(wait)
		select {
		case <-next.C:
		case <-d.sw.ctx.Done():
			next.Stop()
			return errors.Join(fmt.Errorf("dead man's switch of %s: %w", d.cfg.Venue, ErrClosed), d.end(ctx))
		case <-ctx.Done():
			next.Stop()
			return d.end(ctx)
		}
	}
}

// now is the time since Run began, sleep included.
func (d *DeadManSwitch) now() time.Duration { return time.Since(d.start) + d.asleep() - d.slept }

// refresh arms the venue once more, looks at the positions where that is due, and says in
// holds what came of it.
func (d *DeadManSwitch) refresh(ctx context.Context) {
	asked := d.now()
	d.judge(asked)
	err := d.call(ctx, "arm it", func(ctx context.Context) error { return d.venue.Arm(ctx, d.cfg.Timeout) })
	if ctx.Err() != nil {
		return // an orderly end, which end takes care of
	}
	d.judge(d.now()) // it may have fired before the answer came
	d.armed = err == nil
	if err == nil {
		d.fires, d.failing = asked+d.cfg.Timeout, false
		d.firesAt = time.Now().Add(d.fires - d.now())
	}
	d.tell(asked)
	if d.armed && !d.verified {
		err = d.verify(ctx)
	}
	d.show(err)
}

// judge notes that the venue may have fired.
func (d *DeadManSwitch) judge(now time.Duration) {
	if d.fires == 0 || now < d.fires {
		return
	}
	d.fires = 0
	reason := fmt.Sprintf("%s was not armed again in time and may have cancelled every order by itself", d.cfg.Venue)
	if !d.venue.SparesProtection() {
		d.verified = false
		reason += ", protective stops too: look at the positions and protect them again"
	}
	d.sw.mu.Lock()
	defer d.sw.mu.Unlock()
	d.sw.place(Hold{State: Reducing, By: d.by, Reason: reason})
}

// verify looks whether every position is protected.
func (d *DeadManSwitch) verify(ctx context.Context) error {
	err := d.call(ctx, "read the positions", func(ctx context.Context) error {
		report, err := ReadProtection(ctx, d.cfg.Account, d.cfg.Requirements, time.Now())
		if err == nil && !report.Protected() {
			err = errors.New(report.String())
		}
		return err
	})
	if err != nil {
		return err
	}
	d.verified = true
	return nil
}

// call bounds a call to the venue, so that one that hangs is noticed in time, also where
// the venue's code does not heed its context, and makes a panic of it an error. What was
// given up is not followed by another call before it has ended: the two could overtake
// each other on the way, and an Arm that comes after a Disarm fires.
func (d *DeadManSwitch) call(ctx context.Context, what string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout/8)
	defer cancel()
	if d.pending != nil {
		select {
		case <-d.pending:
			d.pending = nil
		case <-ctx.Done():
			return fmt.Errorf("%s: an earlier call did not end with its context and is still at work: %w", what, ctx.Err())
		}
	}
	answer, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		answer <- calm("the venue", func() error { return f(ctx) })
	}()
	var err error
	select {
	case err = <-answer:
	case <-ctx.Done():
		d.pending, err = ended, ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// show brings the holds in line with what is known.
func (d *DeadManSwitch) show(err error) {
	sw := d.sw
	sw.mu.Lock()
	defer sw.mu.Unlock()
	switch {
	case !d.armed:
		reason := fmt.Sprintf("%s cannot be armed", d.cfg.Venue)
		if d.fires > 0 {
			reason += ": it fires from " + stamp(d.firesAt) + " on and cancels every order"
			if !d.venue.SparesProtection() {
				reason += ", protective stops too"
			}
		}
		if !d.failing {
			d.failing = true
			sw.place(Hold{State: Reducing, By: d.by, Reason: fmt.Sprintf("%s: %v", reason, err)})
		}
		sw.condition(d.by, Reducing, reason)
	case !d.verified:
		sw.condition(d.by, Reducing, fmt.Sprintf("%s may have cancelled protective stops, and not every position is seen to be protected: %v", d.cfg.Venue, err))
	default:
		sw.condition(d.by, Active, "armed, and every position is seen to be protected")
	}
}

// end leaves the venue as an orderly end should.
func (d *DeadManSwitch) end(ctx context.Context) error {
	d.sw.mu.Lock()
	d.sw.condition(d.by, Reducing, "Run of the dead man's switch has ended")
	d.sw.mu.Unlock()
	if d.venue.SparesProtection() {
		return nil // it fires, and cancels what nobody looks after any more
	}
	err := d.call(context.WithoutCancel(ctx), "disarm it", d.venue.Disarm)
	if err != nil {
		return fmt.Errorf("dead man's switch of %s: it cancels every order, protective stops too, within %v: %w", d.cfg.Venue, d.cfg.Timeout, err)
	}
	return nil
}
