package severity

import (
	"fmt"
	"math/bits"
	"time"
)

// Unit is what a Value measures.
type Unit string

// The units.
const (
	Share Unit = "share" // N of Of: orders failed of orders sent, bytes in use of bytes there are
	Nanos Unit = "ns"    // N nanoseconds over Of operations
	Count Unit = "count" // N things; Of is always 1
)

// Value is one measurement, as a ratio of whole numbers so that it compares
// exactly. The zero Value is unknown: it could not be read, and it is treated as
// worse than any threshold.
type Value struct {
	N    int64 `json:"n"`
	Of   int64 `json:"of"` // never zero in a Value that is known
	Unit Unit  `json:"unit"`
}

// Part is n of whole, such as 3 orders failed of 12. It is unknown where that
// makes no sense: a negative n, or a whole that is not positive.
func Part(n, whole int64) Value { return known(n, whole, Share) }

// Percent is n hundredths. It is unknown where n is negative.
func Percent(n int64) Value { return known(n, 100, Share) }

// Took is the time of one operation. It is unknown where d is negative.
func Took(d time.Duration) Value { return known(int64(d), 1, Nanos) }

// Number is n things. It is unknown where n is negative.
func Number(n int64) Value { return known(n, 1, Count) }

func known(n, of int64, u Unit) Value {
	v := Value{N: n, Of: of, Unit: u}
	if !v.Known() {
		return Value{}
	}
	return v
}

// Known reports whether v is a measurement: its unit is one of this package's, N
// is not negative, Of is positive, and of a Count it is 1.
func (v Value) Known() bool {
	switch v.Unit {
	case Share, Nanos:
		return v.N >= 0 && v.Of > 0
	case Count:
		return v.N >= 0 && v.Of == 1
	}
	return false
}

// Reaches reports whether v is at or above the threshold t. It does when either
// is unknown or their units differ: what cannot be compared is the worst.
func (v Value) Reaches(t Value) bool {
	if !v.Known() || !t.Known() || v.Unit != t.Unit {
		return true
	}
	leftHi, leftLo := bits.Mul64(uint64(v.N), uint64(t.Of))
	rightHi, rightLo := bits.Mul64(uint64(t.N), uint64(v.Of))
	return leftHi > rightHi || leftHi == rightHi && leftLo >= rightLo
}

// Add returns the two measurements taken as one: the share of both together, the
// mean time, the total number. It is unknown where one of them is, their units
// differ or a sum does not fit.
func (v Value) Add(w Value) Value {
	if !v.Known() || !w.Known() || v.Unit != w.Unit {
		return Value{}
	}
	of := v.Of + w.Of
	if v.Unit == Count {
		of = 1
	}
	return known(v.N+w.N, of, v.Unit) // a sum that does not fit is negative, so unknown
}

// String writes a value for people: "3 of 12", "512ms over 4", "7" or "unknown".
func (v Value) String() string {
	switch {
	case !v.Known():
		return "unknown"
	case v.Unit == Share && v.Of == 100:
		return fmt.Sprintf("%d %%", v.N)
	case v.Unit == Share:
		return fmt.Sprintf("%d of %d", v.N, v.Of)
	case v.Unit == Nanos && v.Of > 1:
		return fmt.Sprintf("%v on average over %d", time.Duration(v.N/v.Of), v.Of)
	case v.Unit == Nanos:
		return time.Duration(v.N).String()
	}
	return fmt.Sprint(v.N)
}
