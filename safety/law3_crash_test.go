package safety_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// crashConfig is the configuration of a child that will be killed: one directory
// for its state and one for its flags.
func crashConfig(dir string) safety.Config {
	return safety.Config{
		Name: "crash", Dir: filepath.Join(dir, "state"), Flags: safety.FlagsIn(dir), DurableWithin: time.Minute,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// live resumes, halts and resumes again, and says after each what was acknowledged.
func live(dir string, rounds int) error {
	ctx := context.Background()
	sw, err := safety.Open(ctx, crashConfig(dir))
	if err != nil {
		return err
	}
	for n := range rounds {
		fmt.Println("resuming", n)
		if err := sw.Resume(ctx, "alice", "looked at everything", sw.Status().Holds); err != nil {
			return err
		}
		fmt.Println("resumed", n)
		if _, err := sw.Halt(ctx, "bob", fmt.Sprintf("halt %d", n)); err != nil {
			return err
		}
		fmt.Println("halted", n)
		if err := sw.Reduce("drawdown", fmt.Sprintf("reduce %d", n)); err != nil {
			return err
		}
		if _, err := sw.Drain(ctx); err != nil {
			return err
		}
		fmt.Println("reducing", n)
	}
	return sw.Close()
}

// judge opens what a killed child left, and checks that a halt that was acknowledged,
// and after which no Resume had begun, holds, with the hold that was placed.
func judge(t *testing.T, dir string, lines []string) {
	sw, err := safety.Open(t.Context(), crashConfig(dir))
	require.NoError(t, err)
	defer func() { require.NoError(t, sw.Close()) }() // before its directory goes
	defer run(t, sw)()
	last := ""
	if len(lines) > 0 {
		last = lines[len(lines)-1]
	}
	what, n, _ := strings.Cut(last, " ")
	holds := fmt.Sprint(lasting(sw))
	switch what {
	case "": // nobody had resumed yet, ever
		require.Equal(t, safety.Halted, sw.State())
	case "resuming":
		// A named person had decided; it may have come to the disk or not, but never half.
		if sw.State() != safety.Active {
			require.Equal(t, safety.Halted, sw.State())
			require.NotEmpty(t, lasting(sw))
			if n != "0" {
				require.Contains(t, holds, "bob")
				require.Contains(t, holds, "drawdown")
			}
		} else {
			require.Equal(t, "alice", sw.Status().Resumed.By)
		}
	case "resumed": // the halt was under way
		require.Equal(t, "alice", sw.Status().Resumed.By)
		if sw.State() != safety.Active {
			require.Contains(t, holds, "halt "+n)
		}
	case "halted", "reducing":
		require.Equal(t, safety.Halted, sw.State(), "a halt that was acknowledged")
		require.Contains(t, holds, "halt "+n)
		require.Equal(t, what == "reducing" || strings.Contains(holds, "drawdown"), strings.Contains(holds, "reduce "+n))
	default:
		t.Fatalf("the child said %q", last)
	}
	left, err := filepath.Glob(filepath.Join(dir, "state", "*.damaged-*"))
	require.NoError(t, err)
	require.Empty(t, left, "no kill leaves a state that cannot be trusted")
}

// Killed at every durable step, a halt that was acknowledged is a halt.
func TestLaw3_KilledAtEveryStep(t *testing.T) {
	steps := crashtest.Run(t, crashtest.Config{MaxSteps: 40}, func(dir string) error { return live(dir, 2) },
		func(t *testing.T, dir string, at crashtest.Step) { judge(t, dir, at.Lines) })
	require.Empty(t, crashtest.Unsynced(steps), "what is acknowledged outlives a loss of power")
}

// Killed at random instants, inside Halt and Resume too. ANDON_KILLS=1000 for more.
func TestLaw3_KilledAtRandom(t *testing.T) {
	crashtest.RunRandom(t, crashtest.RandomConfig{}, func(dir string) error { return live(dir, 1_000_000) },
		func(t *testing.T, dir string, at crashtest.Step) { judge(t, dir, at.Lines) })
}

// A process killed while an emergency stop lies there stays halted once it is gone.
func TestLaw3_KilledAfterAFlag(t *testing.T) {
	flag := func(dir string) string { return filepath.Join(dir, "EMERGENCY_STOP") }
	crashtest.Run(t, crashtest.Config{MaxSteps: 20, Setup: func(dir string) error {
		ctx := context.Background()
		sw, err := safety.Open(ctx, crashConfig(dir))
		if err != nil {
			return err
		}
		if err := sw.Resume(ctx, "alice", "the first start", sw.Status().Holds); err != nil {
			return err
		}
		if err := sw.Close(); err != nil {
			return err
		}
		return os.WriteFile(flag(dir), nil, 0o600)
	}}, func(dir string) error {
		sw, err := safety.Open(context.Background(), crashConfig(dir))
		if err != nil {
			return err
		}
		if _, err := sw.Drain(context.Background()); err != nil {
			return err
		}
		fmt.Println("latched")
		return sw.Close()
	}, func(t *testing.T, dir string, at crashtest.Step) {
		if !slices.Contains(at.Lines, "latched") {
			return // it lies there still, which every start sees: TestLaw1_FlagInDoubtHalts
		}
		require.NoError(t, os.Remove(flag(dir)))
		sw := open(t, crashConfig(dir))
		run(t, sw)
		require.Equal(t, safety.Halted, sw.State())
	})
}
