package pgbook

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/andon-go/andon"
)

// How a numeric's sign says that it is no number.
const (
	numericPositive = 0x0000
	numericNegative = 0x4000
	numericNaN      = 0xC000
	numericInf      = 0xD000
	numericMinusInf = 0xF000
)

var errNotFinite = errors.New("is no finite number")

// decodeNumeric reads PostgreSQL's binary form of a numeric: the count of digits in
// base 10,000, the power of 10,000 of the first, the sign, the scale, the digits.
func decodeNumeric(b []byte) (andon.Decimal, error) {
	if len(b) < 8 {
		return andon.Decimal{}, fmt.Errorf("a numeric of %d bytes", len(b))
	}
	count := int(binary.BigEndian.Uint16(b))
	weight := int(int16(binary.BigEndian.Uint16(b[2:])))
	sign := binary.BigEndian.Uint16(b[4:])
	digits := b[8:]
	switch {
	case sign == numericNaN, sign == numericInf, sign == numericMinusInf:
		return andon.Decimal{}, errNotFinite
	case sign != numericPositive && sign != numericNegative, len(digits) != 2*count:
		return andon.Decimal{}, errors.New("a numeric that cannot be read")
	case count == 0:
		return andon.Decimal{}, nil
	}
	for i := 0; i < len(digits); i += 2 {
		if d := binary.BigEndian.Uint16(digits[i:]); d > 9999 {
			return andon.Decimal{}, fmt.Errorf("a numeric with the digit %d", d)
		}
	}
	if d, ok := smallNumeric(digits, weight, sign == numericNegative); ok {
		return d, nil
	}
	return andon.ParseDecimal(numericText(digits, weight, sign == numericNegative))
}

// smallNumeric is the quick way for what fits in 18 digits.
func smallNumeric(digits []byte, weight int, negative bool) (andon.Decimal, bool) {
	exponent := weight - len(digits)/2 + 1 // of 10,000, of the last digit
	if exponent > 0 || exponent < -4 || len(digits) > 8 {
		return andon.Decimal{}, false
	}
	var coef int64
	for i := 0; i < len(digits); i += 2 {
		coef = coef*10000 + int64(binary.BigEndian.Uint16(digits[i:]))
	}
	if negative {
		coef = -coef
	}
	return andon.NewDecimal(coef, -4*exponent), true
}

// numericText writes the digits with an exponent.
func numericText(digits []byte, weight int, negative bool) string {
	text := make([]byte, 0, 2*len(digits)+16)
	if negative {
		text = append(text, '-')
	}
	for i := 0; i < len(digits); i += 2 {
		text = fmt.Appendf(text, "%04d", binary.BigEndian.Uint16(digits[i:]))
	}
	return string(fmt.Appendf(text, "e%d", 4*(weight-len(digits)/2+1)))
}

// postgresEpoch is from where a timestamp counts its microseconds.
var postgresEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// decodeMoment reads the binary form of a timestamp with time zone, in UTC.
func decodeMoment(b []byte) (time.Time, error) {
	if len(b) != 8 {
		return time.Time{}, fmt.Errorf("a timestamp of %d bytes", len(b))
	}
	us := int64(binary.BigEndian.Uint64(b))
	if us == math.MinInt64 || us == math.MaxInt64 {
		return time.Time{}, errors.New("is infinite, which is no time")
	}
	return time.UnixMicro(postgresEpoch.UnixMicro() + us).UTC(), nil
}
