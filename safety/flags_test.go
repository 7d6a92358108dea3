package safety_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// A flag that is created and deleted at once is heard by notification, although no
// look could have found it.
func TestFlagCreatedAndDeletedIsLatched(t *testing.T) {
	cfg := quiet(t)
	cfg.FlagPoll = time.Hour
	sw := active(t, cfg)
	flag := cfg.Flags[0].Path
	require.NoError(t, os.WriteFile(flag, nil, 0o600))
	require.NoError(t, os.Remove(flag))
	eventually(t, func() bool { return sw.State() == safety.Halted }, "the notification latches it")
	require.Contains(t, lasting(sw)[0].Reason, "was placed")
}

// A file that is renamed to the flag's name is the flag.
func TestFlagRenamedIntoPlaceIsHeard(t *testing.T) {
	cfg := quiet(t)
	cfg.FlagPoll = time.Hour
	sw := active(t, cfg)
	other := filepath.Join(filepath.Dir(cfg.Flags[0].Path), "other")
	require.NoError(t, os.WriteFile(other, nil, 0o600))
	require.NoError(t, os.Rename(other, cfg.Flags[0].Path))
	eventually(t, func() bool { return sw.State() == safety.Halted }, "a rename is heard")
}

// A flag in a directory that is reached by a link is heard by notification too.
func TestFlagBehindALinkedDirectoryIsHeard(t *testing.T) {
	cfg := quiet(t)
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(filepath.Dir(cfg.Flags[0].Path), link))
	real := cfg.Flags[0].Path
	cfg.Flags, cfg.FlagPoll = safety.FlagsIn(link), time.Hour
	sw := active(t, cfg)
	st := sw.Status().Flags[0]
	require.Equal(t, filepath.Join(link, "EMERGENCY_STOP"), st.Path)
	resolved, err := filepath.EvalSymlinks(filepath.Dir(real))
	require.NoError(t, err)
	require.Equal(t, filepath.Join(resolved, "EMERGENCY_STOP"), st.Resolved)
	require.NoError(t, os.WriteFile(real, nil, 0o600))
	eventually(t, func() bool { return sw.State() == safety.Halted }, "a link is no hiding place")
}

// Looking alone finds a flag that lies there, and one in a directory that was made
// anew, which notification has lost.
func TestFlagIsFoundByLooking(t *testing.T) {
	cfg := quiet(t)
	cfg.PollOnly, cfg.FlagPoll = true, 5*time.Millisecond
	sw := active(t, cfg)
	require.NoError(t, os.WriteFile(cfg.Flags[0].Path, nil, 0o600))
	eventually(t, func() bool { return sw.State() == safety.Halted }, "a look finds it")
}

// READONLY_MODE leaves exits and closes the write gate, but for the holder of a token.
func TestReadonlyModeHoldsWrites(t *testing.T) {
	cfg := quiet(t)
	sw := active(t, cfg)
	require.NoError(t, sw.CheckWrite())
	require.NoError(t, os.WriteFile(cfg.Flags[1].Path, nil, 0o600))
	eventually(t, func() bool { return sw.State() == safety.Reducing }, "the flag is heard")
	require.ErrorIs(t, sw.CheckWrite(), safety.ErrDenied)
	require.ErrorContains(t, sw.CheckWrite(), "READONLY_MODE")

	_, err := sw.AllowWrite(t.Context(), "", "restore")
	require.ErrorIs(t, err, safety.ErrDenied)
	_, err = sw.AllowWrite(t.Context(), "carol", " ")
	require.ErrorIs(t, err, safety.ErrDenied)
	tok, err := sw.AllowWrite(t.Context(), "carol", "restore")
	require.NoError(t, err)
	require.NoError(t, sw.CheckWriteWith(tok))
	require.Error(t, sw.CheckWriteWith(safety.WriteToken{}), "the zero token lets nothing through")
	require.Error(t, sw.CheckWrite(), "nobody else writes")
	sw.Release(tok)
	require.Error(t, sw.CheckWriteWith(tok))
	sw.Release(safety.WriteToken{})

	require.NoError(t, os.Remove(cfg.Flags[1].Path))
	eventually(t, func() bool { return !sw.Status().Flags[1].Present }, "its going is seen")
	require.Error(t, sw.CheckWrite(), "and lifts nothing")
	resume(t, sw)
	require.NoError(t, sw.CheckWrite())
}

// Nothing passes while nobody listens.
func TestNobodyListeningHalts(t *testing.T) {
	cfg := quiet(t)
	wasActive(t, cfg)
	sw := open(t, cfg)
	require.ErrorContains(t, sw.Check(), "nobody listens to the flags")
	stop := run(t, sw)
	require.NoError(t, sw.Check())
	require.ErrorIs(t, sw.Run(t.Context()), safety.ErrRunning)
	require.NoError(t, sw.Check(), "a second Run changes nothing")
	stop()
	require.ErrorContains(t, sw.Check(), "Run has ended")
	run(t, sw)
	require.NoError(t, sw.Check(), "it may run again")
}

func TestCloseEndsEverything(t *testing.T) {
	cfg := quiet(t)
	sw, err := safety.Open(t.Context(), cfg)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- sw.Run(context.Background()) }()
	eventually(t, func() bool { return len(sw.Status().Holds) == 1 }, "it runs")
	resume(t, sw)
	require.NoError(t, sw.Close())
	require.ErrorIs(t, <-done, safety.ErrClosed)
	require.NoError(t, sw.Close())
	require.ErrorIs(t, sw.Run(t.Context()), safety.ErrClosed)
	require.Equal(t, safety.Halted, sw.State())
	_, err = sw.Halt(t.Context(), "bob", "after the end")
	require.ErrorIs(t, err, safety.ErrNotDurable)
	require.ErrorIs(t, err, safety.ErrClosed)
}

// A state directory is one switch's.
func TestStateDirectoryInUse(t *testing.T) {
	cfg := quiet(t)
	sw := open(t, cfg)
	_, err := safety.Open(t.Context(), cfg)
	require.ErrorIs(t, err, safety.ErrInUse)
	require.ErrorContains(t, err, cfg.Dir)
	require.NoError(t, sw.Close())
	open(t, cfg)
}
