package incident

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Halter closes the gate of a bot. *safety.Switch fits.
type Halter interface {
	// Engage closes the gate and returns at once; nil means that nothing that adds
	// exposure can pass any more. It can be called again.
	Engage(by, reason string) error

	// Drain waits, within ctx, until the hold is durable and the orders that had
	// passed have settled; it names those still in flight.
	Drain(ctx context.Context) (inFlight []string, err error)
}

// Courier delivers a message to a contact. *notify.Courier fits.
type Courier interface {
	Deliver(ctx context.Context, to notify.Contact, m notify.Message) notify.Receipt
}

// Beginner is a Courier that can deliver without a goroutine of the caller's that
// waits. A Manager prefers it: in a storm thousands of pages wait for one gathered.
type Beginner interface {
	Courier

	// Begin returns at once. settled is to be called once, with what Deliver would
	// return.
	Begin(ctx context.Context, to notify.Contact, m notify.Message, settled func(notify.Receipt))
}

// Config is what a Manager needs. Store, Halter, Courier and Directory have no
// default.
type Config struct {
	Store     Store            // the timeline
	Halter    Halter           // the stop
	Courier   Courier          // the way out
	Directory notify.Directory // who can be told

	// Channels are the names of the courier's channels. Where they are given, New
	// refuses a policy with a step that nobody could be reached for.
	Channels []string

	// Name is who this process is among those that share a store. Defaults to the name
	// of the host and the process's number.
	Name string

	// Policy is who is paged when. Defaults to notify.DefaultPolicy.
	Policy notify.Policy

	// Templates are the texts. Defaults to the playbook's.
	Templates notify.Templates

	// Classifier gives signals their level. Defaults to the playbook's table.
	Classifier severity.Classifier

	// Checklist is what has to be proven before an incident can be resolved without
	// a reason. Defaults to the playbook's eight items; empty and not nil is none.
	Checklist []string

	// HaltWithin is how long the page waits for the gate's answer; after it the
	// page says STOP NOT CONFIRMED. Defaults to 2 s.
	HaltWithin time.Duration

	// HaltAgain is how soon a stop that was not confirmed, or a drain that left
	// orders in flight, is tried again. Defaults to 5 s.
	HaltAgain time.Duration

	// DrainWithin bounds one wait for the orders in flight. Defaults to 30 s.
	DrainWithin time.Duration

	// RecordWithin is how long a call waits for the store. Defaults to 5 s.
	RecordWithin time.Duration

	// AuditEvery is how often the timeline is read for what fell due and was not begun,
	// independently of what the manager remembers. Defaults to 1 min.
	AuditEvery time.Duration

	// Log gets each event, with the incident's number: intents at Debug, what went wrong
	// at Warn and Error, the rest at Info. Defaults to slog.Default().
	Log *slog.Logger

	// Tracer and Meter provide spans and metrics. Default to otel's global providers.
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
}

// DefaultChecklist returns the playbook's recovery validation items. The slice is
// the caller's own.
func DefaultChecklist() []string {
	return []string{
		"All services running (`docker-compose ps`)",
		"No error logs in last 5 minutes",
		"Successful test trade in paper mode",
		"All positions accounted for",
		"Risk limits enforced",
		"Monitoring alerts cleared",
		"Stakeholders notified",
		"Post-mortem scheduled",
	}
}

func (c Config) withDefaults() (Config, error) {
	if c.Policy.Steps == nil {
		c.Policy = notify.DefaultPolicy()
	}
	if c.Checklist == nil {
		c.Checklist = DefaultChecklist()
	}
	if c.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown host"
		}
		c.Name = fmt.Sprintf("%s, process %d", host, os.Getpid())
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Tracer == nil {
		c.Tracer = otel.GetTracerProvider()
	}
	if c.Meter == nil {
		c.Meter = otel.GetMeterProvider()
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.HaltWithin, 2 * time.Second}, {&c.HaltAgain, 5 * time.Second},
		{&c.DrainWithin, 30 * time.Second}, {&c.RecordWithin, 5 * time.Second}, {&c.AuditEvery, time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.Classifier == nil {
		table, err := severity.NewTable(severity.TableConfig{})
		if err != nil {
			return c, fmt.Errorf("Classifier: %w", err)
		}
		c.Classifier = table
	}
	return c, nil
}

func (c Config) validate() error {
	var errs []error
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"Store", c.Store == nil}, {"Halter", c.Halter == nil}, {"Courier", c.Courier == nil},
	} {
		if f.missing {
			errs = append(errs, fmt.Errorf("%s is missing", f.name))
		}
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"HaltWithin", c.HaltWithin}, {"HaltAgain", c.HaltAgain},
		{"DrainWithin", c.DrainWithin}, {"RecordWithin", c.RecordWithin}, {"AuditEvery", c.AuditEvery},
	} {
		if f.value < 0 {
			errs = append(errs, fmt.Errorf("%s is %v, want more than zero", f.name, f.value))
		}
	}
	if slices.Contains(c.Checklist, "") {
		errs = append(errs, errors.New("Checklist has an empty item"))
	}
	if c.Channels != nil {
		if err := c.Policy.Validate(c.Directory, c.Channels...); err != nil {
			errs = append(errs, fmt.Errorf("Policy: %w", err))
		}
	} else if err := c.Directory.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("Directory: %w", err))
	} else if len(c.Directory.Contacts) == 0 {
		errs = append(errs, errors.New("Directory has no contacts: nobody could be paged"))
	}
	return errors.Join(errs...)
}

// Manager leads incidents through their life. New makes one, Run performs what is
// due. It is safe for concurrent use.
type Manager struct {
	cfg       Config
	book      book
	telemetry *telemetry
	auditor   auditor
	wake      chan struct{} // something may have become due
	pend      chan struct{} // something waits to be recorded
	news      chan struct{} // others have appended something

	mu      sync.Mutex
	board   *board
	plan    *schedule
	clock   steady
	tied    bool   // an event of this clock's carries a mark
	last    uint64 // the last event of the store that board knows
	queue   []*entry
	single  int                // how many of the queue are to be tried one by one
	flying  int                // how many entries at the head of the queue the store has now
	busy    map[string]bool    // by due.key: being performed
	pages   map[string]pageRun // by incident
	closing map[string]bool    // by incident: its end is being recorded, so nothing is attached to it
	running bool
	err     error // of the store, the last one; nil while it works

	work sync.WaitGroup // what is being performed
}

// New returns a manager that has read the whole store, so that open incidents go
// on where they were. It starts nothing: Run does.
//
// Errors are those of the configuration, each beginning with its field, and those
// of reading the store. A store that cannot be read is refused, since an open
// incident could be in it; the switch does not need the manager to stay halted.
func New(ctx context.Context, cfg Config) (*Manager, error) {
	cfg, err := cfg.withDefaults()
	if err = errors.Join(err, cfg.validate()); err != nil {
		return nil, fmt.Errorf("incident: %w", err)
	}
	t, err := newTelemetry(cfg)
	if err != nil {
		return nil, fmt.Errorf("incident: metrics: %w", err)
	}
	m := &Manager{
		telemetry: t, auditor: auditor{board: newBoard()},
		cfg: cfg, book: book{cfg.Policy, cfg.Directory}, board: newBoard(), plan: newSchedule(),
		wake: make(chan struct{}, 1), pend: make(chan struct{}, 1), news: make(chan struct{}, 1),
		busy: map[string]bool{}, pages: map[string]pageRun{}, closing: map[string]bool{},
	}
	for e, err := range cfg.Store.Read(ctx, 0) {
		if err != nil {
			return nil, fmt.Errorf("incident: reading the store: %w", err)
		}
		m.take(e)
		m.last = e.Seq
		m.auditor.apply(e)
	}
	boot, up := machine()
	base, doubt := m.board.resume(time.Now(), boot, up)
	m.clock = newSteady(base)
	for _, in := range m.board.live {
		in.paging.doubt = doubt
	}
	return m, nil
}

// take brings an event into effect. Called with mu held.
func (m *Manager) take(e Event) {
	m.board.apply(e)
	if e.Incident != "" {
		m.plan.touch(e.Incident)
	}
	if e.Kind == Acknowledged || e.Kind == Resolved {
		m.stopPages(e.Incident)
	}
	if e.Kind == Acknowledged {
		for _, twin := range m.board.twinsOf(e.Incident) {
			m.stopPages(twin.Number)
			m.plan.touch(twin.Number)
		}
	}
}

// now is the time that decisions are made with: never earlier than what has happened
// by the timeline, so that a clock that was set back undoes nothing. It goes on from
// there: what is due in a minute is due in a minute. Called with mu held.
func (m *Manager) now() time.Time {
	now := m.clock.now()
	if now.Before(m.board.latest) {
		now = m.board.latest
		m.clock, m.tied = newSteady(now), false
	}
	return now
}

// Get returns an incident by its number.
func (m *Manager) Get(number string) (Incident, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	in := m.board.incidents[number]
	if in == nil {
		return Incident{}, fmt.Errorf("%w: %q", ErrUnknown, number)
	}
	return in.clone(), nil
}

// All returns every incident, in the order of their declarations.
func (m *Manager) All() []Incident {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Incident, len(m.board.order))
	for i, number := range m.board.order {
		all[i] = m.board.incidents[number].clone()
	}
	return all
}

// Open returns the incidents that are not resolved, in the order of their
// declarations.
func (m *Manager) Open() []Incident {
	m.mu.Lock()
	defer m.mu.Unlock()
	var some []Incident
	for _, in := range m.board.inOrder() {
		some = append(some, in.clone())
	}
	return some
}

// Unproven returns the items of the checklist that an incident still lacks.
func (m *Manager) Unproven(number string) ([]string, error) {
	in, err := m.Get(number)
	if err != nil {
		return nil, err
	}
	return m.unproven(&in), nil
}

func (m *Manager) unproven(in *Incident) []string {
	return slices.DeleteFunc(slices.Clone(m.cfg.Checklist), func(item string) bool { return slices.Contains(in.Proven, item) })
}

// Upcoming returns what the open incidents have ahead, the soonest first.
func (m *Manager) Upcoming() []Upcoming {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Upcoming
	now := m.now()
	for _, in := range m.board.inOrder() {
		all = append(all, in.upcoming(m.book, now)...)
	}
	slices.SortStableFunc(all, func(a, b Upcoming) int { return a.At.Compare(b.At) })
	return all
}

// Timeline returns the events of an incident in order, those that wait to be
// recorded last and without a Seq. An empty number is everything, decisions
// outside any incident included.
func (m *Manager) Timeline(ctx context.Context, number string) ([]Event, error) {
	var events []Event
	mine := func(e Event) bool { return number == "" || e.Incident == number }
	m.mu.Lock()
	number = m.current(number)
	var waiting []Event
	for _, w := range m.queue {
		if mine(w.event) {
			waiting = append(waiting, w.event)
		}
	}
	last := m.last
	m.mu.Unlock()
	stored := m.cfg.Store.ReadIncident(ctx, number)
	if number == "" {
		stored = m.cfg.Store.Read(ctx, 0)
	}
	for e, err := range stored {
		if err != nil {
			return nil, fmt.Errorf("incident: timeline: %w", err)
		}
		if e.Seq > last {
			break // those are among the waiting
		}
		if mine(e) {
			events = append(events, e)
		}
	}
	return append(events, waiting...), nil
}
