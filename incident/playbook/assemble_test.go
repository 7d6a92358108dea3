package playbook_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/incident/detect"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/incident/playbook"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/notifytest"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/recoverytest"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

// staffed is the document with people who can be reached on the channel email.
func staffed() playbook.Playbook {
	p := playbook.Default()
	maps.Copy(p.Contacts["on_call_rotation"], map[string]string{"primary": "ada@example.com", "secondary": "grace@example.com"})
	return p
}

// bot is what a test's bot gives.
type bot struct {
	playbook.Deps
	dir   string
	store *incidenttest.Memory
	pager *notifytest.Recorder
}

func newBot(t testing.TB) (*playbook.Playbook, *bot) {
	t.Helper()
	p, b := staffed(), &bot{dir: t.TempDir(), store: &incidenttest.Memory{}, pager: &notifytest.Recorder{}}
	p.Files.EmergencyStop, p.Files.ReadOnly = filepath.Join(b.dir, "EMERGENCY_STOP"), filepath.Join(b.dir, "READONLY_MODE")
	p.Files.Incidents = b.dir
	b.Deps = playbook.Deps{
		Name: "test", Dir: b.dir, Store: b.store, Logs: []string{},
		Channels: map[string]notify.Notifier{"email": b.pager},
		Safety:   safety.Config{PollOnly: true},
		Log:      slog.New(slog.DiscardHandler),
	}
	return &p, b
}

// start assembles and runs a bot until the test ends.
func start(t testing.TB, p *playbook.Playbook, b *bot) *playbook.Assembly {
	t.Helper()
	a, err := playbook.Assemble(t.Context(), *p, b.Deps)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-ended) })
	return a
}

func TestADefaultWithoutPeopleIsRefused(t *testing.T) {
	_, b := newBot(t)
	_, err := playbook.Assemble(t.Context(), playbook.Default(), b.Deps)
	require.ErrorContains(t, err, "primary")
	require.ErrorContains(t, err, "cannot be reached on email")
}

func TestAssembleNamesEverythingThatIsMissing(t *testing.T) {
	_, err := playbook.Assemble(t.Context(), staffed(), playbook.Deps{
		Dir: "relative", Probes: map[severity.Condition]map[string]detect.Probe{"nonsense": nil},
		Steps: map[string]recovery.Step{"Coffee": {}}, Checks: map[string]recovery.Check{"Tea": nil},
		Targets: map[recovery.Component]recovery.Target{"Fridge": nil},
		Venues:  map[string]safety.CloseVenue{"x": {}},
		Parts:   map[string]func(context.Context, *playbook.Assembly) error{"nothing": nil},
	})
	for _, want := range []string{"Name is empty", `Dir is "relative"`, "Store is nil", "Channels is empty", `Probes["nonsense"]`,
		`Steps["Coffee"]`, `Checks["Tea"]`, `Targets["Fridge"]`, `Venues["x"].Venue is nil`, `Parts["nothing"] is nil`} {
		require.ErrorContains(t, err, want)
	}
}

func TestWhatIsRefusedLeavesTheStateFree(t *testing.T) {
	p, b := newBot(t)
	b.Channels = map[string]notify.Notifier{"smoke": b.pager} // nobody can be reached on it
	_, err := playbook.Assemble(t.Context(), *p, b.Deps)
	require.Error(t, err)
	b.Channels = map[string]notify.Notifier{"email": b.pager}
	a, err := playbook.Assemble(t.Context(), *p, b.Deps)
	require.NoError(t, err, "the state directory is not in use")
	require.NoError(t, a.Switch.Close())
}

func TestAnIncidentHaltsAndPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newBot(t)
		a := start(t, p, b)
		synctest.Wait()
		resume(t, a)
		in, err := a.Incidents.Declare(t.Context(), "test", "the engine does not answer", severity.Signal{Condition: severity.HealthCheckFailed, Component: "engine", At: time.Now()})
		require.NoError(t, err)
		require.Equal(t, safety.Halted, a.Switch.State())
		time.Sleep(time.Second)
		require.NotEmpty(t, b.pager.Messages())
		require.Equal(t, "ada@example.com", b.pager.Messages()[0].To)
		require.Contains(t, b.pager.Messages()[0].Text, "INCIDENT ALERT - SEV-1")
		in, err = a.Incidents.Get(in.Number)
		require.NoError(t, err)
		require.False(t, in.FirstPageAt.IsZero())
	})
}

// resume opens the gate as a person does at the very first start.
func resume(t testing.TB, a *playbook.Assembly) {
	t.Helper()
	require.NoError(t, a.Switch.Resume(t.Context(), "Ada", "the first start", a.Switch.Status().Holds))
	require.Equal(t, safety.Active, a.Switch.State())
}

func TestAPartThatEndsShutsTheGateAndStopsTheRest(t *testing.T) {
	for name, part := range map[string]func(context.Context, *playbook.Assembly) error{
		"error": func(context.Context, *playbook.Assembly) error { return errors.New("out of order") },
		"panic": func(context.Context, *playbook.Assembly) error { panic("out of order") },
		"end":   func(context.Context, *playbook.Assembly) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, b := newBot(t)
				b.Parts = map[string]func(context.Context, *playbook.Assembly) error{
					"console": func(ctx context.Context, a *playbook.Assembly) error {
						time.Sleep(time.Minute)
						return part(ctx, a)
					},
				}
				a, err := playbook.Assemble(t.Context(), *p, b.Deps)
				require.NoError(t, err)
				ended := make(chan error, 1)
				go func() { ended <- a.Run(t.Context()) }()
				synctest.Wait()
				resume(t, a)
				time.Sleep(2 * time.Minute)
				err = <-ended
				require.ErrorContains(t, err, "console has ended by itself")
				if name != "end" {
					require.ErrorContains(t, err, "out of order")
				}
				require.Equal(t, safety.Halted, a.Switch.State())
				require.ErrorIs(t, a.Switch.Check(), safety.ErrDenied)
				require.True(t, slices.ContainsFunc(a.Switch.Status().Holds, func(h safety.Hold) bool {
					return h.By == "playbook" && strings.Contains(h.Reason, "console has ended")
				}), "a hold says why, and stays until a person resumes")
			})
		})
	}
}

func TestAPartThatDoesNotStopIsLeftBehindAndNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newBot(t)
		release := make(chan struct{})
		b.Parts = map[string]func(context.Context, *playbook.Assembly) error{
			"deaf": func(context.Context, *playbook.Assembly) error { <-release; return nil },
		}
		a, err := playbook.Assemble(t.Context(), *p, b.Deps)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		synctest.Wait()
		cancel()
		err = <-ended
		require.ErrorContains(t, err, "deaf did not stop within 30s")
		require.Equal(t, safety.Halted, a.Switch.State())
		close(release)
	})
}

// TestStoppingIsRecorded shows the order: what is recorded while the first parts stop is on
// the timeline when Run has returned.
func TestStoppingIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newBot(t)
		b.Parts = map[string]func(context.Context, *playbook.Assembly) error{
			"last words": func(ctx context.Context, a *playbook.Assembly) error {
				<-ctx.Done()
				time.Sleep(time.Second)
				if a.Switch.Check() != nil { // the switch is stopped after us
					return errors.New("the gate shut before the parts that act had ended")
				}
				return a.Incidents.Record(context.WithoutCancel(ctx), time.Now(), "last words", "said", "stopping")
			},
		}
		a, err := playbook.Assemble(t.Context(), *p, b.Deps)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		synctest.Wait()
		resume(t, a)
		cancel()
		require.NoError(t, <-ended)
		var found bool
		for e, err := range b.store.Read(t.Context(), 0) {
			require.NoError(t, err)
			found = found || e.By == "last words"
		}
		require.True(t, found)
	})
}

func TestAMissedObjectiveIsAnIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newBot(t)
		target := recoverytest.NewTarget(recovery.PositionDatabase, []byte("rows"))
		b.Targets = map[recovery.Component]recovery.Target{recovery.PositionDatabase: target}
		a := start(t, p, b)
		synctest.Wait()
		resume(t, a)
		time.Sleep(10 * time.Minute) // no restore was drilled, since nothing keeps the verdicts
		in := incidenttest.RequireDeclared(t, a.Incidents, playbook.ObjectiveMissed, "backup/Position Database")
		require.Equal(t, severity.SEV3, in.Level)
		require.Equal(t, safety.Active, a.Switch.State(), "trading goes on")
		for _, other := range a.Incidents.All() {
			require.Equal(t, in.Number, other.Number, "a component without a target can only be told")
		}
	})
}

func TestARunbookStartsByItselfOnlyWhereThePlaybookSaysSo(t *testing.T) {
	for _, by := range [][]severity.Condition{nil, {severity.HighMemory}} {
		synctest.Test(t, func(t *testing.T) {
			p, b := newBot(t)
			name := string(severity.PerformanceDegradation)
			cfg := p.Runbooks[name]
			cfg.Start = by
			p.Runbooks[name] = cfg
			a := start(t, p, b)
			synctest.Wait()
			for range 2 { // the second declaration is of the same incident
				_, err := a.Incidents.Declare(t.Context(), "test", "memory is full", severity.Signal{Condition: severity.HighMemory, Component: "host", At: time.Now()})
				require.NoError(t, err)
				time.Sleep(time.Minute)
			}
			var started []runbook.Run
			for _, r := range a.Runbooks.All() {
				require.Equal(t, name, r.Runbook)
				started = append(started, r)
			}
			require.Len(t, started, len(by))
		})
	}
}

func TestMissingNamesTheRows(t *testing.T) {
	p, b := newBot(t)
	a, err := playbook.Assemble(t.Context(), *p, b.Deps)
	require.NoError(t, err)
	bare := a.Missing()
	require.NoError(t, a.Switch.Close())
	rows := map[string]string{}
	for _, g := range bare {
		require.NotEmpty(t, g.Row, g.Dep)
		require.NotEmpty(t, g.Without, g.Dep)
		rows[g.Dep] = g.Row
	}
	for _, dep := range []string{"Venues", "Books", "Targets[Trading Engine]", "Evidence.Recipients", "Runbooks.Containers", "Steps[Stop Loss System]", "Probes[high-cpu]"} {
		require.Contains(t, rows, dep)
	}

	p, b = newBot(t)
	b.Venues = map[string]safety.CloseVenue{"sim": {Venue: andontest.New(andontest.Config{Name: "sim"})}}
	b.Probes = map[severity.Condition]map[string]detect.Probe{severity.HighCPU: {"host": func(context.Context) (severity.Value, string, error) {
		return severity.Percent(1), "", nil
	}}}
	a, err = playbook.Assemble(t.Context(), *p, b.Deps)
	require.NoError(t, err)
	defer func() { require.NoError(t, a.Switch.Close()) }()
	less := a.Missing()
	require.Less(t, len(less), len(bare))
	for _, g := range less {
		require.NotEqual(t, "Venues", g.Dep)
		require.NotEqual(t, "Probes[high-cpu]", g.Dep)
	}
	require.NotNil(t, a.Closer)
	require.Contains(t, a.Steps.Venues, "sim")
}

func TestWhatAPartSaysAtTheEndIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newBot(t)
		b.Parts = map[string]func(context.Context, *playbook.Assembly) error{
			"quiet": func(ctx context.Context, _ *playbook.Assembly) error { <-ctx.Done(); return ctx.Err() },
			"state": func(ctx context.Context, _ *playbook.Assembly) error {
				<-ctx.Done()
				return errors.Join(ctx.Err(), errors.New("the disk is full"))
			},
		}
		a, err := playbook.Assemble(t.Context(), *p, b.Deps)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		synctest.Wait()
		cancel()
		require.EqualError(t, <-ended, "state: the disk is full")
	})
}
