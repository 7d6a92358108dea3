package bluefin

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/resthttp"
)

// e9 is a number that the venue writes as a text of digits, scaled by 10^9. Null and ""
// are no number.
type e9 struct {
	value andon.Decimal
	known bool
}

// UnmarshalJSON reads a number exactly; a point or an exponent is an error.
func (n *e9) UnmarshalJSON(b []byte) error {
	*n = e9{}
	if bytes.Equal(b, []byte("null")) || bytes.Equal(b, []byte(`""`)) {
		return nil
	}
	if len(b) < 2 || b[0] != '"' || b[len(b)-1] != '"' {
		return fmt.Errorf("%.48s is no text: numbers of the venue are digits in quotes", b)
	}
	v, err := fromE9(string(b[1 : len(b)-1]))
	*n = e9{v, err == nil}
	return err
}

func fromE9(text string) (andon.Decimal, error) {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return andon.Decimal{}, fmt.Errorf("%.48q is no whole number", text)
	}
	return andon.ParseDecimal(text + "e-9")
}

// toE9 writes a number that is not negative. More than nine digits after the point, or
// more than 64 bits, are an error: nothing is rounded to fit.
func toE9(d andon.Decimal) (string, error) {
	scaled, err := d.Mul(andon.NewDecimal(1_000_000_000, 0))
	if err != nil {
		return "", err
	}
	text := scaled.String()
	if strings.Contains(text, ".") {
		return "", fmt.Errorf("%v has more than nine digits after the point", d)
	}
	if _, err := strconv.ParseUint(text, 10, 64); err != nil {
		return "", fmt.Errorf("%v is negative or does not fit into 64 bits", d)
	}
	return text, nil
}

// need returns the number, or notes that it is missing.
func (n e9) need(f *resthttp.Fields, name string) andon.Decimal {
	if !n.known {
		f.Wrong("%s is missing", name)
	}
	return n.value
}

// positive returns the number, or notes that it is missing or negative.
func (n e9) positive(f *resthttp.Fields, name string) andon.Decimal {
	d := n.need(f, name)
	if d.Sign() < 0 {
		f.Wrong("%s is %v", name, d)
	}
	return d
}
