package safety

import (
	"math/big"
	"math/bits"

	"github.com/andon-go/andon"
)

// units counts 10^-19, the smallest step of a Decimal: a quantity, a price or an
// amount of money as a signed integer of 128 bits, which the gate adds and compares
// exactly and without allocating.
type units struct {
	hi int64
	lo uint64
}

// maxWhole is the amount from which on the gate does not count: 10^15, in units
// below 2^113. What it adds up stays below 2^127 by hasRoom.
const maxWhole = "10^15"

var maxUnits = units{hi: 542_101_086_242_752, lo: 4_003_012_203_950_112_768} // 10^15 × 10^19

// toUnits converts a decimal, exactly; ok is false from maxWhole on.
func toUnits(d andon.Decimal) (u units, ok bool) {
	neg, hi, lo, decimals, ok := d.Coefficient()
	if !ok {
		return units{}, false
	}
	p := pow10[andon.MaxDecimals-decimals]
	top, low := bits.Mul64(lo, p)
	if hi != 0 {
		over, more := bits.Mul64(hi, p)
		sum, carry := bits.Add64(top, more, 0)
		if over != 0 || carry != 0 {
			return units{}, false
		}
		top = sum
	}
	if top > uint64(maxUnits.hi) || top == uint64(maxUnits.hi) && low >= maxUnits.lo {
		return units{}, false
	}
	if u = (units{int64(top), low}); neg {
		u = u.neg()
	}
	return u, true
}

var pow10 = [andon.MaxDecimals + 1]uint64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
}

func (u units) add(v units) units {
	lo, carry := bits.Add64(u.lo, v.lo, 0)
	return units{u.hi + v.hi + int64(carry), lo}
}

func (u units) sub(v units) units {
	lo, borrow := bits.Sub64(u.lo, v.lo, 0)
	return units{u.hi - v.hi - int64(borrow), lo}
}

func (u units) neg() units { return units{}.sub(u) }

func (u units) abs() units {
	if u.hi < 0 {
		return u.neg()
	}
	return u
}

func (u units) sign() int {
	switch {
	case u.hi < 0:
		return -1
	case u.hi|int64(u.lo) == 0:
		return 0
	}
	return 1
}

func (u units) less(v units) bool { return u.hi < v.hi || u.hi == v.hi && u.lo < v.lo }

func (u units) cmp(v units) int {
	switch {
	case u.less(v):
		return -1
	case v.less(u):
		return 1
	}
	return 0
}

// hasRoom reports whether an amount below maxWhole can be added to a sum of such
// amounts and the sum still be counted.
func (u *units) hasRoom() bool { return u.hi < 1<<61 }

// some reports whether u is not zero.
func (u *units) some() bool { return u.hi|int64(u.lo) != 0 }

// String returns the number that u stands for, such as "-1.5".
func (u units) String() string { return decimalOf(big1(u), andon.MaxDecimals) }

func big1(u units) *big.Int {
	b := new(big.Int).SetInt64(u.hi)
	return b.Add(b.Lsh(b, 64), new(big.Int).SetUint64(u.lo))
}

// decimalOf writes n / 10^decimals without trailing zeros.
func decimalOf(n *big.Int, decimals int) string {
	sign := ""
	if n.Sign() < 0 {
		sign, n = "-", new(big.Int).Neg(n)
	}
	digits := n.String()
	for len(digits) <= decimals {
		digits = "0" + digits
	}
	whole, part := digits[:len(digits)-decimals], digits[len(digits)-decimals:]
	for len(part) > 0 && part[len(part)-1] == '0' {
		part = part[:len(part)-1]
	}
	if part == "" {
		return sign + whole
	}
	return sign + whole + "." + part
}

// value counts 10^-38: what a quantity is worth at a price, unsigned, in 256 bits,
// lowest first.
type value [4]uint64

// worth returns |u| × |price|, exactly.
func (u units) worth(price units) value {
	u, price = u.abs(), price.abs()
	uh, ph := uint64(u.hi), uint64(price.hi)
	var v value
	h, l := bits.Mul64(u.lo, price.lo)
	v[0], v[1] = l, h
	if uh|ph == 0 {
		return v
	}
	var c, c2 uint64
	h, l = bits.Mul64(u.lo, ph)
	v[1], c = bits.Add64(v[1], l, 0)
	v[2], v[3] = bits.Add64(h, 0, c)
	h, l = bits.Mul64(uh, price.lo)
	v[1], c = bits.Add64(v[1], l, 0)
	v[2], c2 = bits.Add64(v[2], h, c)
	v[3] += c2
	h, l = bits.Mul64(uh, ph)
	v[2], c = bits.Add64(v[2], l, 0)
	v[3] += h + c
	return v
}

// worthMore reports whether |u| × |price| > most. An amount of a bits times one of b
// bits is below 2^(a+b), which is mostly all that needs to be known.
func (u units) worthMore(price units, most *value) bool {
	u, price = u.abs(), price.abs()
	if u.bits()+price.bits() < most.bits() {
		return false
	}
	w := u.worth(price)
	return w.exceeds(most)
}

// bits returns how many bits an amount takes that is not negative.
func (u units) bits() int {
	if u.hi != 0 {
		return 64 + bits.Len64(uint64(u.hi))
	}
	return bits.Len64(u.lo)
}

func (v *value) bits() int {
	for i := len(v) - 1; i > 0; i-- {
		if v[i] != 0 {
			return 64*i + bits.Len64(v[i])
		}
	}
	return bits.Len64(v[0])
}

// plus returns v + w, or the largest value where the sum does not fit: too much is
// the stricter answer.
func (v value) plus(w value) value {
	var c uint64
	v[0], c = bits.Add64(v[0], w[0], 0)
	v[1], c = bits.Add64(v[1], w[1], c)
	v[2], c = bits.Add64(v[2], w[2], c)
	v[3], c = bits.Add64(v[3], w[3], c)
	if c != 0 {
		return value{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
	}
	return v
}

// minus returns v - w, where w is a part of v.
func (v value) minus(w value) value {
	var b uint64
	v[0], b = bits.Sub64(v[0], w[0], 0)
	v[1], b = bits.Sub64(v[1], w[1], b)
	v[2], b = bits.Sub64(v[2], w[2], b)
	v[3], _ = bits.Sub64(v[3], w[3], b)
	return v
}

// exceeds reports whether v > w.
func (v *value) exceeds(w *value) bool {
	_, b := bits.Sub64(w[0], v[0], 0)
	_, b = bits.Sub64(w[1], v[1], b)
	_, b = bits.Sub64(w[2], v[2], b)
	_, b = bits.Sub64(w[3], v[3], b)
	return b != 0
}

// String returns the number that v stands for.
func (v value) String() string {
	n := new(big.Int)
	for i := len(v) - 1; i >= 0; i-- {
		n.Add(n.Lsh(n, 64), new(big.Int).SetUint64(v[i]))
	}
	return decimalOf(n, 2*andon.MaxDecimals)
}
