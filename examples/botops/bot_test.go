package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"filippo.io/age"
	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/incident/evidence"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/incident/playbook"
	"github.com/andon-go/andon/incident/playbook/control"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/filebackup"
	"github.com/andon-go/andon/safety"
)

// pager appends every message to a file, as somebody's telephone would show it.
type pager struct {
	mu   sync.Mutex
	path string
}

func (p *pager) Notify(_ context.Context, m notify.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, err := os.OpenFile(p.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s\n", m.Text)
	return errors.Join(err, f.Close())
}

// changes is what has keys and releases in the test's bot: it writes down what it did.
type changes struct{ dir string }

func (c changes) Check(context.Context, string) (string, error)   { return "key works", nil }
func (c changes) Preview(context.Context, string) (string, error) { return "would change", nil }
func (c changes) do(key, what string) (string, error) {
	return "changed " + what, os.WriteFile(filepath.Join(c.dir, "changed-"+what), []byte(key), 0o600)
}

func (c changes) Rotate(_ context.Context, key, _, _, venue string) (string, error) {
	return c.do(key, venue)
}

func (c changes) Deploy(_ context.Context, key, _, _, revision string) (string, error) {
	return c.do(key, revision)
}

func (c changes) Done(context.Context, string) (bool, string, error) { return false, "", nil }
func (c changes) Undo(context.Context, string, string, string) (string, error) {
	return "", errors.ErrUnsupported
}
func (c changes) Log(context.Context, int) (string, error)        { return "log", nil }
func (c changes) Stable(context.Context) (string, error)          { return "stable", nil }
func (c changes) Diff(context.Context, ...string) (string, error) { return "", nil }

// testbot is a bot in a process of its own: everything is wired, and nothing is faked but the
// exchange and the pager.
func testbot() {
	if err := runBot(os.Getenv("TESTBOT_DIR")); err != nil {
		fmt.Fprintln(os.Stderr, "testbot:", err)
		os.Exit(1)
	}
}

func runBot(dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	state := filepath.Join(dir, "state")
	if err := os.MkdirAll(state, 0o700); err != nil {
		return err
	}
	j, err := journal.Open(filepath.Join(state, "bot.journal"))
	if err != nil {
		return err
	}
	defer j.Close()
	venue := andontest.New(andontest.Config{Name: "coinbase"})
	venue.SetPosition(andon.Position{Symbol: "BTC-USD", Quantity: andon.MustDecimal("0.5")})
	instruments := map[string]andon.Instrument{"BTC-USD": {Tick: andon.MustDecimal("0.01"), Lot: andon.MustDecimal("0.1")}}
	conf := filepath.Join(dir, "conf")
	if err := errors.Join(os.MkdirAll(conf, 0o700), os.WriteFile(filepath.Join(conf, "production.json"), []byte(`{"a":1}`), 0o600)); err != nil {
		return err
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "key.txt"), []byte(key.String()+"\n"), 0o600),
		os.WriteFile(filepath.Join(dir, "recipient.txt"), []byte(key.Recipient().String()), 0o600)); err != nil {
		return err
	}

	p := playbook.Default()
	p.Contacts["on_call_rotation"]["primary"], p.Contacts["on_call_rotation"]["secondary"] = "ada@example.com", "grace@example.com"
	p.Files.EmergencyStop, p.Files.ReadOnly = filepath.Join(dir, "EMERGENCY_STOP"), filepath.Join(dir, "READONLY_MODE")
	p.Files.Incidents = filepath.Join(dir, "incidents")
	p.Evidence.Recipients, p.Evidence.Paths = []string{key.Recipient().String()}, []string{conf}
	look := func(text string) runbook.Look {
		return func(context.Context) (string, error) { return text, nil }
	}
	book := reconcile.NewFileBook(filepath.Join(dir, "book.json"))
	if _, err := os.Stat(book.Path()); errors.Is(err, os.ErrNotExist) {
		fill := func(r *reconcile.Records) error {
			at, err := venue.Positions(ctx)
			r.Positions = at
			return err
		}
		if err := errors.Join(book.Create(ctx), book.Update(ctx, fill)); err != nil {
			return err
		}
	}
	history, err := recovery.NewDirStorage(filepath.Join(dir, "history"))
	if err != nil {
		return err
	}
	var assembly *playbook.Assembly
	files, err := filebackup.New(filebackup.Config{
		Component: recovery.Configuration, Dir: filepath.Join(dir, "backups"), Sources: []string{conf},
		Recorder: recorderFunc(func(ctx context.Context, at time.Time, who, what, why string) error {
			return assembly.Incidents.Record(ctx, at, who, what, why)
		}),
	})
	if err != nil {
		return err
	}
	deps := playbook.Deps{
		Name: "testbot", Dir: state, Store: j, Logs: []string{},
		Channels:   map[string]notify.Notifier{"email": &pager{path: filepath.Join(dir, "pages.txt")}},
		Venues:     map[string]safety.CloseVenue{"coinbase": {Venue: venue, Instruments: instruments}},
		Protection: safety.ProtectionPolicy{Distance: andon.MustDecimal("0.05"), Instruments: instruments},
		Books:      map[string]reconcile.Config{"coinbase": {Book: book}},
		Targets:    map[recovery.Component]recovery.Target{recovery.Configuration: files}, History: history,
		Evidence: []evidence.Item{},
		Runbooks: runbook.Deps{
			Bot: runbook.Bot{
				Health: look("engine answers"), WebSocket: look("ticker 20 ms old"), TestTrade: look("paper order filled"),
				Audit: func(context.Context) (string, error) { return "0 of 3", errors.New(".env has mode 0644") },
				APIUsage: func(_ context.Context, days int) (string, error) {
					return fmt.Sprintf("calls of %d days", days), nil
				},
				Threads: look("goroutine 1 [running]"),
			},
			Credentials: changes{dir}, Releases: changes{dir},
		},
		Log: slog.New(slog.DiscardHandler),
	}
	if os.Getenv("TESTBOT_DEAF") == "" {
		deps.Parts = map[string]func(context.Context, *playbook.Assembly) error{"control": control.Part(filepath.Join(dir, "run", "control.sock"))}
	}
	if assembly, err = playbook.Assemble(ctx, p, deps); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "pid"), fmt.Append(nil, os.Getpid()), 0o600); err != nil {
		return err
	}
	drift := make(chan os.Signal, 1)
	signal.Notify(drift, syscall.SIGUSR1)
	go func() {
		<-drift // somebody trades by hand
		venue.SetPosition(andon.Position{Symbol: "BTC-USD", Quantity: andon.MustDecimal("0.7")})
	}()
	return assembly.Run(ctx)
}

type recorderFunc func(ctx context.Context, at time.Time, who, what, why string) error

func (f recorderFunc) Record(ctx context.Context, at time.Time, who, what, why string) error {
	return f(ctx, at, who, what, why)
}
