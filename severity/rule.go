package severity

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Rule is a number that the playbook gives: from where on, for how long, over
// which window a measurement is a condition, and how bad that is.
//
// It is used twice. Judge looks at samples and says whether the condition is
// there. A Table grades a Signal that carries a value by Level and Below.
type Rule struct {
	Name      string
	Condition Condition
	AtLeast   Value         // the threshold; a value at it reaches it
	Level     Level         // of a signal whose value reaches the threshold or is unknown
	Below     Level         // of a signal whose value does not
	Window    time.Duration // the samples of the last Window are taken as one; zero: the newest sample counts alone
	For       time.Duration // how long the threshold must have been reached without a break; zero: at once
	Min       int64         // a known value with a smaller N does not reach the threshold, such as a single failure, which is no rate; zero: any may
	Silence   time.Duration // with no sample for so long the value is unknown, and the rule fires; zero: samples come with events, and silence says nothing
}

// PlaybookRules returns the numbers of the playbook as rules. Thresholds and
// levels are the playbook's. Window, For, Min and Silence, which it does not give, are
// ours. The slice is the caller's own.
func PlaybookRules() []Rule {
	return []Rule{
		{Name: "failure rate", Condition: TradingFailures, AtLeast: Percent(20), Level: SEV2, Below: SEV3,
			Window: 5 * time.Minute, Min: 2},
		{Name: "impact", Condition: MinorDegradation, AtLeast: Percent(20), Level: SEV2, Below: SEV3},
		{Name: "execution latency", Condition: SlowExecution, AtLeast: Took(500 * time.Millisecond), Level: SEV2, Below: SEV4,
			Window: time.Minute},
		{Name: "CPU usage", Condition: HighCPU, AtLeast: Percent(80), Level: SEV3, Below: SEV4,
			For: 5 * time.Minute, Silence: time.Minute},
		{Name: "memory usage", Condition: HighMemory, AtLeast: Percent(90), Level: SEV2, Below: SEV4,
			Silence: time.Minute},
	}
}

// Validate joins everything that is wrong with the rule.
func (r Rule) Validate() error {
	var problems []error
	if r.Name == "" {
		problems = append(problems, errors.New("Name: is empty"))
	}
	if r.Condition == "" {
		problems = append(problems, errors.New("Condition: is empty"))
	}
	if !r.AtLeast.Known() {
		problems = append(problems, errors.New("AtLeast: is unknown, so that every value would reach it"))
	}
	if !r.Level.known() {
		problems = append(problems, fmt.Errorf("Level: is %v, want SEV-1 to SEV-4", r.Level))
	}
	if !r.Below.known() || !r.Level.AtLeast(r.Below) {
		problems = append(problems, fmt.Errorf("Below: is %v, want SEV-1 to SEV-4 and not worse than Level, %v", r.Below, r.Level))
	}
	if r.Window < 0 || r.For < 0 || r.Silence < 0 || r.Min < 0 {
		problems = append(problems, fmt.Errorf("Window, For, Silence, Min: are %v, %v, %v, %d, want none negative", r.Window, r.For, r.Silence, r.Min))
	}
	return errors.Join(problems...)
}

// Sample is one measurement at one time.
type Sample struct {
	At    time.Time
	Value Value // zero: it could not be read, which is worse than any value
}

// Verdict is what a rule says about samples.
type Verdict struct {
	Fires bool
	Value Value  // what was measured at now; zero where it is unknown or there was none
	Why   string // with the numbers
}

// Judge reports whether the rule fires at now. It depends on nothing but its
// arguments. Samples may come in any order; one from the future counts as taken at
// now, and of several taken at the same time the worst counts.
//
// A sample that could not be read reaches the threshold, and so does a window that
// holds one. The time it takes grows with the number of samples, and with its
// square for a rule with both a Window and a For: pass no more than they cover.
func (r Rule) Judge(samples []Sample, now time.Time) Verdict {
	history := ordered(samples, now)
	if r.silent(history, now) {
		return Verdict{Fires: true, Why: fmt.Sprintf("%s: no sample for %v, so the value is unknown", r.Name, r.Silence)}
	}
	value, measured := r.measure(history, now)
	if !measured {
		return Verdict{Why: r.Name + ": nothing was measured"}
	}
	v := Verdict{Value: value, Fires: r.held(history, now)}
	v.Why = fmt.Sprintf("%s: %v, %s", r.Name, value, r.relation(value))
	if r.Window > 0 {
		v.Why += fmt.Sprintf(", over the last %v", r.Window)
	}
	if r.For > 0 {
		v.Why += fmt.Sprintf(", counts after %v", r.For)
	}
	return v
}

// Signal returns the signal that the verdict of this rule is, once it fires.
func (r Rule) Signal(component, source string, v Verdict, now time.Time) Signal {
	return Signal{Condition: r.Condition, Component: component, Value: v.Value, At: now, Source: source, Detail: v.Why}
}

// reached reports whether a value reaches the threshold.
func (r Rule) reached(v Value) bool {
	return v.Reaches(r.AtLeast) && (!v.Known() || v.Unit != r.AtLeast.Unit || v.N >= r.Min)
}

// relation says in words how a value stands to the threshold.
func (r Rule) relation(v Value) string {
	switch {
	case !v.Known() || v.Unit != r.AtLeast.Unit:
		return "which cannot be compared with the threshold of " + r.AtLeast.String() + " and so counts as the worst"
	case r.reached(v):
		return "at or above the threshold of " + r.AtLeast.String()
	case v.Reaches(r.AtLeast):
		return fmt.Sprintf("fewer than the %d that count", r.Min)
	}
	return "below the threshold of " + r.AtLeast.String()
}

// silent reports whether a sample was owed and did not come.
func (r Rule) silent(history []Sample, now time.Time) bool {
	if r.Silence == 0 {
		return false
	}
	return len(history) == 0 || now.Sub(history[len(history)-1].At) >= r.Silence
}

// held reports whether the threshold was reached at each instant of the last For
// at which the measurement can have changed, and at now.
func (r Rule) held(history []Sample, now time.Time) bool {
	start := now.Add(-r.For)
	instants := []time.Time{start, now}
	if r.For > 0 {
		for _, s := range history {
			instants = append(instants, s.At, s.At.Add(r.Window)) // it comes in, it goes out
		}
	}
	for _, t := range instants {
		if t.Before(start) || t.After(now) {
			continue
		}
		if v, measured := r.measure(history, t); !measured || !r.reached(v) {
			return false
		}
	}
	return true
}

// measure returns the value in force at t: of the window that ends there, or of
// the newest sample. It reports false where there is no sample to go by.
func (r Rule) measure(history []Sample, t time.Time) (Value, bool) {
	end := after(history, t)
	if end == 0 {
		return Value{}, false
	}
	if r.Window == 0 {
		return newest(history[:end]), true
	}
	inWindow := history[after(history, t.Add(-r.Window)):end]
	if len(inWindow) == 0 {
		return Value{}, false
	}
	sum := inWindow[0].Value
	for _, s := range inWindow[1:] {
		sum = sum.Add(s.Value)
	}
	return sum, true
}

// newest returns the worst value of those that were sampled last.
func newest(history []Sample) Value {
	last := len(history) - 1
	worst := history[last].Value
	for i := last - 1; i >= 0 && history[i].At.Equal(history[last].At); i-- {
		if history[i].Value.Reaches(worst) && worst.Known() {
			worst = history[i].Value
		}
	}
	return worst
}

// after returns the index of the first sample later than t.
func after(history []Sample, t time.Time) int {
	i, _ := slices.BinarySearchFunc(history, t, func(s Sample, t time.Time) int {
		if s.At.After(t) {
			return 1
		}
		return -1
	})
	return i
}

// ordered returns the samples by time, with none later than now.
func ordered(samples []Sample, now time.Time) []Sample {
	history := slices.Clone(samples)
	for i := range history {
		if history[i].At.After(now) {
			history[i].At = now
		}
	}
	slices.SortStableFunc(history, func(a, b Sample) int { return a.At.Compare(b.At) })
	return history
}
