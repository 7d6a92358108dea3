package notify

import (
	"slices"
	"time"

	"github.com/andon-go/andon/severity"
)

// Progress is what an incident's events say about its paging. It is read from the
// timeline, never kept beside it.
type Progress struct {
	Key        Key
	Level      severity.Level
	DeclaredAt time.Time // status updates count from here
	OpenedAt   time.Time // this round of paging counts from here: the declaration, or the event that opened paging again
	Round      int       // 1 at the declaration; one more at each event that opens paging again, such as an upgrade or an ack that expired
	Done       []int     // steps of this round that somebody was reached for, by Due.Step
	AckedAt    time.Time // of this round; zero: nobody has acknowledged. A second ack, or another sign that somebody is at work, may renew it
	UpdatedAt  time.Time // when the last status update was due, Due.At, not when it was sent; zero: none yet
	ResolvedAt time.Time // zero: open
}

// DueKind is the kind of thing that is due.
type DueKind uint8

// The kinds of thing that fall due.
const (
	PageDue   DueKind = iota // the zero value, so that what is in doubt pages
	StatusDue                // a status update
	ReopenDue                // the acknowledgement has expired: record it, and begin the next round at Due.At
)

// Due is something to do now.
type Due struct {
	Kind  DueKind
	Step  int       // of a page: index into Policy.For(Level); of a repetition it counts on from there
	At    time.Time // when it fell due, at or before now
	Roles []Role    // whom to tell: Directory.Find(now, Roles...)
	Key   string    // dedup key
}

// Due returns what is due at now and not yet done, pages before updates, and when to
// ask again: zero means not before another event. It depends on nothing but its
// arguments, so that after a crash the same events give the same answer.
//
// Steps for which the directory has nobody are skipped: the steps that do have
// somebody take the policy's times in order, so that nobody waits for a person
// who does not exist. After an acknowledgement no page is due; once it has expired
// ReopenDue is, until the caller's events say so: Round one more, OpenedAt the time
// of expiry, Done empty, AckedAt zero. A round without an acknowledgement is
// repeated after RepeatAfter; of missed repetitions only the latest is due, while
// each step of the first pass is due until it is done. A status update is due every
// Targets.StatusEvery until the resolution, to the roles that have been paged; of
// several missed ones only the latest is due. A clock that was set back does not
// undo what fell due: call with a now that never decreases.
func (p Policy) Due(pr Progress, d Directory, now time.Time) (due []Due, next time.Time) {
	if !pr.ResolvedAt.IsZero() {
		return nil, time.Time{}
	}
	switch expires := p.AckExpires(pr); {
	case pr.AckedAt.IsZero():
		due, next = p.pages(pr, d, now)
	case expires.IsZero(): // it holds for ever
	case expires.After(now):
		next = expires
	default:
		due = []Due{{Kind: ReopenDue, At: expires, Key: pr.Key.Reopen(pr.Round)}}
	}
	status, statusNext := p.status(pr, now)
	return append(due, status...), earliest(next, statusNext)
}

// pages returns the pages that are due, and when the next one will be.
func (p Policy) pages(pr Progress, d Directory, now time.Time) (due []Due, next time.Time) {
	due, next = p.pass(pr, d, now, 0)
	every := p.cycle(pr.Level)
	if every <= 0 {
		return due, next
	}
	n := max(0, int(now.Sub(pr.OpenedAt)/every)) // repetitions begun
	if n > 0 {
		again, soon := p.pass(pr, d, now, n)
		due, next = append(due, again...), earliest(next, soon)
	}
	_, soon := p.pass(pr, d, now, n+1)
	return due, earliest(next, soon)
}

// cycle returns the time from the first step of a pass to that of the next one,
// zero where there is none. It does not depend on who is there, so that a
// repetition has the same key whoever asks.
func (p Policy) cycle(l severity.Level) time.Duration {
	steps, after := p.For(l), p.RepeatAfter[followed(l)]
	if len(steps) == 0 || after <= 0 {
		return 0
	}
	return steps[len(steps)-1].After + after
}

// pass returns what is due of one pass through the steps, the first being 0, and
// when the next page of it will be.
func (p Policy) pass(pr Progress, d Directory, now time.Time, n int) (due []Due, next time.Time) {
	steps, slot := p.For(pr.Level), 0
	begin := pr.OpenedAt.Add(time.Duration(n) * p.cycle(pr.Level))
	for i, s := range steps {
		step := n*len(steps) + i
		done := slices.Contains(pr.Done, step)
		if !done {
			next = earliest(next, d.nextHandover(now, s.Roles)) // the step may be skipped then, or no more
		}
		if !d.anybody(now, s.Roles) {
			continue
		}
		at := begin.Add(steps[slot].After)
		slot++
		switch {
		case done:
		case at.After(now):
			next = earliest(next, at)
		default:
			due = append(due, Due{Kind: PageDue, Step: step, At: at, Roles: s.Roles, Key: pr.Key.Page(pr.Round, step)})
		}
	}
	return due, next
}

// status returns the status update that is due, if one is, and when the next one
// will be.
func (p Policy) status(pr Progress, now time.Time) (due []Due, next time.Time) {
	every := pr.Level.Targets().StatusEvery
	if every <= 0 {
		return nil, time.Time{}
	}
	last := pr.UpdatedAt
	if last.IsZero() {
		last = pr.DeclaredAt
	}
	missed := now.Sub(last) / every
	if missed < 1 {
		return nil, last.Add(every)
	}
	at := last.Add(missed * every)
	return []Due{{Kind: StatusDue, At: at, Roles: p.paged(pr), Key: pr.Key.Status(at)}}, at.Add(every)
}

// paged returns the roles of the steps done in this round, and those of the first
// step that has any.
func (p Policy) paged(pr Progress) []Role {
	var roles []Role
	steps := p.For(pr.Level)
	for i, s := range steps {
		done := slices.ContainsFunc(pr.Done, func(step int) bool { return step%len(steps) == i })
		if len(roles) > 0 && !done {
			continue
		}
		for _, r := range s.Roles {
			if !slices.Contains(roles, r) {
				roles = append(roles, r)
			}
		}
	}
	return roles
}

// earliest returns the earlier of two times, where zero means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
