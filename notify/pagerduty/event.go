package pagerduty

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
)

// The API's limits.
const (
	longestSource  = 1024      // bytes; ours, so that an event always fits
	longestSummary = 1024      // characters
	longestKey     = 255       // characters
	largestEvent   = 512 << 10 // bytes
)

// event is a body of the Events API v2, of an alert or of a change.
type event struct {
	RoutingKey string   `json:"routing_key"`
	Action     string   `json:"event_action,omitempty"` // empty: a change
	DedupKey   string   `json:"dedup_key,omitempty"`
	Payload    *payload `json:"payload,omitempty"`
	Client     string   `json:"client,omitempty"`
}

type payload struct {
	Summary   string            `json:"summary"`
	Source    string            `json:"source"`
	Severity  string            `json:"severity,omitempty"`
	Timestamp string            `json:"timestamp,omitempty"`
	Component string            `json:"component,omitempty"`
	Class     string            `json:"class,omitempty"`
	Details   map[string]string `json:"custom_details,omitempty"`
}

// path is where the event is posted to.
func (e event) path() string {
	if e.Action == "" {
		return "/v2/change/enqueue"
	}
	return "/v2/enqueue"
}

// events returns what a message is to PagerDuty. An acknowledgement or resolution that
// names no page is a change event: it is still shown, and rings nobody.
func (n *Notifier) events(m notify.Message) ([]event, error) {
	switch m.Kind {
	case notify.InitialAlert, notify.PageReminder, notify.BreachNotice:
		if m.Key == "" {
			return nil, fmt.Errorf("the %s has no dedup key: it could never be resolved", m.Kind)
		}
		return []event{{Action: "trigger", DedupKey: dedupKey(m.Key), Payload: n.payload(m, severities(m.Level)), Client: "andon"}}, nil
	case notify.AckNotice, notify.ResolutionNotice:
		if len(m.Pages) == 0 {
			break
		}
		action := "acknowledge"
		if m.Kind == notify.ResolutionNotice {
			action = "resolve"
		}
		var all []event
		for _, page := range m.Pages {
			all = append(all, event{Action: action, DedupKey: dedupKey(page)})
		}
		return all, nil
	}
	return []event{{Payload: n.payload(m, "")}}, nil
}

func (n *Notifier) payload(m notify.Message, severity string) *payload {
	p := &payload{Summary: summary(m), Source: n.source, Severity: severity,
		Details: map[string]string{"text": m.Text, "incident": m.Incident, "key": m.Key}}
	if at := m.At.UTC(); !at.IsZero() && at.Year() < 10000 {
		p.Timestamp = at.Format(time.RFC3339Nano)
	}
	if severity != "" {
		p.Class = string(m.Kind)
	}
	return p
}

// summary is one line that says which incident it is and what is the matter: what
// stands behind "Impact: ", or the whole text where there is no such line.
func summary(m notify.Message) string {
	about := strings.Join(strings.Fields(m.Text), " ")
	if _, after, found := strings.Cut(m.Text, "Impact: "); found {
		about, _, _ = strings.Cut(after, "\n")
		if first, _, _ := strings.Cut(m.Text, "\n"); strings.Contains(first, "NOT CONFIRMED") || strings.Contains(first, "AT ONCE") {
			about = first + " " + about // a warning comes before everything else
		}
	}
	text := strings.TrimSpace(strings.ToValidUTF8(m.Incident+" "+m.Level.String()+": "+about, "�"))
	if runes := []rune(text); len(runes) > longestSummary {
		text = string(runes[:longestSummary-1]) + "…"
	}
	return text
}

// severities maps a level to the API's words.
func severities(l severity.Level) string {
	switch l {
	case severity.SEV2:
		return "error"
	case severity.SEV3:
		return "warning"
	case severity.SEV4:
		return "info"
	}
	return "critical" // and whatever is not known
}

// dedupKey returns the key, or its hash where the API would refuse it.
func dedupKey(key string) string {
	if utf8.ValidString(key) && utf8.RuneCountInString(key) <= longestKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// encode writes the body, with a text that is cut until it fits.
func (e event) encode(key notify.Secret) ([]byte, error) {
	e.RoutingKey = string(key)
	for {
		body, err := json.Marshal(e)
		if err != nil || len(body) <= largestEvent || e.Payload == nil {
			return body, err
		}
		text := e.Payload.Details["text"]
		over := len(body) - largestEvent
		if over >= len(text) { // the text alone is not to blame
			e.Payload.Details = map[string]string{"text": "cut"}
			continue
		}
		e.Payload.Details["text"] = strings.ToValidUTF8(text[:max(0, len(text)-over-64)], "") + "… (cut)"
	}
}
