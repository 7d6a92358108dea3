package notify_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/notifytest"
	"github.com/stretchr/testify/require"
)

// screen is a writer that can be broken.
type screen struct {
	mu     sync.Mutex
	text   strings.Builder
	broken bool
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return 0, errors.New("broken pipe")
	}
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func TestTerminalConformance(t *testing.T) {
	notifytest.TestNotifier(t, func(t *testing.T) notifytest.Channel {
		var s screen
		return notifytest.Channel{
			Notifier: notify.NewTerminal(&s),
			To:       "operator",
			Took: func(m notify.Message) bool {
				return strings.Contains(s.String(), fmt.Sprintf("to operator [%s]\n  %s\n", m.Key, strings.ReplaceAll(m.Text, "\n", "\n  ")))
			},
			Break: func() { s.broken = true },
		}
	})
}

func TestTheTerminalObeysNoText(t *testing.T) {
	var s screen
	require.NoError(t, notify.NewTerminal(&s).Notify(t.Context(), notify.Message{To: "a\x1b[31m", Key: "k\r", Text: "gone\x1b[2K\rback\x07\u202e\n\u009b2J"}))
	require.Equal(t, "to a[31m [k]\n  gone[2Kback\n  2J\n", s.String())
}

func TestRecorderConformance(t *testing.T) {
	notifytest.TestNotifier(t, func(t *testing.T) notifytest.Channel {
		var r notifytest.Recorder
		return notifytest.Channel{
			Notifier: &r,
			Took:     r.Took,
			Break:    func() { r.Fail(errBusy) },
			Refuse:   func() { r.Fail(errNoUser) },
		}
	})
}
