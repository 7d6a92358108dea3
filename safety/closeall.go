package safety

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon"
)

var (
	// ErrNotConfirmed says that a close-all was not confirmed by a named person who
	// typed the token of this very plan. Nothing was done.
	ErrNotConfirmed = errors.New("close-all is not confirmed")

	// ErrLeftOpen says that a close-all did not finish what its plan says: the report
	// names what is left, and a person has to look.
	ErrLeftOpen = errors.New("close-all has left something open")
)

// Book says what the bot believes it holds. An error means that it is not known.
type Book interface {
	Positions(ctx context.Context) ([]andon.Position, error)
}

// CloseVenue is one venue that a Closer closes.
type CloseVenue struct {
	// Venue is the account. Required.
	Venue andon.Venue

	// Instruments by symbol. Spot symbols need theirs, with Base; a derivative without
	// one is closed in the quantity that the venue says.
	Instruments map[string]andon.Instrument
}

// CloserConfig is what a Closer is made from. Switch and Venues are required.
type CloserConfig struct {
	Switch *Switch

	// Venues by the name that their rows carry.
	Venues map[string]CloseVenue

	// Book says which positions the bot opened. Any other, and what a leg has beyond
	// the book, is reported and stays, unless Plan is told to close it. Nil means that
	// no position is known to be the bot's.
	Book Book

	// VenueBudget is how long one venue may take. Venues are closed side by side, so
	// that one that hangs costs the others nothing. Defaults to 90 s.
	VenueBudget time.Duration

	// CallWithin is how long one call to a venue may take. Defaults to 10 s.
	CallWithin time.Duration

	// RetryEvery is how long to wait between two readings of a venue; a venue's own
	// Retry-After goes before it. Defaults to 500 ms.
	RetryEvery time.Duration

	// Confirm is how many readings in a row have to agree before a venue is said to be
	// flat, or an order or a position to be gone without a reason. More than 2 are for
	// venues that give an empty list now and then. Defaults to 3.
	Confirm int

	// MaxPlanAge is how old a plan may be when it is applied. Defaults to 15 min.
	MaxPlanAge time.Duration
}

func (c CloserConfig) withDefaults() CloserConfig {
	def := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	def(&c.VenueBudget, 90*time.Second)
	def(&c.CallWithin, 10*time.Second)
	def(&c.RetryEvery, 500*time.Millisecond)
	def(&c.MaxPlanAge, 15*time.Minute)
	if c.Confirm == 0 {
		c.Confirm = 3
	}
	return c
}

func (c CloserConfig) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Switch == nil {
		add("Switch is missing")
	}
	if len(c.Venues) == 0 {
		add("Venues is empty: there is nothing to close")
	}
	for name, v := range c.Venues {
		if name == "" {
			add("Venues has an entry without a name")
		}
		if v.Venue == nil {
			add("Venues[%q].Venue is missing", name)
		}
		for symbol, in := range v.Instruments {
			if err := in.Validate(); err != nil {
				add("Venues[%q].Instruments[%q]: %w", name, symbol, err)
			}
		}
	}
	for _, d := range []struct {
		name string
		d    time.Duration
	}{{"VenueBudget", c.VenueBudget}, {"CallWithin", c.CallWithin}, {"RetryEvery", c.RetryEvery}, {"MaxPlanAge", c.MaxPlanAge}} {
		if d.d < 0 {
			add("%s %v is negative", d.name, d.d)
		}
	}
	if c.Confirm < 0 {
		add("Confirm %d is negative", c.Confirm)
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// Closer closes every position of the bot, on all its venues: close_all_positions of
// the playbook. Plan reads and sends nothing; Apply halts trading and then does what the
// plan says, for a named person who has typed the plan's token.
//
// On each venue, until it is flat or the budget is spent:
//
//  1. Every order that could add exposure, or stands in the way of an exit, is cancelled
//     and looked up until the venue says that it is done.
//  2. Each leg is closed by reduce-only market orders over what the venue says is there,
//     never more than was planned. Their client ids follow from the plan, so that an
//     answer that was lost, and a process that was killed, send nothing twice.
//  3. Stops and take-profits stay until their leg is gone, and are cancelled then. Where
//     they reserve the balance, on spot, or where the venue does not keep them from
//     opening, they are cancelled right before their own symbol is closed, one symbol
//     at a time, and placed again at once where the close does not succeed.
//  4. Flat is said when the venue was read Confirm times in a row and each time had no
//     position and no live order, and no order is in flight.
//
// It is safe for concurrent use, and one Apply at a time is enough.
type Closer struct {
	cfg CloserConfig
}

// NewCloser returns a Closer, or every problem of cfg joined.
func NewCloser(cfg CloserConfig) (*Closer, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("close-all: %w", err)
	}
	return &Closer{cfg.withDefaults()}, nil
}

// Confirmation is a person's word that a plan shall be applied: what CONFIRM=yes stands
// for.
type Confirmation struct {
	By    string // the person
	Note  string // why
	Token string // what ClosePlan.Token gave, typed
}

// allows says why a confirmation does not cover a plan, or nothing.
func (c Confirmation) allows(p ClosePlan) error {
	switch {
	case strings.TrimSpace(c.By) == "":
		return fmt.Errorf("%w: By is empty: who confirms it?", ErrNotConfirmed)
	case strings.TrimSpace(c.Note) == "":
		return fmt.Errorf("%w: Note is empty: why is it done?", ErrNotConfirmed)
	case strings.TrimSpace(c.Token) == "":
		return fmt.Errorf("%w: Token is empty: read the plan and type its token, %s", ErrNotConfirmed, p.Token())
	case strings.TrimSpace(c.Token) != p.Token():
		return fmt.Errorf("%w: token %q is not of this plan, whose token is %s", ErrNotConfirmed, c.Token, p.Token())
	}
	return nil
}

// Apply halts trading and then closes what the plan says. It returns when every venue is
// done or has spent its budget; the report says what happened, and Report.Flat whether
// all is flat. A leg whose position is not what the plan and its live orders can explain
// is not touched and named: that is ErrPlanMoved. A row of a venue that cannot be right
// keeps no other leg from being closed: its own leg is not touched and keeps its stops, and
// the report names the row and is not flat. Applying a plan again, also after a
// crash in between, goes on where the first stopped and sends nothing twice.
//
// A nil error means that all that the plan says was done; what the plan itself leaves,
// such as dust, may be there. ErrNotConfirmed, ErrPlanAltered and a plan that is too old
// change nothing; after any other error trading is halted.
func (c *Closer) Apply(ctx context.Context, plan ClosePlan, by Confirmation, now time.Time) (CloseReport, error) {
	report := CloseReport{Plan: plan.ID, By: by.By, At: now}
	if err := plan.Verify(); err != nil {
		return report, fmt.Errorf("close-all: %w", err)
	}
	if err := by.allows(plan); err != nil {
		return report, err
	}
	if age := now.Sub(plan.At); age < 0 || age > c.cfg.MaxPlanAge {
		return report, fmt.Errorf("close-all: %w: the plan is of %s, at most %v is allowed: make a new one", ErrNotConfirmed, plan.At.Format(time.RFC3339), c.cfg.MaxPlanAge)
	}
	who := by.By + " (close-all)"
	halt, haltErr := c.cfg.Switch.Halt(ctx, who, by.Note)
	report.Halt = halt
	recordErr := c.cfg.Switch.recordNow(ctx, by.By, "close-all by plan "+plan.ID+", token "+plan.Token(), by.Note)
	if recordErr != nil {
		recordErr = fmt.Errorf("nothing is closed, entries alone are cancelled: the decision cannot be recorded: %w", recordErr)
	}
	errs := []error{haltErr, recordErr}

	done := make([]chan CloseVenueReport, len(plan.Venues))
	for i, v := range plan.Venues {
		done[i] = make(chan CloseVenueReport, 1)
		if c.cfg.Venues[v.Venue].Venue == nil { // the others are closed all the same
			done[i] <- CloseVenueReport{Venue: v.Venue, Left: []string{"it is not configured here, so that nothing was done there: apply the plan where it is"}}
			continue
		}
		run := newClosing(c, plan.ID, v, by.By, recordErr == nil)
		go func() { done[i] <- run.run(ctx) }()
	}
	// A venue whose code does not end with its context is left behind, and named.
	grace := time.NewTimer(c.cfg.VenueBudget + c.cfg.CallWithin + finishWithin)
	defer grace.Stop()
	expired := false
	for i, v := range plan.Venues {
		var r CloseVenueReport
		if !expired {
			select {
			case r = <-done[i]:
			case <-grace.C:
				expired = true
			}
		}
		if expired {
			select {
			case r = <-done[i]:
			default:
				r = CloseVenueReport{Venue: v.Venue, Left: []string{"a call to the venue did not end with its context: nothing is known, and it may still be at work"}}
			}
		}
		if err := r.failure(); err != nil {
			errs = append(errs, err)
		}
		report.Venues = append(report.Venues, r)
	}
	for _, name := range plan.unplanned(c.cfg.Venues) {
		r := CloseVenueReport{Venue: name, Left: []string{"the plan does not have this venue: plan again"}, moved: true}
		errs = append(errs, r.failure())
		report.Venues = append(report.Venues, r)
	}
	if err := c.cfg.Switch.recordNow(context.WithoutCancel(ctx), by.By, "close-all by plan "+plan.ID+" ended: "+report.summary(), by.Note); err != nil {
		errs = append(errs, fmt.Errorf("the account is as reported, but this is not recorded: %w", err))
	}
	if err := errors.Join(errs...); err != nil {
		return report, fmt.Errorf("close-all: %w", err)
	}
	return report, nil
}
