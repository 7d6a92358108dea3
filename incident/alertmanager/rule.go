package alertmanager

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/andon-go/andon/severity"
)

// Rule says what an alert means.
type Rule struct {
	// Match is what the alert's labels must be, all of it. Empty matches every alert.
	Match []Match

	// Condition is what such an alert says is wrong. An alert carries no measurement
	// that a level could be taken from: where a condition is judged by its value,
	// the alert counts as the worst.
	Condition severity.Condition

	// Component is what it is about. Defaults to the first label of ComponentFrom
	// that the alert has, and to the alert's name where it has none of them.
	Component string

	// ComponentFrom defaults to the Config's.
	ComponentFrom []string

	// Ignore says that such alerts are no signals at all, such as a heartbeat that
	// always fires. It takes no Condition, and at least one Match.
	Ignore bool
}

// Match is a condition on one label. A label that an alert does not have is empty,
// as in Alertmanager's own matchers.
type Match struct {
	Label   string
	Equals  string // the exact value; used where Pattern is empty
	Pattern string // a regular expression (RE2) for the whole value
	Not     bool   // the opposite
}

func (r Rule) validate() error {
	var errs []error
	switch {
	case r.Ignore && (r.Condition != "" || r.Component != ""):
		errs = append(errs, errors.New("Ignore: takes no Condition and no Component"))
	case r.Ignore && len(r.Match) == 0:
		errs = append(errs, errors.New("Ignore: every alert would be ignored: want a Match"))
	case !r.Ignore && r.Condition == "":
		errs = append(errs, errors.New("Condition: is empty"))
	}
	_, err := compile(r.Match)
	return errors.Join(append(errs, err)...)
}

// matcher is Match, ready for use.
type matcher struct {
	Match
	re *regexp.Regexp
}

// compile prepares matches, or names each that is wrong.
func compile(all []Match) ([]matcher, error) {
	var errs []error
	out := make([]matcher, len(all))
	for i, m := range all {
		out[i].Match = m
		if m.Label == "" {
			errs = append(errs, fmt.Errorf("Match[%d]: Label is empty", i))
		}
		if m.Equals != "" && m.Pattern != "" {
			errs = append(errs, fmt.Errorf("Match[%d]: want Equals or Pattern, not both", i))
		}
		if m.Pattern != "" {
			var err error
			if out[i].re, err = regexp.Compile("^(?:" + m.Pattern + ")$"); err != nil {
				errs = append(errs, fmt.Errorf("Match[%d]: Pattern: %w", i, err))
			}
		}
	}
	return out, errors.Join(errs...)
}

// matches reports whether labels satisfy all of them.
func matches(all []matcher, labels map[string]string) bool {
	for _, m := range all {
		value := labels[m.Label]
		hit := value == m.Equals
		if m.re != nil {
			hit = m.re.MatchString(value)
		}
		if hit == m.Not {
			return false
		}
	}
	return true
}

// mapping is a Rule, ready for use.
type mapping struct {
	Rule
	match []matcher
}

// unknown begins the condition of an alert that no rule knows. No table has it.
const unknown = "alert/"

// signal says what an alert means; false: it is to be ignored.
func (h *Handler) signal(a alert) (severity.Signal, bool) {
	s := severity.Signal{
		Condition: severity.Condition(unknown + h.name(a)), At: a.StartsAt.Time, Source: h.cfg.Source,
		Detail: h.text(a), Ref: h.ref(a),
	}
	from := h.cfg.ComponentFrom
	for _, r := range h.rules {
		if !matches(r.match, a.Labels) {
			continue
		}
		if r.Ignore {
			return s, false
		}
		s.Condition, s.Component = r.Condition, r.Component
		if r.ComponentFrom != nil {
			from = r.ComponentFrom
		}
		break
	}
	for _, label := range from {
		if s.Component == "" {
			s.Component = h.clean(a.Labels[label])
		}
	}
	if s.Component == "" {
		s.Component = h.name(a)
	}
	s.OurOwnHalt = s.Condition == severity.TradingHalted && h.cfg.OwnHalt != nil && h.cfg.OwnHalt()
	return s, true
}
