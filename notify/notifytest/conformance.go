package notifytest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
)

// Channel is a Notifier with a receiver behind it that the suite can look into and
// break. A function that is nil is something that cannot happen on this channel;
// what depends on it is skipped by name.
type Channel struct {
	Notifier notify.Notifier
	To       string                         // an address that works
	Took     func(m notify.Message) bool    // whether the receiver has the message, with its key and its whole text
	Secrets  []string                       // what no error may contain
	Break    func()                         // from now on the receiver is out of order
	Refuse   func()                         // from now on the receiver refuses for good
	Throttle func(retryAfter time.Duration) // from now on the receiver asks to come back later; whole seconds
	Hang     func()                         // from now on the receiver takes the connection and never answers
}

// TestNotifier checks that a Notifier keeps its contract. Open returns a new channel for
// each part of the suite.
func TestNotifier(t *testing.T, open func(t *testing.T) Channel) {
	t.Run("delivers", func(t *testing.T) { delivers(t, open(t)) })
	t.Run("delivers hostile text", func(t *testing.T) { deliversHostileText(t, open(t)) })
	t.Run("delivers the same message again", func(t *testing.T) { deliversAgain(t, open(t)) })
	t.Run("is safe for concurrent use", func(t *testing.T) { concurrent(t, open(t)) })
	t.Run("sends nothing once the context has ended", func(t *testing.T) { ended(t, open(t)) })
	t.Run("calls a broken receiver temporary", func(t *testing.T) {
		c := open(t)
		fails(t, c, c.Break, false, 0)
	})
	t.Run("calls a refusal permanent", func(t *testing.T) {
		c := open(t)
		fails(t, c, c.Refuse, true, 0)
	})
	t.Run("passes on Retry-After", func(t *testing.T) {
		c := open(t)
		if c.Throttle == nil {
			t.Skip("this channel never throttles")
		}
		fails(t, c, func() { c.Throttle(7 * time.Second) }, false, 7*time.Second)
	})
	t.Run("gives up when the context ends", func(t *testing.T) { hangs(t, open(t)) })
}

func message(c Channel, name string) notify.Message {
	return notify.Message{
		Key:      notify.Key{Condition: severity.AuthFailure, Component: "conformance/" + name, Episode: 1}.Page(1, 0),
		Incident: "INC-20260314-001", Kind: notify.InitialAlert, Level: severity.SEV1,
		At: time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC), To: c.To, Text: "first line of " + name + "\nsecond line",
	}
}

func delivers(t *testing.T, c Channel) {
	m := message(c, "delivers")
	if c.Took(m) {
		t.Fatal("Took reports a message that was never sent: this suite could not fail")
	}
	if err := c.Notifier.Notify(t.Context(), m); err != nil {
		t.Fatalf("Notify: %v; the receiver works, so the message must be taken", err)
	}
	if !c.Took(m) {
		t.Fatal("Notify returned nil and the receiver has not got the message: nil means that it cannot be lost any more")
	}
}

func deliversHostileText(t *testing.T, c Channel) {
	m := message(c, "hostile")
	m.Text = "\"quotes\" <b>&amp; {\"a\":1} 🚨 \\n %s " + strings.Repeat("long ", 2000)
	m.Key += "/\"ü\r\nX-Injected: yes"
	m.Level = 200
	m.At = time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := c.Notifier.Notify(t.Context(), m); err != nil {
		t.Fatalf("Notify: %v; no content is a reason to lose a page", err)
	}
}

func deliversAgain(t *testing.T, c Channel) {
	m := message(c, "again")
	for range 2 {
		if err := c.Notifier.Notify(t.Context(), m); err != nil {
			t.Fatalf("Notify: %v; after a crash a page is sent again under its key, which is no error", err)
		}
	}
}

func concurrent(t *testing.T, c Channel) {
	const senders = 16
	errs := make([]error, senders)
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() { errs[i] = c.Notifier.Notify(t.Context(), message(c, fmt.Sprint("sender-", i, "-"))) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("sender %d: %v", i, err)
		} else if !c.Took(message(c, fmt.Sprint("sender-", i, "-"))) {
			t.Errorf("sender %d: the message was taken and is not there", i)
		}
	}
}

func ended(t *testing.T, c Channel) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := message(c, "ended")
	if err := c.Notifier.Notify(ctx, m); err == nil {
		t.Fatal("Notify returned nil with a context that had ended")
	}
	if c.Took(m) {
		t.Fatal("the receiver got a message whose context had ended before: after an acknowledgement no page may begin")
	}
}

// fails sets the fault, sends, and checks the kind of the error.
func fails(t *testing.T, c Channel, fault func(), permanent bool, after time.Duration) {
	if fault == nil {
		t.Skip("this does not happen on this channel")
	}
	fault()
	m := message(c, "fails")
	err := c.Notifier.Notify(t.Context(), m)
	if err == nil {
		t.Fatal("Notify returned nil for a message that was not taken")
	}
	if got := errors.Is(err, notify.ErrPermanent); got != permanent {
		t.Fatalf("errors.Is(err, ErrPermanent) is %t, want %t, of %v: a Courier drops what is permanent and retries what is not", got, permanent, err)
	}
	e, ok := errors.AsType[*notify.DeliveryError](err)
	if after > 0 && (!ok || e.RetryAfter != after) {
		t.Fatalf("the receiver asked for %v and the error is %v: its wish wins over the computed wait, so it must be passed on", after, err)
	}
	shown := fmt.Sprintf("%v %+v %#v %v %+v %#v %s", err, err, err, c.Notifier, c.Notifier, c.Notifier, c.Notifier)
	for _, s := range c.Secrets {
		if strings.Contains(shown, s) {
			t.Fatalf("the secret %q stands in the error or the notifier's text: errors go to logs and timelines", s)
		}
	}
}

func hangs(t *testing.T, c Channel) {
	if c.Hang == nil {
		t.Skip("this channel never hangs")
	}
	c.Hang()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := c.Notifier.Notify(ctx, message(c, "hangs"))
	if err == nil {
		t.Fatal("Notify returned nil without an answer")
	}
	if errors.Is(err, notify.ErrPermanent) {
		t.Fatalf("%v: silence is not a refusal", err)
	}
}
