package atomicfile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/andon-go/andon/internal/atomicfile"
	"github.com/andon-go/andon/internal/crashtest"
	"github.com/stretchr/testify/require"
)

// writeNew replaces "state" and says so.
func writeNew(dir string) error {
	if err := atomicfile.Write(filepath.Join(dir, "state"), []byte(strings.Repeat("new ", 1000)), 0o600); err != nil {
		return err
	}
	fmt.Println("acknowledged")
	return nil
}

func TestCrashLeavesTheOldOrTheNew(t *testing.T) {
	old := strings.Repeat("old ", 2000)
	steps := crashtest.Run(t, crashtest.Config{
		Setup: func(dir string) error { return os.WriteFile(filepath.Join(dir, "state"), []byte(old), 0o600) },
	}, writeNew, func(t *testing.T, dir string, at crashtest.Step) {
		got := read(t, filepath.Join(dir, "state"))
		if slices.Contains(at.Lines, "acknowledged") || got != old {
			require.Equal(t, strings.Repeat("new ", 1000), got)
		}
	})
	require.Empty(t, crashtest.Unsynced(steps), "what Write has acknowledged survives a power cut")
}

func TestCrashLeavesNothingOrTheNew(t *testing.T) {
	crashtest.Run(t, crashtest.Config{}, writeNew, func(t *testing.T, dir string, at crashtest.Step) {
		got, err := os.ReadFile(filepath.Join(dir, "state"))
		if os.IsNotExist(err) {
			require.NotContains(t, at.Lines, "acknowledged")
			return
		}
		require.NoError(t, err)
		require.Equal(t, strings.Repeat("new ", 1000), string(got))
	})
}

func TestCrashAtARandomInstantKeepsEveryAcknowledgedWrite(t *testing.T) {
	crashtest.RunRandom(t, crashtest.RandomConfig{}, func(dir string) error {
		for i := 0; ; i++ {
			if err := atomicfile.Write(filepath.Join(dir, "state"), fmt.Appendf(nil, "%09d", i), 0o600); err != nil {
				return err
			}
			fmt.Println(i)
		}
	}, func(t *testing.T, dir string, at crashtest.Step) {
		got, err := os.ReadFile(filepath.Join(dir, "state"))
		if os.IsNotExist(err) {
			require.Empty(t, at.Lines)
			return
		}
		require.NoError(t, err)
		require.Len(t, got, 9, "never a mixture")
		require.GreaterOrEqual(t, string(got), fmt.Sprintf("%09d", len(at.Lines)-1))
	})
}
