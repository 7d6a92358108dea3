package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

func TestNew_NamesEveryProblem(t *testing.T) {
	_, err := reconcile.New(reconcile.Config{
		Balances: true, Finder: unknownAll{}, InFlight: -1, MaxPending: -1, StaleAfter: -1, ConfirmOver: -1, Every: -1,
		Timeout: -1, MaxSilence: -1, Confirmations: -1,
		Instruments: map[string]andon.Instrument{
			"A": {Lot: dec("-1"), MinNotional: dec("-1"), EntryStep: dec("-1")}, "B": {Lot: dec("1")},
		},
	})
	require.Error(t, err)
	var lines []string
	for line := range strings.Lines(err.Error()) {
		lines = append(lines, strings.TrimSpace(line))
	}
	require.Equal(t, []string{
		"reconcile: Venue: is empty, want the name that the account's rows carry",
		"Account: is missing, and so is History: there is nothing to compare with",
		"Balances: there is no Account to ask for them",
		"Finder: without an Account no order is known to be gone",
		"Book: is missing",
		"InFlight: -1ns is negative", "MaxPending: -1ns is negative", "StaleAfter: -1ns is negative", "ConfirmOver: -1ns is negative",
		"Every: -1ns is negative", "Timeout: -1ns is negative", "MaxSilence: -1ns is negative",
		"Confirmations: -1 is negative",
		`Instruments["A"]: Lot -1 is negative, MinNotional -1 is negative, EntryStep -1 is negative`,
	}, lines)
}

// TestRules_Tolerances says where each of them ends.
func TestRules_Tolerances(t *testing.T) {
	rules := reconcile.Rules{Instruments: map[string]andon.Instrument{
		"A": {Lot: dec("0.1"), MinNotional: dec("10"), EntryStep: dec("0.01")},
	}}
	for name, test := range map[string]struct {
		book, venue string // quantity and entry
		want        reconcile.Kind
	}{
		"equal":                          {"1 100", "1 100", 0},
		"below the lot":                  {"1 100", "1.0999999 100", reconcile.Dust},
		"a lot, above the notional":      {"1 100", "1.1 100", reconcile.Quantity},
		"a lot, below the notional":      {"1 99.99", "1.1 99.99", reconcile.Dust},
		"the higher price counts":        {"1 99.99", "1.1 100", reconcile.Quantity},
		"no price is known":              {"1 0", "1.1 0", reconcile.Quantity},
		"the other side, in dust":        {"0.04 50", "-0.04 50", reconcile.Dust},
		"the other side":                 {"1 50", "-1 50", reconcile.WrongSide},
		"less than a step of the entry":  {"1 100", "1 100.00999", 0},
		"a step of the entry":            {"1 100", "1 100.01", reconcile.Price},
		"only the venue knows the entry": {"1 0", "1 0.001", reconcile.Price},
	} {
		t.Run(name, func(t *testing.T) {
			row := func(s string) (quantity, entry string) { quantity, entry, _ = strings.Cut(s, " "); return }
			bq, be := row(test.book)
			vq, ve := row(test.venue)
			keys := reconcile.NewKeys(0)
			b, v := keys.NewPositions(1), keys.NewPositions(1)
			b.Add(position("A", bq, be))
			v.Add(position("A", vq, ve))
			c := reconcile.ComparePositions(b, v, rules)
			if test.want == 0 {
				require.Empty(t, c.Discrepancies)
				return
			}
			require.NotEmpty(t, c.Discrepancies)
			require.Equal(t, test.want, c.Discrepancies[0].Kind)
		})
	}
}

// TestRules_Young says until when a row is young.
func TestRules_Young(t *testing.T) {
	rules := reconcile.Rules{Now: asked, InFlight: 5 * time.Second}
	for name, test := range map[string]struct {
		at    time.Time
		young bool
	}{
		"now":                    {asked, true},
		"almost five seconds":    {asked.Add(-5*time.Second + 1), true},
		"five seconds":           {asked.Add(-5 * time.Second), false},
		"without a time":         {time.Time{}, false},
		"a clock a little ahead": {asked.Add(time.Second), true},
		"a clock far ahead":      {asked.Add(5 * time.Second), false},
	} {
		t.Run(name, func(t *testing.T) {
			p := position("A", "1", "2")
			p.At = test.at
			keys := reconcile.NewKeys(1)
			b, v := keys.NewPositions(1), keys.NewPositions(0)
			b.Add(p)
			c := reconcile.ComparePositions(b, v, rules)
			require.Len(t, c.Pending, map[bool]int{true: 1}[test.young])
			require.Len(t, c.Discrepancies, map[bool]int{false: 1}[test.young])
			require.Zero(t, c.Agreed)
		})
	}
}
