package runbook_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/safety"
)

// botWorld is what a bot lives in, in memory: each change that is done is in changes, in
// order, and what is done for a key is done once. Switch, venue, close-all, book and
// checklist are the real ones.
type botWorld struct {
	sw     *safety.Switch
	venue  *andontest.Venue
	closer *safety.Closer
	books  map[string]runbook.Reconciler
	list   *recovery.Checklist
	seq    *recovery.Sequence
	flag   string

	mu       sync.Mutex
	changes  []string
	keys     map[string]string
	limits   runbook.Resources
	started  time.Time
	sealed   time.Time
	backups  []recovery.Backup
	sick     error // of the containers
	logLines string
	stuck    bool  // a graceful restart does not help
	cut      error // the allow list is not enough
}

var quiet = slog.New(slog.DiscardHandler)

const symbol = "BTC-USD"

func newWorld(t testing.TB) *botWorld {
	t.Helper()
	ctx := context.Background()
	dir := t.TempDir()
	w := &botWorld{keys: map[string]string{}, started: time.Now().Add(-time.Hour), flag: filepath.Join(dir, "READONLY_MODE")}
	w.backups = []recovery.Backup{{Component: recovery.PositionDatabase, Name: "good", State: recovery.Verified, At: w.started, CompletedAt: w.started, VerifiedAt: w.started, Bytes: 1, Files: 1}}
	w.venue = andontest.New(andontest.Config{Name: "coinbase"})
	var err error
	w.sw, err = safety.Open(ctx, safety.Config{Name: "bot", Dir: filepath.Join(dir, "state"), Flags: safety.FlagsIn(dir), PollOnly: true, FlagPoll: 5 * time.Millisecond, Log: quiet})
	require.NoError(t, err)
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.sw.Run(running) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
		require.NoError(t, w.sw.Close())
	})
	require.NoError(t, w.sw.Resume(ctx, "Ada", "first start", w.sw.Status().Holds))
	require.Eventually(t, func() bool { return w.sw.Check() == nil }, 10*time.Second, time.Millisecond)
	w.venue.SetPosition(andon.Position{Venue: "coinbase", Symbol: symbol, Quantity: andon.MustDecimal("2"), Entry: andon.MustDecimal("100"), Mark: andon.MustDecimal("100")})
	w.closer, err = safety.NewCloser(safety.CloserConfig{Switch: w.sw, Venues: map[string]safety.CloseVenue{"coinbase": {Venue: w.venue}}, Book: w.venue, RetryEvery: time.Millisecond})
	require.NoError(t, err)
	book := reconcile.NewFileBook(filepath.Join(dir, "book"))
	require.NoError(t, book.Create(ctx))
	r, err := reconcile.New(reconcile.Config{Venue: "coinbase", Account: w.venue, Book: book, Recorder: nobody{}, Log: quiet})
	require.NoError(t, err)
	w.books = map[string]runbook.Reconciler{"coinbase": r}
	well := func(context.Context) (string, error) { return "seen", nil }
	window := func(context.Context, time.Duration) (string, error) { return "seen", nil }
	w.list, err = recovery.NewChecklist(recovery.ChecklistConfig{Recorder: nobody{}, Items: recovery.ValidationItems(recovery.Proofs{
		ServicesRunning: w.Status, NoErrorLogs: window, TestTrade: well, PositionsAccounted: well, RiskLimitsEnforced: well, AlertsCleared: well,
		StakeholdersNotified: well, PostMortemScheduled: well,
	})})
	require.NoError(t, err)
	steps := recovery.PriorityOrder()
	for i := range steps {
		steps[i].Check = well
	}
	w.seq, err = recovery.NewSequence(recovery.SequenceConfig{Steps: steps, Recorder: nobody{}})
	require.NoError(t, err)
	return w
}

type nobody struct{}

func (nobody) Record(context.Context, time.Time, string, string, string) error { return nil }

func (w *botWorld) change(what string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes = append(w.changes, what)
	return what
}

// once does what was not done for a key.
func (w *botWorld) once(key, what string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if was, ok := w.keys[key]; ok {
		return was, nil
	}
	w.keys[key] = what
	w.changes = append(w.changes, what)
	return what, nil
}

// keyed has what is done once for a key.
type keyed struct {
	w    *botWorld
	what string
}

func (k keyed) Preview(context.Context) (string, error) { return "would: " + k.what, nil }
func (k keyed) Done(_ context.Context, key string) (bool, string, error) {
	k.w.mu.Lock()
	defer k.w.mu.Unlock()
	was, ok := k.w.keys[key]
	return ok, was, nil
}
func (k keyed) Undo(_ context.Context, key, _, _ string) (string, error) {
	return k.w.once("undo "+key, "undo "+k.what)
}

type restore struct{ keyed }

func (r restore) Preview(_ context.Context, backup string) (string, error) {
	return "would: " + r.what + " " + backup, nil
}
func (r restore) Restore(_ context.Context, key, by, _, backup string) (string, error) {
	return r.w.once(key, r.what+" "+backup+" approved by "+by)
}
func (r restore) Verify(_ context.Context, backup string) (string, error) {
	return "as in " + backup, nil
}

type cutter struct{ keyed }

func (i cutter) Preview(context.Context) (string, error) { return "rules", i.w.cut }
func (i cutter) Block(_ context.Context, key, _, _ string) (string, error) {
	return i.w.once(key, "block")
}

type setter struct{ keyed }

func (s setter) Preview(_ context.Context, v map[string]string) (string, error) {
	return fmt.Sprint(v), nil
}
func (s setter) Set(_ context.Context, key, _, _ string, v map[string]string) (string, error) {
	return s.w.once(key, fmt.Sprintf("set %v", v))
}

type releaser struct{ keyed }

func (r releaser) Log(context.Context, int) (string, error)        { return "abc fix", nil }
func (r releaser) Stable(context.Context) (string, error)          { return "abc stable", nil }
func (r releaser) Diff(context.Context, ...string) (string, error) { return "nothing", nil }
func (r releaser) Preview(_ context.Context, rev string) (string, error) {
	return "would deploy " + rev, nil
}
func (r releaser) Deploy(_ context.Context, key, by, _, rev string) (string, error) {
	return r.w.once(key, "deploy "+rev+" approved by "+by)
}

type rotator struct{ keyed }

func (c rotator) Check(context.Context, string) (string, error) { return "works", nil }
func (c rotator) Preview(_ context.Context, venue string) (string, error) {
	return "would rotate " + venue, nil
}
func (c rotator) Rotate(_ context.Context, key, _, _, venue string) (string, error) {
	return c.w.once(key, "rotate "+venue)
}

// The containers.
func (w *botWorld) Status(context.Context) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.started.IsZero() {
		return "", errors.New("ai-trading-bot does not run")
	}
	return "ai-trading-bot runs", w.sick
}
func (w *botWorld) Logs(context.Context, bool, int, time.Duration, string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.logLines, nil
}
func (w *botWorld) Stats(context.Context) (string, error) { return "12 %", nil }
func (w *botWorld) Top(context.Context) (string, error)   { return "PID 1", nil }
func (w *botWorld) Started(context.Context) (time.Time, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.started, nil
}
func (w *botWorld) Limits(context.Context) (memory, cpus string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.limits.Memory, w.limits.CPUs, nil
}
func (w *botWorld) PreviewPrune(context.Context) (string, error) { return "would remove 3 images", nil }
func (w *botWorld) live(what string, at time.Time, sick error) (string, error) {
	w.change(what)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.started, w.sick = at, sick
	return what, sick
}
func (w *botWorld) Restart(context.Context, string, string) (string, error) {
	if w.stuck {
		return w.live("restart", w.started, errors.New("it does not end"))
	}
	return w.live("restart", time.Now(), nil)
}
func (w *botWorld) ForceRestart(context.Context, string, string) (string, error) {
	return w.live("force-restart", time.Now(), nil)
}
func (w *botWorld) Down(context.Context, string, string) (string, error) {
	return w.live("down", time.Time{}, nil)
}
func (w *botWorld) Up(context.Context, string, string) (string, error) {
	return w.live("up", cmp.Or(w.started, time.Now()), nil)
}
func (w *botWorld) ClearCache(context.Context, string, string) (string, error) {
	return w.change("clear-cache"), nil
}
func (w *botWorld) RebuildIndices(context.Context, string, string) (string, error) {
	return w.change("rebuild"), nil
}
func (w *botWorld) Signal(_ context.Context, s, _, _ string) (string, error) { return w.change(s), nil }
func (w *botWorld) SetLimits(_ context.Context, memory, cpus, _, _ string) (string, error) {
	w.mu.Lock()
	w.limits = runbook.Resources{Memory: memory, CPUs: cpus}
	w.mu.Unlock()
	return w.change(fmt.Sprintf("limits %s %s", memory, cpus)), nil
}
func (w *botWorld) Prune(_ context.Context, by, _ string) (string, error) {
	return w.change("prune approved by " + by), nil
}

// The evidence.
type vault struct{ w *botWorld }

func (v vault) Preview(context.Context) (string, error) { return "would seal logs/", nil }
func (v vault) Seal(context.Context, string, string, string) (string, error) {
	v.w.change("seal")
	v.w.mu.Lock()
	defer v.w.mu.Unlock()
	v.w.sealed = time.Now()
	return "evidence.age", nil
}
func (v vault) Sealed(_ context.Context, _ string, since time.Time) (string, error) {
	v.w.mu.Lock()
	defer v.w.mu.Unlock()
	if v.w.sealed.IsZero() || v.w.sealed.Before(since) {
		return "", nil
	}
	return "evidence.age", nil
}

// The backups.
type backups struct{ w *botWorld }

func (b backups) Backup(_ context.Context, now time.Time) (recovery.Backup, error) {
	b.w.change("backup")
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	n := recovery.Backup{Component: recovery.PositionDatabase, Name: recovery.BackupName(now, len(b.w.backups)+1), At: now, CompletedAt: now, State: recovery.Complete, Bytes: 1}
	b.w.backups = append([]recovery.Backup{n}, b.w.backups...)
	return n, nil
}
func (b backups) Verify(_ context.Context, name string, now time.Time) (recovery.Backup, error) {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	for i := range b.w.backups {
		if b.w.backups[i].Name == name {
			b.w.backups[i].State, b.w.backups[i].VerifiedAt = recovery.Verified, now
			return b.w.backups[i], nil
		}
	}
	return recovery.Backup{}, recovery.ErrNotFound
}
func (b backups) Backups(context.Context) ([]recovery.Backup, error) {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	return append([]recovery.Backup(nil), b.w.backups...), nil
}

// saw is a look that finds all well.
func saw(context.Context) (string, error) { return "seen", nil }

func sawWith[A any](_ context.Context, a A) (string, error) { return fmt.Sprint("seen ", a), nil }

func (w *botWorld) deps() runbook.Deps {
	act := func(what string) runbook.Action {
		k := keyed{w, what}
		return runbook.Action{
			Plan: k.Preview,
			Do:   func(_ context.Context, c runbook.Call) (string, error) { return w.once(c.Key, what) },
			Done: func(ctx context.Context, c runbook.Call) (bool, string, error) { return k.Done(ctx, c.Key) },
		}
	}
	d := runbook.Deps{
		ReadOnlyFlag: w.flag, Venues: map[string]andon.Venue{"coinbase": w.venue}, Recorder: nobody{},
		Cord: w.sw, Closer: w.closer, Books: w.books, Sequence: w.seq, Checklist: w.list,
		Protection: safety.ProtectionPolicy{Distance: andon.MustDecimal("0.05"), Instruments: map[string]andon.Instrument{symbol: {Tick: andon.MustDecimal("0.01"), Lot: andon.MustDecimal("0.001")}}},
		Backups:    backups{w}, Restore: restore{keyed{w, "restore"}}, SecureBackup: restore{keyed{w, "secure-restore"}}, Containers: w, Evidence: vault{w},
		Settings: setter{keyed{w, "set"}}, Releases: releaser{keyed{w, "deploy"}}, Credentials: rotator{keyed{w, "rotate"}}, Isolation: cutter{keyed{w, "block"}},
		Database: runbook.Database{Integrity: saw, Totals: saw, Export: func(_ context.Context, path string) (string, error) {
			return w.change("export to " + filepath.Base(path)), nil
		},
			Suspicious: saw, Connections: saw, SlowQueries: sawWith[time.Duration], CacheRates: saw, Vacuum: func(context.Context) (string, error) { return w.change("vacuum"), nil }},
		Host: runbook.Host{Disk: saw, Memory: saw, IO: saw, ProcessIO: saw, Network: saw, Processes: saw, Logins: saw, History: saw, Checksums: saw,
			Changed: sawWith[time.Duration], SystemLog: sawWith[time.Duration], Ping: sawWith[int], Route: saw, DNS: saw},
		Bot:    runbook.Bot{Health: saw, TestTrade: saw, Accounts: saw, WebSocket: saw, Audit: saw, APIUsage: sawWith[int], Grep: sawWith[string], CPU: saw, Heap: saw, Profile: saw, Threads: saw},
		Notify: runbook.Notify{Alert: act("alert"), Channel: act("channel"), StatusPage: act("status-page")},
		Cache:  act("flush"), Whitelist: "192.0.2.1", WatchFor: 40 * time.Millisecond, WatchEvery: 10 * time.Millisecond,
	}
	return d
}

// seen is everything of the world that a runbook could change.
func (w *botWorld) seen(t testing.TB) string {
	t.Helper()
	var orders []string
	for _, o := range w.venue.Truth().Orders {
		orders = append(orders, fmt.Sprintf("%+v", o))
	}
	book, err := w.books["coinbase"].Compare(t.Context(), time.Now())
	require.NoError(t, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	status := w.sw.Status()
	_, flag := os.Lstat(w.flag)
	return fmt.Sprintf("%v %v %v %v %v %v %v %v %v %v", status.State, status.Holds, flag, orders, w.venue.Truth().Positions, w.changes, w.limits, w.started.UnixNano(), w.backups, len(book.Discrepancies()))
}

// drive approves and attests whatever a run waits for, and returns it when it is over.
// skip are the steps that people skip.
func drive(t testing.TB, e *runbook.Engine, id string, skip ...string) runbook.Run {
	t.Helper()
	for range 200 {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		r, err := e.Wait(ctx, id)
		cancel()
		var waits *runbook.WaitingError
		if !errors.As(err, &waits) {
			require.NoError(t, err)
			return r
		}
		decide(t, e, r, waits.For, skip)
	}
	t.Fatal("the run does not end")
	return runbook.Run{}
}

func decide(t testing.TB, e *runbook.Engine, r runbook.Run, waits string, skip []string) {
	t.Helper()
	for _, s := range r.Steps {
		if !strings.Contains(waits, fmt.Sprintf("step %q", s.Name)) {
			continue
		}
		if slices.Contains(skip, s.Name) {
			require.NoError(t, e.Skip(t.Context(), r.ID, s.Name, "Ada", "it is not needed"))
			return
		}
		switch {
		case strings.Contains(waits, "to Approve"):
			by := "Grace"
			if len(s.Approvals) > 0 {
				by = "Linus"
			}
			require.NoError(t, e.Approve(t.Context(), r.ID, s.Name, by, "it is right"))
		case strings.Contains(waits, "Attest"):
			require.NoError(t, e.Attest(t.Context(), r.ID, s.Name, "Ada", "done by hand at 12:04"))
		default:
			t.Fatalf("%s: %s: %s", waits, s.Status, s.Error)
		}
		return
	}
	t.Fatal(waits)
}

// run runs a runbook to its end.
func run(t testing.TB, d runbook.Deps, name string, params map[string]string, skip ...string) runbook.Run {
	t.Helper()
	books, err := runbook.Playbook(d)
	require.NoError(t, err)
	e, _ := engine(t, &timeline{}, books...)
	id, err := e.Start(t.Context(), name, "INC-20260301-001", "Ada", "the engine does not answer", params)
	require.NoError(t, err)
	return drive(t, e, id, skip...)
}
