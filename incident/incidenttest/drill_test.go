package incidenttest_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

// service is what a drill breaks: somebody notices after a while, and a restart mends it.
type service struct {
	m      *incidenttest.Manager
	notice time.Duration
	down   atomic.Bool
	mended int
}

func (s *service) drill(t *testing.T) incidenttest.Drill {
	return incidenttest.Drill{
		Name: "kill", Condition: severity.ServiceUnavailable, Component: "engine",
		Healthy: func(context.Context) error {
			if s.down.Load() {
				return errors.New("no answer")
			}
			return nil
		},
		Break: func(context.Context) error {
			s.down.Store(true)
			if s.notice >= 0 {
				time.AfterFunc(s.notice, func() {
					_, err := s.m.Declare(context.Background(), "probe", "no answer", severity.Signal{
						Condition: severity.ServiceUnavailable, Component: "engine", At: time.Now(), Source: "probe",
					})
					if err != nil {
						t.Log(err) // STOP NOT CONFIRMED, where the test wants that
					}
				})
			}
			return nil
		},
		Respond: func(ctx context.Context, in incident.Incident) error {
			if err := s.m.Acknowledge(ctx, in.Number, "Ada"); err != nil {
				return err
			}
			time.Sleep(time.Minute)
			s.down.Store(false)
			return nil
		},
		Mend:   func(context.Context) error { s.mended++; return nil },
		Within: 10 * time.Minute,
	}
}

func inBubble(t *testing.T, notice time.Duration, test func(t *testing.T, s *service)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t, &service{m: incidenttest.NewManager(t), notice: notice})
	})
}

func TestADrillIsJudgedByThePlaybooksTargets(t *testing.T) {
	inBubble(t, 2*time.Second, func(t *testing.T, s *service) {
		score := incidenttest.RequireDrill(t, s.m, s.drill(t))
		require.True(t, score.Passed())
		require.Equal(t, severity.SEV1, score.Level)
		require.Equal(t, 1, s.mended)
		targets := severity.SEV1.Targets()
		require.Len(t, score.Marks, 4)
		for i, want := range []incidenttest.Mark{
			{Name: "detect", Took: 2 * time.Second, Target: targets.Respond}, {Name: "halt", Took: 2 * time.Second, Target: targets.Respond},
			{Name: "page", Took: 2 * time.Second, Target: targets.Respond}, {Name: "recover", Took: 62 * time.Second, Target: targets.Resolve},
		} {
			require.Equal(t, want.Name, score.Marks[i].Name)
			require.Equal(t, want.Target, score.Marks[i].Target)
			require.InDelta(t, want.Took.Seconds(), score.Marks[i].Took.Seconds(), 0.02, want.Name)
		}
	})
}

// failures counts what a drill would have failed a test for.
type failures struct {
	testing.TB
	errors int
}

func (f *failures) Helper()               {}
func (f *failures) Log(...any)            {}
func (f *failures) Errorf(string, ...any) { f.errors++ }

func TestWhatADrillMisses(t *testing.T) {
	for name, c := range map[string]struct {
		notice time.Duration
		change func(*incidenttest.Drill, *service)
		missed []string
	}{
		"nobody notices":      {-1, func(*incidenttest.Drill, *service) {}, []string{"detect", "halt", "page", "recover"}},
		"noticed late":        {6 * time.Minute, func(*incidenttest.Drill, *service) {}, []string{"detect", "halt", "page"}},
		"on the target":       {time.Second, func(d *incidenttest.Drill, _ *service) { d.Detect = time.Second }, []string{"detect"}},
		"the gate stays open": {time.Second, func(_ *incidenttest.Drill, s *service) { s.m.Gate.Fail(errors.New("stuck")) }, []string{"halt"}},
		"no page goes out":    {time.Second, func(_ *incidenttest.Drill, s *service) { s.m.Pager.Fail(errors.New("no network")) }, []string{"page", "recover"}},
		"nobody answers":      {time.Second, func(d *incidenttest.Drill, _ *service) { d.Respond = nil }, []string{"recover"}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, c.notice, func(t *testing.T, s *service) {
				d := s.drill(t)
				c.change(&d, s)
				f := &failures{TB: t}
				score := incidenttest.RequireDrill(f, s.m, d)
				require.False(t, score.Passed())
				var missed []string
				for _, m := range score.Marks {
					if !m.Met() {
						missed = append(missed, m.Name)
					}
				}
				require.Equal(t, c.missed, missed, score)
				require.Equal(t, len(missed), f.errors)
				require.Equal(t, 1, s.mended, "what is left is taken away")
			})
		})
	}
}

func TestWhatIsNoDrill(t *testing.T) {
	_, err := incidenttest.Drill{Within: -1}.Run(t.Context(), &incidenttest.Manager{})
	for _, want := range []string{"Name is missing", "Condition is missing", "Healthy is missing", "Break is missing", "Within is -1ns"} {
		require.ErrorContains(t, err, want)
	}
	for name, c := range map[string]struct {
		change func(*incidenttest.Drill, *service)
		want   string
		mended int
	}{
		"sick before": {func(_ *incidenttest.Drill, s *service) { s.down.Store(true) }, "does not work before anything is broken", 0},
		"it cannot be broken": {func(d *incidenttest.Drill, _ *service) {
			d.Break = func(context.Context) error { return errors.New("no") }
		}, "breaking it: no", 1},
		"breaking it panics": {func(d *incidenttest.Drill, _ *service) { d.Break = func(context.Context) error { panic("oh") } }, "breaking it: panic: oh", 1},
		"the response fails": {func(d *incidenttest.Drill, _ *service) {
			d.Respond = func(context.Context, incident.Incident) error { return errors.New("no") }
		}, "the response: no", 1},
		"the response panics": {func(d *incidenttest.Drill, _ *service) {
			d.Respond = func(context.Context, incident.Incident) error { panic("oh") }
		}, "the response: panic: oh", 1},
		"the response hangs": {func(d *incidenttest.Drill, _ *service) {
			d.Respond = func(context.Context, incident.Incident) error { time.Sleep(time.Hour); return nil }
		}, "had not ended", 1},
		"the fault stays": {func(d *incidenttest.Drill, _ *service) {
			d.Mend = func(context.Context) error { return errors.New("no") }
		}, "taking the fault away: no", 0},
		"an incident is open": {func(_ *incidenttest.Drill, s *service) {
			_, err := s.m.Declare(context.Background(), "probe", "no answer", severity.Signal{Condition: severity.ServiceUnavailable, Component: "engine", At: time.Now(), Source: "probe"})
			require.NoError(t, err)
		}, "would take the fault for its own", 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, time.Second, func(t *testing.T, s *service) {
				d := s.drill(t)
				c.change(&d, s)
				score, err := d.Run(t.Context(), s.m)
				require.ErrorContains(t, err, c.want, score)
				require.Equal(t, c.mended, s.mended)
				time.Sleep(2 * time.Hour) // what hangs ends before the bubble does
			})
		})
	}
}
