package incident_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(m)
}

var update = flag.Bool("update", false, "write the transcripts anew")

// gate is a Halter that does what a test says.
type gate struct {
	mu      sync.Mutex
	engaged []string
	engage  func() error
	drain   func(ctx context.Context) ([]string, error)
}

func (g *gate) Engage(by, reason string) error {
	g.mu.Lock()
	g.engaged = append(g.engaged, by+": "+reason)
	f := g.engage
	g.mu.Unlock()
	if f == nil {
		return nil
	}
	return f()
}

func (g *gate) Drain(ctx context.Context) ([]string, error) {
	g.mu.Lock()
	f := g.drain
	g.mu.Unlock()
	if f == nil {
		return nil, nil
	}
	return f(ctx)
}

func (g *gate) set(engage func() error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.engage = engage
}

func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.engaged)
}

// phone is a Notifier that keeps what it got.
type phone struct {
	mu   sync.Mutex
	got  []notify.Message
	fail func(notify.Message) error

	takes map[string]time.Duration // by address
}

func (p *phone) Notify(ctx context.Context, m notify.Message) error {
	if takes := p.takes[m.To]; takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done(): // a call that is given up goes on in no bubble that ends
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.fail != nil {
		if err := p.fail(m); err != nil {
			return err
		}
	}
	p.got = append(p.got, m)
	return nil
}

func (p *phone) all() []notify.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

func (p *phone) messages(kind notify.Kind) []notify.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	var some []notify.Message
	for _, m := range p.got {
		if m.Kind == kind {
			some = append(some, m)
		}
	}
	return some
}

// flaky is a Store that fails while it is told to.
type flaky struct {
	incident.Store
	mu  sync.Mutex
	err error
}

func (f *flaky) breakIt(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *flaky) Append(ctx context.Context, expected uint64, events ...incident.Event) ([]incident.Event, error) {
	f.mu.Lock()
	err := f.err
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return f.Store.Append(ctx, expected, events...)
}

var errDisk = errors.New("the disk is gone")

func everybody() notify.Directory {
	var d notify.Directory
	for _, c := range []notify.Contact{
		{Name: "Ada", Roles: []notify.Role{notify.OnCallEngineer, notify.PrimaryEngineer, notify.AnyEngineer}},
		{Name: "Linus", Roles: []notify.Role{notify.LeadEngineer, notify.SeniorEngineer, notify.TeamLead}},
		{Name: "Grace", Roles: []notify.Role{notify.CTO, notify.TechManager}},
	} {
		c.Addresses = []notify.Address{{Channel: "phone", To: strings.ToLower(c.Name)}}
		d.Contacts = append(d.Contacts, c)
	}
	return d
}

// stack is a manager with everything around it.
type stack struct {
	t     *testing.T
	path  string
	store *flaky
	gate  *gate
	phone *phone
	m     *incident.Manager
	stop  func()
}

// start makes a stack on the journal at path, and runs it.
func start(t *testing.T, path string, change ...func(*incident.Config)) *stack {
	t.Helper()
	s := &stack{t: t, path: path, gate: &gate{}, phone: &phone{}}
	s.open(change...)
	return s
}

func (s *stack) open(change ...func(*incident.Config)) {
	t := s.t
	t.Helper()
	j, err := journal.Open(s.path)
	require.NoError(t, err)
	s.store = &flaky{Store: j}
	courier, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{"phone": s.phone}})
	require.NoError(t, err)
	cfg := incident.Config{
		Store: s.store, Halter: s.gate, Courier: courier, Directory: everybody(), Channels: courier.Channels(),
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		// Not a multiple of the 250 ms between two tries of a store that fails: a bubble's
		// clock makes no difference between two timers of one instant.
		RecordWithin: 4900 * time.Millisecond,
	}
	for _, c := range change {
		c(&cfg)
	}
	s.m, err = incident.New(t.Context(), cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.m.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		<-ended
		require.NoError(t, j.Close())
	})
	t.Cleanup(s.stop)
}

func place(t *testing.T) string { return filepath.Join(t.TempDir(), "journal") }

// signal is a SEV-1 signal of now.
func signal(component string) severity.Signal {
	return severity.Signal{Condition: severity.InconsistentPositions, Component: component, At: time.Now(), Source: "reconciler"}
}

func minor(component string) severity.Signal {
	return severity.Signal{Condition: severity.RiskOffline, Component: component, At: time.Now(), Source: "watchdog"}
}

func (s *stack) declare(sig severity.Signal) incident.Incident {
	s.t.Helper()
	in, err := s.m.Declare(s.t.Context(), "reconciler", "book and venue differ", sig)
	require.NoError(s.t, err)
	return in
}

func (s *stack) get(number string) incident.Incident {
	s.t.Helper()
	in, err := s.m.Get(number)
	require.NoError(s.t, err)
	return in
}

func (s *stack) timeline(number string) []incident.Event {
	s.t.Helper()
	events, err := s.m.Timeline(context.Background(), number)
	require.NoError(s.t, err)
	return events
}

// proveAll proves the whole checklist.
func (s *stack) proveAll(number string) {
	s.t.Helper()
	for _, item := range incident.DefaultChecklist() {
		require.NoError(s.t, s.m.Prove(context.Background(), number, "checker", item, "looked", false))
	}
}

func kinds(events []incident.Event) []incident.Kind {
	all := make([]incident.Kind, len(events))
	for i, e := range events {
		all[i] = e.Kind
	}
	return all
}

func only(events []incident.Event, kind incident.Kind) []incident.Event {
	var some []incident.Event
	for _, e := range events {
		if e.Kind == kind {
			some = append(some, e)
		}
	}
	return some
}

// transcript compares with testdata/name.txt.
func transcript(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run with -update to write it")
	require.Equal(t, string(want), got)
}

// lines says events as people read them, with the time since start.
func lines(start time.Time, events []incident.Event) string {
	// What begins in the same instant begins side by side, in no order.
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b incident.Event) int {
		if a.At.Equal(b.At) && strings.HasSuffix(string(a.Kind), "-due") && strings.HasSuffix(string(b.Kind), "-due") {
			return strings.Compare(string(a.Kind), string(b.Kind))
		}
		return a.At.Compare(b.At)
	})
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "%8s  %-17s  %s: %s\n%30s(%s)\n", e.At.Sub(start), e.Kind, e.By, e.What, "", e.Why)
	}
	return b.String()
}
