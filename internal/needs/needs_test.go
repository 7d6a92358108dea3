package needs_test

import (
	"runtime"
	"testing"

	"github.com/andon-go/andon/internal/needs"
	"github.com/stretchr/testify/require"
)

// fakeTB notes how a test was ended. The embedded nil TB makes every other call panic.
type fakeTB struct {
	testing.TB
	skipped, failed bool
}

func (f *fakeTB) Helper()               {}
func (f *fakeTB) Skipf(string, ...any)  { f.skipped = true; runtime.Goexit() }
func (f *fakeTB) Fatalf(string, ...any) { f.failed = true; runtime.Goexit() }

func end(t *testing.T) *fakeTB {
	t.Helper()
	f, done := &fakeTB{}, make(chan struct{})
	go func() {
		defer close(done)
		needs.Missing(f, "a server")
	}()
	<-done
	return f
}

func TestMissingSkipsOnAMachineAndFailsInCI(t *testing.T) {
	t.Setenv("CI", "")
	f := end(t)
	require.True(t, f.skipped)
	require.False(t, f.failed)

	t.Setenv("CI", "true")
	f = end(t)
	require.True(t, f.failed, "a missing server must fail under CI=true")
	require.False(t, f.skipped)
}
