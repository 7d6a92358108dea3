package andon

import (
	"errors"
	"fmt"
	"math/big"
	"math/bits"

	"github.com/quagmt/udecimal"
)

// MaxDecimals is how many digits a Decimal holds after the point.
const MaxDecimals = 19

var (
	// ErrSyntax says that a text is not a decimal number.
	ErrSyntax = errors.New("not a decimal number")

	// ErrTooManyDigits says that a number has more digits than a Decimal holds:
	// more than MaxDecimals after the point, or 2^128 or more once the point is
	// removed. Nothing is rounded to make it fit.
	ErrTooManyDigits = errors.New("more digits than a decimal holds")

	// ErrInexact says that a quotient has no exact answer in the places asked for
	// and that no rounding was named.
	ErrInexact = errors.New("inexact result")

	// ErrDivideByZero says what it says.
	ErrDivideByZero = errors.New("division by zero")
)

// Decimal is an exact decimal number: quantities, prices, fees and every other
// amount of money. The zero value is 0. It is immutable and safe for concurrent
// use; sums, differences and comparisons neither round nor fail.
//
// Compare with Equal or Cmp. Decimals that ParseDecimal, JSON or arithmetic made
// are in lowest terms, so that == agrees with Equal below 2^128; above it does not.
//
// It stands over github.com/quagmt/udecimal and closes what that library leaves
// open: exponents and a bare leading point are read, more than MaxDecimals digits
// are refused and never truncated, products and quotients are exact or an error,
// and a host that calls udecimal.SetDefaultPrecision or SetDefaultParseMode gets
// errors here rather than rounded money.
type Decimal struct {
	d udecimal.Decimal
}

// NewDecimal returns coef / 10^decimals, such as NewDecimal(125, 2) for 1.25.
// It panics when decimals is outside 0 to MaxDecimals, which is a mistake in the
// program: use ParseDecimal for input.
func NewDecimal(coef int64, decimals int) Decimal {
	if decimals < 0 || decimals > MaxDecimals {
		panic(fmt.Sprintf("andon: NewDecimal with %d decimals, want 0 to %d", decimals, MaxDecimals))
	}
	lo := uint64(coef)
	if coef < 0 {
		lo = -lo
	}
	d, err := makeDecimal(coef < 0, 0, lo, decimals)
	if err != nil {
		panic("andon: NewDecimal: " + err.Error())
	}
	return d
}

// makeDecimal is the one place where a value is built: lowest terms, no rounding.
func makeDecimal(neg bool, hi, lo uint64, decimals int) (Decimal, error) {
	for decimals > 0 {
		qhi, r := hi/10, hi%10
		qlo, r := bits.Div64(r, lo, 10)
		if r != 0 {
			break
		}
		hi, lo, decimals = qhi, qlo, decimals-1
	}
	if decimals > MaxDecimals {
		return Decimal{}, ErrTooManyDigits
	}
	d, err := udecimal.NewFromHiLo(neg, hi, lo, uint8(decimals))
	if err != nil { // the host lowered udecimal's global precision
		return Decimal{}, fmt.Errorf("%w: udecimal's precision was lowered by this program: %v", ErrTooManyDigits, err)
	}
	return Decimal{d}, nil
}

// fromBig returns coef / 10^decimals, exactly or not at all.
func fromBig(neg bool, coef *big.Int, decimals int) (Decimal, error) {
	ten, r := big.NewInt(10), new(big.Int)
	for decimals > 0 {
		q := new(big.Int)
		if q.QuoRem(coef, ten, r); r.Sign() != 0 {
			break
		}
		coef, decimals = q, decimals-1
	}
	if coef.BitLen() > 128 || decimals > MaxDecimals {
		return Decimal{}, ErrTooManyDigits
	}
	lo := new(big.Int).And(coef, new(big.Int).SetUint64(^uint64(0))).Uint64()
	hi := new(big.Int).Rsh(coef, 64).Uint64()
	return makeDecimal(neg, hi, lo, decimals)
}

// toBig returns |d| as coef / 10^decimals.
func (d Decimal) toBig() (coef *big.Int, decimals int) {
	if _, hi, lo, prec, ok := d.d.ToHiLo(); ok {
		coef = new(big.Int).SetUint64(hi)
		coef.Lsh(coef, 64).Or(coef, new(big.Int).SetUint64(lo))
		return coef, int(prec)
	}
	// A sum beyond 2^128: its digits are exact in its text.
	text := []byte(d.d.Abs().String())
	digits := make([]byte, 0, len(text))
	for i, c := range text {
		if c == '.' {
			decimals = len(text) - i - 1
			continue
		}
		digits = append(digits, c)
	}
	coef, _ = new(big.Int).SetString(string(digits), 10)
	return coef, decimals
}

// Coefficient returns d as coef / 10^decimals, where coef is hi × 2^64 + lo with the
// sign that neg says. It is for exact integer arithmetic of one's own. It is not ok
// for a sum of 2^128 or more once the point is removed.
func (d Decimal) Coefficient() (neg bool, hi, lo uint64, decimals int, ok bool) {
	neg, hi, lo, prec, ok := d.d.ToHiLo()
	return neg, hi, lo, int(prec), ok
}

// norm brings a sum back to lowest terms.
func norm(d udecimal.Decimal) Decimal {
	neg, hi, lo, prec, ok := d.ToHiLo()
	if !ok || prec == 0 || lo%2 != 0 { // an odd coefficient does not end in 0
		return Decimal{d}
	}
	n, err := makeDecimal(neg, hi, lo, int(prec))
	if err != nil { // only with a lowered global precision; d itself is exact
		return Decimal{d}
	}
	return n
}

// Add returns d + e, exactly.
func (d Decimal) Add(e Decimal) Decimal { return norm(d.d.Add(e.d)) }

// Sub returns d - e, exactly.
func (d Decimal) Sub(e Decimal) Decimal { return norm(d.d.Sub(e.d)) }

// Neg returns -d.
func (d Decimal) Neg() Decimal { return Decimal{d.d.Neg()} }

// Abs returns d without its sign.
func (d Decimal) Abs() Decimal { return Decimal{d.d.Abs()} }

// Cmp returns -1, 0 or +1 as d is less than, equal to or greater than e.
func (d Decimal) Cmp(e Decimal) int { return d.d.Cmp(e.d) }

// Equal reports whether d and e are the same number.
func (d Decimal) Equal(e Decimal) bool { return d.d.Cmp(e.d) == 0 }

// Less reports whether d < e.
func (d Decimal) Less(e Decimal) bool { return d.d.Cmp(e.d) < 0 }

// Sign returns -1, 0 or +1 as d is negative, zero or positive.
func (d Decimal) Sign() int { return d.d.Sign() }

// IsZero reports whether d is 0.
func (d Decimal) IsZero() bool { return d.d.IsZero() }

// Min returns the smaller of d and e.
func (d Decimal) Min(e Decimal) Decimal {
	if e.Less(d) {
		return e
	}
	return d
}

// Max returns the larger of d and e.
func (d Decimal) Max(e Decimal) Decimal {
	if d.Less(e) {
		return e
	}
	return d
}

// Mul returns d × e exactly, or ErrTooManyDigits when the product does not fit.
func (d Decimal) Mul(e Decimal) (Decimal, error) {
	p := d.d.Mul(e.d)
	if p.IsZero() && (d.IsZero() || e.IsZero()) {
		return Decimal{}, nil
	}
	// udecimal cuts a product to its precision; only a product that kept all
	// its decimals is known to be whole.
	if p.PrecUint() == d.d.PrecUint()+e.d.PrecUint() {
		if _, _, _, _, ok := p.ToHiLo(); ok {
			return norm(p), nil
		}
	}
	dc, dd := d.toBig()
	ec, ed := e.toBig()
	r, err := fromBig(d.Sign()*e.Sign() < 0, dc.Mul(dc, ec), dd+ed)
	if err != nil {
		return Decimal{}, fmt.Errorf("%v × %v: %w", d, e, err)
	}
	return r, nil
}

// Rounding says what a quotient does with the digits that do not fit. The zero
// value is Exact.
type Rounding uint8

// How a quotient is rounded.
const (
	Exact    Rounding = iota // refuse with ErrInexact
	Down                     // towards zero
	Up                       // away from zero
	HalfEven                 // to the nearest, ties to the even digit
)

// Quo returns d / e with at most places digits after the point, 0 to MaxDecimals.
// It is ErrInexact when the quotient does not end there and r is Exact,
// ErrDivideByZero when e is 0, ErrTooManyDigits when the quotient does not fit.
func (d Decimal) Quo(e Decimal, places int, r Rounding) (Decimal, error) {
	switch {
	case e.IsZero():
		return Decimal{}, fmt.Errorf("%v / 0: %w", d, ErrDivideByZero)
	case places < 0 || places > MaxDecimals:
		return Decimal{}, fmt.Errorf("%v / %v: %d places, want 0 to %d", d, e, places, MaxDecimals)
	case r > HalfEven:
		return Decimal{}, fmt.Errorf("%v / %v: unknown rounding %d", d, e, r)
	}
	dc, dd := d.toBig()
	ec, ed := e.toBig()
	// d/e = (dc × 10^(places + ed)) / (ec × 10^dd), then / 10^places.
	dc.Mul(dc, pow10(places+ed))
	ec.Mul(ec, pow10(dd))
	q, rem := new(big.Int).QuoRem(dc, ec, new(big.Int))
	if rem.Sign() != 0 {
		up := false
		switch r {
		case Exact:
			return Decimal{}, fmt.Errorf("%v / %v in %d places: %w", d, e, places, ErrInexact)
		case Up:
			up = true
		case HalfEven:
			c := rem.Lsh(rem, 1).Cmp(ec)
			up = c > 0 || c == 0 && q.Bit(0) == 1
		}
		if up {
			q.Add(q, big.NewInt(1))
		}
	}
	res, err := fromBig(d.Sign()*e.Sign() < 0, q, places)
	if err != nil {
		return Decimal{}, fmt.Errorf("%v / %v: %w", d, e, err)
	}
	return res, nil
}

func pow10(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}
