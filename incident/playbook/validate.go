package playbook

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"github.com/andon-go/andon/incident/detect"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/severity"
)

// Validate joins everything that cannot be meant, each a *Problem with the path of its
// field. What only a bot can know, such as whether somebody can be reached for each step of
// the escalation, Assemble finds.
func (p Playbook) Validate() error { return joined(p.problems()) }

func (p Playbook) problems() []*Problem {
	return slices.Concat(p.grading(), p.people(), p.recovery(), p.places(), p.starts())
}

// grading joins what is wrong with levels, conditions and indicators.
func (p Playbook) grading() []*Problem {
	var problems []*Problem
	for l := severity.SEV1; l <= severity.SEV4; l++ {
		if _, ok := p.Severities[l]; !ok {
			problems = append(problems, problem("severities", "%v is missing", l))
		}
	}
	for _, l := range slices.Sorted(maps.Keys(p.Severities)) {
		if l < severity.SEV1 || l > severity.SEV4 {
			problems = append(problems, problem(join("severities", l.String()), "is no level, want SEV-1 to SEV-4"))
		}
	}
	names := map[string]severity.Condition{}
	for _, c := range slices.Sorted(maps.Keys(p.Indicators)) {
		i, path := p.Indicators[c], join("indicators", string(c))
		if err := i.rule(c).Validate(); err != nil {
			problems = append(problems, problem(path, "%v", err))
		}
		if i.ClearFor < 0 {
			problems = append(problems, problem(path+".clear_for", "is %v, want no less than 0s", i.ClearFor))
		}
		if c := i.ClearBelow; c.Known() && i.AtLeast.Known() && (c.Unit != i.AtLeast.Unit || !i.AtLeast.Reaches(c)) {
			problems = append(problems, problem(path+".clear_below", "is %v, want no more than at_least, %v", c, i.AtLeast))
		}
		if other, ok := names[i.Name]; ok {
			problems = append(problems, problem(path+".name", "is that of %s too", other))
		}
		names[i.Name] = c
		if known, ok := p.Conditions[c]; !ok {
			problems = append(problems, problem(path, "there is no such condition in conditions"))
		} else if i.Level == i.Below && known.Level != i.Level {
			problems = append(problems, problem(path+".level", "is %v and conditions has %v: give both the same", i.Level, known.Level))
		}
	}
	for _, c := range slices.Sorted(maps.Keys(p.Conditions)) {
		if l := p.Conditions[c].Level; c == "" || l < severity.SEV1 || l > severity.SEV4 {
			problems = append(problems, problem(join("conditions", string(c))+".level", "is %v, want SEV-1 to SEV-4", l))
		}
	}
	if _, ok := p.Indicators[ObjectiveMissed]; !ok {
		problems = append(problems, problem("indicators", "%s is missing: a missed objective would be no incident", ObjectiveMissed))
	}
	for i, pattern := range p.Patterns {
		if _, ok := names[pattern.Name]; !ok {
			problems = append(problems, problem(fmt.Sprintf("patterns[%d].name", i), "no indicator is named %q: nobody would count the lines", pattern.Name))
		}
	}
	if len(p.Patterns) > 0 {
		if _, err := detect.NewLogs(detect.LogsConfig{Patterns: p.Patterns, Match: func(detect.Match) {}}); err != nil {
			problems = append(problems, problem("patterns", "%v", err))
		}
	}
	if _, err := p.table(); err != nil && len(problems) == 0 {
		problems = append(problems, problem("conditions", "%v", err))
	}
	return problems
}

// recovery joins what is wrong with objectives, priority order and checklist.
func (p Playbook) recovery() []*Problem {
	var problems []*Problem
	for _, o := range p.objectives() {
		if err := o.Validate(); err != nil {
			problems = append(problems, problem(join("objectives", string(o.Component)), "%v", err))
		}
	}
	earlier := map[string]bool{}
	for i, s := range p.Priority {
		path := fmt.Sprintf("priority[%d]", i)
		if s.Name == "" || earlier[s.Name] {
			problems = append(problems, problem(path+".name", "is %q, want a name that no other step has", s.Name))
		}
		for j, n := range s.Needs {
			if !earlier[n] {
				problems = append(problems, problem(fmt.Sprintf("%s.needs[%d]", path, j), "%q is no earlier step", n))
			}
		}
		earlier[s.Name] = true
	}
	items := map[string]bool{}
	for i, item := range p.Checklist {
		if item == "" || items[item] {
			problems = append(problems, problem(fmt.Sprintf("checklist[%d]", i), "is %q, want a text that no other item has", item))
		}
		items[item] = true
	}
	r := p.Recovery
	for name, d := range map[string]time.Duration{"error_window": r.ErrorWindow, "watch_for": r.WatchFor, "watch_every": r.WatchEvery} {
		if d <= 0 {
			problems = append(problems, problem("recovery."+name, "is %v, want more than 0s", d))
		}
	}
	if r.WatchEvery > r.WatchFor {
		problems = append(problems, problem("recovery.watch_every", "is %v, longer than watch_for, %v", r.WatchEvery, r.WatchFor))
	}
	return problems
}

// places joins what is wrong with files and URLs.
func (p Playbook) places() []*Problem {
	var problems []*Problem
	for name, path := range map[string]string{
		"emergency_stop": p.Files.EmergencyStop, "read_only": p.Files.ReadOnly,
		"incidents": p.Files.Incidents, "log": p.Files.Log,
	} {
		if !filepath.IsAbs(path) {
			problems = append(problems, problem("files."+name, "is %q, want an absolute path: whoever looks for it may stand in another folder", path))
		}
	}
	if p.Files.EmergencyStop == p.Files.ReadOnly {
		problems = append(problems, problem("files.read_only", "is the file of emergency_stop too"))
	}
	for _, name := range slices.Sorted(maps.Keys(p.URLs)) {
		if name == "" {
			problems = append(problems, problem(join("urls", name), "has no name"))
		}
		if u, err := url.Parse(p.URLs[name]); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			problems = append(problems, problem(join("urls", name), "is %q, want an http or https URL", p.URLs[name]))
		}
	}
	return problems
}

// starts joins what is wrong with what starts runbooks.
func (p Playbook) starts() []*Problem {
	var problems []*Problem
	known := Default().Runbooks
	for _, name := range slices.Sorted(maps.Keys(p.Runbooks)) {
		if _, ok := known[name]; !ok {
			problems = append(problems, problem(join("runbooks", name), "there is no such runbook, want one of %q", slices.Sorted(maps.Keys(known))))
		}
		for i, c := range p.Runbooks[name].Start {
			if _, ok := p.Conditions[c]; !ok {
				problems = append(problems, problem(fmt.Sprintf("%s.start[%d]", join("runbooks", name), i), "there is no condition %q", c))
			}
		}
	}
	return problems
}

// rule is the indicator as severity has it.
func (i Indicator) rule(c severity.Condition) severity.Rule {
	return severity.Rule{Name: i.Name, Condition: c, AtLeast: i.AtLeast, Level: i.Level, Below: i.Below, Window: i.Window, For: i.For, Min: i.Min}
}

// detector is the indicator as detect has it, without a probe.
func (i Indicator) detector(c severity.Condition) detect.Indicator {
	return detect.Indicator{Rule: i.rule(c), ClearBelow: i.ClearBelow, ClearFor: i.ClearFor}
}

// Classifier returns what gives signals their level by this playbook.
func (p Playbook) Classifier() (severity.Classifier, error) { return p.table() }

// table grades by value where an indicator has two levels, and by the condition elsewhere.
func (p Playbook) table() (*severity.Table, error) {
	cfg := severity.TableConfig{Rules: []severity.Rule{}, Levels: map[severity.Condition]severity.Level{}}
	for c, known := range p.Conditions {
		cfg.Levels[c] = known.Level
	}
	for _, d := range severity.Definitions() {
		if p.Conditions[d.Condition].Level == d.Level {
			delete(cfg.Levels, d.Condition) // so that Why gives the document's reason
		}
	}
	for _, c := range slices.Sorted(maps.Keys(p.Indicators)) {
		if i := p.Indicators[c]; i.Level != i.Below {
			cfg.Rules = append(cfg.Rules, i.rule(c))
			delete(cfg.Levels, c)
		}
	}
	return severity.NewTable(cfg)
}

// objectives are those of the document in its order, then the bot's own by name.
func (p Playbook) objectives() []recovery.Objective {
	var all []recovery.Objective
	rest := maps.Clone(p.Objectives)
	add := func(c recovery.Component) {
		if o, ok := rest[c]; ok {
			all = append(all, recovery.Objective{Component: c, RTO: o.RTO, RPO: o.RPO, Frequency: o.Frequency, Every: o.Every})
			delete(rest, c)
		}
	}
	for _, o := range recovery.Objectives() {
		add(o.Component)
	}
	for _, c := range slices.Sorted(maps.Keys(rest)) {
		add(c)
	}
	return all
}
