package incident_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/notify"
	"github.com/stretchr/testify/require"
)

func TestEventsOfOthersInTheSameStoreAreTakenIn(t *testing.T) {
	path := place(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, path)
		in := s.declare(minor("risk"))
		synctest.Wait()
		_, err := s.store.Append(t.Context(), incident.Any, incident.Event{
			At: time.Now(), Incident: in.Number, Kind: incident.Acknowledged, By: "Grace", What: "acknowledged", Why: "by another tool",
		})
		require.NoError(t, err)
		require.NoError(t, s.m.Note(t.Context(), in.Number, "Ada", "looked at it", ""), "a conflict is read, and the append made again")
		require.Equal(t, "Grace", s.get(in.Number).AckedBy)
		s.stop()
		seen := s.timelineOf(in.Number)
		require.Len(t, only(seen, incident.Noted), 1)
		require.Less(t, slices.Index(kinds(seen), incident.Acknowledged), slices.Index(kinds(seen), incident.Noted))
	})
}

func TestAnUnreadableStoreIsRefusedAtTheStart(t *testing.T) {
	path := place(t)
	j, err := journal.Open(path)
	require.NoError(t, err)
	require.NoError(t, j.Close())
	courier, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{"phone": &phone{}}})
	require.NoError(t, err)
	_, err = incident.New(t.Context(), incident.Config{Store: j, Halter: &gate{}, Courier: courier, Directory: everybody()})
	require.ErrorIs(t, err, journal.ErrClosed)
}

// picky is a Store that refuses some events for ever.
type picky struct{ incidenttest.Memory }

func (p *picky) Append(ctx context.Context, expected uint64, events ...incident.Event) ([]incident.Event, error) {
	for _, e := range events {
		if len(e.Data.Component) > 100 {
			return nil, fmt.Errorf("%w: the component is too long for me", incident.ErrEvent)
		}
	}
	return p.Memory.Append(ctx, expected, events...)
}

func TestAnEventThatNoStoreTakesHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := incidenttest.NewManager(t, func(c *incident.Config) { c.Store = &picky{} })
		long := minor(string(bytes.Repeat([]byte("x"), 200)))
		in, err := m.Declare(t.Context(), "watchdog", "down", long)
		require.NoError(t, err)
		require.NoError(t, m.Note(t.Context(), in.Number, "Ada", "seen", ""))
		events, err := m.Timeline(t.Context(), in.Number)
		require.NoError(t, err)
		require.Contains(t, events[0].What, "could not be stored")
		require.Contains(t, events[0].Why, "too long for me")
	})
}

// deaf is a Store whose answers are lost, some of them after the append and some before.
type deaf struct {
	incidenttest.Memory
	lost atomic.Int32
}

func (d *deaf) Append(ctx context.Context, expected uint64, events ...incident.Event) ([]incident.Event, error) {
	switch n := d.lost.Add(-1); {
	case n < 0:
		return d.Memory.Append(ctx, expected, events...)
	case n%2 == 0:
		if _, err := d.Memory.Append(ctx, expected, events...); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: the connection broke", incident.ErrRecordUnknown)
}

func TestAnAnswerThatWasLostRecordsNothingTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &deaf{}
		m := incidenttest.NewManager(t, func(c *incident.Config) { c.Store = s })
		in, err := m.Declare(t.Context(), "watchdog", "down", minor("risk"))
		require.NoError(t, err)
		for i := range 6 {
			s.lost.Store(int32(i))
			require.NoError(t, m.Note(t.Context(), in.Number, "Ada", fmt.Sprint("note ", i), ""))
		}
		events, err := m.Timeline(t.Context(), in.Number)
		require.NoError(t, err)
		require.Len(t, only(events, incident.Noted), 6)
		s.lost.Store(1 << 30)
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		err = m.Record(short, time.Now(), "Ada", "resumed", "the feed was late")
		require.ErrorIs(t, err, incident.ErrRecordUnknown)
		require.NotErrorIs(t, err, incident.ErrNotRecorded, "nobody may say that it is not there")
		s.lost.Store(0)
	})
}

func TestShutdownSaysWhatWasNotRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &incidenttest.Memory{}
		m, err := incident.New(t.Context(), incident.Config{
			Store: store, Halter: &gate{}, Courier: &incidenttest.Pager{}, Directory: everybody(),
			Log: slog.New(slog.DiscardHandler),
		})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()
		store.Fail(errDisk)
		_, err = m.Declare(t.Context(), "watchdog", "down", minor("risk"))
		require.ErrorIs(t, err, incident.ErrNotRecorded)
		stop()
		err = <-ended
		require.ErrorIs(t, err, incident.ErrNotRecorded)
		require.ErrorIs(t, err, errDisk)
	})
}
