package incident_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

// world is a gate and a telephone that write down what reached them, one line each, so
// that a process can be killed before and after each of its deeds.
type world struct{ path string }

func (w world) add(line string) error {
	f, err := os.OpenFile(w.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString("\n" + line) // in front, so that what follows a line that was cut stands by itself
	return errors.Join(err, f.Close())
}

// saw returns the whole lines, of one kind where a prefix is given. What was cut in its
// middle never arrived.
func (w world) saw(t *testing.T, prefix string) (lines []string) {
	b, err := os.ReadFile(w.path)
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(t, err)
	}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSuffix(line, "\n"); strings.HasPrefix(line, prefix) && strings.HasSuffix(line, ".") {
			lines = append(lines, line)
		}
	}
	return lines
}

func (w world) Engage(string, string) error { return w.add("gate closed.") }

func (world) Drain(context.Context) ([]string, error) { return nil, nil }

func (w world) Notify(_ context.Context, m notify.Message) error {
	return w.add(fmt.Sprintf("%s %s.", m.Kind, m.Key))
}

// mute is a Notifier that nobody hears.
type mute struct{}

func (mute) Notify(context.Context, notify.Message) error { return errors.New("busy") }

// fast is the matrix in milliseconds.
func fast() notify.Policy {
	p := notify.DefaultPolicy()
	for _, l := range []severity.Level{severity.SEV1, severity.SEV2} {
		p.Steps[l] = []notify.Step{
			{Roles: []notify.Role{notify.OnCallEngineer}},
			{After: 10 * time.Millisecond, Roles: []notify.Role{notify.LeadEngineer}},
			{After: 20 * time.Millisecond, Roles: []notify.Role{notify.CTO}},
		}
	}
	return p
}

// living is a manager that runs on the journal of a directory.
type living struct {
	*incident.Manager
	world world
	end   func() error
}

// closer is a Store that can be closed.
type closer interface {
	incident.Store
	Close() error
}

// opener opens the store that belongs to a directory.
type opener func(dir string) (closer, error)

func inJournal(dir string) (closer, error) {
	return journal.Open(filepath.Join(dir, "journal"))
}

func live(dir string, open opener, change ...func(*incident.Config)) (*living, error) {
	w := world{filepath.Join(dir, "world")}
	store, err := open(dir)
	if err != nil {
		return nil, err
	}
	courier, err := notify.NewCourier(notify.Config{
		Channels: map[string]notify.Notifier{"phone": w}, Limits: map[string]notify.Limit{"phone": {Burst: 1e9}}, Storm: notify.Storm{Pages: 1e9}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	cfg := incident.Config{Store: store, Halter: w, Courier: courier, Directory: everybody(), Policy: fast(), Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&cfg)
	}
	m, err := incident.New(context.Background(), cfg)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	return &living{m, w, func() error { stop(); return errors.Join(<-ended, store.Close()) }}, nil
}

// until waits for something that an incident has to come to.
func (l *living) until(what string, done func() bool) error {
	for end := time.Now().Add(15 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("waited in vain for " + what)
		}
	}
	return nil
}

func (l *living) has(kind incident.Kind, times int) func() bool {
	return func() bool {
		events, err := l.Timeline(context.Background(), "")
		return err == nil && len(only(events, kind)) >= times
	}
}

// wholeLife leads an incident from its signal to its end, in the child, and prints what
// was confirmed.
func wholeLife(dir string, open opener) error {
	l, err := live(dir, open)
	if err != nil {
		return err
	}
	ctx := context.Background()
	in, err := l.Declare(ctx, "reconciler", "book and venue differ", signal("book"))
	if err != nil {
		return err
	}
	fmt.Println("declared")
	if err := l.until("three pages", l.has(incident.Paged, 3)); err != nil {
		return err
	}
	if err := l.Acknowledge(ctx, in.Number, "Ada"); err != nil {
		return err
	}
	fmt.Println("acknowledged")
	if err := l.until("the notice of it", l.has(incident.Notified, 3)); err != nil {
		return err
	}
	if err := l.Resolve(ctx, in.Number, incident.Resolution{By: "Ada", Note: "repaired", Despite: "a drill"}); err != nil {
		return err
	}
	fmt.Println("resolved")
	if err := l.until("the notice of the end", l.has(incident.Notified, 6)); err != nil {
		return err
	}
	return l.end()
}

// After a kill before or after any durable step or send: the gate was closed before
// anybody was paged, each page that fell due is sent, under the key that it had and
// under no other, none is sent after a recorded acknowledgement, and the notices that
// are owed go out.
func TestLaw7_NoPageIsLostByAKill(t *testing.T) {
	steps := crashtest.Run(t, crashtest.Config{MaxSteps: 30}, func(dir string) error { return wholeLife(dir, inJournal) },
		func(t *testing.T, dir string, at crashtest.Step) {
			goesOn(t, dir, inJournal, at)
			_, err := journal.Verify(filepath.Join(dir, "journal"))
			require.NoError(t, err)
		})
	require.GreaterOrEqual(t, sends(steps), 10, "the gate, three pages, and two notices to each of three people are steps, too")
}

// The same on a shared store, killed before and after each send: another process is the
// responder after it.
func TestLaw7_NoPageIsLostByAKillOnPostgreSQL(t *testing.T) {
	open, _ := onPostgreSQL(t)
	steps := crashtest.Run(t, crashtest.Config{}, func(dir string) error { return wholeLife(dir, open) },
		func(t *testing.T, dir string, at crashtest.Step) { goesOn(t, dir, open, at) })
	require.GreaterOrEqual(t, sends(steps), 10)
}

// sends counts the steps by which something reached the world.
func sends(steps []crashtest.Step) (n int) {
	for _, s := range steps {
		if s.Path == "world" && s.Grew > 0 {
			n++
		}
	}
	return n
}

// goesOn has another process go on where a killed one was, and looks at what the world
// saw of both.
func goesOn(t *testing.T, dir string, open opener, at crashtest.Step) {
	pages := []string{
		"alert inconsistent-positions/book/1/page/1/0.", "alert inconsistent-positions/book/1/page/1/1.", "alert inconsistent-positions/book/1/page/1/2.",
	}
	before := world{filepath.Join(dir, "world")}.saw(t, "alert ")
	began := time.Now()
	l, err := live(dir, open)
	require.NoError(t, err)
	all := l.All()
	if len(all) == 0 {
		require.NotContains(t, at.Lines, "declared")
		// Never confirmed, and perhaps paged all the same: the detector sees it again.
		_, err := l.Declare(t.Context(), "reconciler", "book and venue differ", signal("book"))
		require.NoError(t, err)
		all = l.All()
	}
	in := all[0]
	acked, resolved := !in.AckedAt.IsZero(), !in.ResolvedAt.IsZero()
	require.True(t, acked || !slices.Contains(at.Lines, "acknowledged"))
	require.True(t, resolved || !slices.Contains(at.Lines, "resolved"))
	switch {
	case resolved:
		require.NoError(t, l.until("the notice of the end", func() bool { return len(l.world.saw(t, "resolution ")) > 0 }))
	case acked:
		require.NoError(t, l.until("the notice of the ack", func() bool { return len(l.world.saw(t, "acknowledgement ")) > 0 }))
	default:
		require.NoError(t, l.until("three pages", func() bool { return len(slices.Compact(slices.Sorted(slices.Values(l.world.saw(t, "alert "))))) >= 3 }))
	}
	t.Logf("it went on, and all that was owed was sent, within %v", time.Since(began).Round(time.Millisecond))
	require.NoError(t, l.end())
	seen := l.world.saw(t, "")
	require.Equal(t, "gate closed.", seen[0], "before any page")
	after := l.world.saw(t, "alert ")
	if acked {
		require.Equal(t, before, after, "no page after the acknowledgement")
	}
	require.Equal(t, pages, slices.Compact(slices.Sorted(slices.Values(after))), "all of them, and under one key each")
}

// manyPending acknowledges 25 incidents whose pages are under way, in the child.
func manyPending(dir string) error {
	l, err := live(dir, inJournal, func(c *incident.Config) {
		courier, err := notify.NewCourier(notify.Config{
			Channels: map[string]notify.Notifier{"phone": mute{}}, Limits: map[string]notify.Limit{"phone": {Burst: 1e9}}, Storm: notify.Storm{Pages: 1e9}, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			panic(err)
		}
		c.Courier = courier
	})
	if err != nil {
		return err
	}
	var all []incident.Incident
	for i := range 25 {
		in, err := l.Declare(context.Background(), "watchdog", "down", minor(fmt.Sprint(i)))
		if err != nil {
			return err
		}
		all = append(all, in)
	}
	if err := l.until("75 pages under way", l.has(incident.PageDue, 75)); err != nil {
		return err
	}
	for _, in := range all {
		if err := l.Acknowledge(context.Background(), in.Number, "Ada"); err != nil {
			return err
		}
		fmt.Println(in.Number)
	}
	return l.end()
}

// With 25 acknowledged while their pages are under way, and a kill at any step: after
// the restart no page begins for what is acknowledged, and every page for what is not.
func TestLaw7_NoPageBeginsAfterTheAckAcrossAKill(t *testing.T) {
	crashtest.Run(t, crashtest.Config{MaxSteps: 12}, manyPending, func(t *testing.T, dir string, at crashtest.Step) {
		l, err := live(dir, inJournal)
		require.NoError(t, err)
		var want []string
		for _, in := range l.All() {
			if in.AckedAt.IsZero() {
				for step := range 3 {
					want = append(want, fmt.Sprintf("alert risk-offline/%s/1/page/1/%d.", in.Component, step))
				}
			} else {
				require.NoError(t, l.until("the notice of "+in.Number, func() bool {
					return slices.Contains(l.world.saw(t, "ack"), "acknowledgement risk-offline/"+in.Component+"/1/acknowledgement/1.")
				}))
			}
			require.True(t, !slices.Contains(at.Lines, in.Number) || !in.AckedAt.IsZero(), "confirmed and forgotten")
		}
		got := func() []string { return slices.Compact(slices.Sorted(slices.Values(l.world.saw(t, "alert ")))) }
		require.NoError(t, l.until("the pages", func() bool { return len(got()) >= len(want) }))
		require.NoError(t, l.end())
		require.ElementsMatch(t, want, got())
	})
}
