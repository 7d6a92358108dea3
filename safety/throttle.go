package safety

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon"
)

// The playbook's features that are not critical.
const (
	FeatureMCP             = "MCP_ENABLED"
	FeatureDetailedMetrics = "MONITORING__DETAILED_METRICS"
)

// DefaultFeatures returns the playbook's features that are not critical.
func DefaultFeatures() []string { return []string{FeatureMCP, FeatureDetailedMetrics} }

// Throttle is what a hold narrows while trading stays active: it tightens limits and
// switches off features. Of several in force, and of the configured limits, the
// strictest of each field counts.
type Throttle struct {
	Limits Limits   `json:"limits,omitzero"`
	Off    []string `json:"off,omitempty"` // features, from Config.Features
}

// ReduceLoad is the playbook's throttle for a bot that is too slow: at least 300 s
// between trades, positions of at most 0.1 of the equity, and neither MCP nor detailed
// metrics.
func ReduceLoad() Throttle {
	return Throttle{
		Limits: Limits{MinTimeBetweenTrades: 300 * time.Second, MaxPositionSize: andon.NewDecimal(1, 1)},
		Off:    DefaultFeatures(),
	}
}

// String says what it narrows, such as "MinTimeBetweenTrades 5m0s, off MCP_ENABLED".
func (t Throttle) String() string {
	parts := []string{t.Limits.String()}
	for _, f := range t.Off {
		parts = append(parts, "off "+f)
	}
	return strings.TrimPrefix(strings.Join(parts, ", "), ", ")
}

func (t Throttle) equal(o Throttle) bool { return t.Limits == o.Limits && slices.Equal(t.Off, o.Off) }

// validate reports what cannot be meant. features are those that are known; nil
// means that they are not looked at.
func (t Throttle) validate(features []string) error {
	errs := []error{t.Limits.validate("Limits.")}
	if t.Limits == (Limits{}) && len(t.Off) == 0 {
		errs = append(errs, errors.New("Limits and Off are empty: it narrows nothing"))
	}
	for i, f := range t.Off {
		if features != nil && !slices.Contains(features, f) || f == "" {
			errs = append(errs, fmt.Errorf("Off[%d] %q is not one of the features %q", i, f, features))
		}
	}
	return errors.Join(errs...)
}

// Throttle places a hold that narrows trading and leaves it active. It is listed,
// saved, lifted and resumed as every other; Lift takes it away alone. It waits for
// nothing. The error says what cannot be meant, and then nothing was placed.
func (s *Switch) Throttle(by, reason string, t Throttle) error {
	t.Limits = t.Limits.withDefaults()
	t.Off = slices.Clone(t.Off)
	if err := t.validate(s.cfg.Features); err != nil {
		return fmt.Errorf("throttle: %w", err)
	}
	by, reason = named(by, reason)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.place(Hold{State: Active, By: by, Reason: reason, Throttle: &t})
	return nil
}

// Feature reports whether a feature that is not critical may run: false while a
// throttle has switched it off, and for a name that Config.Features does not have,
// since no throttle could. It costs one atomic load while nothing is switched off.
func (s *Switch) Feature(name string) bool {
	return !slices.Contains(s.gate.Load().off, name) && slices.Contains(s.cfg.Features, name)
}

// throttled returns the limits in force and the features that are off. Called with mu
// held.
func (s *Switch) throttled() (*limitSet, []string) {
	var l Limits
	var off []string
	for _, h := range s.holds {
		if h.Throttle != nil {
			l = l.stricter(h.Throttle.Limits)
			off = append(off, h.Throttle.Off...)
		}
	}
	switch {
	case s.limits == nil:
		s.limits = newLimitSet(&s.cfg, l, 0)
	case s.limits.throttle != l:
		s.limits = newLimitSet(&s.cfg, l, s.now())
	}
	return s.limits, off
}
