package alertmanager

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
)

// delivery is a body: version 4 of Alertmanager's webhook, which Grafana calls 1.
type delivery struct {
	Version         string            `json:"version"`
	GroupKey        string            `json:"groupKey"`
	GroupLabels     map[string]string `json:"groupLabels"`
	TruncatedAlerts uint64            `json:"truncatedAlerts"` // left out by the sender
	Alerts          list              `json:"alerts"`
}

// list is the alerts as they came, so that their number is known before any is made.
type list struct{ json.RawMessage }

// alert is one of them. Labels and annotations with which Grafana marks its own are
// not among its Labels.
type alert struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    stamp             `json:"startsAt"`
	EndsAt      stamp             `json:"endsAt"`
	Fingerprint string            `json:"fingerprint"`
}

// stamp is a time, zero where there is none that can be read: an alert is not
// refused for its clock.
type stamp struct{ time.Time }

func (s *stamp) UnmarshalJSON(b []byte) error {
	var t time.Time
	if json.Unmarshal(b, &t) == nil && t.Year() > 1970 {
		s.Time = t
	}
	return nil
}

// decode reads a body and at most limit alerts. left is how many more there are.
func decode(body []byte, limit int) (d delivery, alerts []alert, left uint64, err error) {
	if err := json.Unmarshal(body, &d); err != nil {
		return d, nil, 0, fmt.Errorf("it is not the JSON that is expected: %w", err)
	}
	if d.Version != "4" && d.Version != "1" {
		return d, nil, 0, fmt.Errorf("version %.20q is neither Alertmanager's 4 nor Grafana's 1", d.Version)
	}
	alerts, left, err = d.Alerts.decode(limit)
	if err == nil && len(alerts) == 0 && left == 0 && d.TruncatedAlerts == 0 {
		err = errors.New("it holds no alert")
	}
	return d, alerts, left, err
}

func (l list) decode(limit int) (alerts []alert, left uint64, err error) {
	dec := json.NewDecoder(bytes.NewReader(l.RawMessage))
	open, err := dec.Token()
	if len(l.RawMessage) == 0 || open == nil && err == nil {
		return nil, 0, nil // none, or null
	}
	if err != nil || open != json.Delim('[') {
		return nil, 0, errors.New("alerts is not a list")
	}
	for dec.More() {
		if len(alerts) == limit {
			var skipped json.RawMessage
			if err := dec.Decode(&skipped); err != nil {
				return nil, 0, fmt.Errorf("alerts: %w", err)
			}
			left++
			continue
		}
		var a alert
		if err := dec.Decode(&a); err != nil {
			return nil, 0, fmt.Errorf("alerts[%d]: %w", len(alerts), err)
		}
		maps.DeleteFunc(a.Labels, func(name, _ string) bool { return private(name) })
		alerts = append(alerts, a)
	}
	return alerts, left, nil
}

// private reports whether a label is Grafana's own. Its webhook leaves them out and
// its API does not.
func private(name string) bool { return strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__") }

// resolved reports whether an alert says that it is over. A status that is unknown
// says that it fires.
func (a alert) resolved() bool { return a.Status == "resolved" }

// unseen returns why an alert that is resolved is not known to be over, empty where
// it is: Grafana resolves what it has no more data of, or does not look at any more.
func (a alert) unseen() string { return a.Annotations["grafana_state_reason"] }

// name of the alert, for people.
func (h *Handler) name(a alert) string { return cmp.Or(h.clean(a.Labels["alertname"]), unnamed) }

const unnamed = "unnamed"

// ref names an alert: the sender's fingerprint and the labels. Either alone is not
// enough, since Grafana leaves out labels that the fingerprint is made of.
func (h *Handler) ref(a alert) string {
	sum := sha256.New()
	add := func(s string) {
		sum.Write(binary.AppendUvarint(nil, uint64(len(s))))
		sum.Write([]byte(s))
	}
	add(a.Fingerprint)
	for _, name := range slices.Sorted(maps.Keys(a.Labels)) {
		add(name)
		add(a.Labels[name])
	}
	return h.cfg.Source + "/" + hex.EncodeToString(sum.Sum(nil)[:16])
}

const (
	maxLabels  = 20  // that are written on the timeline
	maxSummary = 500 // bytes
)

// text says an alert for people.
func (h *Handler) text(a alert) string {
	summary := ""
	for _, name := range []string{"summary", "description", "message"} {
		if summary == "" {
			summary = clean(a.Annotations[name], maxSummary)
		}
	}
	var labels []string
	for _, name := range slices.Sorted(maps.Keys(a.Labels)) {
		if name == "alertname" {
			continue
		}
		if len(labels) == maxLabels {
			labels = append(labels, fmt.Sprintf("and %d more", len(a.Labels)-maxLabels))
			break
		}
		labels = append(labels, h.clean(name)+"="+h.clean(a.Labels[name]))
	}
	what := h.name(a)
	if len(labels) > 0 {
		what += " {" + strings.Join(labels, ", ") + "}"
	}
	if summary == "" {
		return what
	}
	return summary + " [" + what + "]"
}

func (h *Handler) clean(s string) string { return clean(s, h.cfg.MaxValue) }

// clean makes what somebody wrote one line of bounded length that no terminal obeys.
// What is cut off leaves a digest, so that what differs stays different.
func clean(s string, limit int) string {
	whole := s
	if len(s) > limit {
		s = s[:limit-len("…00000000")]
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	s = strings.TrimSpace(s)
	if len(whole) > limit {
		sum := sha256.Sum256([]byte(whole))
		s += "…" + hex.EncodeToString(sum[:4])
	}
	return s
}
