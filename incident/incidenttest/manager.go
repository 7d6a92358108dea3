package incidenttest

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
)

// Manager is a running incident.Manager with everything around it in memory.
type Manager struct {
	*incident.Manager
	Store *Memory
	Gate  *Gate
	Pager *Pager
}

// NewManager returns a manager that runs until the test ends. Every role of the
// playbook is played by somebody. change may alter the configuration before it is
// used. It works inside a testing/synctest bubble.
func NewManager(t testing.TB, change ...func(*incident.Config)) *Manager {
	t.Helper()
	m := &Manager{Store: &Memory{}, Gate: &Gate{}, Pager: &Pager{}}
	cfg := incident.Config{
		Store: m.Store, Halter: m.Gate, Courier: m.Pager, Directory: everybody(),
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if m.Manager, err = incident.New(t.Context(), cfg); err != nil {
		t.Fatalf("incidenttest: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := m.Run(ctx); err != nil {
			t.Logf("incidenttest: the manager ended: %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return m
}

// everybody has one person for every role.
func everybody() notify.Directory {
	var d notify.Directory
	for _, r := range []notify.Role{
		notify.OnCallEngineer, notify.PrimaryEngineer, notify.AnyEngineer, notify.SeniorEngineer, notify.LeadEngineer,
		notify.TeamLead, notify.TechManager, notify.CTO, notify.RiskOfficer,
	} {
		d.Contacts = append(d.Contacts, notify.Contact{
			Name: "the " + string(r), Roles: []notify.Role{r}, Addresses: []notify.Address{{Channel: "test", To: string(r)}},
		})
	}
	return d
}

// Gate is a Halter that closes at once, or fails as asked. The zero value works.
// Safe for concurrent use.
type Gate struct {
	mu      sync.Mutex
	err     error
	reasons []string
}

// Fail makes Engage fail with err until it is called with nil.
func (g *Gate) Fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = err
}

// Engage is incident.Halter's.
func (g *Gate) Engage(_, reason string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return g.err
	}
	g.reasons = append(g.reasons, reason)
	return nil
}

// Drain is incident.Halter's; nothing is ever in flight.
func (g *Gate) Drain(ctx context.Context) ([]string, error) { return nil, ctx.Err() }

// Reasons returns why the gate was closed, once for each time.
func (g *Gate) Reasons() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.reasons)
}

// Pager is a Courier that keeps what it was given, or fails as asked. The zero
// value works. Safe for concurrent use.
type Pager struct {
	mu  sync.Mutex
	err error
	got []notify.Message
}

// Fail makes every delivery fail with err until it is called with nil.
func (p *Pager) Fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// Deliver is incident.Courier's.
func (p *Pager) Deliver(ctx context.Context, to notify.Contact, m notify.Message) notify.Receipt {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := notify.Receipt{Contact: to.Name, Key: m.Key, Err: ctx.Err()}
	if r.Err == nil {
		r.Err = p.err
	}
	if r.Err == nil {
		m.To = to.Name
		p.got = append(p.got, m)
		r.Accepted = notify.Attempt{Address: notify.Address{Channel: "test", To: to.Name}, Tries: 1, At: time.Now()}
	}
	return r
}

// Messages returns what was delivered, in order; To is the contact's name.
func (p *Pager) Messages() []notify.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

// Lister is what the assertions need of a manager. *incident.Manager and Manager fit.
type Lister interface {
	All() []incident.Incident
}

// RequireDeclared ends the test unless an incident of that condition and component
// was declared, and returns the newest. It looks once: code that declares from
// another goroutine has to be waited for first.
func RequireDeclared(t testing.TB, m Lister, condition severity.Condition, component string) incident.Incident {
	t.Helper()
	all := m.All()
	for _, in := range slices.Backward(all) {
		if in.Condition == condition && in.Component == component {
			return in
		}
	}
	t.Fatalf("no incident was declared for %s of %s; there are %s", condition, component, describe(all))
	return incident.Incident{}
}

// RequireNothingDeclared ends the test if any incident was declared.
func RequireNothingDeclared(t testing.TB, m Lister) {
	t.Helper()
	if all := m.All(); len(all) > 0 {
		t.Fatalf("nothing was to be declared; there are %s", describe(all))
	}
}

func describe(all []incident.Incident) string {
	if len(all) == 0 {
		return "none"
	}
	var s strings.Builder
	for _, in := range all {
		s.WriteString("\n  " + in.Number + " " + string(in.Condition) + " of " + in.Component + " (" + string(in.Status) + "): " + in.Summary)
	}
	return s.String()
}
