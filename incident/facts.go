package incident

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/andon-go/andon"
)

// Impact is what an incident has cost, as far as it is known. What is nil or has no
// entry is not known, which is not zero.
type Impact struct {
	Lost   Money `json:"lost,omitempty"`
	AtRisk Money `json:"at_risk,omitempty"`
	Trades *int  `json:"trades,omitempty"` // trades that failed or were late
	Users  *int  `json:"users,omitempty"`  // users affected
}

// Money is an amount in each of several currencies, such as "USDT". A negative one is
// a gain.
type Money map[string]andon.Decimal

// String returns the amounts in the order of their currencies, such as
// "0.5 BTC and 100 USDT".
func (m Money) String() string {
	var parts []string
	for _, currency := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, m[currency].String()+" "+currency)
	}
	return strings.Join(parts, " and ")
}

// UnmarshalJSON reads an impact, also one that an earlier version wrote: one text for
// each amount, and one currency for both. Such an amount that has more digits than a
// Decimal is left out; the event's own words have it.
func (i *Impact) UnmarshalJSON(b []byte) error {
	var w struct {
		Lost     json.RawMessage `json:"lost"`
		AtRisk   json.RawMessage `json:"at_risk"`
		Trades   *int            `json:"trades"`
		Users    *int            `json:"users"`
		Currency string          `json:"currency"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	lost, err1 := money(w.Lost, w.Currency)
	risk, err2 := money(w.AtRisk, w.Currency)
	*i = Impact{lost, risk, w.Trades, w.Users}
	return errors.Join(err1, err2)
}

func money(b json.RawMessage, currency string) (m Money, err error) {
	if len(b) == 0 {
		return nil, nil
	}
	if b[0] != '"' {
		err = json.Unmarshal(b, &m)
		return m, err
	}
	var d andon.Decimal
	if currency == "" || json.Unmarshal(b, &d) != nil {
		return nil, nil
	}
	return Money{currency: d}, nil
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
	if len(i.Lost) > 0 {
		parts = append(parts, i.Lost.String()+" lost")
	}
	if len(i.AtRisk) > 0 {
		parts = append(parts, i.AtRisk.String()+" at risk")
	}
	if i.Trades != nil {
		parts = append(parts, fmt.Sprintf("%d trades failed or delayed", *i.Trades))
	}
	if i.Users != nil {
		parts = append(parts, fmt.Sprintf("%d users affected", *i.Users))
	}
	return cmp.Or(strings.Join(parts, ", "), "not known")
}

// clone returns a copy that shares nothing.
func (i Impact) clone() Impact {
	i.Lost, i.AtRisk = maps.Clone(i.Lost), maps.Clone(i.AtRisk)
	for _, n := range []**int{&i.Trades, &i.Users} {
		if *n != nil {
			v := **n
			*n = &v
		}
	}
	return i
}

// validate reports every field that cannot be right, joined.
func (i Impact) validate() error {
	var errs []error
	for _, f := range []struct {
		name  string
		value Money
	}{{"Lost", i.Lost}, {"AtRisk", i.AtRisk}} {
		if len(f.value) > maxList {
			errs = append(errs, fmt.Errorf("%s: has %d currencies, want at most %d", f.name, len(f.value), maxList))
		}
		for currency := range f.value {
			if strings.TrimSpace(currency) == "" || len(currency) > 32 {
				errs = append(errs, fmt.Errorf("%s: %q is no currency", f.name, currency))
			}
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
