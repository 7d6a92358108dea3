package recovery_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/recoverytest"
	"github.com/stretchr/testify/require"
)

// slow are the eight steps, each of which takes a minute to start, and the order in
// which they began and ended.
func slow(order *[]string) []recovery.Step {
	var mu sync.Mutex
	up := map[string]bool{}
	note := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		*order = append(*order, text)
	}
	steps := recovery.PriorityOrder()
	for i := range steps {
		name := steps[i].Name
		steps[i].Check = func(context.Context) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			if !up[name] {
				return "", errors.New("down")
			}
			return "up", nil
		}
		steps[i].Action = func(context.Context) error {
			note("+" + name)
			time.Sleep(time.Minute)
			note("-" + name)
			mu.Lock()
			defer mu.Unlock()
			up[name] = true
			return nil
		}
	}
	return steps
}

func TestStepsRunAtOnceWhereTheirNeedsAllow(t *testing.T) {
	for parallel, want := range map[int]time.Duration{1: 8 * time.Minute, 2: 5 * time.Minute, 8: 4 * time.Minute} {
		t.Run(fmt.Sprint(parallel), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var order []string
				steps := slow(&order)
				s, err := recovery.NewSequence(recovery.SequenceConfig{Steps: steps, Parallel: parallel, Recorder: new(recoverytest.Recorder)})
				require.NoError(t, err)
				began := time.Now()
				results, err := s.Run(t.Context(), "alice", nil)
				require.NoError(t, err)
				require.Equal(t, want, time.Since(began))
				require.Len(t, results, 8)
				for i, step := range steps {
					require.Equal(t, step.Name, results[i].Name, "results are in the order of the steps")
					for _, need := range step.Needs {
						require.Less(t, slices.Index(order, "-"+need), slices.Index(order, "+"+step.Name), "%s needs %s", step.Name, need)
					}
				}
			})
		})
	}
}

func TestAfterAStepThatFailsNoOtherBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		steps := slow(&order)
		steps[1].Action = func(context.Context) error { return errors.New("venue does not answer") }
		s, err := recovery.NewSequence(recovery.SequenceConfig{Steps: steps, Parallel: 8, Recorder: new(recoverytest.Recorder)})
		require.NoError(t, err)
		results, err := s.Run(t.Context(), "alice", nil)
		require.ErrorContains(t, err, "Position Tracking: unproven: the action: venue does not answer")
		require.Equal(t, []string{"+Stop Loss System", "-Stop Loss System"}, order, "what was at work is waited for")
		require.Len(t, results, 2)
		require.True(t, results[0].Proven)

		results, err = newSequence(t, nil, recovery.Step{Name: "one", Check: fails("down")}, recovery.Step{Name: "two", Check: holds("up")}).Run(t.Context(), "alice", nil)
		require.ErrorContains(t, err, "down")
		require.Len(t, results, 1, "although it does not need the first")
	})
}

func TestASequenceGoesOnWhereItStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := new(recoverytest.Storage)
		m := &machine{up: map[string]bool{}}
		steps := m.steps()
		repair := steps[2].Action
		steps[2].Action = func(context.Context) error { return errors.New("port is taken") }
		run := func() ([]recovery.StepResult, error) {
			s, err := recovery.NewSequence(recovery.SequenceConfig{Steps: steps, Recorder: new(recoverytest.Recorder), Progress: storage})
			require.NoError(t, err)
			return s.Run(t.Context(), "alice", nil)
		}
		_, err := run()
		require.Error(t, err)
		steps[2].Action = repair
		m.checked = nil
		results, err := run()
		require.NoError(t, err)
		require.Len(t, results, 8)
		require.Equal(t, recovery.StepTradingEngine, m.checked[0])
		require.Equal(t, names(recovery.PriorityOrder()), m.started, "each is started once over both runs")

		m.checked = nil
		_, err = run()
		require.NoError(t, err)
		require.Len(t, m.checked, 8, "a run that ended well is over: the next one looks at all")

		steps[7].Check = fails("dashboard is empty")
		_, err = run()
		require.Error(t, err)
		time.Sleep(time.Hour + time.Second)
		m.checked = nil
		_, err = run()
		require.Error(t, err)
		require.Len(t, m.checked, 7, "what was proven long ago is looked at again")
	})
}

func TestProgressThatCannotBeReadOrKeptIsNotPassedOver(t *testing.T) {
	storage := new(recoverytest.Storage)
	s, err := recovery.NewSequence(recovery.SequenceConfig{
		Steps: []recovery.Step{{Name: "one", Check: holds("up")}, {Name: "two", Check: fails("down")}}, Recorder: new(recoverytest.Recorder), Progress: storage,
	})
	require.NoError(t, err)
	full := errors.New("no space left on device")
	storage.FailWhen(func(op, key string) error {
		if op == "put" && strings.HasSuffix(key, "2") {
			return full
		}
		return nil
	})
	results, err := s.Run(t.Context(), "alice", nil)
	require.ErrorIs(t, err, full)
	require.False(t, results[0].Proven)
	storage.FailWhen(nil)
	_, err = s.Run(t.Context(), "alice", nil)
	require.ErrorContains(t, err, "down")
	require.NoError(t, storage.Alter(storage.Keys()[0], func(data []byte) []byte { data[len(data)-3] ^= 1; return data }))
	_, err = s.Run(t.Context(), "alice", nil)
	require.ErrorContains(t, err, storage.Keys()[0])
}

// A recovery is killed at every durable step of it and run again: each part is up at
// the end, in the right order, and none that was proven is started twice.
func TestAKilledSequenceGoesOnWhereItWas(t *testing.T) {
	sequence := func(dir string) (*recovery.Sequence, error) {
		progress, err := recovery.NewDirStorage(filepath.Join(dir, "progress"))
		if err != nil {
			return nil, err
		}
		steps := recovery.PriorityOrder()[:3]
		for i := range steps {
			file := filepath.Join(dir, fmt.Sprintf("%d", i))
			steps[i].Check = func(context.Context) (string, error) {
				data, err := os.ReadFile(file)
				if err == nil && string(data) != "up" {
					err = errors.New("half up")
				}
				return string(data), err
			}
			steps[i].Action = func(context.Context) error { return os.WriteFile(file, []byte("up"), 0o600) }
		}
		return recovery.NewSequence(recovery.SequenceConfig{Steps: steps, Recorder: new(recoverytest.Recorder), Progress: progress})
	}
	crashtest.Run(t, crashtest.Config{MaxSteps: 60}, func(dir string) error {
		s, err := sequence(dir)
		if err != nil {
			return err
		}
		results, err := s.Run(t.Context(), "alice", nil)
		for _, r := range results {
			fmt.Println(r.Name)
		}
		return err
	}, func(t *testing.T, dir string, at crashtest.Step) {
		_, err := os.Stat(filepath.Join(dir, "progress"))
		if err != nil {
			return // killed before there was anything
		}
		s, err := sequence(dir)
		require.NoError(t, err)
		results, err := s.Run(t.Context(), "bob", nil)
		require.NoError(t, err)
		require.Len(t, results, 3)
		for i, r := range results {
			require.True(t, r.Proven)
			require.Equal(t, recovery.PriorityOrder()[i].Name, r.Name)
			require.Equal(t, "up", r.Evidence)
		}
	})
}
