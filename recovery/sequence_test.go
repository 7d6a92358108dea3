package recovery_test

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/recoverytest"
	"github.com/stretchr/testify/require"
)

func holds(evidence string) recovery.Check {
	return func(context.Context) (string, error) { return evidence, nil }
}

func fails(text string) recovery.Check {
	return func(context.Context) (string, error) { return "", errors.New(text) }
}

// hangs takes no notice of its context.
func hangs(d time.Duration) recovery.Check {
	return func(context.Context) (string, error) { time.Sleep(d); return "late", nil }
}

// letGo waits until checks that were left behind have returned, as the bubble and
// goleak both demand.
func letGo() { time.Sleep(2 * time.Hour) }

// unproofs are the ways in which a check shows nothing, with what must be said.
func unproofs() map[string]struct {
	check recovery.Check
	says  string
} {
	return map[string]struct {
		check recovery.Check
		says  string
	}{
		"missing":      {nil, "no check is configured"},
		"error":        {fails("two legs are naked"), "two legs are naked"},
		"panic":        {func(context.Context) (string, error) { panic("nil map") }, "the check panicked: nil map"},
		"goexit":       {func(context.Context) (string, error) { runtime.Goexit(); return "never", nil }, "ended without an answer"},
		"time over":    {hangs(time.Hour), "no answer within"},
		"no evidence":  {holds(""), "no evidence"},
		"both answers": {func(context.Context) (string, error) { return "fine", errors.New("not fine") }, "not fine"},
		"answers nil when told to stop": {func(ctx context.Context) (string, error) {
			<-ctx.Done()
			return "fine", nil
		}, "no answer within"},
	}
}

func TestLaw1_AStepThatIsNotShownIsUnproven(t *testing.T) {
	for name, c := range unproofs() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				defer letGo()
				s := newSequence(t, nil, recovery.Step{Name: "one", Check: c.check, Budget: time.Minute})
				results, err := s.Run(t.Context(), "alice", nil)
				require.ErrorIs(t, err, recovery.ErrUnproven)
				require.ErrorContains(t, err, c.says)
				require.Len(t, results, 1)
				require.False(t, results[0].Proven)
				require.Empty(t, results[0].Evidence)
				require.Contains(t, results[0].Problem, c.says)
				require.LessOrEqual(t, results[0].Took(), time.Minute)
				require.Contains(t, results[0].String(), "UNPROVEN")
			})
		})
	}
}

func newSequence(t *testing.T, rec recovery.Recorder, steps ...recovery.Step) *recovery.Sequence {
	t.Helper()
	if rec == nil {
		rec = new(recoverytest.Recorder)
	}
	s, err := recovery.NewSequence(recovery.SequenceConfig{Steps: steps, Recorder: rec})
	require.NoError(t, err)
	return s
}

// machine has parts that are down until somebody starts them.
type machine struct {
	up      map[string]bool
	started []string
	checked []string
}

func (m *machine) steps() []recovery.Step {
	steps := recovery.PriorityOrder()
	for i := range steps {
		name := steps[i].Name
		steps[i].Check = func(context.Context) (string, error) {
			m.checked = append(m.checked, name)
			if !m.up[name] {
				return "", errors.New(name + " is down")
			}
			return name + " is up", nil
		}
		steps[i].Action = func(context.Context) error {
			m.started = append(m.started, name)
			m.up[name] = true
			return nil
		}
	}
	return steps
}

func names(steps []recovery.Step) []string {
	var names []string
	for _, s := range steps {
		names = append(names, s.Name)
	}
	return names
}

func TestSequenceRunsInTheOrderAndActsOnlyWhereItMust(t *testing.T) {
	m := &machine{up: map[string]bool{recovery.StepPositions: true}}
	rec := new(recoverytest.Recorder)
	results, err := newSequence(t, rec, m.steps()...).Run(t.Context(), "alice", nil)
	require.NoError(t, err)
	require.Len(t, results, 8)
	want := names(recovery.PriorityOrder())
	want = append(want[:1:1], want[2:]...)
	require.Equal(t, want, m.started, "position tracking was up and is left alone")
	for i, r := range results {
		require.True(t, r.Proven)
		require.Equal(t, recovery.PriorityOrder()[i].Name, r.Name)
		require.Equal(t, r.Name+" is up", r.Evidence)
		require.Equal(t, r.Name != recovery.StepPositions, r.Acted)
		require.False(t, r.Ended.Before(r.Began))
	}
	require.Equal(t, []string{"recovery step begins: Stop Loss System", "recovery step proven: Stop Loss System", "recovery step proven: Position Tracking"}, rec.Whats()[:3])
	require.Equal(t, "alice", rec.Entries()[0].Who)
	require.Equal(t, "Ensure all positions have stop losses; before: Stop Loss System is down", rec.Entries()[0].Why)
}

func TestSequenceStopsAtTheFirstThatCannotBeProvenAndGoesOnThere(t *testing.T) {
	m := &machine{up: map[string]bool{}}
	steps := m.steps()
	repair := steps[2].Action
	steps[2].Action = func(context.Context) error { return errors.New("port is taken") }
	results, err := newSequence(t, nil, steps...).Run(t.Context(), "alice", nil)
	u, ok := errors.AsType[*recovery.UnprovenError](err)
	require.True(t, ok, err)
	require.Equal(t, recovery.StepTradingEngine, u.What)
	require.ErrorContains(t, err, "the action: port is taken")
	require.Len(t, results, 3)
	require.Equal(t, []string{recovery.StepStopLoss, recovery.StepPositions}, m.started, "nothing after it is begun")

	data, err := json.Marshal(results)
	require.NoError(t, err)
	var saved []recovery.StepResult
	require.NoError(t, json.Unmarshal(data, &saved))
	steps[2].Action = repair
	m.checked = nil
	results, err = newSequence(t, nil, steps...).Run(t.Context(), "bob", saved)
	require.NoError(t, err)
	require.Len(t, results, 8)
	require.Equal(t, names(recovery.PriorityOrder()), m.started, "each is started once over both runs")
	require.Equal(t, recovery.StepTradingEngine, m.checked[0], "goes on at the right one")
}

func TestLaw1_AnEarlierProofCountsOnlyWithWhatItNeeds(t *testing.T) {
	m := &machine{up: map[string]bool{}}
	s := newSequence(t, nil, m.steps()...)
	proof := func(name string) recovery.StepResult {
		return recovery.StepResult{Name: name, Proven: true, Evidence: "seen"}
	}
	_, err := s.Run(t.Context(), "alice", []recovery.StepResult{
		proof(recovery.StepStopLoss),
		{Name: recovery.StepPositions, Proven: true}, // without evidence
		proof(recovery.StepTradingEngine),            // needs position tracking
		proof(recovery.StepMonitoring),               // needs the trading engine
	})
	require.NoError(t, err)
	require.Equal(t, names(recovery.PriorityOrder())[1:], m.started)

	_, err = s.Run(t.Context(), "alice", []recovery.StepResult{proof("Warp Drive")})
	require.ErrorContains(t, err, `"Warp Drive" belongs to no step`)
}

func TestLaw10_NoActionBeginsUnrecorded(t *testing.T) {
	m := &machine{up: map[string]bool{}}
	rec := new(recoverytest.Recorder)
	rec.Fail(errors.New("timeline is full"))
	results, err := newSequence(t, rec, m.steps()...).Run(t.Context(), "alice", nil)
	require.ErrorIs(t, err, recovery.ErrNotRecorded)
	require.Empty(t, m.started)
	require.Len(t, results, 1)
	require.False(t, results[0].Proven)
	require.False(t, results[0].Acted)

	m.up[recovery.StepStopLoss] = true
	results, err = newSequence(t, rec, m.steps()...).Run(t.Context(), "alice", nil)
	require.ErrorIs(t, err, recovery.ErrNotRecorded, "a proof that cannot be recorded is none")
	require.Len(t, results, 1)
	require.False(t, results[0].Proven)
}

func TestLaw6_AnActionWhoseTimeIsOverHasNoKnownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer letGo()
		s := newSequence(t, nil, recovery.Step{Name: "one", Check: fails("down"), Budget: time.Minute, Action: func(context.Context) error {
			time.Sleep(time.Hour)
			return nil
		}}, recovery.Step{Name: "two", Check: holds("up")})
		results, err := s.Run(t.Context(), "alice", nil)
		require.ErrorContains(t, err, "outcome is not known, it may still be at work")
		require.Len(t, results, 1)
		require.True(t, results[0].Acted)
		require.Equal(t, time.Minute, results[0].Took())
	})
}

func TestAnActionThatPanicsIsAnError(t *testing.T) {
	s := newSequence(t, nil, recovery.Step{Name: "one", Check: fails("down"), Action: func(context.Context) error { panic("boom") }})
	_, err := s.Run(t.Context(), "alice", nil)
	require.ErrorContains(t, err, "panicked: boom")
}

func TestAnActionIsNotBelieved(t *testing.T) {
	s := newSequence(t, nil, recovery.Step{Name: "one", Check: fails("down"), Action: func(context.Context) error { return nil }})
	_, err := s.Run(t.Context(), "alice", nil)
	require.ErrorContains(t, err, "one: unproven: down")
}

func TestSequenceEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	acted := false
	rec := new(recoverytest.Recorder)
	s := newSequence(t, rec, recovery.Step{Name: "one", Check: func(context.Context) (string, error) {
		cancel()
		return "", errors.New("down")
	}, Action: func(context.Context) error { acted = true; return nil }})
	_, err := s.Run(ctx, "alice", nil)
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, acted)
	require.Equal(t, []string{"recovery step unproven: one"}, rec.Whats(), "what happened is recorded all the same")
}

func TestSequenceNamesEveryProblemOfItsConfig(t *testing.T) {
	_, err := recovery.NewSequence(recovery.SequenceConfig{Budget: -1, Steps: []recovery.Step{
		{Name: "a", Needs: []string{"b"}}, {Name: "b", Budget: -1}, {Name: "b"}, {},
	}})
	for _, want := range []string{
		`Steps: number 1, "a": needs "b", which is not an earlier step`, `Steps: number 2, "b": the budget is -1ns`,
		`Steps: number 3, "b": the name is there twice`, `Steps: number 4, "": the name is empty`, "Budget: -1ns", "Recorder: is nil",
	} {
		require.ErrorContains(t, err, want)
	}
	_, err = recovery.NewSequence(recovery.SequenceConfig{Steps: []recovery.Step{}, Recorder: new(recoverytest.Recorder)})
	require.ErrorContains(t, err, "Steps: there are none")
	s := newSequence(t, nil, recovery.PriorityOrder()...)
	_, err = s.Run(t.Context(), "", nil)
	require.ErrorContains(t, err, "who runs it is empty")
	_, err = s.Run(t.Context(), "alice", nil)
	require.ErrorContains(t, err, "no check is configured", "the order alone proves nothing")
}
