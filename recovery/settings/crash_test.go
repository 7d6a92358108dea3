package settings_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/recovery/settings"
	"github.com/stretchr/testify/require"
)

// set makes the change and says so, and counts what the bot hears in a file.
func set(dir string) error {
	s, err := settings.New(config(dir))
	if err != nil {
		return err
	}
	if _, err := s.Set(context.Background(), "k", "alice", "slow", tuning); err != nil {
		return err
	}
	fmt.Println("set")
	return nil
}

func TestASetThatIsKilledIsFinishedByTheSameCall(t *testing.T) {
	steps := crashtest.Run(t, crashtest.Config{Setup: lay}, set, func(t *testing.T, dir string, at crashtest.Step) {
		env, json := filepath.Join(dir, ".env"), filepath.Join(dir, "production.json")
		require.Contains(t, []string{oldEnv, newEnv}, read(t, env), "never a mixture")
		require.Contains(t, []string{oldJSON, newJSON}, read(t, json))
		s := store(t, config(dir))
		is, _, err := s.Done(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, is, is || slices.Contains(at.Lines, "set"), "what was acknowledged is done")
		_, err = s.Set(t.Context(), "k", "alice", "slow", tuning)
		require.NoError(t, err)
		require.Equal(t, newEnv, read(t, env))
		require.Equal(t, newJSON, read(t, json))
		left, err := s.Unfinished()
		require.NoError(t, err)
		require.Empty(t, left)
	})
	require.Empty(t, crashtest.Unsynced(steps))
}

func TestASetThatIsKilledCanBeTakenBack(t *testing.T) {
	crashtest.Run(t, crashtest.Config{Setup: lay}, set, func(t *testing.T, dir string, at crashtest.Step) {
		s := store(t, config(dir))
		_, err := s.Undo(t.Context(), "k", "bob", "no better")
		if left, _ := s.Unfinished(); err != nil {
			require.ErrorIs(t, err, settings.ErrUnknownKey)
			require.Empty(t, left)
		}
		require.Equal(t, oldEnv, read(t, filepath.Join(dir, ".env")))
		require.Equal(t, oldJSON, read(t, filepath.Join(dir, "production.json")))
	})
}

func TestAnUndoThatIsKilledIsFinishedByTheSameCall(t *testing.T) {
	undo := func(dir string) error {
		s, err := settings.New(config(dir))
		if err != nil {
			return err
		}
		_, err = s.Undo(context.Background(), "k", "bob", "no better")
		return err
	}
	setup := func(dir string) error {
		if err := lay(dir); err != nil {
			return err
		}
		s, err := settings.New(config(dir))
		if err != nil {
			return err
		}
		if _, err = s.Set(context.Background(), "k", "alice", "slow", tuning); err != nil {
			return err
		}
		// Somebody else has written the file since, so that it is put back by variable.
		return os.WriteFile(filepath.Join(dir, ".env"), []byte(newEnv+"NEW=1\n"), 0o600)
	}
	steps := crashtest.Run(t, crashtest.Config{Setup: setup}, undo, func(t *testing.T, dir string, at crashtest.Step) {
		require.NoError(t, undo(dir))
		require.Equal(t, oldEnv+"NEW=1\n", read(t, filepath.Join(dir, ".env")))
		require.Equal(t, oldJSON, read(t, filepath.Join(dir, "production.json")))
		left, err := store(t, config(dir)).Unfinished()
		require.NoError(t, err)
		require.Empty(t, left)
	})
	require.Empty(t, crashtest.Unsynced(steps))
}
