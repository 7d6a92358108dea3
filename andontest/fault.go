package andontest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Fault is one way in which a venue fails. The zero value is none.
type Fault uint8

// The faults, and the calls that they strike.
const (
	None            Fault = iota
	TimeoutTaken          // Submit, Cancel: it takes effect, no answer comes
	TimeoutLost           // any call: no effect, no answer
	Late                  // Submit: no answer, and it arrives with a later call; Cancel: accepted, and done with a later call
	DuplicateAnswer       // Submit: it is delivered twice, and the answer to the second comes; lists: every row twice
	RateLimited           // any call: a *RateLimitError, no effect
	Refused               // Submit: rejected although nothing is wrong with it
	PartialFill           // Submit of an order that trades: a part of it, the rest is cancelled or comes with a later call
	EmptyList             // lists: no row and no error
	PartialList           // lists: some rows are left out, no error
	HiddenList            // Orders: the second list, of conditional orders, is left out, no error
	WrongList             // lists: a row that cannot be right
	StaleRead             // lists, Lookup: an earlier answer
	Liquidation           // any call: before it, the venue closes a leg by itself; it keeps the orders
	Hang                  // any call: no answer until the caller's context ends; no effect
	faultCount      = iota
)

var faultNames = []string{
	"none", "timeout-taken", "timeout-lost", "late", "duplicate-answer", "rate-limited", "refused", "partial-fill",
	"empty-list", "partial-list", "hidden-list", "wrong-list", "stale-read", "liquidation", "hang",
}

// String returns the fault's name, such as "timeout-taken", or "Fault(n)".
func (f Fault) String() string {
	if int(f) < len(faultNames) {
		return faultNames[f]
	}
	return fmt.Sprintf("Fault(%d)", f)
}

// MaxLies is how often in a row, at most, one list is drawn to lie: to be empty, to
// leave rows out, or to be of earlier. Inject has no such bound.
const MaxLies = 2

// Faults says how likely each fault strikes a call that it can strike, from 0 to 1.
type Faults map[Fault]float64

func (f Faults) validate() error {
	var errs []error
	sum := 0.0
	for _, k := range slices.Sorted(maps.Keys(f)) {
		if k == None || k >= faultCount {
			errs = append(errs, fmt.Errorf("Faults[%v]: no such fault", k))
		}
		if !(f[k] >= 0 && f[k] <= 1) {
			errs = append(errs, fmt.Errorf("Faults[%v] %v, want 0 to 1", k, f[k]))
		}
		sum += f[k]
	}
	if sum > 1 {
		errs = append(errs, fmt.Errorf("Faults: %v in sum, want at most 1", sum))
	}
	return errors.Join(errs...)
}

// ErrNoAnswer says that a call was not answered: the connection broke. For Submit and
// Cancel it comes with andon.ErrOutcomeUnknown.
var ErrNoAnswer = errors.New("no answer from the venue")

// RateLimitError is the venue's 429: it did not look at the call.
type RateLimitError struct {
	Wait time.Duration // the venue's own wish
}

// Error says how long to wait.
func (e *RateLimitError) Error() string {
	return fmt.Sprintf("429 too many requests, retry after %v", e.Wait)
}

// RetryAfter returns how long to wait before the next call.
func (e *RateLimitError) RetryAfter() time.Duration { return e.Wait }

// Op is a call to a venue.
type Op string

// The calls.
const (
	OpSubmit    Op = "submit"
	OpCancel    Op = "cancel"
	OpLookup    Op = "lookup"
	OpPositions Op = "positions"
	OpOrders    Op = "orders"
	OpBalances  Op = "balances"
)

// strikes says which faults a call can meet, in the order in which they are drawn.
var strikes = map[Op][]Fault{
	OpSubmit:    {TimeoutTaken, TimeoutLost, Late, DuplicateAnswer, RateLimited, Refused, PartialFill, Liquidation, Hang},
	OpCancel:    {TimeoutTaken, TimeoutLost, Late, RateLimited, Liquidation, Hang},
	OpLookup:    {TimeoutLost, RateLimited, StaleRead, Liquidation, Hang},
	OpPositions: {TimeoutLost, DuplicateAnswer, RateLimited, EmptyList, PartialList, WrongList, StaleRead, Liquidation, Hang},
	OpOrders:    {TimeoutLost, DuplicateAnswer, RateLimited, EmptyList, PartialList, HiddenList, WrongList, StaleRead, Liquidation, Hang},
	OpBalances:  {TimeoutLost, DuplicateAnswer, RateLimited, EmptyList, StaleRead, Liquidation, Hang},
}

func (f Fault) lies() bool {
	return f == EmptyList || f == PartialList || f == HiddenList || f == StaleRead
}

// SetFaults replaces the likelihood of every fault; nil is a venue without faults. It
// panics where New would.
func (v *Venue) SetFaults(f Faults) {
	if err := f.validate(); err != nil {
		panic("andontest: " + err.Error())
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.faults = maps.Clone(f)
}

// Inject makes the next n calls that the fault can strike meet it, before any that is
// drawn. A call for which it could do nothing, such as a Liquidation of a flat account,
// does not use it up.
func (v *Venue) Inject(f Fault, n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.inject[f] = n
}

// Down makes every call fail with err until it is called with nil. Submit and Cancel
// fail with an error that is andon.ErrOutcomeUnknown too.
func (v *Venue) Down(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.down = err
}

// Counts returns how often each fault has struck.
func (v *Venue) Counts() map[Fault]int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.counts)
}

// draw decides which fault a call may meet. It takes as much from the source for every
// call, so that what later calls meet does not depend on it.
func (v *Venue) draw(op Op) Fault {
	u := v.rng.Float64()
	for _, f := range strikes[op] {
		if v.inject[f] > 0 {
			return f
		}
	}
	for _, f := range strikes[op] {
		if u -= v.faults[f]; u < 0 {
			if f.lies() && v.lies[op] >= MaxLies {
				return None
			}
			return f
		}
	}
	return None
}

// struck counts a fault that had its effect.
func (v *Venue) struck(f Fault) {
	if f == None {
		return
	}
	v.counts[f]++
	if v.inject[f] > 0 {
		v.inject[f]--
	}
}
