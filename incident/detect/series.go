package detect

import (
	"fmt"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
)

// parts is in how many parts a window is kept. A part leaves the window whole, with its
// newest sample, so that nothing leaves too early.
const parts = 128

// series is one indicator of one component. Nothing in it reads a clock.
type series struct {
	ind       *Indicator
	component string

	samples []severity.Sample // by time, the newest last
	part    time.Time         // when the newest of them began to be filled
	detail  string            // of the last sample that had one

	since time.Time // when it began to fire; zero: it does not
	high  time.Time // when it was last not calm
	why   string    // what the rule says now
	value severity.Value

	due  time.Time // when to say again that it fires; zero: at once
	owed *ended    // what is to be said about an end
	busy bool      // it is being said

	fresh bool // it has samples that were not judged
}

// ended is the end of a time in which an indicator fired.
type ended struct {
	since, at time.Time
	why       string
	retry     time.Time
}

// add takes a sample. Samples are kept as far back as the rule looks, in parts.
func (s *series) add(v severity.Value, at time.Time, detail string) {
	if detail != "" {
		s.detail = detail
	}
	keep, last := s.ind.keep(), len(s.samples)-1
	if last >= 0 && at.Before(s.samples[last].At) {
		at = s.samples[last].At // late: it counts as now, which is never too early
	}
	switch {
	case last < 0:
	case s.ind.Rule.Window > 0 && at.Sub(s.part) < keep/parts:
		s.samples[last] = severity.Sample{At: at, Value: s.samples[last].Value.Add(v)}
		return
	case s.ind.Rule.Window == 0 && at.Sub(s.part) < max(keep/parts, 1):
		if v.Reaches(s.samples[last].Value) && s.samples[last].Value.Known() {
			s.samples[last].Value = v
		}
		return
	}
	s.part = at
	s.samples = append(s.samples, severity.Sample{At: at, Value: v})
}

// forget drops what the rule does not look at any more. Without a window the newest
// sample before that still says what was in force.
func (s *series) forget(now time.Time) {
	horizon := now.Add(-s.ind.keep())
	n := 0
	for n < len(s.samples) && !s.samples[n].At.After(horizon) {
		n++
	}
	if n > 0 && (s.ind.Rule.Window == 0 || s.ind.Rule.Silence > 0) {
		n--
	}
	s.samples = append(s.samples[:0], s.samples[n:]...)
}

// judge moves the series on to now.
func (s *series) judge(now time.Time) {
	v := s.ind.Rule.Judge(s.samples, now)
	s.value, s.why = v.Value, v.Why
	if v.Fires || s.ind.calm().Judge(s.samples, now).Fires {
		s.high = now
	}
	switch {
	case v.Fires && s.since.IsZero():
		s.since, s.due, s.owed = now, time.Time{}, nil
	case !s.since.IsZero() && now.Sub(s.high) >= s.ind.ClearFor:
		s.owed = &ended{since: s.since, at: now, why: fmt.Sprintf("%s, for %v", v.Why, s.ind.ClearFor)}
		s.since = time.Time{}
	}
	s.forget(now)
}

// forgetAfter is how long what was measured last is shown where nothing more comes.
const forgetAfter = 10 * time.Minute

// idle reports whether the series says no more than one that was never made.
func (s *series) idle(now time.Time) bool {
	return s.ind.Component == "" && s.since.IsZero() && s.owed == nil && now.Sub(s.part) > max(forgetAfter, s.ind.keep())
}

// signal is what is declared of it. At is when it began to fire, so that saying it again
// is known as a repetition.
func (s *series) signal(source string) severity.Signal {
	sig := s.ind.Rule.Signal(s.component, source, severity.Verdict{Fires: true, Value: s.value, Why: s.why}, s.since)
	if s.detail != "" {
		sig.Detail += ": " + notify.Redact(s.detail)
	}
	sig.Ref = s.ref(source)
	return sig
}

func (s *series) ref(source string) string {
	return source + "/" + s.ind.Rule.Name + "/" + s.component
}
