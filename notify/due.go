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
	Done       []int     // steps of this round that somebody was reached for, by index into Policy.For(Level)
	AckedAt    time.Time // of this round; zero: nobody has acknowledged
	UpdatedAt  time.Time // when the last status update was due, Due.At, not when it was sent; zero: none yet
	ResolvedAt time.Time // zero: open
}

// DueKind is the kind of thing that is due.
type DueKind uint8

// The kinds of thing that fall due.
const (
	PageDue   DueKind = iota // the zero value, so that what is in doubt pages
	StatusDue                // a status update
)

// Due is something to send now.
type Due struct {
	Kind  DueKind
	Step  int       // of a page: index into Policy.For(Level)
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
// who does not exist. After an acknowledgement no page is due. A status update is
// due every Targets.StatusEvery until the resolution, to the roles that have been paged;
// of several missed ones only the latest is due. A clock that was set back does
// not undo what fell due: call with a now that never decreases.
func (p Policy) Due(pr Progress, d Directory, now time.Time) (due []Due, next time.Time) {
	if !pr.ResolvedAt.IsZero() {
		return nil, time.Time{}
	}
	if pr.AckedAt.IsZero() {
		due, next = p.pages(pr, d, now)
	}
	status, statusNext := p.status(pr, now)
	return append(due, status...), earliest(next, statusNext)
}

// pages returns the pages that are due, and when the next one will be.
func (p Policy) pages(pr Progress, d Directory, now time.Time) (due []Due, next time.Time) {
	steps, slot := p.For(pr.Level), 0
	for i, s := range steps {
		if len(d.Find(now, s.Roles...)) == 0 {
			continue
		}
		at := pr.OpenedAt.Add(steps[slot].After)
		slot++
		switch {
		case slices.Contains(pr.Done, i):
		case at.After(now):
			next = earliest(next, at)
		default:
			due = append(due, Due{Kind: PageDue, Step: i, At: at, Roles: s.Roles, Key: pr.Key.Page(pr.Round, i)})
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
	for i, s := range p.For(pr.Level) {
		if len(roles) > 0 && !slices.Contains(pr.Done, i) {
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
