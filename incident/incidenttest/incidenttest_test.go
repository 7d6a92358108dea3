package incidenttest_test

import (
	"context"
	"errors"
	"iter"
	"os"
	"os/exec"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryIsAStore(t *testing.T) {
	incidenttest.TestStore(t, func(*testing.T) func() incident.Store {
		s := &incidenttest.Memory{}
		return func() incident.Store { return s }
	})
}

// faulty is a Store with one fault.
type faulty struct {
	incidenttest.Memory
	fault string
}

func (f *faulty) Append(ctx context.Context, expected uint64, events ...incident.Event) ([]incident.Event, error) {
	switch f.fault {
	case "never conflicts":
		expected = incident.Any
	case "conflicts with Any":
		if expected == incident.Any {
			expected = 0
		}
	case "loses the last":
		got, err := f.Memory.Append(ctx, expected, events...)
		if len(events) > 1 && err == nil {
			return got[:len(got)-1], nil
		}
		return got, err
	case "appends after the context has ended":
		ctx = context.WithoutCancel(ctx)
	case "stores what is incomplete":
		for i := range events {
			if events[i].Why == "" {
				events[i].Why = "?"
			}
		}
	}
	return f.Memory.Append(ctx, expected, events...)
}

func (f *faulty) Read(ctx context.Context, after uint64) iter.Seq2[incident.Event, error] {
	switch f.fault {
	case "reads from the beginning":
		after = 0
	case "ends early without an error":
		return func(yield func(incident.Event, error) bool) {
			for e, err := range f.Memory.Read(ctx, after) {
				if err != nil || !yield(e, nil) {
					return
				}
			}
		}
	}
	return f.Memory.Read(ctx, after)
}

// Each fault has to fail the suite, in a process of its own, since a suite that
// fails fails the test that ran it.
func TestTheSuiteFindsFaults(t *testing.T) {
	const fault = "ANDON_TEST_FAULT"
	if f := os.Getenv(fault); f != "" {
		incidenttest.TestStore(t, func(*testing.T) func() incident.Store {
			s := &faulty{fault: f}
			return func() incident.Store { return s }
		})
		return
	}
	for _, f := range []string{
		"never conflicts", "conflicts with Any", "loses the last", "appends after the context has ended",
		"stores what is incomplete", "reads from the beginning", "ends early without an error",
	} {
		t.Run(f, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTheSuiteFindsFaults$")
			cmd.Env = append(os.Environ(), fault+"="+f)
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "%s", out)
			require.Contains(t, string(out), "--- FAIL: TestTheSuiteFindsFaults/")
		})
	}
}

func signal(c severity.Condition) severity.Signal {
	return severity.Signal{Condition: c, Component: "bot", At: time.Now(), Source: "test"}
}

func TestAManagerForUnitTests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := incidenttest.NewManager(t)
		incidenttest.RequireNothingDeclared(t, m)
		in, err := m.Declare(t.Context(), "bot", "cannot close", signal(severity.CannotClose))
		require.NoError(t, err)
		require.Equal(t, in.Number, incidenttest.RequireDeclared(t, m, severity.CannotClose, "bot").Number)
		require.Len(t, m.Gate.Reasons(), 1)
		synctest.Wait()
		require.Equal(t, "the On-Call Eng", m.Pager.Messages()[0].To)

		m.Gate.Fail(errors.New("stuck"))
		m.Pager.Fail(errors.New("no network"))
		m.Store.Fail(errors.New("no disk"))
		_, err = m.Declare(t.Context(), "bot", "keys refused", signal(severity.AuthFailure))
		require.ErrorIs(t, err, incident.ErrStopUnconfirmed)
		require.ErrorIs(t, err, incident.ErrNotRecorded)
		require.Len(t, m.Pager.Messages(), 1)
		m.Gate.Fail(nil)
		m.Pager.Fail(nil)
		m.Store.Fail(nil)
		time.Sleep(time.Minute)
		require.Len(t, m.Pager.Messages(), 2)
	})
}

// fatal is a testing.TB that notes that a test would have ended.
type fatal struct {
	testing.TB
	failed bool
}

func (f *fatal) Helper()               {}
func (f *fatal) Fatalf(string, ...any) { f.failed = true }

func TestAssertionsFail(t *testing.T) {
	m := incidenttest.NewManager(t)
	f := &fatal{}
	incidenttest.RequireDeclared(f, m, severity.CannotClose, "bot")
	require.True(t, f.failed)
	_, err := m.Declare(t.Context(), "bot", "cannot close", signal(severity.CannotClose))
	require.NoError(t, err)
	f = &fatal{}
	incidenttest.RequireNothingDeclared(f, m)
	require.True(t, f.failed)
}
