package incident

import (
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon/notify"
)

// dueKind is what kind of thing is due.
type dueKind uint8

const (
	dueHalt dueKind = iota
	dueDrain
	duePage
	dueNotice
	dueResponseBreach
	dueResolutionBreach
	dueReopen
)

// due is one thing to do now.
type due struct {
	kind     dueKind
	incident string
	at       time.Time // when it fell due
	key      string    // names it, and never two things at once
	page     notify.Due
	roles    []notify.Role
	notice   notice
}

// book is what next needs to know beside the events.
type book struct {
	policy    notify.Policy
	directory notify.Directory
}

// agenda gathers what is due of one incident.
type agenda struct {
	incident string
	now      time.Time
	due      []due
	wake     time.Time
}

// add takes d in if its time has come, else remembers when it will.
func (a *agenda) add(d due, notBefore time.Time) {
	when := latest(d.at, notBefore)
	if when.After(a.now) {
		a.wake = earliest(a.wake, when)
		return
	}
	d.incident = a.incident
	a.due = append(a.due, d)
}

// next returns what is due of an incident at now, in the order in which it is to be
// begun, and when to ask again; zero means not before another event. It depends on
// nothing but its arguments.
//
// Where nobody knows how much time has passed, the message that would be the next
// to fall due is due: one too early does less harm than one too late.
func (in *Incident) next(k book, now time.Time) ([]due, time.Time) {
	all, wake := in.dueAt(k, now)
	if in.paging.doubt && len(all) == 0 && !wake.IsZero() {
		all, _ = in.dueAt(k, wake)
		all = slices.DeleteFunc(all, func(d due) bool { return d.kind == dueResponseBreach || d.kind == dueResolutionBreach })
	}
	return all, wake
}

func (in *Incident) dueAt(k book, now time.Time) ([]due, time.Time) {
	a := &agenda{incident: in.Number, now: now}
	if in.open() {
		in.nextStop(a)
		if !in.halts() || in.Gate == GateClosed || in.Gate == GateUnanswered {
			in.nextPages(a, k) // the page waits for the gate's answer, and for nothing else
		}
		in.nextBreaches(a)
	}
	in.nextNotices(a, k)
	return a.due, a.wake
}

// nextStop asks for the halt, and for the drain behind it.
func (in *Incident) nextStop(a *agenda) {
	if in.halts() && in.Gate != GateClosed {
		a.add(due{kind: dueHalt, at: first(in.HaltDueAt, in.DeclaredAt), key: "halt/" + in.Number}, in.paging.halt)
	}
	if in.Gate == GateClosed && in.DrainedAt.IsZero() {
		a.add(due{kind: dueDrain, at: in.HaltedAt, key: "drain/" + in.Number}, in.paging.drain)
	}
}

// nextPages asks the policy.
func (in *Incident) nextPages(a *agenda, k book) {
	pages, wake := k.policy.Due(in.paging.Progress, k.directory, a.now)
	a.wake = earliest(a.wake, wake)
	for _, p := range pages {
		d := due{kind: duePage, at: p.At, key: p.Key, page: p, roles: p.Roles}
		switch p.Kind {
		case notify.StatusDue:
			d.kind, d.notice = dueNotice, notice{kind: notify.StatusUpdate, at: p.At}
		case notify.ReopenDue:
			d.kind = dueReopen
		}
		a.add(d, in.paging.retry.at(p.Key))
	}
}

// nextBreaches looks at the level's targets. On the target it is breached.
func (in *Incident) nextBreaches(a *agenda) {
	if in.AckedAt.IsZero() && in.ResponseBreachAt.IsZero() {
		a.add(due{kind: dueResponseBreach, at: in.RespondBy, key: in.paging.Key.Breach("response") + "/event"}, time.Time{})
	}
	if in.ResolutionBreachAt.IsZero() {
		a.add(due{kind: dueResolutionBreach, at: in.ResolveBy, key: in.paging.Key.Breach("resolution") + "/event"}, time.Time{})
	}
}

// nextNotices asks for the messages that are owed, the oldest first.
func (in *Incident) nextNotices(a *agenda, k book) {
	start := len(a.due)
	for key, n := range in.paging.owed {
		notBefore := in.paging.retry.at(key)
		if n.kind == notify.AckNotice && in.paging.ringing() {
			notBefore = latest(notBefore, n.at.Add(settleWithin)) // what it stops is to be complete
		}
		a.add(due{kind: dueNotice, at: n.at, key: key, roles: in.audience(k), notice: n}, notBefore)
	}
	slices.SortFunc(a.due[start:], func(x, y due) int {
		if c := x.at.Compare(y.at); c != 0 {
			return c
		}
		return strings.Compare(x.key, y.key)
	})
}

// settleWithin is how long the notice of an acknowledgement waits for the outcome of
// pages that were under way: they are stopped at once, but a crash leaves no outcome.
const settleWithin = 2 * time.Second

// ringing reports whether a page is under way, as far as is known.
func (p *paging) ringing() bool {
	for key := range p.begun.all() {
		if slices.Contains(p.pages, key) {
			return true
		}
	}
	return false
}

// audience is who has been paged, or else whom the policy pages first.
func (in *Incident) audience(k book) []notify.Role {
	if len(in.paging.reached) > 0 {
		return slices.Clone(in.paging.reached)
	}
	for _, s := range k.policy.For(in.Level) {
		if len(k.directory.Find(in.DeclaredAt, s.Roles...)) > 0 {
			return s.Roles
		}
	}
	return nil
}

// Upcoming is something that falls due by itself.
type Upcoming struct {
	Incident string
	What     string // such as "response target"
	At       time.Time
}

// upcoming returns what an open incident has ahead, the soonest first.
func (in *Incident) upcoming(k book, now time.Time) []Upcoming {
	var all []Upcoming
	add := func(what string, at time.Time) {
		if !at.IsZero() {
			all = append(all, Upcoming{in.Number, what, at})
		}
	}
	if in.AckedAt.IsZero() {
		add("response target", in.RespondBy)
		p := in.paging.Progress
		p.UpdatedAt = now // pages alone
		_, at := k.policy.Due(p, k.directory, now)
		if every := in.Level.Targets().StatusEvery; every <= 0 || !at.Equal(now.Add(every)) {
			add("next page", at)
		}
	}
	add("resolution target", in.ResolveBy)
	if every := in.Level.Targets().StatusEvery; every > 0 {
		p := in.paging.Progress
		p.AckedAt = now // status updates alone
		due, at := k.policy.Due(p, k.directory, now)
		if len(due) > 0 {
			at = due[0].At
		}
		add("status update", at)
	}
	slices.SortStableFunc(all, func(a, b Upcoming) int { return a.At.Compare(b.At) })
	return all
}
