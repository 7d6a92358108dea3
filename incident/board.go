package incident

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
)

// topic is what makes signals belong together.
type topic struct {
	condition severity.Condition
	component string
}

// board is what a list of events says: every incident and the counters. It reads
// no clock.
type board struct {
	incidents map[string]*Incident
	order     []string
	live      map[string]*Incident // those that are not over
	open      map[topic]string
	refs      map[string]string // by Ref: the open incident that the signal belongs to
	episodes  map[topic]int
	twins     map[notify.Key][]string // numbers of one thing, given by processes that did not see each other
	days      map[string]int          // the highest number of each day
	latest    time.Time               // of what the manager itself stamped
	marks     map[string]mark         // by start of a machine: the last reading of its clock
}

func newBoard() *board {
	return &board{
		incidents: map[string]*Incident{}, live: map[string]*Incident{}, open: map[topic]string{}, refs: map[string]string{},
		episodes: map[topic]int{}, twins: map[notify.Key][]string{}, days: map[string]int{}, marks: map[string]mark{},
	}
}

// Replay returns what a list of events says of its incidents, in the order of
// their declarations. It stops at the first error.
func Replay(events iter.Seq2[Event, error]) ([]Incident, error) {
	b := newBoard()
	for e, err := range events {
		if err != nil {
			return nil, err
		}
		b.apply(e)
	}
	all := make([]Incident, len(b.order))
	for i, number := range b.order {
		all[i] = b.incidents[number].clone()
	}
	return all, nil
}

// inOrder returns the incidents that are not over, in the order of their declarations.
func (b *board) inOrder() []*Incident {
	return slices.SortedFunc(maps.Values(b.live), func(x, y *Incident) int { return cmp.Compare(x.ordinal, y.ordinal) })
}

// apply takes in one event. What it does not understand changes nothing.
func (b *board) apply(e Event) {
	if e.Kind != Decision && e.At.After(b.latest) {
		b.latest = e.At
	}
	if e.Data.Boot != "" {
		b.marks[e.Data.Boot] = mark{e.At, e.Data.Boot, e.Data.Uptime}
	}
	if e.Kind == Declared {
		b.declare(e)
		return
	}
	in := b.incidents[e.Incident]
	if in == nil {
		return
	}
	in.apply(e)
	switch e.Kind {
	case Acknowledged:
		for _, twin := range b.twinsOf(in.Number) {
			twin.acknowledge(e)
		}
	case Signalled:
		b.fires(in, e)
	case Resolved:
		b.quench(in)
		delete(b.live, in.Number)
		if b.open[in.topic()] == in.Number {
			delete(b.open, in.topic())
			for _, twin := range b.twinsOf(in.Number) {
				b.open[in.topic()] = twin.Number
			}
		}
	case Reopened:
		if b.live[in.Number] = in; b.open[in.topic()] == "" {
			b.open[in.topic()] = in.Number
		}
	}
}

func (b *board) declare(e Event) {
	if in := b.incidents[e.Incident]; in != nil && in.Number == e.Incident {
		return
	}
	t := topic{severity.Condition(e.Data.Condition), e.Data.Component}
	in := &Incident{
		Number: e.Incident, Condition: t.condition, Component: t.component, Episode: e.Data.Episode,
		Summary: e.What, Status: Open, Why: e.Why,
		SignalAt: e.Data.SignalAt, Signals: 1, DeclaredAt: e.At, DeclaredBy: e.By,
	}
	in.ordinal, in.trace = len(b.order), e.Data.Trace
	in.paging.Progress = notify.Progress{
		Key:        notify.Key{Condition: t.condition, Component: t.component, Episode: e.Data.Episode},
		DeclaredAt: e.At, OpenedAt: e.At, Round: 1,
	}
	in.assess(e)
	b.pair(in)
	b.incidents[in.Number] = in
	b.order = append(b.order, in.Number)
	b.live[in.Number] = in
	b.open[t] = in.Number
	b.fires(in, e)
	b.episodes[t] = max(b.episodes[t], in.Episode)
	if day, n, ok := parseNumber(in.Number); ok {
		b.days[day] = max(b.days[day], n)
	}
}

// pair notes that an incident is the same thing as one that is open under another
// number. Somebody who has that one has this one, too.
func (b *board) pair(in *Incident) {
	other := b.incidents[b.open[in.topic()]]
	if other == nil || other.paging.Key != in.paging.Key {
		return
	}
	all := b.twins[in.paging.Key]
	if len(all) == 0 {
		all = []string{other.Number}
	}
	b.twins[in.paging.Key] = append(all, in.Number)
	if !other.paging.AckedAt.IsZero() {
		in.acknowledge(Event{At: other.paging.AckedAt, By: other.AckedBy})
	}
}

// twinsOf returns the other open incidents that are the same thing.
func (b *board) twinsOf(number string) (some []*Incident) {
	in := b.incidents[number]
	if in == nil {
		return nil
	}
	for _, number := range b.twins[in.paging.Key] {
		if twin := b.live[number]; twin != nil && twin != in && twin.paging.Key == in.paging.Key {
			some = append(some, twin)
		}
	}
	return some
}

// apply takes in an event of this incident.
func (in *Incident) apply(e Event) {
	d := e.Data
	in.paging.doubt = false // something has happened, and its time is known
	switch e.Kind {
	case Signalled:
		in.Signals++
	case Cleared:
		in.clear(d.Ref)
	case Assessed:
		in.assess(e)
	case HaltDue:
		put(&in.paging.begun, "halt/"+in.Number, e.At)
		in.Gate = HaltPending
		in.HaltDueAt = first(in.HaltDueAt, e.At)
	case Halted:
		in.paging.begun.drop("halt/" + in.Number)
		in.Gate, in.HaltWhy = GateClosed, ""
		in.HaltedAt = first(in.HaltedAt, e.At)
	case Unconfirmed:
		in.paging.begun.drop("halt/" + in.Number)
		in.Gate, in.HaltWhy, in.paging.halt = GateUnanswered, d.Error, d.RetryAt
	case DrainDue:
		put(&in.paging.begun, "drain/"+in.Number, e.At)
	case Drained:
		in.paging.begun.drop("drain/" + in.Number)
		in.InFlight, in.paging.drain = slices.Clone(d.Flight), d.RetryAt
		if len(d.Flight) == 0 && d.Error == "" {
			in.DrainedAt = first(in.DrainedAt, e.At)
		}
	case PageDue, NoticeDue:
		in.begun(e)
	case Paged, PageFailed, Notified, NoticeFailed:
		in.sent(e)
	case AckExpired:
		in.paging.open(d.DueAt)
		in.paging.expired = true
	case ResponseBreach:
		in.ResponseBreachAt = first(in.ResponseBreachAt, e.At)
		in.owe(in.paging.Key.Breach("response"), notice{kind: notify.BreachNotice, target: "response", at: e.At})
	case ResolutionBreach:
		in.ResolutionBreachAt = first(in.ResolutionBreachAt, e.At)
		in.owe(in.paging.Key.Breach("resolution"), notice{kind: notify.BreachNotice, target: "resolution", at: e.At})
	default:
		in.decided(e)
	}
}

// decided takes in what a person decided.
func (in *Incident) decided(e Event) {
	d := e.Data
	switch e.Kind {
	case Acknowledged:
		in.acknowledge(e)
	case RoleGiven:
		if in.Roles == nil {
			in.Roles = map[string]string{}
		}
		in.Roles[d.Role] = d.Contact
		in.Commander = in.Roles[Commander]
	case Updated:
		if d.Update != nil {
			in.LastUpdate, in.UpdatedAt = *d.Update, e.At
			in.paging.UpdatedAt = latest(in.paging.UpdatedAt, e.At)
			in.owe(d.Key, notice{kind: notify.StatusUpdate, at: e.At, update: *d.Update})
		}
	case ItemProven:
		if !slices.Contains(in.Proven, d.Item) {
			in.Proven = append(in.Proven, d.Item)
		}
	case Mitigated:
		in.MitigatedAt = first(in.MitigatedAt, e.At)
		if in.open() {
			in.Status = Contained
		}
	case Resolved:
		if !in.open() {
			return
		}
		in.paging.overtake(notify.StatusUpdate, notify.AckNotice)
		in.Status, in.ResolvedAt, in.ResolvedBy = Closed, e.At, e.By
		in.paging.ResolvedAt = e.At
		in.owe(in.resolutionKey(), notice{kind: notify.ResolutionNotice, at: e.At})
	case Reopened:
		in.reopen(e)
	}
	in.RootCause = cmp.Or(d.RootCause, in.RootCause)
	in.PostMortem = latest(in.PostMortem, d.PostMortem)
	if d.Impact != nil {
		in.Impact = d.Impact.clone()
	}
}

// assess sets the level. A worse one than before opens paging again.
func (in *Incident) assess(e Event) {
	worse := e.Kind == Assessed && !in.Level.AtLeast(e.Data.Level)
	in.Level, in.Why, in.NoHalt = e.Data.Level, e.Why, e.Data.NoHalt
	in.RespondBy, in.ResolveBy = e.Data.RespondBy, e.Data.ResolveBy
	p := &in.paging.Progress
	p.Level = in.Level
	if worse {
		in.paging.open(e.At)
	}
}

// reopen takes back the resolution. The targets are those of the declaration: an
// incident that was not over has not met them. What was proven was so before.
func (in *Incident) reopen(e Event) {
	if in.open() {
		return
	}
	p := &in.paging
	p.overtake(notify.ResolutionNotice)
	in.Status, in.Gate, in.Proven = Open, NotHalted, nil
	in.ResolvedAt, in.ResolvedBy, in.MitigatedAt = time.Time{}, "", time.Time{}
	in.Reopened++
	in.unsaid++ // a person opened it, and no signal will say that it has ended
	p.ResolvedAt, p.UpdatedAt = time.Time{}, e.At
	p.open(e.At)
}

// resolutionKey is the dedup key of the resolution notice; each resolution has its
// own.
func (in *Incident) resolutionKey() string {
	key := in.paging.Key.Resolution()
	if in.Reopened > 0 {
		key += "/" + strconv.Itoa(in.Reopened+1)
	}
	return key
}

// rang notes the key of a message that a pager may ring for until it is resolved.
func (p *paging) rang(key string) {
	if !slices.Contains(p.pages, key) {
		p.pages = append(p.pages, key)
	}
}

// open begins the next round of paging.
func (p *paging) open(at time.Time) {
	p.Round, p.OpenedAt, p.AckedAt, p.Done = p.Round+1, at, time.Time{}, nil
	p.expired = false
	p.overtake(notify.AckNotice)
}

// overtake drops what is owed of some kinds and no longer true.
func (p *paging) overtake(kinds ...notify.Kind) {
	maps.DeleteFunc(p.owed, func(_ string, n notice) bool { return slices.Contains(kinds, n.kind) })
}

// acknowledge takes in an acknowledgement. One that comes after the resolution is
// stray: it opens nothing again.
func (in *Incident) acknowledge(e Event) {
	if !in.open() {
		return
	}
	if in.AckedAt.IsZero() {
		in.AckedAt, in.AckedBy = e.At, e.By
	}
	if in.paging.AckedAt.IsZero() && len(in.paging.pages) > 0 {
		in.owe(in.paging.Key.Acknowledgement(in.paging.Round), notice{kind: notify.AckNotice, at: e.At, by: e.By})
	}
	in.paging.AckedAt = latest(in.paging.AckedAt, e.At) // a second one renews the first
	if in.Status == Open {
		in.Status = Responding
	}
}

// owe notes a message that has to go out.
func (in *Incident) owe(key string, n notice) {
	if in.paging.owed == nil {
		in.paging.owed = map[string]notice{}
	}
	in.paging.owed[key] = n
}

// begun takes in that a message is about to be sent. A page may ring from now on,
// even where its outcome never becomes known.
func (in *Incident) begun(e Event) {
	put(&in.paging.begun, e.Data.Key, e.At)
	if e.Kind == PageDue {
		in.paging.rang(e.Data.Key)
	}
}

// sent takes in what became of a page or a notice.
func (in *Incident) sent(e Event) {
	d, p := e.Data, &in.paging
	p.begun.drop(d.Key)
	switch e.Kind {
	case Paged:
		in.FirstPageAt = first(in.FirstPageAt, d.SentAt)
		p.retry.drop(d.Key)
		p.rang(d.Key)
		if _, owed := p.owed[p.Key.Acknowledgement(p.Round)]; in.open() && !p.AckedAt.IsZero() && d.Round == p.Round && !owed {
			// It rings although somebody has it, and was said to have it.
			in.owe(p.Key.Acknowledgement(p.Round)+"/late", notice{kind: notify.AckNotice, at: e.At, by: in.AckedBy})
		}
		if d.Round == p.Round && !slices.Contains(p.Done, d.Step-1) {
			p.Done = append(p.Done, d.Step-1)
		}
		for _, r := range d.Roles {
			if role := notify.Role(r); !slices.Contains(p.reached, role) {
				p.reached = append(p.reached, role)
			}
		}
	case PageFailed:
		put(&p.retry, d.Key, d.RetryAt)
	case Notified:
		delete(p.owed, d.Key)
		p.retry.drop(d.Key)
		if d.Notice == string(notify.BreachNotice) {
			p.rang(d.Key)
		}
		if d.Notice == string(notify.StatusUpdate) {
			p.UpdatedAt = latest(p.UpdatedAt, d.DueAt)
			in.UpdatedAt = latest(in.UpdatedAt, d.SentAt)
		}
	case NoticeFailed:
		if put(&p.retry, d.Key, d.RetryAt); d.RetryAt.IsZero() {
			delete(p.owed, d.Key) // given up
			if d.Notice == string(notify.StatusUpdate) {
				p.UpdatedAt = latest(p.UpdatedAt, d.DueAt)
			}
		}
	}
	if !in.open() && len(p.owed) == 0 {
		p.Done, p.retry, p.begun = nil, nil, nil // nothing will be asked of them
	}
}

// first returns a where it is set, else b.
func first(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// earliest returns the earlier of two times, where zero means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

const dayLayout = "20060102"

// number returns the next number of the day. A provisional one ends in the name of the
// process that gives it.
func (b *board) number(now time.Time, provisional string) string {
	day := now.UTC().Format(dayLayout)
	number := fmt.Sprintf("INC-%s-%03d", day, b.days[day]+1)
	if provisional != "" {
		number += "-" + provisional
	}
	return number
}

// parseNumber takes a number apart.
func parseNumber(s string) (day string, n int, ok bool) {
	rest, ok := strings.CutPrefix(s, "INC-")
	day, digits, found := strings.Cut(rest, "-")
	digits, _, _ = strings.Cut(digits, "-") // what stands behind is the name of a process
	n, err := strconv.Atoi(digits)
	return day, n, ok && found && err == nil && n > 0
}
