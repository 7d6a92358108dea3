package playbook_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"
	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/detect"
	"github.com/andon-go/andon/incident/evidence"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/incident/playbook"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

// withBook gives the bot a venue and a book that is empty.
func withBook(t testing.TB, b *bot) (*andontest.Venue, *reconcile.FileBook) {
	t.Helper()
	venue := andontest.New(andontest.Config{Name: "sim"})
	book := reconcile.NewFileBook(filepath.Join(b.dir, "book.json"))
	require.NoError(t, book.Create(t.Context()))
	b.Venues = map[string]safety.CloseVenue{"sim": {Venue: venue}}
	b.Books = map[string]reconcile.Config{"sim": {Book: book}}
	return venue, book
}

func TestBooksThatDisagreeKeepTheGateShutAndAreAnIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newBot(t)
		venue, _ := withBook(t, b)
		a := start(t, p, b)
		synctest.Wait()
		resume(t, a)
		time.Sleep(10 * time.Second)
		require.Equal(t, safety.Active, a.Switch.State(), "book and venue agree")

		venue.SetPosition(andon.Position{Symbol: "BTC-USD", Quantity: andon.MustDecimal("0.5")}) // nobody booked it
		time.Sleep(time.Minute)
		require.Equal(t, safety.Halted, a.Switch.State())
		in := incidenttest.RequireDeclared(t, a.Incidents, severity.InconsistentPositions, "book/sim")
		require.Equal(t, severity.SEV1, in.Level)
		err := a.Switch.Resume(t.Context(), "Ada", "looks fine", a.Switch.Status().Holds)
		require.ErrorIs(t, err, safety.ErrResumeRefused)
		require.ErrorIs(t, err, reconcile.ErrNotClean)
	})
}

func TestTheBotsOwnConditionOfAResumeComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newBot(t)
		no := errors.New("the strategy is not warm")
		b.Safety.BeforeResume = func(context.Context) error { return no }
		a := start(t, p, b)
		synctest.Wait()
		require.ErrorIs(t, a.Switch.Resume(t.Context(), "Ada", "first start", a.Switch.Status().Holds), no)
	})
}

func TestWhatTheBooksHoldIsTheBotsOwnToClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newBot(t)
		venue, book := withBook(t, b)
		venue.SetPosition(andon.Position{Symbol: "BTC-USD", Quantity: andon.MustDecimal("0.5")})
		venue.SetPosition(andon.Position{Symbol: "ETH-USD", Quantity: andon.MustDecimal("2")})
		require.NoError(t, book.Update(t.Context(), func(r *reconcile.Records) error {
			r.Positions = []andon.Position{{Venue: "sim", Symbol: "BTC-USD", Quantity: andon.MustDecimal("0.5")}}
			return nil
		}))
		a := start(t, p, b)
		plan, err := a.Closer.Plan(t.Context(), time.Now())
		require.NoError(t, err)
		closing := map[string]string{}
		for _, leg := range plan.Venues[0].Legs {
			closing[leg.Symbol] = leg.Close.String()
		}
		require.Equal(t, map[string]string{"BTC-USD": "0.5", "ETH-USD": "0"}, closing, "what nobody booked is kept")
	})
}

func TestTheFlagsAreThePlaybooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newBot(t)
		a := start(t, p, b)
		synctest.Wait()
		resume(t, a)
		require.NoError(t, os.WriteFile(p.Files.ReadOnly, nil, 0o600))
		time.Sleep(time.Second)
		require.Equal(t, safety.Reducing, a.Switch.State())
		require.Error(t, a.Switch.CheckWrite())
		require.NoError(t, os.WriteFile(p.Files.EmergencyStop, nil, 0o600))
		time.Sleep(time.Second)
		require.Equal(t, safety.Halted, a.Switch.State())
	})
}

func TestTheChecklistIsProvenOnTheTimeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newBot(t)
		withBook(t, b)
		p.Checklist = append(p.Checklist, "Regulator informed", "Margin restored")
		yes := func(context.Context) (string, error) { return "seen", nil }
		b.Proofs = recovery.Proofs{ServicesRunning: yes, TestTrade: yes}
		b.Checks = map[string]recovery.Check{"Margin restored": yes}
		b.Safety.Limits.MinTimeBetweenTrades = time.Second
		b.Logs = []string{filepath.Join(b.dir, "bot.log")}
		require.NoError(t, os.WriteFile(b.Logs[0], nil, 0o600))
		a := start(t, p, b)
		synctest.Wait()
		in, err := a.Incidents.Declare(t.Context(), "test", "a screen is wrong", severity.Signal{Condition: severity.DashboardIssue, Component: "ui", At: time.Now()})
		require.NoError(t, err)

		err = a.Prove(t.Context(), in.Number, "Ada")
		require.ErrorIs(t, err, recovery.ErrUnproven)
		require.ErrorContains(t, err, "followed for")
		left, err := a.Incidents.Unproven(in.Number)
		require.NoError(t, err)
		require.Equal(t, []string{recovery.ItemNoErrorLogs, recovery.ItemStakeholdersNotified, recovery.ItemPostMortemScheduled, "Regulator informed"}, left)

		appendTo(t, b.Logs[0], "12:00 ERROR order failed\n")
		time.Sleep(4 * time.Minute)
		require.ErrorContains(t, a.Prove(t.Context(), in.Number, "Ada"), "ERROR order failed")
		time.Sleep(2 * time.Minute)
		for _, item := range left[1:] {
			require.NoError(t, a.Checklist.Attest(t.Context(), time.Now(), item, "Ada", "by telephone"))
		}
		require.NoError(t, a.Prove(t.Context(), in.Number, "Ada"))
		left, err = a.Incidents.Unproven(in.Number)
		require.NoError(t, err)
		require.Empty(t, left)
		require.NoError(t, a.Incidents.Resolve(t.Context(), in.Number, incident.Resolution{By: "Ada", Note: "screen repaired"}))
		require.ErrorIs(t, a.Prove(t.Context(), in.Number, "Ada"), incident.ErrResolved)
	})
}

func appendTo(t testing.TB, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(text)
	require.NoError(t, errors.Join(err, f.Close()))
}

// TestLaw1_NothingIsProvenByWhatIsNotThere has a bot without logs, limits and books: law 1.
func TestLaw1_NothingIsProvenByWhatIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newBot(t)
		b.Probes = map[severity.Condition]map[string]detect.Probe{severity.HighMemory: {"host": func(context.Context) (severity.Value, string, error) {
			return severity.Percent(99), "", nil
		}}}
		a := start(t, p, b)
		time.Sleep(time.Minute)
		require.Error(t, a.Checklist.Run(t.Context(), "Ada"))
		for _, r := range a.Checklist.Results() {
			require.False(t, r.Proven, "%s: %s", r.Text, r.Evidence)
		}
		require.Len(t, a.Checklist.Results(), 8)
		incidenttest.RequireDeclared(t, a.Incidents, severity.HighMemory, "host")
	})
}

func TestResyncIsCalledAtTheStartAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newBot(t)
		began := time.Now()
		var calls []time.Duration
		b.Resync = func(context.Context, *playbook.Assembly) error {
			calls = append(calls, time.Since(began))
			return errors.New("the Alertmanager does not answer")
		}
		a := start(t, p, b)
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		require.Equal(t, []time.Duration{0, 5 * time.Minute, 10 * time.Minute}, calls, "an error is tried again, and stops nothing")
		resume(t, a)
	})
}

func TestEvidenceIsSealedForThePlaybooksRecipients(t *testing.T) {
	p, b := newBot(t)
	identity, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	secrets := filepath.Join(b.dir, ".env")
	require.NoError(t, os.WriteFile(secrets, []byte("KEY=value"), 0o600))
	p.Evidence.Recipients, p.Evidence.Paths = []string{identity.Recipient().String()}, []string{secrets}
	b.Evidence = []evidence.Item{evidence.Text("host", "uptime.txt", func(context.Context) ([]byte, error) { return []byte("1 day"), nil })}
	a := start(t, p, b)
	_, err = a.Steps.Evidence.Seal(t.Context(), "Ada", "INC-20260301-001", "a breach")
	require.NoError(t, err)
	archives, err := filepath.Glob(filepath.Join(p.Files.Incidents, "*.age"))
	require.NoError(t, err)
	require.Len(t, archives, 1)
	report, err := evidence.Verify(t.Context(), archives[0], "Grace", identity)
	require.NoError(t, err)
	var sources []string
	for _, e := range report.Manifest.Entries {
		sources = append(sources, filepath.Base(e.Path))
	}
	require.ElementsMatch(t, []string{".env", "uptime.txt"}, sources)
}

func TestTheRunbooksHaveWhatTheAssemblyHas(t *testing.T) {
	p, b := newBot(t)
	venue, _ := withBook(t, b)
	p.Settings.Whitelist = []string{"192.0.2.1", "192.0.2.2"}
	p.Settings.Resources.Memory = "8g"
	p.Recovery.WatchFor = time.Hour
	p.Files.Suspicious = "/tmp/elsewhere.json"
	b.Runbooks.Bot.Health = func(context.Context) (string, error) { return "well", nil }
	a, err := playbook.Assemble(t.Context(), *p, b.Deps)
	require.NoError(t, err)
	defer func() { require.NoError(t, a.Switch.Close()) }()
	require.Same(t, a.Switch, a.Steps.Cord)
	require.Equal(t, andon.Venue(venue), a.Steps.Venues["sim"])
	require.NotNil(t, a.Steps.Closer)
	require.NotNil(t, a.Steps.Books["sim"])
	require.NotNil(t, a.Steps.Checklist)
	require.NotNil(t, a.Steps.Bot.Health)
	require.Equal(t, "192.0.2.1,192.0.2.2", a.Steps.Whitelist)
	require.Equal(t, runbook.Resources{Memory: "8g", CPUs: "2"}, a.Steps.Resources)
	require.Equal(t, time.Hour, a.Steps.WatchFor)
	require.Equal(t, "/tmp/elsewhere.json", a.Steps.SuspiciousFile)
	require.Equal(t, p.Files.ReadOnly, a.Steps.ReadOnlyFlag)
	require.Nil(t, a.Steps.Sequence, "no step of the priority order could be shown")
}

func TestTheAlertOfARunbookIsTheManagers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newBot(t)
		a := start(t, p, b)
		synctest.Wait()
		b.pager.Fail(errors.New("busy"))
		in, err := a.Incidents.Declare(t.Context(), "test", "slow", severity.Signal{Condition: severity.SlowExecution, Component: "venue", At: time.Now()})
		require.NoError(t, err)
		_, err = a.Steps.Notify.Alert.Do(t.Context(), runbook.Call{Incident: in.Number})
		require.ErrorContains(t, err, "no channel has accepted")
		time.Sleep(time.Minute)
		evidence, err := a.Steps.Notify.Alert.Do(t.Context(), runbook.Call{Incident: in.Number})
		require.NoError(t, err)
		require.Contains(t, evidence, "accepted at")
		_, err = a.Steps.Notify.Alert.Do(t.Context(), runbook.Call{Incident: "INC-20260301-999"})
		require.ErrorIs(t, err, incident.ErrUnknown)
	})
}

func TestAThresholdOfTheFileIsTheDetectorsAndTheLevels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newBot(t)
		slow := p.Indicators[severity.SlowExecution]
		slow.AtLeast, slow.ClearBelow, slow.Level = severity.Took(100*time.Millisecond), severity.Value{}, severity.SEV1
		p.Indicators[severity.SlowExecution] = slow
		a := start(t, p, b)
		synctest.Wait()
		resume(t, a)
		require.NoError(t, a.Detector.Sample(detect.Sample{Indicator: slow.Name, Component: "venue/sim", Value: severity.Took(99 * time.Millisecond)}))
		time.Sleep(2 * time.Minute)
		incidenttest.RequireNothingDeclared(t, a.Incidents)
		require.NoError(t, a.Detector.Sample(detect.Sample{Indicator: slow.Name, Component: "venue/sim", Value: severity.Took(100 * time.Millisecond)}))
		time.Sleep(time.Second)
		require.Equal(t, severity.SEV1, incidenttest.RequireDeclared(t, a.Incidents, severity.SlowExecution, "venue/sim").Level)
		require.Equal(t, safety.Halted, a.Switch.State())
	})
}

// TestLaw3_AHaltAndItsIncidentOutliveTheAssembly stops and assembles anew on the same folder:
// the gate is shut by the same hold, the incident is open, and a deleted state is a halt.
func TestLaw3_AHaltAndItsIncidentOutliveTheAssembly(t *testing.T) {
	p, b := newBot(t)
	timeline := filepath.Join(b.dir, "timeline")
	run := func(do func(a *playbook.Assembly)) {
		store, err := journal.Open(timeline)
		require.NoError(t, err)
		b.Store = store
		a, err := playbook.Assemble(t.Context(), *p, b.Deps)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		do(a)
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, store.Close())
	}
	var number string
	run(func(a *playbook.Assembly) {
		require.Eventually(t, func() bool {
			return a.Switch.Resume(t.Context(), "Ada", "first start", a.Switch.Status().Holds) == nil && a.Switch.State() == safety.Active
		}, 10*time.Second, 5*time.Millisecond)
		in, err := a.Incidents.Declare(t.Context(), "test", "no answer", severity.Signal{Condition: severity.HealthCheckFailed, Component: "engine", At: time.Now()})
		require.NoError(t, err)
		number = in.Number
		_, err = a.Switch.Drain(t.Context())
		require.NoError(t, err)
	})
	run(func(a *playbook.Assembly) {
		require.Equal(t, safety.Halted, a.Switch.State())
		in, err := a.Incidents.Get(number)
		require.NoError(t, err)
		require.NotEqual(t, incident.Closed, in.Status)
	})
	require.NoError(t, os.Remove(filepath.Join(b.dir, safety.StateFile)))
	run(func(a *playbook.Assembly) { require.Equal(t, safety.Halted, a.Switch.State()) })
}
