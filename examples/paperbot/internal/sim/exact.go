package sim

import (
	"strconv"
	"strings"

	"github.com/andon-go/andon"
)

// decimals returns how many digits d has after the point.
func decimals(d andon.Decimal) int {
	_, fraction, _ := strings.Cut(d.String(), ".")
	return len(fraction)
}

// multiple reports whether d is a whole number of steps.
func multiple(d, step andon.Decimal) bool {
	_, err := d.Quo(step, 0, andon.Exact)
	return err == nil
}

// exact multiplies and divides, and remembers the first result that did not fit,
// so that a formula reads like one. Nothing that it gave counts once err is set.
type exact struct{ err error }

func (e *exact) mul(a, b andon.Decimal) andon.Decimal { return e.keep(a.Mul(b)) }

// entry returns cost / quantity as a position shows it.
func (e *exact) entry(cost, quantity andon.Decimal) andon.Decimal {
	return e.keep(cost.Quo(quantity, EntryPlaces, andon.HalfEven))
}

func (e *exact) keep(d andon.Decimal, err error) andon.Decimal {
	if e.err == nil {
		e.err = err
	}
	return d
}

// whole returns d, a whole number, as an int64.
func whole(d andon.Decimal) (int64, error) { return strconv.ParseInt(d.String(), 10, 64) }
