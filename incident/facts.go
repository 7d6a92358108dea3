package incident

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

// Impact is what an incident has cost, as far as it is known. A field that is nil
// or empty is not known, which is not zero. Money is written as a decimal number,
// such as what andon.Decimal's String returns, so that it stays exact here without
// arithmetic.
type Impact struct {
	Lost     string `json:"lost,omitempty"`     // money lost, in Currency
	AtRisk   string `json:"at_risk,omitempty"`  // money at risk, in Currency
	Currency string `json:"currency,omitempty"` // such as "USDT"
	Trades   *int   `json:"trades,omitempty"`   // trades that failed or were late
	Users    *int   `json:"users,omitempty"`    // users affected
}

// Update is what a person has to say in a status update.
type Update struct {
	Status  string   `json:"status,omitempty"`
	Actions []string `json:"actions,omitempty"` // taken so far
	Next    []string `json:"next,omitempty"`    // next steps
	ETA     string   `json:"eta,omitempty"`
}

// String says the impact in one line, for people.
func (i Impact) String() string {
	var parts []string
	if i.Lost != "" {
		parts = append(parts, strings.TrimSpace(i.Lost+" "+i.Currency)+" lost")
	}
	if i.AtRisk != "" {
		parts = append(parts, strings.TrimSpace(i.AtRisk+" "+i.Currency)+" at risk")
	}
	if i.Trades != nil {
		parts = append(parts, fmt.Sprintf("%d trades failed or delayed", *i.Trades))
	}
	if i.Users != nil {
		parts = append(parts, fmt.Sprintf("%d users affected", *i.Users))
	}
	return cmp.Or(strings.Join(parts, ", "), "not known")
}

// validate reports every field that cannot be right, joined.
func (i Impact) validate() error {
	var errs []error
	for _, f := range []struct{ name, value string }{{"Lost", i.Lost}, {"AtRisk", i.AtRisk}} {
		if f.value != "" && !decimal(f.value) {
			errs = append(errs, fmt.Errorf("%s: %q is not a decimal number such as 12.50", f.name, f.value))
		}
		if f.value != "" && i.Currency == "" {
			errs = append(errs, fmt.Errorf("Currency: is empty, and %s is %s", f.name, f.value))
		}
	}
	for _, f := range []struct {
		name  string
		value *int
	}{{"Trades", i.Trades}, {"Users", i.Users}} {
		if f.value != nil && *f.value < 0 {
			errs = append(errs, fmt.Errorf("%s: is %d, want zero or more", f.name, *f.value))
		}
	}
	return errors.Join(errs...)
}

// decimal reports whether s is a number in plain decimal notation.
func decimal(s string) bool {
	whole, part, point := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return len(s) <= 100 && digits(whole) && (!point || digits(part))
}
