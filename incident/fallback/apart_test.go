package fallback_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/fallback"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

// offline is a SEV-2 signal of now: it pages, and halts nothing.
func offline(component string) severity.Signal {
	return severity.Signal{Condition: severity.RiskOffline, Component: component, At: time.Now(), Source: "watchdog"}
}

// pages are the pages among messages.
func pages(all []notify.Message) (some []notify.Message) {
	for _, m := range all {
		if m.Kind == notify.InitialAlert || m.Kind == notify.PageReminder {
			some = append(some, m)
		}
	}
	return some
}

// apart is two processes that have lost the shared store, each with a Manager.
type apart struct {
	there  *line
	stores [2]*fallback.Store
	m      [2]*incidenttest.Manager
}

func newApart(t *testing.T) *apart {
	a := &apart{there: &line{Store: &incidenttest.Memory{}}}
	for i, name := range []string{"a", "b"} {
		a.stores[i] = open(t, a.there, &incidenttest.Memory{}, name)
		a.m[i] = incidenttest.NewManager(t, func(c *incident.Config) { c.Store = a.stores[i] })
	}
	time.Sleep(100 * time.Millisecond)
	a.there.down.Store(true) // neither has noticed
	return a
}

func (a *apart) declare(t *testing.T, i int, component string) incident.Incident {
	in, err := a.m[i].Declare(t.Context(), "watchdog", "down", offline(component))
	require.NoError(t, err)
	return in
}

// mend brings the shared store back, and waits until all know everything.
func (a *apart) mend() {
	a.there.down.Store(false)
	time.Sleep(5 * time.Second)
}

// What finds out that the shared store is gone is often the declaration itself. Two
// processes that do not see each other must not give the same number to two things:
// the second would be lost to everybody else.
func TestLaw7_TheDeclarationThatFindsTheOutageIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApart(t)
		first, second := a.declare(t, 0, "risk"), a.declare(t, 1, "limits")
		require.Regexp(t, `^INC-\d{8}-001-a$`, first.Number)
		require.Regexp(t, `^INC-\d{8}-001-b$`, second.Number)
		a.mend()
		for _, m := range a.m {
			require.Equal(t, first.Component, incidenttest.RequireDeclared(t, m, severity.RiskOffline, "risk").Component)
			require.Equal(t, second.Number, incidenttest.RequireDeclared(t, m, severity.RiskOffline, "limits").Number)
			require.Len(t, m.All(), 2)
		}
		all, err := incident.Replay(a.there.Read(ctx, 0))
		require.NoError(t, err)
		require.Len(t, all, 2, "and the timeline says so")
		require.NotContains(t, a.declare(t, 0, "feed").Number, "-a", "they see each other again")
	})
}

// A restart in an outage is alone before it has asked.
func TestARestartInAnOutageGivesProvisionalNumbers(t *testing.T) {
	there, here := &line{Store: &incidenttest.Memory{}}, &incidenttest.Memory{}
	there.down.Store(true)
	_, err := open(t, there, here, "a").Append(ctx, 0, note("1"))
	require.NoError(t, err)
	s := open(t, there, here, "a")
	require.Equal(t, "a", s.Provisional())
	there.down.Store(false)
	require.NoError(t, s.Sync(ctx))
	require.Empty(t, s.Provisional())
}

// Two processes see the same thing while they do not see each other, and somebody
// acknowledges it at one of them. The other learns of it with everything else.
func TestLaw7_NoPageAfterAnAcknowledgementThatAnotherProcessHas(t *testing.T) {
	for _, acks := range []int{0, 1} {
		t.Run([]string{"a", "b"}[acks], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newApart(t)
				var declared [2]incident.Incident
				for i := range a.m {
					declared[i] = a.declare(t, i, "risk")
				}
				time.Sleep(10 * time.Second)
				require.Equal(t, pages(a.m[0].Pager.Messages())[0].Key, pages(a.m[1].Pager.Messages())[0].Key)
				require.NoError(t, a.m[acks].Acknowledge(t.Context(), declared[acks].Number, "Ada"))
				a.mend()
				before := len(pages(a.m[0].Pager.Messages())) + len(pages(a.m[1].Pager.Messages()))
				time.Sleep(50 * time.Minute) // the lead after 15, the executive after 30
				require.Equal(t, before, len(pages(a.m[0].Pager.Messages()))+len(pages(a.m[1].Pager.Messages())))
				for _, m := range a.m {
					for i := range declared {
						in, err := m.Get(declared[i].Number)
						require.NoError(t, err)
						require.Equal(t, "Ada", in.AckedBy)
						require.Zero(t, in.ResponseBreachAt, "it was acknowledged in time")
					}
				}
			})
		})
	}
}

// What is open under two numbers stays open under the second when the first is resolved:
// the next signal belongs to it.
func TestASignalBelongsToTheOneOfTwoThatIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApart(t)
		declared := [2]incident.Incident{a.declare(t, 0, "risk"), a.declare(t, 1, "risk")}
		a.mend()
		for i := range declared {
			other := declared[1-i]
			in := a.declare(t, i, "risk")
			err := a.m[i].Resolve(t.Context(), in.Number, incident.Resolution{By: "Ada", Note: "x", Despite: "a drill"})
			require.NoError(t, err)
			time.Sleep(5 * time.Second)
			if i == 1 {
				require.Contains(t, []string{declared[0].Number, declared[1].Number}, in.Number)
				require.Equal(t, 2, a.declare(t, 0, "risk").Episode, "both are over")
				continue
			}
			got := a.declare(t, 0, "risk")
			require.Contains(t, []string{declared[0].Number, other.Number}, got.Number)
			require.NotEqual(t, in.Number, got.Number)
		}
	})
}

// A page that is under way when its incident gets a provisional number, and whoever was
// told the first one, find it all the same; until another process has given that number
// to something else, which it then names.
func TestWhatIsUnderWayFindsTheNewNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApart(t)
		a.there.slow.Store(true) // so that the page goes out before anybody knows
		in := a.declare(t, 0, "risk")
		told := pages(a.m[0].Pager.Messages())
		require.Len(t, told, 1)
		first := told[0].Incident
		require.NotEqual(t, first, in.Number)
		got, err := a.m[0].Get(first)
		require.NoError(t, err)
		require.Equal(t, in.Number, got.Number)
		require.NoError(t, a.m[0].Note(t.Context(), first, "Ada", "seen", "looked"))
		require.NoError(t, a.m[0].Acknowledge(t.Context(), first, "Ada"))
		timeline, err := a.m[0].Timeline(t.Context(), first)
		require.NoError(t, err)
		for _, e := range timeline {
			require.Equal(t, in.Number, e.Incident)
		}
		_, err = a.there.Store.Append(ctx, incident.Any, incident.Event{
			At: time.Now(), Incident: first, Kind: incident.Declared, By: "watchdog", What: "down", Why: "seen",
			Data: incident.Data{Condition: string(severity.RiskOffline), Component: "limits", Episode: 1, Level: severity.SEV2,
				RespondBy: time.Now().Add(time.Hour), ResolveBy: time.Now().Add(time.Hour)},
		})
		require.NoError(t, err)
		a.mend()
		got, err = a.m[0].Get(first)
		require.NoError(t, err)
		require.Equal(t, "limits", got.Component)
		got, err = a.m[0].Get(in.Number)
		require.NoError(t, err)
		require.Equal(t, "risk", got.Component)
	})
}

// hanging is a Courier whose deliveries end with their context.
type hanging struct{ under, ended chan struct{} }

func (h hanging) Deliver(ctx context.Context, to notify.Contact, m notify.Message) notify.Receipt {
	if m.Kind == notify.InitialAlert {
		close(h.under)
		<-ctx.Done()
		close(h.ended)
		return notify.Receipt{Contact: to.Name, Key: m.Key, Err: ctx.Err()}
	}
	return notify.Receipt{Contact: to.Name, Key: m.Key, Accepted: notify.Attempt{Tries: 1, At: time.Now()}}
}

// A page that is under way for the same thing under another number is cut off.
func TestLaw7_APageUnderWayEndsWithTheAcknowledgementOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		there := &line{Store: &incidenttest.Memory{}}
		there.down.Store(true)
		h := hanging{make(chan struct{}), make(chan struct{})}
		a := incidenttest.NewManager(t, func(c *incident.Config) { c.Store = open(t, there, &incidenttest.Memory{}, "a") })
		b := incidenttest.NewManager(t, func(c *incident.Config) {
			c.Store, c.Courier = open(t, there, &incidenttest.Memory{}, "b"), h
		})
		time.Sleep(2 * time.Second)
		in, err := a.Declare(t.Context(), "watchdog", "down", offline("risk"))
		require.NoError(t, err)
		_, err = b.Declare(t.Context(), "watchdog", "down", offline("risk"))
		require.NoError(t, err)
		<-h.under
		require.NoError(t, a.Acknowledge(t.Context(), in.Number, "Ada"))
		there.down.Store(false)
		select {
		case <-h.ended:
		case <-time.After(10 * time.Second):
			t.Error("it goes on ringing")
		}
	})
}

// silent is a shared store that says nothing: neither who the responder is nor no.
type silent struct{ leading }

func (*silent) Lead(ctx context.Context, _ string, _ func(ctx context.Context) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// A process that is started while what it kept has not come to the shared store was
// alone, and knows it: it pages without asking who is to.
func TestLaw7_ARestartInAnOutageRespondsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &silent{}
		s.Store = &incidenttest.Memory{}
		s.down.Store(true)
		here := &incidenttest.Memory{}
		_, err := open(t, s, here, "a").Append(ctx, 0, note("1"))
		require.NoError(t, err)
		again := open(t, s, here, "a")
		run, stop := context.WithCancel(t.Context())
		leads, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- again.Lead(run, "a", func(ctx context.Context) error {
				close(leads)
				<-ctx.Done()
				return ctx.Err()
			})
		}()
		synctest.Wait()
		select {
		case <-leads:
		default:
			t.Error("it waits to be told")
		}
		s.down.Store(false)
		time.Sleep(3 * time.Second)
		require.Empty(t, again.Provisional(), "it has given way")
		stop()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}
