package incident_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/internal/crashtest"
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

// printer is a Notifier that prints what it got, so that the parent knows what
// somebody has.
type printer struct{}

func (printer) Notify(_ context.Context, m notify.Message) error {
	fmt.Printf("accepted %s %s\n", m.Kind, m.Key)
	return nil
}

// life declares and acknowledges in the child, and prints what was confirmed.
func life(dir string) error {
	j, err := journal.Open(filepath.Join(dir, "journal"))
	if err != nil {
		return err
	}
	m, err := onJournal(j, printer{})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	in, err := m.Declare(ctx, "watchdog", "down", minor("risk"))
	if err != nil {
		return err
	}
	fmt.Println("declared", in.Number)
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if in, err = m.Get(in.Number); err != nil {
			return err
		}
		if !in.FirstPageAt.IsZero() {
			break
		}
		if time.Now().After(until) {
			return errors.New("nobody was paged")
		}
	}
	if err := m.Acknowledge(ctx, in.Number, "Ada"); err != nil {
		return err
	}
	fmt.Println("acknowledged")
	stop()
	return errors.Join(<-ended, j.Close())
}

func onJournal(j *journal.Journal, n notify.Notifier) (*incident.Manager, error) {
	courier, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{"phone": n}})
	if err != nil {
		return nil, err
	}
	return incident.New(context.Background(), incident.Config{
		Store: j, Halter: &gate{}, Courier: courier, Directory: everybody(),
		Log: slog.New(slog.DiscardHandler),
	})
}

// After a kill at any step: a declaration that was confirmed is there, a page that
// nobody has is sent, under the key that it had, and after a confirmed
// acknowledgement there is none.
func TestLaw7_NoPageIsLostByAKill(t *testing.T) {
	crashtest.Run(t, crashtest.Config{MaxSteps: 40}, life, func(t *testing.T, dir string, at crashtest.Step) {
		j, err := journal.Open(filepath.Join(dir, "journal"))
		require.NoError(t, err)
		p := &phone{}
		m, err := onJournal(j, p)
		require.NoError(t, err)
		all := m.All()
		if slices.Contains(at.Lines, "acknowledged") {
			require.NotZero(t, all[0].AckedAt)
		}
		if slices.ContainsFunc(at.Lines, func(s string) bool { return len(s) > 8 && s[:8] == "declared" }) {
			require.Len(t, all, 1)
		}
		if len(all) == 0 { // never confirmed: the detector declares again, under the same key
			require.NoError(t, j.Close())
			return
		}
		const key = "accepted alert risk-offline/risk/1/page/1/0"
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()
		settled := func() bool {
			in, err := m.Get(all[0].Number)
			return err == nil && (!in.FirstPageAt.IsZero() || !in.AckedAt.IsZero())
		}
		require.Eventually(t, settled, 5*time.Second, time.Millisecond)
		stop()
		require.NoError(t, <-ended)
		require.NoError(t, j.Close())
		paged := slices.Contains(at.Lines, key)
		again := p.messages(notify.InitialAlert)
		require.True(t, paged || len(again) > 0, "somebody is paged")
		for _, msg := range again {
			require.Equal(t, key, "accepted alert "+msg.Key, "one key")
		}
		if !all[0].AckedAt.IsZero() {
			require.Empty(t, again, "no page after the acknowledgement")
		}
	})
}
