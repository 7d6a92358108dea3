package sim

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/andon-go/andon"
)

// Faults is what is wrong with the venue. The zero value is nothing. Every field
// holds until SetFaults is called again.
type Faults struct {
	// Outage makes every call fail as a venue does that answers 503.
	Outage bool

	// Unauthorized makes every call fail as a venue does that no longer knows the
	// API key.
	Unauthorized bool

	// Slow is added to the latency of every call.
	Slow time.Duration

	// TimeoutRate is the fraction, 0 to 1, of Submit and Cancel that take effect and
	// whose answer never comes. LossRate is the fraction that never arrives. The
	// caller cannot tell the two apart; together they are at most 1.
	TimeoutRate float64
	LossRate    float64

	// StalePrices stops the price feed: quotes and marks stay as they are while the
	// venue trades on.
	StalePrices bool
}

func (f Faults) validate() error {
	var errs []error
	if f.Slow < 0 {
		errs = append(errs, fmt.Errorf("Slow is %v, want 0 or more", f.Slow))
	}
	for _, rate := range []struct {
		name  string
		value float64
	}{{"TimeoutRate", f.TimeoutRate}, {"LossRate", f.LossRate}} {
		if !(rate.value >= 0 && rate.value <= 1) { // true for NaN too
			errs = append(errs, fmt.Errorf("%s is %v, want 0 to 1", rate.name, rate.value))
		}
	}
	if f.TimeoutRate+f.LossRate > 1 {
		errs = append(errs, fmt.Errorf("TimeoutRate and LossRate are %v together, want at most 1", f.TimeoutRate+f.LossRate))
	}
	return errors.Join(errs...)
}

// Counts says how often each fault has struck, and what the venue has done, since
// the start.
type Counts struct {
	Outages        int // calls that met the outage
	Unauthorized   int // calls that were refused for the key
	Slowed         int // calls that were slowed
	TimeoutsTaken  int // lost answers to a Submit or Cancel that took effect
	TimeoutsAbsent int // lost answers to a Submit or Cancel that did not
	StopsDropped   int // protective stops that DropStop removed
	StalePrices    int // quotes and marks given out that were no longer true

	Accepted     int // orders taken
	Rejected     int // orders refused
	Duplicates   int // of them, for a client id used before
	Fills        int // executions
	PartialFills int // of them, those that left a part of the order open
	Triggered    int // conditional orders that woke
	Expired      int // orders that ran out
}

var (
	// ErrOutage says that the venue is not there.
	ErrOutage = errors.New("503 service unavailable")

	// ErrUnauthorized says that the venue does not accept the API key.
	ErrUnauthorized = errors.New("401 unauthorized: invalid API key")

	// ErrBroken says that an amount outgrew what a Decimal holds. The exchange
	// answers nothing from then on, rather than something rounded.
	ErrBroken = errors.New("amount too large for the simulated exchange")

	errNoAnswer = errors.New("the connection broke before the answer came")
)

// CallError is a call that the venue did not answer as asked. It wraps the cause.
type CallError struct {
	Venue    string
	Call     string // such as "submit"
	ClientID string // the order, where the call was about one

	// Unknown is true when the call may have taken effect; the error is then also
	// andon.ErrOutcomeUnknown to errors.Is.
	Unknown bool

	Err error
}

// Error names the venue, the call, the order and the cause, and what to do when
// the outcome is unknown.
func (e *CallError) Error() string {
	what := e.Call
	if e.ClientID != "" {
		what += " of order " + e.ClientID
	}
	if e.Unknown {
		return fmt.Sprintf("%s: %s: %v: %v; look it up before anything else is sent for it", e.Venue, what, andon.ErrOutcomeUnknown, e.Err)
	}
	return fmt.Sprintf("%s: %s: %v", e.Venue, what, e.Err)
}

// Unwrap returns the cause.
func (e *CallError) Unwrap() error { return e.Err }

// Is reports whether target is andon.ErrOutcomeUnknown and the outcome is unknown.
func (e *CallError) Is(target error) bool { return target == andon.ErrOutcomeUnknown && e.Unknown }

// SetFaults replaces the faults in force, or reports what is wrong with f and
// changes nothing. Safe for concurrent use.
func (x *Exchange) SetFaults(f Faults) error {
	if err := f.validate(); err != nil {
		return fmt.Errorf("%s: faults: %w", x.cfg.Name, err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.faults = f
	x.showPrices()
	return nil
}

// Faults returns the faults in force. Safe for concurrent use.
func (x *Exchange) Faults() Faults {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.faults
}

// Counts returns what has been counted so far. Safe for concurrent use.
func (x *Exchange) Counts() Counts {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.counts
}

// DropStop cancels the oldest live stop of the symbol, as a venue does that lets it
// expire, and tells nobody. It returns the order, or false where there is
// none. Safe for concurrent use.
func (x *Exchange) DropStop(symbol string) (andon.Order, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, o := range x.conditional {
		if o.Symbol == symbol && o.Kind.Stop() {
			x.cancel(o)
			x.sweep()
			x.counts.StopsDropped++
			return o.Order, true
		}
	}
	return andon.Order{}, false
}

// down returns why the venue answers no call at all, or nil.
func (x *Exchange) down() error {
	switch {
	case x.broken != nil:
		return x.broken
	case x.faults.Outage:
		x.counts.Outages++
		return ErrOutage
	case x.faults.Unauthorized:
		x.counts.Unauthorized++
		return ErrUnauthorized
	}
	return nil
}

// fate is what becomes of a Submit or Cancel and its answer.
type fate uint8

const (
	answered fate = iota
	taken         // takes effect, the answer is lost
	absent        // never arrives
)

// fate draws from the seed, the call, the client id and how often that call was
// made for it, so that no other call changes it.
func (x *Exchange) fate(call, clientID string) fate {
	key := call + " " + clientID
	attempt := x.attempts[key]
	x.attempts[key]++
	h := fnv.New64a()
	h.Write(strconv.AppendInt([]byte(key+" "), int64(attempt), 10))
	draw := rand.New(rand.NewPCG(x.cfg.Seed, h.Sum64())).Float64()
	switch {
	case draw < x.faults.TimeoutRate:
		return taken
	case draw < x.faults.TimeoutRate+x.faults.LossRate:
		return absent
	}
	return answered
}
