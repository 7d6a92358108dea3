package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The items of the playbook's recovery validation checklist, in its words.
const (
	ItemServicesRunning      = "All services running (`docker-compose ps`)"
	ItemNoErrorLogs          = "No error logs in last 5 minutes"
	ItemTestTrade            = "Successful test trade in paper mode"
	ItemPositionsAccounted   = "All positions accounted for"
	ItemRiskLimitsEnforced   = "Risk limits enforced"
	ItemAlertsCleared        = "Monitoring alerts cleared"
	ItemStakeholdersNotified = "Stakeholders notified"
	ItemPostMortemScheduled  = "Post-mortem scheduled"
)

// Item is one line of a checklist.
type Item struct {
	Text string

	// Check proves the item. Nil means that no machine can: the item stays
	// unproven unless a person attests it.
	Check Check

	// Attestable items may be attested by a named person. It is false for what a
	// machine can see, since nobody should have to vouch for that.
	Attestable bool

	// Window is the period of time that the check looks at, zero when it looks at
	// one moment. It is printed beside the proof.
	Window time.Duration
}

// WindowCheck is a Check over the period of length window that ends now.
type WindowCheck func(ctx context.Context, window time.Duration) (evidence string, err error)

// Proofs holds the checks for the playbook's eight items. What is nil cannot be
// proven.
type Proofs struct {
	ServicesRunning    Check
	NoErrorLogs        WindowCheck
	TestTrade          Check
	PositionsAccounted Check
	RiskLimitsEnforced Check
	AlertsCleared      Check

	// StakeholdersNotified is proven by the delivery of a message and
	// PostMortemScheduled by an entry in a calendar or on the timeline. Both may be
	// attested instead, since people also use telephones.
	StakeholdersNotified Check
	PostMortemScheduled  Check

	// ErrorWindow is how far back NoErrorLogs looks. Defaults to 5 minutes.
	ErrorWindow time.Duration
}

// ValidationItems returns the playbook's eight items in their order, with these
// proofs. The slice is the caller's.
func ValidationItems(p Proofs) []Item {
	window := p.ErrorWindow
	if window == 0 {
		window = 5 * time.Minute
	}
	var noErrors Check
	if p.NoErrorLogs != nil {
		noErrors = func(ctx context.Context) (string, error) { return p.NoErrorLogs(ctx, window) }
	}
	return []Item{
		{Text: ItemServicesRunning, Check: p.ServicesRunning},
		{Text: ItemNoErrorLogs, Check: noErrors, Window: window},
		{Text: ItemTestTrade, Check: p.TestTrade},
		{Text: ItemPositionsAccounted, Check: p.PositionsAccounted},
		{Text: ItemRiskLimitsEnforced, Check: p.RiskLimitsEnforced},
		{Text: ItemAlertsCleared, Check: p.AlertsCleared},
		{Text: ItemStakeholdersNotified, Check: p.StakeholdersNotified, Attestable: true},
		{Text: ItemPostMortemScheduled, Check: p.PostMortemScheduled, Attestable: true},
	}
}

// ItemResult is how an item stands.
type ItemResult struct {
	Text   string        `json:"text"`
	Proven bool          `json:"proven"`
	Window time.Duration `json:"window,omitempty"` // nanoseconds; the period looked at

	// By is who ran the check or attested the item, At when. Attested tells the
	// two apart.
	By       string    `json:"by,omitempty"`
	At       time.Time `json:"at,omitzero"`
	Attested bool      `json:"attested,omitempty"`

	Evidence string `json:"evidence,omitempty"` // what was seen, or what the person says
	Problem  string `json:"problem,omitempty"`  // why it is not proven
}

// String returns the item as a line of Markdown with its proof, such as
// "- [x] All positions accounted for: 3 of 3 agree with the venue (by alice)".
func (r ItemResult) String() string {
	window := ""
	if r.Window > 0 {
		window = fmt.Sprintf(" (window %v)", r.Window)
	}
	switch {
	case !r.Proven:
		return fmt.Sprintf("- [ ] %s%s: UNPROVEN: %s", r.Text, window, r.Problem)
	case r.Attested:
		return fmt.Sprintf("- [x] %s%s: %s (attested by %s)", r.Text, window, r.Evidence, r.By)
	}
	return fmt.Sprintf("- [x] %s%s: %s (by %s)", r.Text, window, r.Evidence, r.By)
}

func validateItems(items []Item) error {
	var errs []error
	if len(items) == 0 {
		errs = append(errs, errors.New("Items: there are none, and an empty checklist proves nothing"))
	}
	seen := map[string]bool{}
	for i, item := range items {
		switch {
		case item.Text == "":
			errs = append(errs, fmt.Errorf("Items: number %d has no text", i+1))
		case seen[item.Text]:
			errs = append(errs, fmt.Errorf("Items: %q is there twice", item.Text))
		case item.Window < 0:
			errs = append(errs, fmt.Errorf("Items: the window of %q is %v", item.Text, item.Window))
		}
		seen[item.Text] = true
	}
	return errors.Join(errs...)
}
