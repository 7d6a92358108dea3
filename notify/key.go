package notify

import (
	"fmt"
	"net/url"
	"time"

	"github.com/andon-go/andon/severity"
)

// Key identifies one episode of one thing going wrong. Everything sent about it
// carries a dedup key that begins with it, so that a receiver can tell a repeat
// from news.
type Key struct {
	Condition severity.Condition
	Component string
	Episode   int // 1 the first time this condition strikes this component, one more after each resolution
}

// String returns condition, component and episode, escaped and joined by "/".
func (k Key) String() string {
	return fmt.Sprintf("%s/%s/%d", url.PathEscape(string(k.Condition)), url.PathEscape(k.Component), k.Episode)
}

// Page is the dedup key of an escalation step (0 is the first) in a round.
func (k Key) Page(round, step int) string { return fmt.Sprintf("%s/page/%d/%d", k, round, step) }

// Reopen is the dedup key of the event that a round's acknowledgement has expired.
func (k Key) Reopen(round int) string { return fmt.Sprintf("%s/reopen/%d", k, round) }

// Acknowledgement is the dedup key of the notice that a round was acknowledged.
func (k Key) Acknowledgement(round int) string { return fmt.Sprintf("%s/acknowledgement/%d", k, round) }

// Status is the dedup key of the status update that was due at a time.
func (k Key) Status(due time.Time) string {
	return fmt.Sprintf("%s/status/%s", k, due.UTC().Format(time.RFC3339))
}

// Breach is the dedup key of the notice that a target was missed: "response" or
// "resolution".
func (k Key) Breach(target string) string {
	return fmt.Sprintf("%s/breach/%s", k, url.PathEscape(target))
}

// Resolution is the dedup key of the resolution notice.
func (k Key) Resolution() string { return k.String() + "/resolution" }
