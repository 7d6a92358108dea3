package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/examples/paperbot/internal/sim"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/webhook"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/filebackup"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/severity"
)

// day is the bot with everything that it embeds, in one folder.
type day struct {
	*trader
	f      flags
	dir    string
	screen *screen
	fault  fault

	log      *slog.Logger
	logFile  *os.File
	errors   *errorTimes
	journal  *journal.Journal
	manager  *incident.Manager
	timeline *recorder
	rec      *reconcile.Reconciler
	catalog  *recovery.Catalog
	files    map[recovery.Component]*filebackup.Store
	pager    *receiver
	sender   *webhook.Notifier
	web      *served // nil without -http
	slowRule severity.Rule
	ticks    int
	failures int
	stopRun  context.CancelFunc
	running  chan error
	parts    int // how many goroutines give their error to running
}

// recorder lets the switch be opened before the manager that it is given to: what is
// decided in between waits for it. Stopping never waits for a recorder.
type recorder struct {
	ready   chan struct{} // closed once manager is there
	manager *incident.Manager
}

// Record implements the Recorder of safety, reconcile and recovery.
func (r *recorder) Record(ctx context.Context, at time.Time, who, what, why string) error {
	select {
	case <-r.ready:
		return r.manager.Record(ctx, at, who, what, why)
	case <-ctx.Done():
		return fmt.Errorf("the timeline is not open yet: %w", ctx.Err())
	}
}

// shorter is a period of the playbook, shortened as -window shortens 15 minutes.
func (d *day) shorter(period time.Duration) time.Duration {
	return time.Duration(float64(period) * float64(d.f.Window) / float64(15*time.Minute))
}

// newDay assembles the bot. On an error nothing is left running.
func newDay(ctx context.Context, f flags, out io.Writer) (d *day, err error) {
	d = &day{f: f, screen: newScreen(out), fault: faultNamed(f.Fault), errors: &errorTimes{}, stopRun: func() {}}
	if d.dir, err = makeDir(f.Dir, time.Now()); err != nil {
		return nil, err
	}
	if d.dir, err = filepath.Abs(d.dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.logFile, err = os.OpenFile(d.path("trading_bot.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return nil, err
	}
	d.log = slog.New(errorLog{slog.NewTextHandler(d.logFile, nil), d.errors})
	for _, assemble := range []func(context.Context) error{d.makeTrader, d.makeManager, d.makeRecovery} {
		if err := assemble(ctx); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *day) path(name string) string { return filepath.Join(d.dir, name) }

// makeTrader makes the exchange, the book and the switch.
func (d *day) makeTrader(ctx context.Context) error {
	ex, err := sim.New(sim.Config{
		Name: venueName, Seed: d.f.Seed, Start: time.Now(), Symbols: symbols(), Latency: 2 * time.Millisecond,
		MakerFee: andon.MustDecimal("0.0002"), TakerFee: andon.MustDecimal("0.0005"),
	})
	if err != nil {
		return err
	}
	if err := ex.SetFaults(ordinary); err != nil {
		return err
	}
	book := reconcile.NewFileBook(d.path("positions.db"))
	if err := book.Create(ctx); err != nil {
		return err
	}
	rec := &recorder{ready: make(chan struct{})}
	d.timeline = rec
	d.rec, err = reconcile.New(reconcile.Config{
		Venue: venueName, Account: ex, History: ex, Book: gatedBook{book, d}, Recorder: rec,
		InFlight: time.Nanosecond, // this exchange shows everything at once
	})
	if err != nil {
		return err
	}
	sw, err := safety.Open(ctx, safety.Config{
		Name: "paperbot", Dir: d.path("state"), Flags: safety.FlagsIn(d.dir), MaxPosition: limits(),
		SettleAfter: d.shorter(3 * time.Minute), BeforeResume: d.mayResume, Recorder: rec, Log: d.log,
	})
	if err != nil {
		return err
	}
	d.trader = &trader{
		ex: ex, sw: sw, book: book, say: d.screen.printf, since: time.Time{},
		marks: map[string]andon.Decimal{}, protected: map[andon.LegKey]andon.Decimal{},
		protector: safety.Protector{Venue: ex, Gate: sw, Recorder: rec, By: "paperbot"},
	}
	for _, r := range severity.PlaybookRules() {
		if r.Condition == severity.SlowExecution {
			// Where the playbook's rule takes the mean of a minute, this one asks that
			// every call of a while was slow: a short run has few calls.
			d.slowRule = r
			d.slowRule.Window, d.slowRule.For = 0, max(d.shorter(r.Window), time.Second)
		}
	}
	return nil
}

// makeManager makes the timeline, the way out and the manager.
func (d *day) makeManager(ctx context.Context) error {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	var err error
	if d.pager, err = newReceiver(secret); err != nil {
		return err
	}
	if d.sender, err = webhook.New(webhook.Config{Secret: secret}); err != nil {
		return err
	}
	courier, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{
		"terminal": notify.NewTerminal(d.screen), "webhook": d.sender,
	}})
	if err != nil {
		return err
	}
	if d.journal, err = journal.Open(d.path("journal")); err != nil {
		return err
	}
	classifier, err := severity.NewTable(severity.TableConfig{
		Levels: map[severity.Condition]severity.Level{operatorStop: severity.SEV1, nakedPosition: severity.SEV1},
	})
	if err != nil {
		return err
	}
	policy := notify.DefaultPolicy()
	for _, steps := range policy.Steps {
		for i := range steps {
			steps[i].After = d.shorter(steps[i].After)
		}
	}
	d.manager, err = incident.New(ctx, incident.Config{
		Store: d.journal, Halter: d.sw, Courier: courier, Channels: courier.Channels(),
		Directory: d.directory(), Policy: policy, Classifier: classifier,
		HaltAgain: 100 * time.Millisecond, Log: d.log,
	})
	if err != nil {
		return err
	}
	d.timeline.manager = d.manager
	close(d.timeline.ready)
	return nil
}

// directory is the playbook's contact list, as far as this bot has people: the
// operator sits at the terminal, everybody else is reached by webhook.
func (d *day) directory() notify.Directory {
	pager := []notify.Address{{Channel: "webhook", To: d.pager.url}}
	dir := notify.Directory{Contacts: []notify.Contact{{
		Name: d.f.Operator, Roles: []notify.Role{notify.OnCallEngineer, notify.PrimaryEngineer, notify.AnyEngineer},
		Addresses: []notify.Address{{Channel: "terminal", To: d.f.Operator}},
	}}}
	for name, roles := range map[string][]notify.Role{
		"pager":          {notify.OnCallEngineer, notify.PrimaryEngineer, notify.AnyEngineer},
		"lead engineer":  {notify.LeadEngineer, notify.SeniorEngineer},
		"risk officer":   {notify.RiskOfficer, notify.CTO},
		"engineering":    {notify.TechManager, notify.TeamLead},
		"secondary duty": {notify.SecondaryOnCall},
	} {
		dir.Contacts = append(dir.Contacts, notify.Contact{Name: name, Roles: roles, Addresses: pager})
	}
	return dir
}

// makeRecovery makes the backups of what the bot cannot lose, with the playbook's
// objectives for them.
func (d *day) makeRecovery(context.Context) error {
	if err := os.WriteFile(d.path("production.json"), []byte(d.configuration()), 0o600); err != nil {
		return err
	}
	d.files = map[recovery.Component]*filebackup.Store{}
	targets := map[recovery.Component]recovery.Target{}
	for c, from := range map[recovery.Component]struct{ source, dir string }{
		recovery.PositionDatabase: {d.book.Path(), "backups/positions"},
		recovery.Configuration:    {d.path("production.json"), "backups/configuration"},
	} {
		store, err := filebackup.New(filebackup.Config{
			Component: c, Dir: d.path(from.dir), Sources: []string{from.source}, Recorder: d.timeline,
		})
		if err != nil {
			return err
		}
		d.files[c], targets[c] = store, store
	}
	var own []recovery.Objective
	for _, o := range recovery.Objectives() {
		if targets[o.Component] != nil {
			own = append(own, o)
		}
	}
	var err error
	d.catalog, err = recovery.NewCatalog(recovery.CatalogConfig{Objectives: own, Targets: targets})
	return err
}

func (d *day) configuration() string {
	var b strings.Builder
	fmt.Fprintf(&b, "{\n  \"venue\": %q,\n  \"seed\": %d,\n  \"stop_distance\": %q,\n  \"max_position\": {", venueName, d.f.Seed, stopDistance)
	for i, s := range symbols() {
		fmt.Fprintf(&b, "%s\n    %q: %q", map[bool]string{true: ","}[i > 0], s.Name, limits()[s.Name])
	}
	b.WriteString("\n  }\n}\n")
	return b.String()
}

// gatedBook is the book behind the write gate: while writes are held it takes only
// what a named person has approved, under a token.
type gatedBook struct {
	*reconcile.FileBook
	d *day
}

// Apply implements reconcile.Book.
func (g gatedBook) Apply(ctx context.Context, tx reconcile.Transaction) error {
	token, err := g.d.sw.AllowWrite(ctx, g.d.f.Operator, "repair of the book, "+tx.ID)
	if err != nil {
		return err
	}
	defer g.d.sw.Release(token)
	if err := g.d.sw.CheckWriteWith(token); err != nil {
		return err
	}
	return g.FileBook.Apply(ctx, tx)
}

// start sets the switch and the manager running.
func (d *day) start() {
	ctx, cancel := context.WithCancel(context.Background())
	d.stopRun = cancel
	d.running = make(chan error, 2)
	d.parts = 2
	go func() { d.running <- d.sw.Run(ctx) }()
	go func() { d.running <- d.manager.Run(ctx) }()
}

// close ends everything, in the opposite order of its making.
func (d *day) close() error {
	var errs []error
	if d.web != nil {
		errs = append(errs, d.web.close())
	}
	d.stopRun()
	for range d.parts {
		errs = append(errs, <-d.running)
	}
	if d.trader != nil {
		errs = append(errs, d.sw.Close())
	}
	if d.journal != nil {
		errs = append(errs, d.journal.Close())
	}
	if d.sender != nil {
		errs = append(errs, d.sender.Close())
	}
	if d.pager != nil {
		errs = append(errs, d.pager.close())
	}
	if d.logFile != nil {
		errs = append(errs, d.logFile.Close())
	}
	return errors.Join(errs...)
}

// stoppedByFlag reports whether the emergency stop's hold is in force.
func (d *day) stoppedByFlag() bool {
	for _, h := range d.sw.Status().Holds {
		if strings.HasSuffix(h.By, "EMERGENCY_STOP") {
			return true
		}
	}
	return false
}
