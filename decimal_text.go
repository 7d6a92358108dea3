package andon

import (
	"bytes"
	"fmt"
	"math/bits"
)

// maxNumberText bounds what ParseDecimal looks at; the longest number that a
// Decimal holds has 41 characters, and a venue may pad it with zeros.
const maxNumberText = 200

// ParseDecimal reads a decimal number: an optional sign, digits with an optional
// point before, between or after them, and an optional exponent, as in "-12.5",
// ".5" or "1.035e-05". Errors are ErrSyntax and ErrTooManyDigits.
func ParseDecimal(s string) (Decimal, error) {
	return parseDecimal(s)
}

// MustDecimal is ParseDecimal for numbers written in a program. It panics where
// ParseDecimal gives an error.
func MustDecimal(s string) Decimal {
	d, err := ParseDecimal(s)
	if err != nil {
		panic("andon: " + err.Error())
	}
	return d
}

func parseDecimal[T ~string | ~[]byte](s T) (Decimal, error) {
	fail := func(err error) (Decimal, error) {
		shown := s
		if len(shown) > 48 {
			shown = shown[:48]
		}
		return Decimal{}, fmt.Errorf("decimal %q: %w", string(shown), err)
	}
	if len(s) > maxNumberText {
		return fail(ErrTooManyDigits)
	}
	i, neg := 0, false
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		neg = s[i] == '-'
		i++
	}
	var (
		hi, lo   uint64
		decimals int  // digits after the point so far
		zeros    int  // zeros seen and not yet multiplied in: trailing ones cost nothing
		digits   bool // a digit was seen
		point    bool
	)
	for ; i < len(s); i++ {
		c := s[i]
		if c == '.' && !point {
			point = true
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		digits = true
		if point {
			decimals++
		}
		if c == '0' {
			zeros++
			continue
		}
		for ; zeros > 0; zeros-- {
			if !times10(&hi, &lo, 0) {
				return fail(ErrTooManyDigits)
			}
		}
		if !times10(&hi, &lo, uint64(c-'0')) {
			return fail(ErrTooManyDigits)
		}
	}
	if !digits {
		return fail(ErrSyntax)
	}
	exp := 0
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		eneg := false
		if i < len(s) && (s[i] == '-' || s[i] == '+') {
			eneg = s[i] == '-'
			i++
		}
		start := i
		for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
			exp = min(exp*10+int(s[i]-'0'), 10*maxNumberText)
		}
		if i == start {
			return fail(ErrSyntax)
		}
		if eneg {
			exp = -exp
		}
	}
	if i != len(s) {
		return fail(ErrSyntax)
	}
	if hi == 0 && lo == 0 {
		return Decimal{}, nil
	}
	// The value is hi,lo × 10^(zeros + exp - decimals).
	scale := zeros + exp - decimals
	for ; scale > 0; scale-- {
		if !times10(&hi, &lo, 0) {
			return fail(ErrTooManyDigits)
		}
	}
	d, err := makeDecimal(neg, hi, lo, -scale)
	if err != nil {
		return fail(err)
	}
	return d, nil
}

// times10 sets hi,lo to hi,lo × 10 + digit and reports whether it fits.
func times10(hi, lo *uint64, digit uint64) bool {
	carry, l := bits.Mul64(*lo, 10)
	over, h := bits.Mul64(*hi, 10)
	if over != 0 {
		return false
	}
	l, c := bits.Add64(l, digit, 0)
	h, over = bits.Add64(h, carry, c)
	if over != 0 {
		return false
	}
	*hi, *lo = h, l
	return true
}

// String returns the number in plain digits, without an exponent and without
// trailing zeros.
func (d Decimal) String() string { return d.d.String() }

// AppendText implements encoding.TextAppender with the digits of String.
func (d Decimal) AppendText(b []byte) ([]byte, error) { return append(b, d.d.String()...), nil }

// MarshalText implements encoding.TextMarshaler with the digits of String.
func (d Decimal) MarshalText() ([]byte, error) { return []byte(d.d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler as ParseDecimal does.
func (d *Decimal) UnmarshalText(b []byte) error {
	v, err := parseDecimal(b)
	if err != nil {
		return err
	}
	*d = v
	return nil
}

// MarshalJSON writes a JSON string, since JSON numbers pass through binary
// floating point in many readers.
func (d Decimal) MarshalJSON() ([]byte, error) {
	return append(append([]byte{'"'}, d.d.String()...), '"'), nil
}

// UnmarshalJSON reads a JSON string or number, exactly. Null is an error: an
// amount that is missing is not zero.
func (d *Decimal) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		return fmt.Errorf("decimal null: %w", ErrSyntax)
	}
	if len(b) >= 2 && b[0] == '"' && b[len(b)-1] == '"' {
		b = b[1 : len(b)-1]
	}
	return d.UnmarshalText(b)
}
