package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"filippo.io/age"
	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/detect"
	"github.com/andon-go/andon/incident/evidence"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/incident/playbook"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/internal/pgtest"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/notifytest"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/reconcile/pgbook"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/docker"
	"github.com/andon-go/andon/recovery/docker/dockertest"
	"github.com/andon-go/andon/recovery/pgbackup"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/severity"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	symbol  = "BTC-USD"
	service = "ai-trading-bot"
)

// bot is a bot that embeds the whole playbook, and everything that it lives on: an
// exchange, a PostgreSQL server and a container, all of this game day's own.
type bot struct {
	*playbook.Assembly

	exchange *exchange
	key      atomic.Value // the API key that the bot uses
	venue    andontest.Remote
	server   *pgtest.Cluster
	db       *pgxpool.Pool
	book     *pgbook.Book
	backups  *pgbackup.Store
	box      *dockertest.Sandbox
	stack    *docker.Service
	identity *age.X25519Identity
	evidence string // where the archives lie

	clean []func() error
}

const tables = `
	CREATE TABLE positions (symbol text PRIMARY KEY, quantity numeric, entry_price numeric, current_price numeric, status text);
	CREATE TABLE trades (id bigserial PRIMARY KEY, status text, created_at timestamptz, size numeric, leverage numeric, ip_address text);
	INSERT INTO positions VALUES ('BTC-USD', 2, 100, 100, 'open'), ('ETH-USD', 0, 50, 50, 'closed');
	INSERT INTO trades (status, created_at, size, leverage, ip_address) VALUES ('closed', now(), 2, 1, '192.0.2.1')`

// newBot builds everything and lets it run until close. Pages go to the receiver.
func newBot(ctx context.Context, s *stage, log *slog.Logger, to *notifytest.Recorder) (b *bot, err error) {
	b = &bot{}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	dir := s.TempDir()
	if err := b.trade(filepath.Join(dir, "bot.log")); err != nil {
		return b, err
	}
	if err := b.store(ctx, s, filepath.Join(dir, "backups"), log); err != nil {
		return b, err
	}
	j, err := journal.Open(filepath.Join(dir, "journal"))
	if err != nil {
		return b, err
	}
	b.clean = append(b.clean, j.Close)
	if err := b.contain(s, filepath.Join(dir, "docker"), log); err != nil {
		return b, err
	}
	if b.identity, err = age.GenerateX25519Identity(); err != nil {
		return b, err
	}
	b.evidence = filepath.Join(dir, "incidents")
	p := playbook.Default()
	for _, who := range []string{"primary", "secondary"} {
		p.Contacts["on_call_rotation"][who] = who + "@example.com"
	}
	p.Files.EmergencyStop, p.Files.ReadOnly = filepath.Join(dir, "EMERGENCY_STOP"), filepath.Join(dir, "READONLY_MODE")
	p.Files.Incidents, p.Files.Suspicious = b.evidence, filepath.Join(dir, "corrupted_data.json")
	p.Files.Log, p.Files.Logs = filepath.Join(dir, "bot.log"), dir
	p.Evidence = playbook.Evidence{Recipients: []string{b.identity.Recipient().String()}, Paths: []string{p.Files.Log}}
	// The document has 15 minutes, 5 minutes and 1 minute: a game day has less.
	p.Recovery.WatchFor, p.Recovery.WatchEvery, p.Recovery.ErrorWindow = time.Second, 200*time.Millisecond, 2*time.Second
	for c, i := range p.Indicators {
		i.ClearFor = 2 * time.Second
		p.Indicators[c] = i
	}
	deps := playbook.Deps{
		Name: "gameday", Dir: filepath.Join(dir, "state"), Store: j, Channels: map[string]notify.Notifier{"email": to}, Log: log,
		Safety:     safety.Config{Flags: safety.FlagsIn(dir), PollOnly: true, MaxPosition: map[string]andon.Decimal{symbol: andon.MustDecimal("5")}},
		Venues:     map[string]safety.CloseVenue{"coinbase": {Venue: b.venue}},
		Protection: safety.ProtectionPolicy{Distance: andon.MustDecimal("0.05"), Instruments: map[string]andon.Instrument{symbol: {Tick: andon.MustDecimal("0.01"), Lot: andon.MustDecimal("0.001")}}},
		Books:      map[string]reconcile.Config{"coinbase": {Book: b.book, CheckWrite: b.mayWrite, InFlight: time.Millisecond}},
		Targets:    map[recovery.Component]recovery.Target{recovery.PositionDatabase: b.backups},
		Logs:       []string{p.Files.Log},
		Probes: map[severity.Condition]map[string]detect.Probe{
			severity.HealthCheckFailed:    {"engine": detect.Failing(b.engineRuns), "database": detect.Failing(b.databaseAnswers)},
			severity.VenueTimeouts:        {"venue/coinbase": detect.Failing(b.venueAnswers)},
			severity.IntegrityCheckFailed: {"positions": detect.Counting(b.unsound)},
			severity.UnusualTrading:       {"venue/coinbase": detect.Counting(b.strangers)},
		},
		Proofs: recovery.Proofs{
			ServicesRunning: b.stack.Stack.ServicesRunning, TestTrade: b.paperTrade,
			StakeholdersNotified: func(context.Context) (string, error) { return told(to) },
		},
		Runbooks: runbook.Deps{
			Containers: b.stack, Backups: b.backups,
			Restore: &pgbackup.Rescue{Store: b.backups, Request: pgbackup.Request{Tables: []string{"positions", "trades"}}, Dir: filepath.Join(dir, "plans")},
			Bot:     runbook.Bot{Health: b.stack.Status, Accounts: b.accounts, TestTrade: b.paperTrade},
			Database: runbook.Database{
				Integrity: b.integrity,
				Totals:    b.totals,
				Export:    b.export,
			},
		},
	}
	if b.Assembly, err = playbook.Assemble(ctx, p, deps); err != nil {
		return b, err
	}
	return b, b.start(ctx)
}

// start runs the bot, resumes it as a named person does, and places the stop that its
// position needs.
func (b *bot) start(ctx context.Context) error {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- b.Run(run) }()
	b.clean = append(b.clean, func() error { stop(); return <-ended })
	if err := b.agree(ctx); err != nil {
		return err
	}
	var err error
	for range 500 {
		if err = b.Switch.Resume(ctx, "Ada", "the game begins", b.Switch.Status().Holds); err == nil && b.Switch.Check() == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("trading does not begin: %w", errors.Join(err, b.Switch.Check()))
}

// agree has the book adopt what the exchange holds. Orders that are not live any more are
// looked up first, and booked as what became of them.
func (b *bot) agree(ctx context.Context) error {
	r, err := b.Reconcilers["coinbase"].Compare(ctx, time.Now())
	if err != nil {
		return err
	}
	for _, d := range r.Discrepancies() {
		if d.Kind != reconcile.StateUnknown {
			continue
		}
		o, err := b.venue.Lookup(ctx, symbol, d.Key.Order)
		if err != nil {
			return fmt.Errorf("what became of %v: %w", d.Key, err)
		}
		if _, err := b.db.Exec(ctx, `UPDATE andon.orders SET status = $1, filled = $2 WHERE client_id = $3`, o.Status.String(), o.Filled.String(), d.Key.Order); err != nil {
			return err
		}
	}
	if r, err = b.Reconcilers["coinbase"].Compare(ctx, time.Now()); err != nil {
		return err
	}
	p, err := r.Plan()
	if err != nil || p.Empty() {
		return err
	}
	_, err = b.Reconcilers["coinbase"].Apply(ctx, p, reconcile.Approval{By: "Ada", Note: "the first start", Commit: true}, time.Now())
	return err
}

// trade opens the exchange with a position that has its stop.
func (b *bot) trade(log string) error {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	b.clean = append(b.clean, f.Close)
	v := andontest.New(andontest.Config{Name: "coinbase"})
	v.SetPosition(andon.Position{Venue: "coinbase", Symbol: symbol, Quantity: andon.MustDecimal("2"), Entry: andon.MustDecimal("100"), Mark: andon.MustDecimal("100")})
	v.SetOrder(andon.Order{
		ClientID: "stop", VenueID: "stop", Venue: "coinbase", Symbol: symbol, Side: andon.Sell, Kind: andon.StopMarket,
		Quantity: andon.MustDecimal("2"), Trigger: andon.MustDecimal("95"), ReduceOnly: true, Status: andon.Live, At: time.Now(),
	})
	var key string
	b.exchange, key, err = opened(v, func(r *http.Request) {
		fmt.Fprintf(f, "%s WARN 401 Unauthorized %s from %s\n", time.Now().Format(time.RFC3339), r.URL.Path, r.RemoteAddr)
	})
	if err != nil {
		return err
	}
	b.key.Store(key)
	b.clean = append(b.clean, b.exchange.cut)
	b.clean = append(b.clean, func() error { b.exchange.lines.CloseIdleConnections(); return nil })
	b.venue = b.exchange.as(func() string { return b.key.Load().(string) })
	return nil
}

// store starts a PostgreSQL server with the bot's tables, and takes a backup of them.
func (b *bot) store(ctx context.Context, s *stage, backups string, log *slog.Logger) error {
	if err := s.build(func() { b.server = pgtest.Start(s) }); err != nil {
		return err
	}
	cfg, err := pgxpool.ParseConfig(b.server.ConnString())
	if err != nil {
		return err
	}
	if b.db, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return err
	}
	b.clean = append(b.clean, func() error { b.db.Close(); return nil })
	if _, err := b.db.Exec(ctx, tables, pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	if err := pgbook.Migrate(ctx, b.db, ""); err != nil {
		return err
	}
	if b.book, err = pgbook.Open(ctx, pgbook.Config{DB: b.db, Venue: "coinbase", CheckWrite: b.mayWrite,
		Skip: []string{"trades-leverage", "trades-address", "positions-orphan", "positions-future", "trades-orphan", "positions-fills"}}); err != nil {
		return err
	}
	storage, err := recovery.NewDirStorage(backups)
	if err != nil {
		return err
	}
	repository, err := recovery.NewRepository(recovery.RepositoryConfig{Component: recovery.PositionDatabase, Storage: storage})
	if err != nil {
		return err
	}
	b.backups, err = pgbackup.New(pgbackup.Config{
		Conn: cfg.ConnConfig, Repository: repository, LockTimeout: 30 * time.Second, PgDump: "no-pg_dump", Recorder: timeline{b}, Logger: log,
		Idle: func(context.Context) error {
			if b.Switch.CheckWrite() == nil {
				return errors.New("writes are not held")
			}
			return nil
		},
		Sums: []pgbackup.Sum{{Table: "positions", By: "symbol", Of: "quantity"}},
	})
	if err != nil {
		return err
	}
	backup, err := b.backups.Backup(ctx, time.Now())
	if err != nil {
		return err
	}
	if _, err := b.backups.Verify(ctx, backup.Name, time.Now()); err != nil {
		return err
	}
	time.Sleep(time.Until(backup.At.Add(1100 * time.Millisecond))) // a backup's name has seconds
	return nil
}

// contain starts the bot's engine in a container.
func (b *bot) contain(s *stage, dir string, log *slog.Logger) error {
	err := s.build(func() {
		b.box = dockertest.NewSandbox(s)
		b.box.Run(service, b.box.Image(dockertest.Image{Tag: "v1", Env: map[string]string{"VERSION": "v1"}}), map[string]any{})
	})
	if err != nil {
		return err
	}
	engine, err := docker.Dial("")
	if err != nil {
		return err
	}
	b.clean = append(b.clean, engine.Close)
	stack, err := docker.New(docker.Config{
		Engine: engine, Project: b.box.ID, Services: []string{service}, Dir: dir, Recorder: timeline{b}, Quiet: func(context.Context) error { return errors.New("an incident may be open") },
		Grace: 10 * time.Second, WellWithin: 30 * time.Second, Settle: 50 * time.Millisecond, Poll: 10 * time.Millisecond, Logger: log,
	})
	b.stack = &docker.Service{Stack: stack, Bot: service}
	return err
}

// timeline is the bot's, for what is built before the bot is whole.
type timeline struct{ b *bot }

func (t timeline) Record(ctx context.Context, at time.Time, who, what, why string) error {
	if t.b.Assembly == nil {
		return errors.New("the timeline is not open yet")
	}
	return t.b.Incidents.Record(ctx, at, who, what, why)
}

// mayWrite lets reconciliation write while writes are held, as a restore does.
func (b *bot) mayWrite() error {
	token, err := b.Switch.AllowWrite(context.Background(), "Ada", "reconciliation")
	if err != nil {
		return err
	}
	defer b.Switch.Release(token)
	return b.Switch.CheckWriteWith(token)
}

func (b *bot) engineRuns(ctx context.Context) error {
	_, err := b.stack.Status(ctx)
	return err
}

func (b *bot) databaseAnswers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := b.db.Exec(ctx, "SELECT 1")
	return err
}

func (b *bot) venueAnswers(ctx context.Context) error {
	_, err := b.venue.Balances(ctx)
	return err
}

func (b *bot) accounts(ctx context.Context) (string, error) {
	all, err := b.venue.Balances(ctx)
	return fmt.Sprint(len(all), " balances"), err
}

// paperTrade sends an order to an exchange of paper, and sees it live and cancelled.
func (b *bot) paperTrade(ctx context.Context) (string, error) {
	paper := andontest.New(andontest.Config{Name: "paper"})
	o := andon.Order{ClientID: "paper-1", Venue: "paper", Symbol: symbol, Side: andon.Buy, Kind: andon.Limit, Price: andon.MustDecimal("50"), Quantity: andon.MustDecimal("1")}
	live, err := paper.Submit(ctx, o)
	if err != nil {
		return "", err
	}
	if live.Status != andon.Live {
		return "", fmt.Errorf("the order is %v, want live", live.Status)
	}
	if err := paper.Cancel(ctx, live); err != nil {
		return "", err
	}
	got, err := paper.Lookup(ctx, symbol, o.ClientID)
	if err == nil && got.Status == andon.Live {
		err = errors.New("the order is live after it was cancelled")
	}
	return "an order was live, and cancelled", err
}

// told says that somebody was.
func told(to *notifytest.Recorder) (string, error) {
	n := len(to.Messages())
	if n == 0 {
		return "", errors.New("no message was accepted")
	}
	return fmt.Sprint(n, " messages were accepted"), nil
}

// unsound counts the problems of the bot's own rows.
func (b *bot) unsound(ctx context.Context) (int, string, error) {
	i, err := b.book.CheckIntegrity(ctx, time.Now())
	if err != nil || i.Clean() {
		return 0, "", err
	}
	return 1, i.String(), nil
}

func (b *bot) integrity(ctx context.Context) (string, error) {
	n, text, err := b.unsound(ctx)
	if err == nil && n > 0 {
		err = errors.New("the data is not sound")
	}
	return text, err
}

func (b *bot) totals(ctx context.Context) (string, error) {
	i, err := b.book.CheckIntegrity(ctx, time.Now())
	return fmt.Sprint(i.Totals), err
}

func (b *bot) export(ctx context.Context, path string) (string, error) {
	i, err := b.book.CheckIntegrity(ctx, time.Now())
	if err != nil {
		return "", err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	return path, i.Export(path)
}

// strangers counts the live orders that the bot did not send.
func (b *bot) strangers(ctx context.Context) (n int, what string, err error) {
	orders, err := b.venue.Orders(ctx)
	for _, o := range orders {
		if o.Status == andon.Live && !o.ReduceOnly {
			n++
			what = fmt.Sprintf("%v %v %v that this bot did not send", o.Side, o.Quantity, o.Symbol)
		}
	}
	return n, what, err
}

// sealed opens the evidence of an incident and counts its files.
func (b *bot) sealed(ctx context.Context, in incident.Incident) (int, error) {
	paths, err := filepath.Glob(filepath.Join(b.evidence, "*.tar.zst.age"))
	if err != nil || len(paths) != 1 {
		return 0, errors.Join(err, fmt.Errorf("%d archives for %s, want 1", len(paths), in.Number))
	}
	r, err := evidence.Verify(ctx, paths[0], "game master", b.identity)
	return len(r.Manifest.Entries), err
}

// close stops everything, the last first.
func (b *bot) close() error {
	var errs []error
	for len(b.clean) > 0 {
		last := len(b.clean) - 1
		errs = append(errs, b.clean[last]())
		b.clean = b.clean[:last]
	}
	return errors.Join(errs...)
}
