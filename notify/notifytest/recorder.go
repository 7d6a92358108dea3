package notifytest

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/andon-go/andon/notify"
)

// Recorder is a Notifier that keeps each message it takes. The zero value takes
// everything. Safe for concurrent use.
type Recorder struct {
	mu       sync.Mutex
	failures []error
	tries    int
	messages []notify.Message
}

// Fail makes the next tries fail, one with each of the errors.
func (r *Recorder) Fail(errs ...error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, errs...)
}

// Notify takes the message, or fails as asked. A context that has ended is a failure
// that uses up none of those asked for.
func (r *Recorder) Notify(ctx context.Context, m notify.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries++
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(r.failures) > 0 {
		err := r.failures[0]
		r.failures = r.failures[1:]
		return err
	}
	r.messages = append(r.messages, m)
	return nil
}

// Messages returns what was taken, in order.
func (r *Recorder) Messages() []notify.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

// Took reports whether exactly this message was taken.
func (r *Recorder) Took(m notify.Message) bool {
	return slices.ContainsFunc(r.Messages(), func(got notify.Message) bool { return reflect.DeepEqual(got, m) })
}

// Tries returns how often Notify was called.
func (r *Recorder) Tries() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tries
}

// RequireSent ends the test unless a message with the key was taken, and returns
// the first one.
func RequireSent(t testing.TB, r *Recorder, key string) notify.Message {
	t.Helper()
	messages := r.Messages()
	for _, m := range messages {
		if m.Key == key {
			return m
		}
	}
	t.Fatalf("no message with the key %q was sent; sent were %q", key, keys(messages))
	return notify.Message{}
}

// RequireNothingSent ends the test if any message was taken.
func RequireNothingSent(t testing.TB, r *Recorder) {
	t.Helper()
	if messages := r.Messages(); len(messages) > 0 {
		t.Fatalf("nothing was to be sent; sent were %q", keys(messages))
	}
}

func keys(messages []notify.Message) []string {
	keys := make([]string, len(messages))
	for i, m := range messages {
		keys[i] = m.Key
	}
	return keys
}
