package safetytest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/safety"
)

// patience is how long a loaded machine, or its disk, may take.
const patience = time.Minute

// New returns an active switch that is run and closed with the test. What cfg leaves
// out is filled in: a name, a state directory and a directory for the playbook's
// flags below tb.TempDir, a minute for the disk, which a test may share with many, and
// a log that goes nowhere. Status().Flags says where the flags lie.
func New(tb testing.TB, cfg safety.Config) *safety.Switch {
	tb.Helper()
	sw, err := safety.Open(context.Background(), complete(tb, cfg))
	if err != nil {
		tb.Fatalf("safetytest: open the switch: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sw.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, safety.ErrClosed) {
			tb.Errorf("safetytest: run the switch: %v", err)
		}
		if err := sw.Close(); err != nil {
			tb.Errorf("safetytest: close the switch: %v", err)
		}
	})
	if err := sw.Resume(ctx, "safetytest", "a test begins", sw.Status().Holds); err != nil {
		tb.Fatalf("safetytest: %v", err)
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if sw.State() == safety.Active {
			return sw
		}
	}
	tb.Fatalf("safetytest: the switch does not become active: %v", sw.Check())
	return nil
}

func complete(tb testing.TB, cfg safety.Config) safety.Config {
	tb.Helper()
	if cfg.Name == "" {
		cfg.Name = tb.Name()
	}
	if cfg.Dir == "" && cfg.Store == nil {
		cfg.Dir = filepath.Join(tb.TempDir(), "state")
	}
	if cfg.Flags == nil && !cfg.NoFlags {
		dir := filepath.Join(tb.TempDir(), "flags")
		if err := os.Mkdir(dir, 0o700); err != nil {
			tb.Fatalf("safetytest: %v", err)
		}
		cfg.Flags = safety.FlagsIn(dir)
	}
	if cfg.DurableWithin == 0 {
		cfg.DurableWithin = patience
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return cfg
}

// RequireActive fails the test unless the switch lets everything pass.
func RequireActive(tb testing.TB, sw *safety.Switch) {
	tb.Helper()
	if err := sw.Check(); err != nil {
		tb.Fatalf("trading is not active: %v", err)
	}
}

// RequireHalted fails the test unless the switch is halted.
func RequireHalted(tb testing.TB, sw *safety.Switch) {
	tb.Helper()
	if st := sw.Status(); st.State != safety.Halted {
		tb.Fatalf("trading is %v, want halted; holds: %v", st.State, st.Holds)
	}
}

// RequireHold fails the test unless a hold is in force that was placed by someone or
// something whose name contains by, and returns the strictest such hold.
func RequireHold(tb testing.TB, sw *safety.Switch, by string) safety.Hold {
	tb.Helper()
	st := sw.Status()
	for _, h := range st.Holds {
		if strings.Contains(h.By, by) {
			return h
		}
	}
	tb.Fatalf("no hold by %q is in force; trading is %v, holds: %v", by, st.State, st.Holds)
	return safety.Hold{}
}
