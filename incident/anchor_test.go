package incident_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/stretchr/testify/require"
)

func tip(n int) incident.Tip { return incident.Tip{Seq: uint64(n), Hash: incident.Hash{byte(n), 0xab}} }

// A crash may cut the last line anywhere. What was published before stays, and the next
// line is not glued to it.
func TestFileAnchorSurvivesATornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anchor")
	a := &incident.FileAnchor{Path: path}
	got, err := a.Published(t.Context())
	require.NoError(t, err)
	require.Empty(t, got)
	require.NoError(t, a.Publish(t.Context(), tip(1)))
	one, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, a.Publish(t.Context(), tip(12)))
	two, err := os.ReadFile(path)
	require.NoError(t, err)
	for cut := len(one); cut < len(two)-1; cut++ {
		require.NoError(t, os.WriteFile(path, two[:cut], 0o600))
		got, err := a.Published(t.Context())
		require.NoError(t, err, "%s", two[:cut])
		require.Equal(t, []incident.Tip{tip(1)}, got, "%s", two[:cut])
		require.NoError(t, a.Publish(t.Context(), tip(3)))
		got, err = a.Published(t.Context())
		require.NoError(t, err)
		require.Equal(t, []incident.Tip{tip(1), tip(3)}, got, "%s", two[:cut])
	}
}

func TestFileAnchorRefusesWhatIsNoTip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anchor")
	a := &incident.FileAnchor{Path: path}
	require.NoError(t, a.Publish(t.Context(), tip(1)))
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, bad := range []string{"hello\n", "1 x 2026\n", "-1 " + string(good[2:])} {
		require.NoError(t, os.WriteFile(path, append([]byte(bad), good...), 0o600))
		_, err := a.Published(t.Context())
		require.ErrorContains(t, err, path+":1:", bad)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, a.Publish(ended, tip(2)), context.Canceled)
	_, err = a.Published(ended)
	require.ErrorIs(t, err, context.Canceled)
}

func TestAnchoringPublishesWhatMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var published []incident.Tip
		now, down := tip(0), error(nil)
		set := func(tip incident.Tip, err error) {
			mu.Lock()
			defer mu.Unlock()
			now, down = tip, err
		}
		seen := func() []incident.Tip {
			mu.Lock()
			defer mu.Unlock()
			return append([]incident.Tip(nil), published...)
		}
		now.Hash = incident.Hash{}
		a := incident.Anchoring{
			Every: time.Minute, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
			Tip: func(context.Context) (incident.Tip, error) { mu.Lock(); defer mu.Unlock(); return now, nil },
			Anchor: incident.AnchorFuncs{PublishFunc: func(_ context.Context, tip incident.Tip) error {
				mu.Lock()
				defer mu.Unlock()
				if down == nil {
					published = append(published, tip)
				}
				return down
			}},
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		synctest.Wait()
		require.Empty(t, seen(), "nothing to publish")
		set(tip(1), nil)
		time.Sleep(3*time.Minute + time.Second) // not at the very instant of a tick
		require.Equal(t, []incident.Tip{tip(1)}, seen(), "once")
		set(tip(3), errors.New("no route to host"))
		time.Sleep(3 * time.Minute)
		set(tip(3), nil)
		time.Sleep(time.Minute)
		require.Equal(t, []incident.Tip{tip(1), tip(3)}, seen(), "an anchor that was down is tried again")
		set(tip(4), nil)
		stop()
		require.NoError(t, <-ended)
		require.Equal(t, []incident.Tip{tip(1), tip(3), tip(4)}, seen(), "the last one is published at the end")
	})
	require.ErrorContains(t, incident.Anchoring{Every: -1}.Run(t.Context()), "Anchor is missing\nTip is missing\nEvery is")
}
