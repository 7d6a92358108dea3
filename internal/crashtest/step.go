package crashtest

import (
	"fmt"
	"strings"
)

// Moment says on which side of a step the process was killed.
type Moment uint8

// The moments of a kill.
const (
	Ended  Moment = iota // not killed: the child came to its end first
	Before               // the step was about to happen and did not
	After                // the step had happened, and nothing after it on its thread
	Torn                 // a write had happened and the second half of its bytes was cut off
	Random               // at a random instant, with no step known
)

// String returns "ended", "before", "after", "torn" or "random".
func (m Moment) String() string {
	if m <= Random {
		return [...]string{"ended", "before", "after", "torn", "random"}[m]
	}
	return fmt.Sprintf("Moment(%d)", uint8(m))
}

// Step is one durable step of a child, and at which moment the child was killed there.
type Step struct {
	N      int      // counted from 1 in the order in which the steps began
	Of     int      // how many the undisturbed run had; 0 while that one runs
	Moment Moment   // when the child was killed
	Call   string   // the step: "create", "truncate", or the name of the system call
	Path   string   // what it touched, relative to the directory, "." for the directory itself
	To     string   // the second path of a rename or a link, else empty
	Grew   int64    // bytes by which a write made its file longer
	Lines  []string // what the child had printed, in whole lines
}

// String returns the step as people say it: "before 7th of 9: rename state.tmp -> state".
func (s Step) String() string {
	switch s.Moment {
	case Ended:
		if s.N == 0 {
			return "ended by itself"
		}
	case Random:
		return fmt.Sprintf("random kill %d of %d", s.N, s.Of)
	}
	var b strings.Builder
	if s.Moment != Ended {
		fmt.Fprintf(&b, "%v ", s.Moment)
	}
	b.WriteString(ordinal(s.N))
	if s.Of > 0 {
		fmt.Fprintf(&b, " of %d", s.Of)
	}
	fmt.Fprintf(&b, ": %s %s", s.Call, s.Path)
	if s.To != "" {
		fmt.Fprintf(&b, " -> %s", s.To)
	}
	return b.String()
}

func ordinal(n int) string {
	suffix := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprintf("%d%s", n, suffix)
}
