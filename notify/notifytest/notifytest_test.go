package notifytest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/notifytest"
	"github.com/stretchr/testify/require"
)

// fakeTB notes how a test was ended. The embedded nil TB makes every other call panic.
type fakeTB struct {
	testing.TB
	text string
}

func (f *fakeTB) Helper()                        {}
func (f *fakeTB) Fatalf(format string, a ...any) { f.text = fmt.Sprintf(format, a...); panic(f) }

func ends(f func(t testing.TB)) (text string) {
	var t fakeTB
	defer func() { _ = recover(); text = t.text }()
	f(&t)
	return ""
}

func TestRecorder(t *testing.T) {
	var r notifytest.Recorder
	boom := errors.New("boom")
	r.Fail(boom)
	require.Equal(t, boom, r.Notify(t.Context(), notify.Message{Key: "a"}))
	require.Empty(t, ends(func(t testing.TB) { notifytest.RequireNothingSent(t, &r) }))
	require.NoError(t, r.Notify(t.Context(), notify.Message{Key: "a", Text: "first"}))
	require.NoError(t, r.Notify(t.Context(), notify.Message{Key: "a", Text: "again"}))
	require.Equal(t, 3, r.Tries())
	require.Len(t, r.Messages(), 2)
	require.Equal(t, "first", notifytest.RequireSent(t, &r, "a").Text)
	require.Contains(t, ends(func(t testing.TB) { notifytest.RequireSent(t, &r, "b") }), `no message with the key "b" was sent; sent were ["a" "a"]`)
	require.Contains(t, ends(func(t testing.TB) { notifytest.RequireNothingSent(t, &r) }), `sent were ["a" "a"]`)
}

// faulty is a Notifier that breaks one rule.
type faulty struct {
	notifytest.Recorder
	rule   string
	mode   string // what the suite has asked for
	mu     sync.Mutex
	fields string // something that fmt would print
}

func (f *faulty) Notify(ctx context.Context, m notify.Message) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.rule == "drops" && f.mode == "":
		return nil
	case f.rule == "chokes" && strings.Contains(m.Text, "🚨"):
		return errors.New("cannot encode this")
	case f.rule == "hates repeats" && f.Tries() > 0:
		return errors.New("seen before")
	case f.rule == "ignores context" && f.mode == "":
		return f.Recorder.Notify(context.Background(), m)
	case f.rule == "loses one" && strings.Contains(m.Text, "sender-3-"):
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	switch f.mode {
	case "broken":
		return &notify.DeliveryError{Permanent: f.rule == "gives up on a broken receiver", Err: errors.New(f.leak())}
	case "refusing":
		return &notify.DeliveryError{Permanent: f.rule != "retries a refusal"}
	case "throttling":
		if f.rule == "drops retry-after" {
			return &notify.DeliveryError{}
		}
		return &notify.DeliveryError{RetryAfter: 7 * time.Second}
	case "hanging":
		<-ctx.Done()
		return &notify.DeliveryError{Permanent: f.rule == "calls silence a refusal", Err: ctx.Err()}
	}
	return f.Recorder.Notify(ctx, m)
}

func (f *faulty) leak() string {
	if f.rule == "leaks the secret in an error" {
		return "password hunter2"
	}
	return "out of order"
}

func channel(rule string) notifytest.Channel {
	f := &faulty{rule: rule}
	if rule == "leaks the secret when printed" {
		f.fields = "hunter2"
	}
	set := func(mode string) func() { return func() { f.mode = mode } }
	return notifytest.Channel{
		Notifier: f,
		To:       "somebody",
		Took: func(m notify.Message) bool {
			if rule == "claims everything" {
				return true
			}
			return f.Recorder.Took(m)
		},
		Secrets:  []string{"hunter2"},
		Break:    set("broken"),
		Refuse:   set("refusing"),
		Throttle: func(time.Duration) { f.mode = "throttling" },
		Hang:     set("hanging"),
	}
}

const faultEnv = "NOTIFYTEST_FAULT"

// TestSuite runs the suite: on a good channel, or in a child process on a bad one.
func TestSuite(t *testing.T) {
	notifytest.TestNotifier(t, func(*testing.T) notifytest.Channel { return channel(os.Getenv(faultEnv)) })
}

// TestTheSuiteFindsEachFault shows that no part of the suite is there for show.
func TestTheSuiteFindsEachFault(t *testing.T) {
	if os.Getenv(faultEnv) != "" {
		t.Skip("this is the child")
	}
	for rule, part := range map[string]string{
		"claims everything":             "delivers",
		"drops":                         "delivers",
		"chokes":                        "delivers_hostile_text",
		"hates repeats":                 "delivers_the_same_message_again",
		"loses one":                     "is_safe_for_concurrent_use",
		"ignores context":               "sends_nothing_once_the_context_has_ended",
		"gives up on a broken receiver": "calls_a_broken_receiver_temporary",
		"leaks the secret in an error":  "calls_a_broken_receiver_temporary",
		"leaks the secret when printed": "calls_a_broken_receiver_temporary",
		"retries a refusal":             "calls_a_refusal_permanent",
		"drops retry-after":             "passes_on_Retry-After",
		"calls silence a refusal":       "gives_up_when_the_context_ends",
	} {
		t.Run(rule, func(t *testing.T) {
			child := exec.Command(os.Args[0], "-test.run=^TestSuite$")
			child.Env = append(os.Environ(), faultEnv+"="+rule)
			var out bytes.Buffer
			child.Stdout, child.Stderr = &out, &out
			require.Error(t, child.Run(), "the suite passed a notifier that %s", rule)
			require.Contains(t, out.String(), "--- FAIL: TestSuite/"+part)
		})
	}
}
