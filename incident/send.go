package incident

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/andon-go/andon/notify"
)

// page performs an escalation step. Whether it still is due is decided in the same
// moment in which it is announced, so that none starts after an acknowledgement.
func (m *Manager) page(ctx context.Context, d due) (left []func(done func())) {
	m.mu.Lock()
	in := m.board.incidents[d.incident]
	if !in.open() || !in.paging.AckedAt.IsZero() {
		m.mu.Unlock()
		return nil
	}
	now := m.now()
	to := m.cfg.Directory.Find(now, d.roles...)
	data := Data{Key: d.key, Round: in.paging.Round, Step: d.page.Step + 1, Roles: words(d.roles), DueAt: d.at}
	m.put(Event{
		At: now, Incident: in.Number, Kind: PageDue, By: self,
		What: fmt.Sprintf("%s is to be paged: %s", strings.Join(data.Roles, "/"), names(to)),
		Why:  fmt.Sprintf("step %d of the policy for %v fell due at %s", data.Step, in.Level, clock(d.at)), Data: data,
	})
	msg, err := m.pageMessage(in, d, now)
	ctx = m.pagesOf(ctx, in.Number)
	m.mu.Unlock()
	m.unrendered(d.incident, err)
	ctx, end := m.span(ctx, "incident.page", d.incident)
	return m.deliver(ctx, to, msg, newDelivery(d.incident, Paged, PageFailed, data, end))
}

// pageMessage writes a page: the playbook's initial alert, and a reminder where the
// steps are gone through again. Called with mu held.
func (m *Manager) pageMessage(in *Incident, d due, now time.Time) (notify.Message, error) {
	a := m.alert(in, d.key, now)
	again := d.page.Step >= len(m.cfg.Policy.For(in.Level))
	if !again && !in.paging.expired {
		return a.Message(m.cfg.Templates)
	}
	reason := "nobody has acknowledged it"
	if in.paging.expired {
		reason = "the acknowledgement has expired"
	}
	return notify.Reminder{
		Key: a.Key, Incident: a.Incident, Level: a.Level, At: a.At, Impact: a.Impact, Warning: a.Warning,
		Reason: reason, OpenFor: in.Duration(now),
	}.Message(m.cfg.Templates)
}

// alert is the playbook's initial alert. Called with mu held.
func (m *Manager) alert(in *Incident, key string, now time.Time) notify.Alert {
	a := notify.Alert{
		Key: key, Incident: in.Number, Level: in.Level, At: now,
		Impact: in.Summary, Commander: in.Commander, First: in.FirstPageAt.IsZero(),
	}
	if in.halts() && in.Gate != GateClosed {
		a.Warning = ErrStopUnconfirmed.Error() + ": " + cmp.Or(in.HaltWhy, in.Gate.String())
	}
	return a
}

// pageRun is the sending of an incident's pages until somebody acknowledges.
type pageRun struct {
	ctx  context.Context
	stop context.CancelFunc
}

// pagesOf returns the context that an acknowledgement ends. Called with mu held.
func (m *Manager) pagesOf(ctx context.Context, number string) context.Context {
	p, ok := m.pages[number]
	if !ok || p.ctx.Err() != nil {
		p.ctx, p.stop = context.WithCancel(ctx)
		m.pages[number] = p
	}
	return p.ctx
}

// stopPages ends the sending of an incident's pages. Called with mu held.
func (m *Manager) stopPages(number string) {
	if p, ok := m.pages[number]; ok {
		p.stop()
		delete(m.pages, number)
	}
}

// send performs a notice.
func (m *Manager) send(ctx context.Context, d due) (left []func(done func())) {
	m.mu.Lock()
	in := m.board.incidents[d.incident]
	if !in.open() && (d.notice.kind == notify.StatusUpdate || d.notice.kind == notify.AckNotice) {
		m.mu.Unlock()
		return nil // the resolution has overtaken it
	}
	now := m.now()
	to := m.cfg.Directory.Find(now, d.roles...)
	data := Data{Key: d.key, Notice: string(d.notice.kind), Roles: words(d.roles), DueAt: d.at}
	m.put(Event{
		At: now, Incident: in.Number, Kind: NoticeDue, By: self,
		What: fmt.Sprintf("%s is to be sent to %s", noticeName(d.notice), names(to)),
		Why:  "it fell due at " + clock(d.at), Data: data,
	})
	msg, err := m.message(in, d, now)
	m.mu.Unlock()
	m.unrendered(d.incident, err)
	ctx, end := m.span(ctx, "incident.notice", d.incident)
	return m.deliver(ctx, to, msg, newDelivery(d.incident, Notified, NoticeFailed, data, end))
}

func noticeName(n notice) string {
	switch n.kind {
	case notify.StatusUpdate:
		return "a status update"
	case notify.BreachNotice:
		return "the breach of the " + n.target + " target"
	}
	return "the " + string(n.kind) + " notice"
}

// message writes a notice. Called with mu held.
func (m *Manager) message(in *Incident, d due, now time.Time) (notify.Message, error) {
	switch d.notice.kind {
	case notify.BreachNotice:
		target := in.RespondBy
		if d.notice.target == "resolution" {
			target = in.ResolveBy
		}
		return notify.Breach{Key: d.key, Incident: in.Number, Level: in.Level, At: now, Target: d.notice.target, Due: target, Status: string(in.Status)}.Message(m.cfg.Templates)
	case notify.AckNotice:
		return notify.Acknowledgement{
			Key: d.key, Incident: in.Number, Level: in.Level, At: d.notice.at, By: d.notice.by, Pages: slices.Clone(in.paging.pages),
		}.Message(m.cfg.Templates)
	case notify.ResolutionNotice:
		return notify.Resolution{
			Key: d.key, Incident: in.Number, Level: in.Level, At: now, Duration: in.Duration(now),
			RootCause: in.RootCause, Impact: in.Impact.String(), PostMortem: in.PostMortem,
			Pages: slices.Clone(in.paging.pages),
		}.Message(m.cfg.Templates)
	}
	return m.update(in, d, now).Message(m.cfg.Templates)
}

// update is the playbook's status update: a person's words where there are any,
// else what the timeline knows. Called with mu held.
func (m *Manager) update(in *Incident, d due, now time.Time) notify.Update {
	said := d.notice.update
	u := notify.Update{
		Key: d.key, Incident: in.Number, Level: in.Level, At: now,
		Status: cmp.Or(said.Status, string(in.Status)), ActionsTaken: said.Actions, NextSteps: said.Next, ETA: said.ETA,
		Warning: m.alert(in, d.key, now).Warning,
	}
	if u.ActionsTaken == nil {
		u.ActionsTaken = in.actions()
	}
	if u.NextSteps == nil {
		u.NextSteps = m.unproven(in)
	}
	u.ETA = cmp.Or(u.ETA, in.LastUpdate.ETA, "target "+clock(in.ResolveBy))
	return u
}

// actions says what has been done so far.
func (in *Incident) actions() []string {
	var all []string
	add := func(at time.Time, what string) {
		if !at.IsZero() {
			all = append(all, what+" "+clock(at))
		}
	}
	add(in.HaltedAt, "trading halted")
	add(in.DrainedAt, "orders in flight settled")
	add(in.AckedAt, "acknowledged by "+in.AckedBy)
	add(in.MitigatedAt, "mitigated")
	for _, item := range in.Proven {
		all = append(all, "proven: "+item)
	}
	return all
}

// unrendered records that a template did not work; the message goes out plainly.
func (m *Manager) unrendered(number string, err error) {
	if err == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(Event{At: m.now(), Incident: number, Kind: Noted, By: self, What: "a message was sent as plain text", Why: err.Error()})
}

// delivery is what the outcome of a send is recorded as. It holds of its Data only what
// it says: ten thousand may wait in a storm.
type delivery struct {
	incident    string
	ok, failed  Kind
	key, notice string
	round, step int
	roles       []string
	due         time.Time
	end         func(error) // of its span
}

func newDelivery(number string, ok, failed Kind, d Data, end func(error)) *delivery {
	return &delivery{number, ok, failed, d.Key, d.Notice, d.Round, d.Step, d.Roles, d.DueAt, end}
}

// data is what the announcement of it said, too.
func (d *delivery) data() Data {
	return Data{Key: d.key, Notice: d.notice, Round: d.round, Step: d.step, Roles: d.roles, DueAt: d.due}
}

// deliver returns the sending of a message to each contact, which records its own
// outcome as it comes, so that one who cannot be reached delays nothing. The last
// ends the delivery with the errors of who was not reached.
func (m *Manager) deliver(ctx context.Context, to []notify.Contact, msg notify.Message, d *delivery) []func(done func()) {
	if len(to) == 0 {
		err := fmt.Errorf("nobody plays the roles %s", strings.Join(d.roles, "/"))
		m.outcome(ctx, &notify.Receipt{Contact: "nobody", Err: err}, d)
		d.end(err)
		return nil
	}
	errs := make([]error, len(to))
	var open atomic.Int64
	open.Store(int64(len(to)))
	left := make([]func(func()), len(to))
	for i := range to {
		left[i] = func(done func()) {
			m.tell(ctx, &to[i], &msg, func(r notify.Receipt) {
				defer done()
				m.outcome(ctx, &r, d)
				errs[i] = r.Err
				if open.Add(-1) == 0 {
					d.end(errors.Join(errs...))
				}
			})
		}
	}
	return left
}

// tell sends a message to one contact and has its receipt settled, once.
func (m *Manager) tell(ctx context.Context, to *notify.Contact, msg *notify.Message, settled func(notify.Receipt)) {
	b, ok := m.cfg.Courier.(Beginner)
	if !ok {
		go func() {
			var r notify.Receipt
			if err := guard(func() error { r = m.cfg.Courier.Deliver(ctx, *to, *msg); return nil }); err != nil {
				r = notify.Receipt{Contact: to.Name, Err: err}
			}
			settled(r)
		}()
		return
	}
	var one atomic.Bool
	once := func(r notify.Receipt) {
		if !one.Swap(true) {
			settled(r)
		}
	}
	if err := guard(func() error { b.Begin(ctx, *to, *msg, once); return nil }); err != nil {
		once(notify.Receipt{Contact: to.Name, Err: err})
	}
}

// outcome records what became of a message to one contact. Where the program is
// ending there is none: the intent stays open, and the next start sends it again.
func (m *Manager) outcome(ctx context.Context, r *notify.Receipt, d *delivery) {
	m.mu.Lock()
	defer m.mu.Unlock()
	in := m.board.incidents[d.incident]
	acked := d.ok == Paged && (!in.paging.AckedAt.IsZero() || !in.open())
	if r.Err != nil && ctx.Err() != nil && !acked {
		return
	}
	e := Event{At: m.now(), Incident: d.incident, Kind: d.ok, By: self, Data: d.data()}
	e.Data.Contact = r.Contact
	e.What = fmt.Sprintf("%s was told by %s", r.Contact, r.Accepted.Channel)
	e.Why = "a channel has accepted the message"
	e.Data.Channel, e.Data.Tries = r.Accepted.Channel, r.Accepted.Tries
	if r.Err != nil {
		e.Kind, e.What, e.Why = d.failed, r.Contact+" was not reached", r.Err.Error()
		e.Data.Error, e.Data.RetryAt = r.Err.Error(), ours(r.RetryAt, e.At, sendAgain)
	} else {
		e.Data.SentAt = ours(r.Accepted.At, e.At, 0)
	}
	if r.Err != nil && acked {
		e.Why = "it was stopped, since the incident was acknowledged or resolved: " + e.Why
	}
	if r.Err != nil && r.Contact == "nobody" && d.failed == NoticeFailed {
		e.Data.RetryAt = time.Time{} // given up
	}
	m.put(e)
}

// ours turns a time that a courier gives into one of the manager's clock, which goes
// on where the machine's is set anew: now and d where the courier gives none.
func ours(at, now time.Time, d time.Duration) time.Time {
	if !at.IsZero() {
		d = time.Until(at)
	}
	return now.Add(d)
}

// sendAgain is when a message is sent again whose courier does not say.
const sendAgain = 30 * time.Second

func words(roles []notify.Role) []string {
	out := make([]string, len(roles))
	for i, r := range roles {
		out[i] = string(r)
	}
	return out
}

func names(to []notify.Contact) string {
	if len(to) == 0 {
		return "nobody"
	}
	out := make([]string, len(to))
	for i, c := range to {
		out[i] = c.Name
	}
	return strings.Join(out, ", ")
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }
