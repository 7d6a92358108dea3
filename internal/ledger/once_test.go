package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/internal/atomicfile"
	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/internal/ledger"
	"github.com/stretchr/testify/require"
)

type plan struct{ ID string }

var errMoved = errors.New("moved")

// job counts what is asked of it.
type job struct {
	ledger.Once[plan]
	plans, applied int
	apply          func() error // nil: nothing stands in the way
}

func newJob(dir string) *job {
	return &job{Once: ledger.Once[plan]{Dir: filepath.Join(dir, "plans"), Moved: errMoved}}
}

func (j *job) do(ctx context.Context, key, by string) (string, error) {
	return j.Do(ctx, key, by, "a reason", func() (plan, error) {
		j.plans++
		return plan{strconv.Itoa(j.plans)}, nil
	}, func(p plan) (string, error) {
		j.applied++
		if j.apply != nil {
			if err := j.apply(); err != nil {
				return "", err
			}
		}
		return "by plan " + p.ID, nil
	})
}

func TestLaw9_AKeyThatIsDoneSaysTheSameAgain(t *testing.T) {
	j := newJob(t.TempDir())
	done, _, err := j.Done(t.Context(), "k")
	require.NoError(t, err)
	require.False(t, done)
	said, err := j.do(t.Context(), "k", "alice")
	require.NoError(t, err)
	require.Equal(t, "by plan 1", said)
	j.apply = func() error { return errMoved } // as it would be after a while
	said, err = j.do(t.Context(), "k", "bob")
	require.NoError(t, err)
	require.Equal(t, "by plan 1", said)
	done, said, err = j.Done(t.Context(), "k")
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, "by plan 1", said)
	require.Equal(t, 1, j.applied)
	j.apply = nil
	said, err = j.do(t.Context(), "another", "alice")
	require.NoError(t, err)
	require.Equal(t, "by plan 2", said)
}

func TestLaw9_APlanIsKeptUntilItIsAppliedOrItsFactsHaveMoved(t *testing.T) {
	j := newJob(t.TempDir())
	busy := errors.New("busy")
	j.apply = func() error { return busy }
	for range 2 {
		_, err := j.do(t.Context(), "k", "alice")
		require.ErrorIs(t, err, busy)
		require.Equal(t, 1, j.plans, "the same plan")
	}
	j.apply = func() error { return fmt.Errorf("applying: %w", errMoved) }
	_, err := j.do(t.Context(), "k", "alice")
	require.ErrorIs(t, err, errMoved)
	require.Equal(t, 1, j.plans)
	j.apply = nil
	said, err := j.do(t.Context(), "k", "alice")
	require.NoError(t, err)
	require.Equal(t, "by plan 2", said, "a new one")
}

func TestLaw9_TwoAtOnceDoItOnce(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		first, release := newJob(dir), make(chan struct{})
		first.apply = func() error { <-release; return nil }
		answers := make(chan string, 2)
		do := func(j *job, by string) {
			said, err := j.do(t.Context(), "k", by)
			answers <- fmt.Sprint(said, err)
		}
		go do(first, "alice")
		synctest.Wait()
		second := newJob(dir)
		second.plans = 7
		go do(second, "bob")
		synctest.Wait()
		close(release)
		require.Equal(t, "by plan 1<nil>", <-answers)
		require.Equal(t, "by plan 1<nil>", <-answers)
		require.Zero(t, second.applied)
	})
}

func TestAKeyDoesNotWaitForAnother(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		long := newJob(dir)
		long.apply = func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := newJob(dir).do(ctx, "short", "bob")
			return err
		}
		_, err := long.do(t.Context(), "long", "alice")
		require.NoError(t, err)
	})
}

func TestLaw1_ADamagedPlanIsNeitherAppliedNorMadeAnew(t *testing.T) {
	j := newJob(t.TempDir())
	j.apply = func() error { return errors.New("busy") }
	_, err := j.do(t.Context(), "k", "alice")
	require.Error(t, err)
	path := filepath.Join(j.Dir, ledger.Name("k")+".json")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, text[:len(text)/2], 0o600))
	_, err = j.do(t.Context(), "k", "alice")
	require.ErrorContains(t, err, path)
	_, _, err = j.Done(t.Context(), "k")
	require.ErrorContains(t, err, path)
	require.Equal(t, 1, j.plans)
	require.Equal(t, 1, j.applied)
}

func TestBadInputLeavesNothing(t *testing.T) {
	j := newJob(t.TempDir())
	_, err := j.do(t.Context(), " ", "")
	require.ErrorContains(t, err, "key: is empty")
	require.ErrorContains(t, err, "by: is empty")
	require.NoDirExists(t, j.Dir)
	j.Dir = ""
	_, err = j.do(t.Context(), "k", "alice")
	require.ErrorContains(t, err, "Dir is empty")
	_, _, err = j.Done(t.Context(), "k")
	require.ErrorContains(t, err, "Dir is empty")
	require.Zero(t, j.plans)
}

// once applies a plan of this process by making a file that is named after it.
func once(dir string) (string, error) {
	o := ledger.Once[plan]{Dir: filepath.Join(dir, "plans"), Moved: errMoved}
	return o.Do(context.Background(), "k", "alice", "a reason", func() (plan, error) {
		return plan{strconv.Itoa(os.Getpid())}, nil
	}, func(p plan) (string, error) {
		return p.ID, atomicfile.Write(filepath.Join(dir, "applied-"+p.ID), nil, 0o600)
	})
}

func TestLaw9_WhatAKillCutOffIsFinishedByTheSamePlan(t *testing.T) {
	steps := crashtest.Run(t, crashtest.Config{}, func(dir string) error {
		said, err := once(dir)
		if err == nil {
			fmt.Println(said)
		}
		return err
	}, func(t *testing.T, dir string, at crashtest.Step) {
		said, err := once(dir)
		require.NoError(t, err)
		for _, acknowledged := range at.Lines {
			require.Equal(t, acknowledged, said)
		}
		all, err := filepath.Glob(filepath.Join(dir, "applied-*"))
		require.NoError(t, err)
		require.Equal(t, []string{filepath.Join(dir, "applied-"+said)}, all, "one plan, applied")
	})
	require.Empty(t, crashtest.Unsynced(steps))
}
