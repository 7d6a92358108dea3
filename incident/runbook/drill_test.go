package runbook_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/severity"
)

// A drill runs a runbook on the real things that it repairs, from the fault to the proven
// checklist, in a process of its own: once undisturbed, and once in processes that are
// killed with SIGKILL right before and right after every step. What comes of both has to
// be the same.
type drill struct {
	runbook string
	params  map[string]string
	skip    []string // steps that people skip
	found   []string // steps that after a kill are found done, since they were not needed
	finds   []string // looks that find the fault: they fail, and the run goes on
	// fault makes the thing and breaks it, in the test's process, and returns what a
	// process of the bot has to know of it: its environment.
	fault func(t *testing.T, dir string, v *andontest.Venue) []string
	// deps gives a process of the bot what it acts through.
	deps func(t *testing.T, dir string, b *bot)
	// end says how all is in the end, or was before.
	end func(t *testing.T, dir string) string
	// want is what end says when the runbook has run.
	want func(t *testing.T, dir string, end string)
}

// bot is a process of the bot.
type bot struct {
	runbook.Deps
	sw      *safety.Switch
	manager *incidenttest.Manager
	proofs  recovery.Proofs
}

const (
	childOf  = "ANDON_RUNBOOK_CHILD"
	childDir = "ANDON_RUNBOOK_DIR"
	planOnly = "ANDON_RUNBOOK_PLAN"
	killing  = "ANDON_RUNBOOK_KILL"
	netns    = "ANDON_RUNBOOK_NETNS" // the network namespace that the process runs in
)

func (d drill) run(t *testing.T) {
	if os.Getenv(childOf) == t.Name() {
		d.child(t, os.Getenv(childDir))
		return
	}
	ends := map[bool]string{}
	for _, kill := range []bool{false, true} {
		name := "undisturbed"
		if kill {
			name = "killed before and after every step"
		}
		ok := t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "andon-rb-") // short: a socket lies in it
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
			v := andontest.New(andontest.Config{Name: "coinbase"})
			v.SetPosition(andon.Position{Venue: "coinbase", Symbol: symbol, Quantity: andon.MustDecimal("2"), Entry: andon.MustDecimal("100"), Mark: andon.MustDecimal("100")})
			serve(t, v, dir)
			require.NoError(t, os.WriteFile(filepath.Join(dir, ".env"), nil, 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "production.json"), []byte("{}"), 0o600))
			env := d.fault(t, dir, v)
			state := func() string {
				var orders []string
				for _, o := range v.Truth().Orders {
					orders = append(orders, fmt.Sprintf("%v %v %v %v", o.Kind, o.Side, o.Quantity, o.Status))
				}
				slices.Sort(orders)
				return fmt.Sprintf("venue: %v %v\n%s", v.Truth().Positions, orders, d.end(t, dir))
			}
			parent := strings.Split(t.Name(), "/")[0]
			if !kill {
				before := state()
				require.Zero(t, spawn(t, parent, dir, append(env, planOnly+"=1")))
				require.Equal(t, before, state(), "a dry run performs nothing")
			}
			crashes := 0
			for spawn(t, parent, dir, append(env, fmt.Sprintf("%s=%v", killing, kill))) != 0 {
				crashes++
				require.Less(t, crashes, 200)
			}
			did := lines(t, filepath.Join(dir, "did"))
			moments := 0
			for _, step := range lines(t, filepath.Join(dir, "steps")) {
				require.FileExists(t, filepath.Join(dir, "before-"+step), "each step that a program does was begun")
				moments++
				if _, err := os.Stat(filepath.Join(dir, "after-"+step)); err == nil {
					moments++
				} else {
					require.Contains(t, d.found, step, "it was not done, since it was found done")
				}
			}
			if kill {
				require.Equal(t, moments, crashes, "it was killed at each")
			}
			for _, step := range lines(t, filepath.Join(dir, "once")) {
				if !kill || !slices.Contains(d.found, step) {
					require.Equal(t, 1, count(did, step), "%s is done once", step)
				}
			}
			ends[kill] = state()
			d.want(t, dir, ends[kill])
		})
		if !ok {
			return
		}
	}
	require.Equal(t, ends[false], ends[true], "the same end, however often it was killed")
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	require.NoError(t, err)
	return strings.Fields(string(b))
}

func count(all []string, one string) (n int) {
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}

// spawn runs a process of the bot and returns 0 when it came to its end, 1 when it was
// killed.
func spawn(t *testing.T, name, dir string, env []string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	args := []string{os.Args[0], "-test.run=^" + name + "$", "-test.timeout=110s"}
	for _, v := range env {
		if ns, ok := strings.CutPrefix(v, netns+"="); ok {
			args = append([]string{"ip", "netns", "exec", ns}, args...)
		}
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(append(os.Environ(), childOf+"="+name, childDir+"="+dir), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if err == nil {
		return 0
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if ok && ctx.Err() == nil {
		if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() && s.Signal() == syscall.SIGKILL {
			return 1
		}
	}
	t.Fatalf("%v: %s", err, out.String())
	return 0
}

// child is a process of the bot: it goes on with the run of the one before it.
func (d drill) child(t *testing.T, dir string) {
	j, err := journal.Open(filepath.Join(dir, "journal"))
	require.NoError(t, err)
	defer func() { require.NoError(t, j.Close()) }()
	sw, err := safety.Open(t.Context(), safety.Config{Name: "bot", Dir: filepath.Join(dir, "state"), Flags: safety.FlagsIn(dir), PollOnly: true, FlagPoll: 5 * time.Millisecond, Log: quiet})
	require.NoError(t, err)
	running, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- sw.Run(running) }()
	defer func() {
		stop()
		require.NoError(t, <-ended)
		require.NoError(t, sw.Close())
	}()
	if _, err := os.Stat(filepath.Join(dir, "resumed")); err != nil {
		require.NoError(t, sw.Resume(t.Context(), "Ada", "first start", sw.Status().Holds))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "resumed"), nil, 0o600))
	}
	ready, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for sw.Status().Flags == nil && ready.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	b := &bot{sw: sw, manager: incidenttest.NewManager(t, func(c *incident.Config) { c.Store = j })}
	venue := reach(dir)
	b.Deps = runbook.Deps{
		Cord: sw, ReadOnlyFlag: filepath.Join(dir, "READONLY_MODE"), Venues: map[string]andon.Venue{"coinbase": venue}, Recorder: b.manager,
		Protection:     safety.ProtectionPolicy{Distance: andon.MustDecimal("0.05"), Instruments: map[string]andon.Instrument{symbol: {Tick: andon.MustDecimal("0.01"), Lot: andon.MustDecimal("0.001")}}},
		SuspiciousFile: filepath.Join(dir, "corrupted_data.json"),
		WatchFor:       200 * time.Millisecond, WatchEvery: 50 * time.Millisecond,
		Notify: runbook.Notify{Alert: once(dir, "alert"), Channel: once(dir, "channel"), StatusPage: once(dir, "status-page")},
	}
	b.Closer, err = safety.NewCloser(safety.CloserConfig{Switch: sw, Venues: map[string]safety.CloseVenue{"coinbase": {Venue: venue}}, Book: venue, RetryEvery: 10 * time.Millisecond})
	require.NoError(t, err)
	protected := func(ctx context.Context) (string, error) {
		r, err := safety.ReadProtection(ctx, venue, safety.Requirements{}, time.Now())
		if err == nil && !r.Protected() {
			err = fmt.Errorf("%v", r)
		}
		return r.String() + " is protected", err
	}
	b.proofs = recovery.Proofs{
		PositionsAccounted: protected,
		RiskLimitsEnforced: func(context.Context) (string, error) {
			_, err := sw.Submit(t.Context(), venue, andon.Order{ClientID: fmt.Sprint("probe-", time.Now().UnixNano()), Venue: "coinbase", Symbol: symbol, Side: andon.Buy, Kind: andon.Market, Quantity: andon.MustDecimal("1")})
			if !errors.Is(err, safety.ErrDenied) {
				return "", fmt.Errorf("an order that adds exposure was not denied: %v", err)
			}
			return "what adds exposure is denied", nil
		},
		AlertsCleared: func(context.Context) (string, error) { return "nothing fires", nil },
		TestTrade:     func(context.Context) (string, error) { return "paper order filled", nil },
		StakeholdersNotified: func(context.Context) (string, error) {
			if n := len(lines(t, filepath.Join(dir, "world"))); n < 1 {
				return "", errors.New("nobody was told")
			}
			return "the alert was sent", nil
		},
	}
	d.deps(t, dir, b)
	if b.Checklist == nil {
		list, err := recovery.NewChecklist(recovery.ChecklistConfig{Recorder: b.manager, Items: recovery.ValidationItems(b.proofs)})
		require.NoError(t, err)
		require.NoError(t, list.Attest(t.Context(), time.Now(), recovery.ItemPostMortemScheduled, "Ada", "Tuesday at 10"))
		if b.proofs.StakeholdersNotified == nil {
			require.NoError(t, list.Attest(t.Context(), time.Now(), recovery.ItemStakeholdersNotified, "Ada", "by telephone"))
		}
		b.Checklist = list
	}
	if b.Sequence == nil {
		steps := recovery.PriorityOrder()
		for i := range steps {
			steps[i].Check = protected // its own check of each is the business of package recovery
		}
		b.Sequence, err = recovery.NewSequence(recovery.SequenceConfig{Steps: steps, Recorder: b.manager})
		require.NoError(t, err)
	}
	books, err := runbook.Playbook(b.Deps)
	require.NoError(t, err)
	if os.Getenv(killing) == "true" || os.Getenv(killing) == "false" {
		d.tap(t, dir, books)
	}
	e, _ := engine(t, b.manager, books...)
	if os.Getenv(planOnly) != "" {
		plan, err := e.Plan(t.Context(), d.runbook, "INC-20260301-001", "Ada", d.params)
		require.NoError(t, err)
		for _, p := range plan {
			require.NoError(t, p.Err, p.Step)
		}
		return
	}
	all := b.manager.All()
	if len(all) == 0 {
		in, err := b.manager.Declare(t.Context(), "detector", "the engine does not answer", severity.Signal{Condition: severity.TradingHalted, Component: "engine", At: time.Now()})
		require.NoError(t, err)
		all = append(all, in)
	}
	runs := e.All()
	if len(runs) == 0 {
		_, err := e.Start(t.Context(), d.runbook, all[0].Number, "Ada", "the engine does not answer", d.params)
		require.NoError(t, err)
		runs = e.All()
	}
	require.Len(t, runs, 1)
	r := drive(t, e, runs[0].ID, d.skip...)
	require.Equal(t, runbook.Done, r.Status)
	for _, s := range r.Steps {
		if slices.Contains(d.finds, s.Name) {
			require.Equal(t, runbook.Broken, s.Status, "%s sees the fault", s.Name)
			continue
		}
		require.Contains(t, []runbook.Status{runbook.Done, runbook.Skip}, s.Status, "%s: %s", s.Name, s.Error)
	}
}

// tap has each step that a program does leave a line when it is done, and kill its
// process before it begins and after it has ended, once each.
func (d drill) tap(t *testing.T, dir string, books []runbook.Runbook) {
	kill := os.Getenv(killing) == "true"
	i := slices.IndexFunc(books, func(b runbook.Runbook) bool { return b.Name == d.runbook })
	var steps, once []string
	for k, s := range books[i].Steps {
		if s.Do == nil || slices.Contains(d.skip, s.Name) {
			continue
		}
		steps = append(steps, s.Name)
		if !s.Again {
			once = append(once, s.Name)
		}
		do := s.Do
		books[i].Steps[k].Do = func(ctx context.Context, c runbook.Call) (string, error) {
			die(kill, dir, "before-"+s.Name)
			said, err := do(ctx, c)
			if err == nil {
				note(dir, "did", s.Name)
			}
			die(kill, dir, "after-"+s.Name)
			return said, err
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "steps"), []byte(strings.Join(steps, "\n")), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "once"), []byte(strings.Join(once, "\n")), 0o600))
}

// die kills this process at a moment, once.
func die(kill bool, dir, moment string) {
	f, err := os.OpenFile(filepath.Join(dir, moment), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil || !kill {
		return
	}
	if err := f.Close(); err != nil {
		panic(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		panic(err)
	}
	select {} // it ends
}

// note adds a line to a file of the drill.
func note(dir, name, line string) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintln(f, line)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		panic(err)
	}
}

// once is an action that leaves a line in the world.
func once(dir, what string) runbook.Action {
	return runbook.Action{
		Do: func(context.Context, runbook.Call) (string, error) { note(dir, "world", what); return what, nil },
		Done: func(context.Context, runbook.Call) (bool, string, error) {
			b, err := os.ReadFile(filepath.Join(dir, "world"))
			if errors.Is(err, os.ErrNotExist) {
				return false, "", nil
			}
			return slices.Contains(strings.Fields(string(b)), what), what, err
		},
	}
}
