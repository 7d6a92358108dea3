package incident_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/stretchr/testify/require"
)

// thinking is a Store whose disk takes its time.
type thinking struct {
	incident.Store
	takes time.Duration
}

func (s thinking) Append(ctx context.Context, expected uint64, events ...incident.Event) ([]incident.Event, error) {
	time.Sleep(s.takes)
	return s.Store.Append(ctx, expected, events...)
}

// TestWhoWaitsForTheRecordGoesOnWithIt: as soon as the event is durable, and not when
// RecordWithin is over.
func TestWhoWaitsForTheRecordGoesOnWithIt(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path, func(c *incident.Config) { c.Store = thinking{c.Store, time.Second} })
		defer s.stop()
		in := s.declare(minor("book"))
		time.Sleep(time.Minute)
		began := time.Now()
		require.NoError(t, s.m.Acknowledge(t.Context(), in.Number, "Ada"))
		require.LessOrEqual(t, time.Since(began), 2*time.Second, "its own append, behind one that may be under way")
	})
}
