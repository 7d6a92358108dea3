package incident

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/andon-go/andon"
)

// Impact is what an incident has cost, as far as it is known. A field that is nil
// or empty is not known, which is not zero.
type Impact struct {
	Lost     *andon.Decimal `json:"lost,omitempty"`     // money lost, in Currency
	AtRisk   *andon.Decimal `json:"at_risk,omitempty"`  // money at risk, in Currency
	Currency string         `json:"currency,omitempty"` // such as "USDT"
	Trades   *int           `json:"trades,omitempty"`   // trades that failed or were late
	Users    *int           `json:"users,omitempty"`    // users affected
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
	if i.Lost != nil {
		parts = append(parts, strings.TrimSpace(i.Lost.String()+" "+i.Currency)+" lost")
	}
	if i.AtRisk != nil {
		parts = append(parts, strings.TrimSpace(i.AtRisk.String()+" "+i.Currency)+" at risk")
	}
	if i.Trades != nil {
		parts = append(parts, fmt.Sprintf("%d trades failed or delayed", *i.Trades))
	}
	if i.Users != nil {
		parts = append(parts, fmt.Sprintf("%d users affected", *i.Users))
	}
	return cmp.Or(strings.Join(parts, ", "), "not known")
}
