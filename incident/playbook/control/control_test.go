package control_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/incident/playbook/control"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

// world is a bot that runs, with its socket.
type world struct {
	path string
	sw   *safety.Switch
	m    *incidenttest.Manager
	*control.Client
}

func run(t testing.TB, f func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-ended) })
}

func start(t testing.TB, change ...func(*control.Config)) *world {
	t.Helper()
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	sw, err := safety.Open(t.Context(), safety.Config{Name: "bot", Dir: dir, Flags: safety.FlagsIn(dir), PollOnly: true, Log: log})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sw.Close()) })
	run(t, sw.Run)
	w := &world{path: filepath.Join(dir, "run", "control.sock"), sw: sw, m: incidenttest.NewManager(t)}
	w.Client = control.Dial(w.path)
	cfg := control.Config{Path: w.path, Name: "bot", Switch: sw, Incidents: w.m.Manager, Log: log}
	for _, f := range change {
		f(&cfg)
	}
	serve(t, cfg)
	return w
}

// serve runs a server until the test ends, and waits until it listens.
func serve(t testing.TB, cfg control.Config) {
	t.Helper()
	s, err := control.New(cfg)
	require.NoError(t, err)
	run(t, s.Run)
	require.Eventually(t, func() bool {
		_, err := control.Dial(cfg.Path).Status(t.Context())
		return err == nil
	}, 10*time.Second, time.Millisecond)
}

// trade opens the gate.
func (w *world) trade(t testing.TB) {
	t.Helper()
	require.Eventually(t, func() bool {
		st, err := w.Status(t.Context())
		require.NoError(t, err)
		var seen []uint64
		for _, h := range st.Holds {
			seen = append(seen, h.ID)
		}
		st, err = w.Resume(t.Context(), "Ada", "account checked", seen...)
		return err == nil && st.State == safety.Active
	}, 10*time.Second, time.Millisecond)
}

func TestLaw2_AStopIsAnsweredOnceTheGateIsClosed(t *testing.T) {
	w := start(t)
	w.trade(t)
	r, err := w.Stop(t.Context(), "Ada", "prices are wrong")
	require.NoError(t, err)
	require.ErrorIs(t, w.sw.Check(), safety.ErrDenied)
	require.Equal(t, safety.Halted, r.State)
	require.Equal(t, "Ada", r.Hold.By)
	require.Equal(t, "prices are wrong", r.Hold.Reason)
	require.True(t, r.Durable)
	require.Positive(t, r.Closed)
}

func TestLaw2_AStopNeverWaitsForOtherCommands(t *testing.T) {
	asked, release := make(chan struct{}, 100), make(chan struct{})
	w := start(t, func(c *control.Config) {
		c.Steps.Bot.Health = func(context.Context) (string, error) {
			asked <- struct{}{}
			<-release
			return "", nil
		}
	})
	w.trade(t)
	const busy = 32
	answers := make(chan error, busy)
	for range busy {
		go func() { _, err := w.Look(t.Context(), "health", ""); answers <- err }()
	}
	for range busy {
		<-asked
	}
	_, err := w.Look(t.Context(), "health", "")
	require.ErrorIs(t, err, control.ErrRefused, "one more has to wait")
	r, err := w.Stop(t.Context(), "Ada", "it hangs")
	require.NoError(t, err)
	require.Equal(t, safety.Halted, r.State)
	close(release)
	for range busy {
		require.NoError(t, <-answers)
	}
}

func TestLaw3_ResumeTakesAPersonANoteAndWhatWasSeen(t *testing.T) {
	w := start(t)
	w.trade(t)
	first, err := w.Stop(t.Context(), "Ada", "one")
	require.NoError(t, err)
	second, err := w.Stop(t.Context(), "Grace", "two")
	require.NoError(t, err)

	_, err = w.Resume(t.Context(), "Ada", "", first.Hold.ID, second.Hold.ID)
	require.ErrorIs(t, err, control.ErrBad)
	_, err = w.Resume(t.Context(), " ", "all is well", first.Hold.ID, second.Hold.ID)
	require.ErrorIs(t, err, control.ErrBad)
	_, err = w.Resume(t.Context(), "Ada", "all is well", first.Hold.ID)
	require.ErrorIs(t, err, control.ErrRefused)
	require.ErrorContains(t, err, "two", "it names the hold that was not seen")
	require.Equal(t, safety.Halted, w.sw.State())

	st, err := w.Resume(t.Context(), "Ada", "all is well", first.Hold.ID, second.Hold.ID)
	require.NoError(t, err)
	require.Equal(t, safety.Active, st.State)
	require.Equal(t, "Ada", st.Resumed.By)
}

func TestWhatIsNotWiredIsSaid(t *testing.T) {
	w := start(t, func(c *control.Config) { c.Incidents = nil })
	ctx := t.Context()
	for name, ask := range map[string]func() error{
		"positions":  func() error { _, err := w.Positions(ctx); return err },
		"close-plan": func() error { _, err := w.ClosePlan(ctx); return err },
		"close-all":  func() error { _, err := w.CloseAll(ctx, safety.ClosePlan{}, safety.Confirmation{}); return err },
		"protect":    func() error { _, err := w.Protect(ctx, "Ada", true); return err },
		"reconcile":  func() error { _, err := w.Reconcile(ctx, ""); return err },
		"health":     func() error { _, err := w.Look(ctx, "health", ""); return err },
		"declare":    func() error { _, err := w.Declare(ctx, "Ada", "x", "y", "z"); return err },
		"ack":        func() error { _, err := w.Acknowledge(ctx, "INC-1", "Ada"); return err },
		"timeline":   func() error { _, err := w.Timeline(ctx, ""); return err },
		"postmortem": func() error { _, err := w.PostMortem(ctx, "INC-1", ""); return err },
		"incidents":  func() error { _, err := w.Incidents(ctx); return err },
		"run-plan":   func() error { _, err := w.PlanRun(ctx, "a", "b", "c"); return err },
		"run-start":  func() error { _, err := w.StartRun(ctx, "a", "b", "c", "d"); return err },
		"run-list":   func() error { _, err := w.Runs(ctx); return err },
		"run-step":   func() error { _, err := w.Step(ctx, "skip", "a", "b", "c", "d"); return err },
		"evidence":   func() error { _, err := w.Collect(ctx, "Ada", "INC-1", "why"); return err },
		"backup":     func() error { _, err := w.Backup(ctx, "x", "Ada"); return err },
		"backups":    func() error { _, err := w.Backups(ctx, "x"); return err },
		"drill":      func() error { _, err := w.Drill(ctx, "x", "Ada"); return err },
		"rotate":     func() error { _, err := w.Rotate(ctx, "k", "Ada", "why", "coinbase", true); return err },
		"rollback":   func() error { _, err := w.Rollback(ctx, "k", "Ada", "why", "v1", true); return err },
		"record":     func() error { return w.Record(ctx, time.Now(), "a", "b", "c") },
	} {
		require.ErrorIs(t, ask(), control.ErrNotWired, name)
	}
}

func TestNobodyIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	_, err := control.Dial(path).Status(t.Context())
	require.ErrorIs(t, err, control.ErrNotRunning)

	_, err = control.Dial("").Status(t.Context())
	require.ErrorIs(t, err, control.ErrNotRunning)
	require.NotContains(t, err.Error(), "no bot is running", "nobody looked")

	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	l.SetUnlinkOnClose(false)
	require.NoError(t, l.Close()) // as a process that was killed leaves it
	_, err = control.Dial(path).Stop(t.Context(), "Ada", "x")
	require.ErrorIs(t, err, control.ErrNotRunning)
}

func TestAnAnswerThatDoesNotComeIsUnknown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_ = c.Close() // the test sees what comes of it
		}
	}()
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	_, err = control.Dial(path).Stop(t.Context(), "Ada", "x")
	require.ErrorIs(t, err, control.ErrOutcome)
	require.NotErrorIs(t, err, control.ErrNotRunning)
}

func TestTheSocketIsItsOwnersAlone(t *testing.T) {
	w := start(t)
	for path, want := range map[string]fs.FileMode{w.path: 0o600 | fs.ModeSocket, filepath.Dir(w.path): 0o700 | fs.ModeDir} {
		info, err := os.Lstat(path)
		require.NoError(t, err)
		require.Equal(t, want, info.Mode(), path)
	}
}

func TestAFolderOfOthersIsRefused(t *testing.T) {
	w := start(t)
	open := filepath.Join(t.TempDir(), "open")
	require.NoError(t, os.Mkdir(open, 0o755))
	s, err := control.New(control.Config{Path: filepath.Join(open, "control.sock"), Switch: w.sw})
	require.NoError(t, err)
	err = s.Run(t.Context())
	require.ErrorIs(t, err, control.ErrForbidden)
	require.ErrorContains(t, err, "chmod 700")
}

func TestASocketThatLivesIsRefusedAndADeadOneReplaced(t *testing.T) {
	w := start(t)
	s, err := control.New(control.Config{Path: w.path, Switch: w.sw})
	require.NoError(t, err)
	require.ErrorIs(t, s.Run(t.Context()), control.ErrInUse)
	_, err = w.Status(t.Context())
	require.NoError(t, err, "the one that lives answers still")

	// A program that is no bot of ours holds no lock: it is found by asking.
	other := filepath.Join(t.TempDir(), "other")
	require.NoError(t, os.Mkdir(other, 0o700))
	path := filepath.Join(other, "control.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	s, err = control.New(control.Config{Path: path, Switch: w.sw})
	require.NoError(t, err)
	require.ErrorIs(t, s.Run(t.Context()), control.ErrInUse)
	l.SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	serve(t, control.Config{Path: path, Switch: w.sw, Log: slog.New(slog.DiscardHandler)})

	file := filepath.Join(other, "file.sock")
	require.NoError(t, os.WriteFile(file, []byte("mine"), 0o600))
	s, err = control.New(control.Config{Path: file, Switch: w.sw})
	require.NoError(t, err)
	require.ErrorIs(t, s.Run(t.Context()), fs.ErrExist)
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "mine", string(b), "what is no socket is left alone")
}

func TestAStrangerIsNotHeard(t *testing.T) {
	if os.Getuid() != 0 {
		needs.Missing(t, "root: another user is tried")
	}
	w := start(t)
	w.trade(t)
	// The folder's mode keeps strangers out: open it, so that the kernel's word is what is tried.
	for p := w.path; p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
		require.NoError(t, os.Chmod(p, 0o777))
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	b, err := os.ReadFile(exe)
	require.NoError(t, err)
	copied := filepath.Join(filepath.Dir(w.path), "stranger")
	require.NoError(t, os.WriteFile(copied, b, 0o755))
	cmd := exec.Command(copied)
	cmd.Env = append(os.Environ(), asStranger+"="+w.path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "user 65534 is not the owner")
	require.Equal(t, safety.Active, w.sw.State())
}

func TestARequestThatCannotBeMeantIsRefused(t *testing.T) {
	w := start(t)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", w.path)
	}}}
	for name, c := range map[string]struct{ method, path, body, want string }{
		"method":  {"GET", "status", "{}", "want POST"},
		"command": {"POST", "reboot", "{}", `no command \"reboot\"`},
		"json":    {"POST", "status", "{", "unexpected EOF"},
		"field":   {"POST", "resume", `{"by":"Ada","note":"x","all":true}`, `unknown field`},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, "http://bot/v1/"+c.path, strings.NewReader(c.body))
		require.NoError(t, err)
		answer, err := client.Do(r)
		require.NoError(t, err, name)
		b, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusConflict, answer.StatusCode, name)
		require.Contains(t, string(b), c.want, name)
		require.Contains(t, string(b), `"code":"bad"`, name)
	}
}

// A command line that is newer than the bot, or a request that broke off, stops it all the same.
func TestLaw2_AStopIsNotRefusedForItsForm(t *testing.T) {
	for name, body := range map[string]string{
		"a field more": `{"by":"Ada","why":"prices are wrong","level":"SEV-1"}`, "another type": `{"by":"Ada","why":7}`,
		"half of it": `{"by":"Ada","w`, "nothing": "", "too much": `{"why":"` + strings.Repeat("a", 5<<20) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			w.trade(t)
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", w.path)
			}}}
			answer, err := client.Post("http://bot/v1/stop", "application/json", strings.NewReader(body))
			if name == "too much" && err != nil { // nobody reads all of it, and the answer may be lost
				require.Eventually(t, func() bool { return w.sw.State() == safety.Halted }, 10*time.Second, time.Millisecond)
				return
			}
			require.NoError(t, err)
			b, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			require.Equal(t, http.StatusOK, answer.StatusCode, string(b))
			require.Contains(t, string(b), `"state":"halted"`)
			require.Equal(t, safety.Halted, w.sw.State())
			if name == "a field more" {
				require.Contains(t, string(b), `"reason":"prices are wrong"`, "what was understood is kept")
			}
		})
	}
}

func TestNobodyIsHeardBesideRun(t *testing.T) {
	w := start(t)
	s, err := control.New(control.Config{Path: w.path, Switch: w.sw})
	require.NoError(t, err)
	got := httptest.NewRecorder()
	s.ServeHTTP(got, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/status", strings.NewReader("{}")))
	require.Equal(t, http.StatusForbidden, got.Code)
	require.Contains(t, got.Body.String(), `"error":"not known who asks: only Run's own connections say it"`)
}

// A look of the bot's own that panics is in the bot's log, and costs it nothing else.
func TestACommandThatPanicsIsLogged(t *testing.T) {
	var text syncBuffer
	w := start(t, func(c *control.Config) {
		c.Log = slog.New(slog.NewTextHandler(&text, nil))
		c.Steps.Bot.Health = func(context.Context) (string, error) { panic("the probe is broken") }
	})
	_, err := w.Look(t.Context(), "health", "")
	require.ErrorIs(t, err, control.ErrOutcome)
	require.Contains(t, text.String(), "the probe is broken")
	_, err = w.Status(t.Context())
	require.NoError(t, err)
}

// syncBuffer is a log that many write and a test reads.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestARequestWithoutABoundIsRefused(t *testing.T) {
	w := start(t)
	_, err := w.Declare(t.Context(), "Ada", strings.Repeat("a", 5<<20), string(severity.AuthFailure), "x")
	require.Error(t, err)
	require.Empty(t, w.m.All())
}

func TestNoSecretInAnError(t *testing.T) {
	w := start(t, func(c *control.Config) {
		c.Steps.Bot.Health = func(context.Context) (string, error) {
			return "", errors.New("dial postgres://bot:hunter22hunter22@db/trading: refused")
		}
	})
	_, err := w.Look(t.Context(), "health", "")
	require.ErrorIs(t, err, control.ErrUnwell)
	require.ErrorContains(t, err, "refused")
	require.NotContains(t, err.Error(), "hunter22")
}

func TestAnIncidentFromDeclarationToPostMortem(t *testing.T) {
	w := start(t)
	ctx := t.Context()
	in, err := w.Declare(ctx, "Ada", "book and venue differ", string(severity.InconsistentPositions), "book")
	require.NoError(t, err)
	require.NotEmpty(t, in.Number)
	require.Equal(t, "Ada", w.m.Open()[0].DeclaredBy)

	in, err = w.Acknowledge(ctx, in.Number, "Grace")
	require.NoError(t, err)
	require.Equal(t, "Grace", in.AckedBy)
	require.NotEmpty(t, in.Unproven)
	_, err = w.Update(ctx, in.Number, "Grace", incident.Update{Status: "row found", Next: []string{"repair"}, ETA: "10 min"})
	require.NoError(t, err)
	_, err = w.Resolve(ctx, in.Number, incident.Resolution{By: "Grace", Note: "row repaired"})
	require.ErrorIs(t, err, control.ErrRefused, "the checklist is open")
	for _, item := range in.Unproven {
		_, err = w.Attest(ctx, in.Number, "Grace", item, "seen")
		require.NoError(t, err)
	}
	in, err = w.Resolve(ctx, in.Number, incident.Resolution{By: "Grace", Note: "row repaired"})
	require.NoError(t, err)
	require.False(t, in.ResolvedAt.IsZero())

	events, err := w.Timeline(ctx, in.Number)
	require.NoError(t, err)
	require.NotEmpty(t, events)
	p, err := w.PostMortem(ctx, in.Number, "")
	require.NoError(t, err)
	require.Contains(t, p.Markdown, in.Number)
	require.Contains(t, p.HTML, "<svg")
	_, err = w.Acknowledge(ctx, "INC-20200101-001", "Grace")
	require.ErrorIs(t, err, control.ErrBad)

	require.NoError(t, w.Record(ctx, time.Now(), "botops", "restored positions", "INC-7"))
	all, err := w.Timeline(ctx, "")
	require.NoError(t, err)
	require.Equal(t, "restored positions", all[len(all)-1].What)
}

// The store is down: what a person has decided holds, and is said to be off the record; what
// closes an incident is refused.
func TestLaw11_WhatHoldsWithoutTheStoreIsNotSaidToBeRefused(t *testing.T) {
	m := incidenttest.NewManager(t, func(c *incident.Config) { c.RecordWithin = 20 * time.Millisecond })
	w := start(t, func(c *control.Config) { c.Incidents = m.Manager })
	ctx := t.Context()
	in, err := w.Declare(ctx, "Ada", "book and venue differ", string(severity.InconsistentPositions), "book")
	require.NoError(t, err)
	open, err := m.Unproven(in.Number)
	require.NoError(t, err)
	m.Store.Fail(errors.New("no disk"))
	defer m.Store.Fail(nil)
	for name, do := range map[string]func() (control.Incident, error){
		"ack": func() (control.Incident, error) { return w.Acknowledge(ctx, in.Number, "Grace") },
		"update": func() (control.Incident, error) {
			return w.Update(ctx, in.Number, "Grace", incident.Update{Status: "looking"})
		},
		"attest": func() (control.Incident, error) { return w.Attest(ctx, in.Number, "Grace", open[0], "seen") },
	} {
		got, err := do()
		require.NoError(t, err, name)
		require.Contains(t, got.Problem, "in force and not recorded", name)
	}
	got, err := m.Get(in.Number)
	require.NoError(t, err)
	require.Equal(t, "Grace", got.AckedBy)
	_, err = w.Resolve(ctx, in.Number, incident.Resolution{By: "Grace", Note: "row repaired", Despite: "looked at by hand"})
	require.ErrorIs(t, err, control.ErrRefused)
	require.Len(t, m.Open(), 1)
	m.Store.Fail(nil)
	require.Eventually(t, func() bool { n, err := m.Unrecorded(); return n == 0 && err == nil }, 30*time.Second, time.Millisecond)
}

func TestWhatWasBegunGoesOnWhenTheCommandLineIsKilled(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	w := start(t, func(c *control.Config) {
		c.Prove = func(context.Context, string, string) error {
			close(begun)
			<-release
			return nil
		}
	})
	in, err := w.Declare(t.Context(), "Ada", "book and venue differ", string(severity.InconsistentPositions), "book")
	require.NoError(t, err)
	killed, kill := context.WithCancel(t.Context())
	answer := make(chan error, 1)
	go func() {
		_, err := w.Resolve(killed, in.Number, incident.Resolution{By: "Grace", Note: "row repaired", Despite: "looked at by hand"})
		answer <- err
	}()
	<-begun
	kill()
	require.ErrorIs(t, <-answer, control.ErrOutcome)
	time.Sleep(50 * time.Millisecond) // the server sees that it has gone
	close(release)
	require.Eventually(t, func() bool { return len(w.m.Open()) == 0 }, 10*time.Second, time.Millisecond)
}

func TestAnEventThatCannotBeStoredIsABadRequest(t *testing.T) {
	w := start(t)
	require.ErrorIs(t, w.Record(t.Context(), time.Now(), "botops", "restored positions", ""), control.ErrBad)
	require.ErrorIs(t, w.Record(t.Context(), time.Now(), "", "restored positions", "INC-7"), control.ErrBad)
}

func TestPositionsAreReadProtectedAndClosed(t *testing.T) {
	venue := andontest.New(andontest.Config{Name: "kraken"})
	venue.SetPosition(andon.Position{Symbol: "BTC-USD", Quantity: andon.MustDecimal("0.5")})
	dead := andontest.New(andontest.Config{Name: "dead", Faults: andontest.Faults{andontest.TimeoutLost: 1}})
	var sw *safety.Switch
	instruments := map[string]andon.Instrument{"BTC-USD": {Tick: andon.MustDecimal("0.01"), Lot: andon.MustDecimal("0.1")}}
	w := start(t, func(c *control.Config) {
		sw = c.Switch
		closer, err := safety.NewCloser(safety.CloserConfig{Switch: sw, Venues: map[string]safety.CloseVenue{"kraken": {Venue: venue, Instruments: instruments}}, RetryEvery: time.Millisecond})
		require.NoError(t, err)
		c.Steps = runbook.Deps{
			Venues: map[string]andon.Venue{"kraken": venue, "dead": dead}, Closer: closer, Cord: sw, Recorder: c.Incidents,
			Protection: safety.ProtectionPolicy{Distance: andon.MustDecimal("0.05"), Instruments: instruments},
		}
	})
	ctx := t.Context()
	all, err := w.Positions(ctx)
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, "dead", all[0].Venue)
	require.Contains(t, all[0].Problem, "not known")
	require.False(t, all[0].Flat, "law 5: what was not read is not flat")
	require.Equal(t, "0.5", all[1].Positions[0].Quantity.String())
	require.False(t, all[1].Protected)

	view, err := safety.ReadView(ctx, "kraken", venue)
	require.NoError(t, err)
	require.NoError(t, sw.Observe(view))
	plans, err := w.Protect(ctx, "Ada", false)
	require.NoError(t, err)
	require.Empty(t, venue.Truth().Orders, "a plan places nothing")
	require.Len(t, plans[1].Plan.Steps, 1)
	placed, err := w.Protect(ctx, "Ada", true)
	require.NoError(t, err)
	require.Equal(t, 1, placed[1].Placed, placed[1].Problem)
	require.True(t, placed[1].Good)
	require.NotEmpty(t, placed[0].Problem)
	require.Len(t, venue.Truth().Orders, 1)

	key := andon.LegKey{Venue: "kraken", Symbol: "BTC-USD"}
	plan, err := w.ClosePlan(ctx, key)
	require.NoError(t, err)
	_, err = w.CloseAll(ctx, plan, safety.Confirmation{By: "Ada", Note: "all out", Token: "yes"})
	require.ErrorIs(t, err, control.ErrRefused)
	require.Len(t, venue.Truth().Positions, 1)
	report, err := w.CloseAll(ctx, plan, safety.Confirmation{By: "Ada", Note: "all out", Token: plan.Token()})
	require.NoError(t, err)
	require.Empty(t, venue.Truth().Positions)
	require.Equal(t, "Ada", report.By)
}

func TestConfigNamesEveryProblem(t *testing.T) {
	_, err := control.New(control.Config{Path: "relative", Within: -1})
	for _, want := range []string{"Path", "Switch", "Within"} {
		require.ErrorContains(t, err, want)
	}
}
