package playbook_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

// smoke is a channel that never answers.
type smoke struct{}

func (smoke) Notify(ctx context.Context, _ notify.Message) error {
	<-ctx.Done()
	return ctx.Err()
}

// With the store, the exchange and a channel down at once, the stop works, the page goes
// out by the channel that is left, and the record is kept for when the store answers.
func TestLaw11_TheAssemblyNeedsNothingThatItWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newBot(t)
		p.Contacts["on_call_rotation"]["primary"] = "+1-555-010-0199 | ada@example.com"
		b.Channels = map[string]notify.Notifier{"telephone": smoke{}, "email": b.pager}
		venue := andontest.New(andontest.Config{Name: "coinbase"})
		b.Venues = map[string]safety.CloseVenue{"coinbase": {Venue: venue}}
		a := start(t, p, b)
		synctest.Wait()
		resume(t, a)
		down := errors.New("no answer")
		venue.Down(down)
		b.store.Fail(down)

		in, err := a.Incidents.Declare(t.Context(), "test", "the engine does not answer", severity.Signal{Condition: severity.HealthCheckFailed, Component: "engine", At: time.Now()})
		require.Equal(t, safety.Halted, a.Switch.State(), "%v", err)
		require.ErrorIs(t, a.Switch.Check(), safety.ErrDenied)
		time.Sleep(5 * time.Minute)
		require.NotEmpty(t, b.pager.Messages(), "the page goes out by the channel that is left")
		require.Contains(t, b.pager.Messages()[0].Text, "INCIDENT ALERT - SEV-1")

		b.store.Fail(nil)
		time.Sleep(5 * time.Minute)
		events, err := a.Incidents.Timeline(t.Context(), in.Number)
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(events), 3, "declared, halted and paged are on record")
		waiting, err := a.Incidents.Unrecorded()
		require.NoError(t, err)
		require.Zero(t, waiting)
	})
}
