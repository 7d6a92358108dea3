package fleettest

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/safety/fleet"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryConforms(t *testing.T) {
	TestBackend(t, func(*testing.T) func() fleet.Backend {
		var m Memory
		return func() fleet.Backend { return &m }
	})
}

func TestALineConforms(t *testing.T) {
	TestBackend(t, func(*testing.T) func() fleet.Backend {
		var m Memory
		return func() fleet.Backend { return m.Line() }
	})
}

// failed runs a check as a test of its own and reports what it said.
func failed(t *testing.T, check func(tb testing.TB)) string {
	f := &fakeTB{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		check(f)
	}()
	<-done
	for _, c := range slices.Backward(f.cleanups) {
		c()
	}
	return f.said
}

type fakeTB struct {
	testing.TB
	said     string
	cleanups []func()
}

func (f *fakeTB) Helper()          {}
func (f *fakeTB) Cleanup(c func()) { f.cleanups = append(f.cleanups, c) }
func (f *fakeTB) Fatalf(format string, _ ...any) {
	if f.said == "" {
		f.said = format
	}
	runtime.Goexit()
}

// broken is a backend that breaks one rule.
type broken struct {
	Memory
	twice, blind, stale, reuse, short, deaf, mute, endless, torn bool

	mu    sync.Mutex
	old   []fleet.Record
	reads int
}

func (b *broken) Read(ctx context.Context) ([]fleet.Record, error) {
	if b.endless {
		ctx = context.WithoutCancel(ctx)
	}
	rs, err := b.Memory.Read(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.reads++; {
	case b.stale && b.reads%2 == 0:
		return b.old, nil
	case b.torn && len(rs) == 2:
		later, err := b.Memory.Read(ctx)
		for err == nil && string(later[1].Value) == string(rs[1].Value) {
			runtime.Gosched()
			later, err = b.Memory.Read(ctx)
		}
		return []fleet.Record{rs[0], later[1]}, err
	}
	b.old = rs
	for i := range rs {
		if b.short {
			rs[i].Value = rs[i].Value[:min(len(rs[i].Value), 8000)]
		}
		if b.reuse {
			rs[i].Revision = 1
		}
	}
	return rs, err
}

func (b *broken) Write(ctx context.Context, r fleet.Record, quiet bool) (int64, error) {
	if b.blind || b.twice && r.Revision == 0 {
		time.Sleep(time.Millisecond) // for somebody to come in between
		r.Revision = 0
		rs, err := b.Memory.Read(ctx)
		if err != nil {
			return 0, err
		}
		for _, was := range rs {
			if was.Key == r.Key {
				r.Revision = was.Revision
			}
		}
	}
	rev, err := b.Memory.Write(ctx, r, quiet || b.deaf)
	if b.reuse && err == nil {
		rev = 1
	}
	return rev, err
}

func (b *broken) Watch(ctx context.Context, prefix string, woken func(string)) error {
	return b.Memory.Watch(ctx, prefix, func(key string) {
		if !b.mute || key != "" {
			woken(key)
		}
	})
}

func TestTheSuiteFindsBrokenRules(t *testing.T) {
	for _, c := range []struct {
		name  string
		b     func() *broken
		check func(testing.TB, func() fleet.Backend)
		says  string
	}{
		{"made twice", func() *broken { return &broken{twice: true} }, madeOnce, "want ErrConflict"},
		{"replaced whatever it is", func() *broken { return &broken{blind: true} }, replacedByRevision, "want ErrConflict"},
		{"a stale read", func() *broken { return &broken{stale: true} }, writtenIsRead, "a halt would be missed"},
		{"a revision used again", func() *broken { return &broken{reuse: true} }, deletedIsGone, "is used again"},
		{"a value cut short", func() *broken { return &broken{short: true} }, valuesAreWhole, "Read gives %q as"},
		{"a read of two instants", func() *broken { return &broken{torn: true} }, readIsOneInstant, "%s"},
		{"a lost update", func() *broken { return &broken{blind: true} }, noUpdateIsLost, "two writes replaced"},
		{"a watch that misses", func() *broken { return &broken{deaf: true} }, watchSays, "Watch does not say"},
		{"a watch that does not say that it listens", func() *broken { return &broken{mute: true} }, watchSays, "Watch does not say"},
		{"a call that does not end", func() *broken { return &broken{endless: true} }, callsEnd, "although its context has ended"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // its patience is minutes
				b := c.b()
				require.Contains(t, failed(t, func(tb testing.TB) { c.check(tb, func() fleet.Backend { return b }) }), c.says)
			})
		})
	}
}
