package recovery

import (
	"fmt"
	"strings"
	"time"
)

// Compliance is how one component stands against its objective at one moment.
type Compliance struct {
	Objective Objective
	At        time.Time

	// Newest is the newest verified backup and Age how old the data in it is. Both
	// are zero when there is none; a zero Age with RPOMet false means just that.
	Newest Backup
	Age    time.Duration

	// RestoreTook is the newest measured restore of this component, in earnest or in
	// a drill. Zero means that none was ever measured.
	RestoreTook time.Duration

	// RPOMet and RTOMet are true only when they were shown.
	RPOMet bool
	RTOMet bool

	// Problems says in words what is not met, empty when all is.
	Problems []string
}

// Met reports whether both objectives were shown to be met.
func (c Compliance) Met() bool { return c.RPOMet && c.RTOMet }

// String returns one line, such as
// "Configuration: newest verified backup is 2m0s old, RPO 5m0s; restore took 80ms, RTO 15m0s".
func (c Compliance) String() string {
	if c.Met() {
		return fmt.Sprintf("%s: newest verified backup is %v old, RPO %v; restore took %v, RTO %v",
			c.Objective.Component, shown(c.Age), c.Objective.RPO, shown(c.RestoreTook), c.Objective.RTO)
	}
	return fmt.Sprintf("%s: BREACH: %s", c.Objective.Component, strings.Join(c.Problems, "; "))
}

// Judge compares the backups and drills of a component with its objective. Backups
// that are not verified count for nothing; a drill that failed disproves whatever
// was measured before it. Drills are given newest first, as Catalog.Drills does.
func (o Objective) Judge(now time.Time, backups []Backup, drills ...Drill) Compliance {
	c := Compliance{Objective: o, At: now}
	c.judgeRPO(now, backups)
	c.judgeRTO(backups, drills)
	return c
}

func (c *Compliance) judgeRPO(now time.Time, backups []Backup) {
	newest, ok := newestVerified(backups)
	if !ok {
		c.problem("no verified backup, RPO is %v", c.Objective.RPO)
		return
	}
	c.Newest, c.Age = newest, now.Sub(newest.At)
	switch {
	case c.Age < 0: // a clock went wrong: how old the data is cannot be known
		c.problem("backup %s is dated %v after now: one of the clocks is wrong", newest.Name, -c.Age)
	case c.Age > c.Objective.RPO:
		c.problem("newest verified backup %s is %v old, RPO is %v", newest.Name, c.Age, c.Objective.RPO)
	default:
		c.RPOMet = true
	}
}

func (c *Compliance) judgeRTO(backups []Backup, drills []Drill) {
	var last Backup
	for _, b := range backups {
		if b.RestoreTook > 0 && b.RestoredAt.After(last.RestoredAt) {
			last = b
		}
	}
	name, took := last.Name, last.RestoreTook
	if len(drills) > 0 && !drills[0].At.Before(last.RestoredAt) {
		if name, took = drills[0].Backup, drills[0].Took; !drills[0].Passed && took <= c.Objective.RTO {
			c.RestoreTook = took
			c.problem("the newest drill failed, RTO is %v: %s", c.Objective.RTO, drills[0].Problem)
			return
		}
	}
	c.RestoreTook = took
	switch {
	case took <= 0:
		c.problem("no restore was ever measured, RTO is %v", c.Objective.RTO)
	case took > c.Objective.RTO:
		c.problem("restore of %s took %v, RTO is %v", name, took, c.Objective.RTO)
	default:
		c.RTOMet = true
	}
}

func (c *Compliance) problem(format string, args ...any) {
	c.Problems = append(c.Problems, fmt.Sprintf(format, args...))
}

// shown is a duration as people read it: to the millisecond, or exact below one.
func shown(d time.Duration) time.Duration {
	if d < time.Millisecond {
		return d
	}
	return d.Round(time.Millisecond)
}
