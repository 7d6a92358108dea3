package severity

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// TableConfig is what a Table needs. The zero value follows the playbook.
type TableConfig struct {
	// Levels adds conditions to those of Definitions, or gives one of those another
	// level. A condition that a rule grades gets its levels from there. Defaults to
	// none.
	Levels map[Condition]Level

	// Rules grade signals by their value. Defaults to PlaybookRules; an empty slice
	// that is not nil means none.
	Rules []Rule

	// PageOnly names sources whose unclassified signals page as SEV-1 without
	// halting. Defaults to none: an unclassified signal halts.
	PageOnly []string
}

func (c TableConfig) validate() error {
	var problems []error
	for _, condition := range slices.Sorted(maps.Keys(c.Levels)) {
		if condition == "" || !c.Levels[condition].known() {
			problems = append(problems, fmt.Errorf("Levels[%q]: is %v, want a condition and SEV-1 to SEV-4", condition, c.Levels[condition]))
		}
	}
	names := map[string]bool{}
	for i, r := range c.Rules {
		if _, ok := c.Levels[r.Condition]; ok {
			problems = append(problems, fmt.Errorf("Levels[%q]: the rule %q grades this condition: change the rule", r.Condition, r.Name))
		}
		if err := r.Validate(); err != nil {
			problems = append(problems, fmt.Errorf("Rules[%d] %q: %w", i, r.Name, err))
		}
		if names[r.Name] {
			problems = append(problems, fmt.Errorf("Rules[%d] %q: Name is used twice", i, r.Name))
		}
		names[r.Name] = true
	}
	if slices.Contains(c.PageOnly, "") {
		problems = append(problems, errors.New("PageOnly: holds an empty source"))
	}
	return errors.Join(problems...)
}

// Table is the Classifier that looks a condition up and grades its value by the
// rules. It never changes once made and is safe for concurrent use.
type Table struct {
	defs     map[Condition]Definition
	rules    map[Condition][]Rule
	pageOnly map[string]bool
}

// NewTable returns a Table, or an error that names every field that is wrong.
func NewTable(cfg TableConfig) (*Table, error) {
	if cfg.Rules == nil {
		cfg.Rules = PlaybookRules()
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	t := &Table{defs: map[Condition]Definition{}, rules: map[Condition][]Rule{}, pageOnly: map[string]bool{}}
	for _, d := range Definitions() {
		t.defs[d.Condition] = d
	}
	for c, l := range cfg.Levels {
		d := t.defs[c]
		t.defs[c] = Definition{Condition: c, Level: l, Text: d.Text, Runbook: d.Runbook, Reason: "configured as such"}
	}
	for _, r := range cfg.Rules {
		t.rules[r.Condition] = append(t.rules[r.Condition], r)
	}
	for _, s := range cfg.PageOnly {
		t.pageOnly[s] = true
	}
	return t, nil
}

// grade is how bad one signal is.
type grade struct {
	signal   Signal
	level    Level // Unclassified where nothing knows the condition
	rule     string
	why      string
	pageOnly bool
}

// Assess returns the assessment of the worst of the signals. The deadlines count
// from now.
func (t *Table) Assess(now time.Time, signals ...Signal) Assessment {
	var grades []grade
	worst := SEV4
	for _, s := range signals {
		if s.Condition == TradingHalted && s.OurOwnHalt {
			continue
		}
		g := t.grade(s)
		grades = append(grades, g)
		worst = Worst(worst, g.level.effective())
	}
	if len(grades) == 0 {
		return Assessment{Nothing: true, At: now, Why: "no signal other than our own halt"}
	}
	decided := slices.DeleteFunc(grades, func(g grade) bool { return g.level.effective() != worst })
	slices.SortStableFunc(decided, compareGrades)
	return assessment(worst, decided, now)
}

func assessment(l Level, decided []grade, now time.Time) Assessment {
	targets := l.Targets()
	a := Assessment{Level: l, At: now, RespondBy: now.Add(targets.Respond), ResolveBy: now.Add(targets.Resolve),
		Rule: decided[0].rule, Why: l.String() + ": " + decided[0].why, PageOnly: true}
	if more := len(decided) - 1; more > 0 {
		a.Why += fmt.Sprintf(", and %d more", more)
	}
	for _, g := range decided {
		a.Decided = append(a.Decided, g.signal)
		a.PageOnly = a.PageOnly && g.pageOnly
	}
	return a
}

// compareGrades puts what is classified first, then the oldest, so that the order
// in which signals came does not show in the assessment.
func compareGrades(a, b grade) int {
	if a.pageOnly != b.pageOnly {
		if b.pageOnly {
			return -1
		}
		return 1
	}
	return cmp.Or(
		a.signal.At.Compare(b.signal.At),
		strings.Compare(string(a.signal.Condition), string(b.signal.Condition)),
		strings.Compare(a.signal.Component, b.signal.Component),
		strings.Compare(a.signal.Source, b.signal.Source),
		strings.Compare(a.why, b.why),
		strings.Compare(a.signal.Ref, b.signal.Ref),
	)
}

// grade finds the level of one signal and the reason for it.
func (t *Table) grade(s Signal) grade {
	if rules := t.rules[s.Condition]; len(rules) > 0 {
		return gradeByRules(s, rules)
	}
	about := fmt.Sprintf("%s of %s", s.Condition, s.Component)
	d, ok := t.defs[s.Condition]
	if !ok {
		return grade{signal: s, level: Unclassified, pageOnly: t.pageOnly[s.Source],
			why: fmt.Sprintf("%q of %s from source %q is in no table, so it counts as the worst", s.Condition, s.Component, s.Source)}
	}
	why := strings.Join(slices.DeleteFunc([]string{about, d.Text, d.Reason}, func(s string) bool { return s == "" }), ": ")
	return grade{signal: s, level: d.Level, why: why}
}

// gradeByRules grades a signal by the rules for its condition; the worst wins.
func gradeByRules(s Signal, rules []Rule) grade {
	var worst grade
	for i, r := range rules {
		level := r.Below
		if r.reached(s.Value) {
			level = r.Level
		}
		if i > 0 && worst.level.AtLeast(level) {
			continue
		}
		worst = grade{signal: s, level: level, rule: r.Name,
			why: fmt.Sprintf("%s of %s: %s is %v, %s", s.Condition, s.Component, r.Name, s.Value, r.relation(s.Value))}
	}
	return worst
}
