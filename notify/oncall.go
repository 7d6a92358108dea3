package notify

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// PageOnCall is page_oncall as one call, for when there is no incident engine to
// hand: it pages whoever is on call now, and where nobody is, or nobody can be
// reached, the next step of the playbook's matrix at once. It returns the receipts
// of everybody who was tried; the error is nil if somebody was reached, and else
// says why not, step by step. It takes no longer than a Broadcast for each step.
//
// The alert's At defaults to now. Its Key should be the same for the same page; it
// defaults to the incident's number, or else the time.
func (c *Courier) PageOnCall(ctx context.Context, d Directory, a Alert) ([]Receipt, error) {
	now := time.Now()
	if a.At.IsZero() {
		a.At = now
	}
	if a.Key == "" {
		a.Key = "page-oncall/" + a.Incident
		if a.Incident == "" {
			a.Key += a.At.UTC().Format(time.RFC3339Nano)
		}
	}
	a.First = true
	m, err := a.Message(Templates{})
	problems := []error{err} // of the playbook's own template: none
	var receipts []Receipt
	for _, s := range DefaultPolicy().For(a.Level) {
		to := d.Find(now, s.Roles...)
		if len(to) == 0 && len(s.Roles) > 0 {
			problems = append(problems, fmt.Errorf("nobody is %s now", named(s.Roles)))
		}
		reached := false
		for _, r := range c.Broadcast(ctx, to, m) {
			receipts = append(receipts, r)
			reached = reached || r.Err == nil
			problems = append(problems, r.Err)
		}
		if reached {
			return receipts, nil
		}
	}
	return receipts, errors.Join(problems...)
}
