package incident_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/notify"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// room is a store that several managers of a test share.
type room struct {
	incidenttest.Memory
	lead chan struct{} // holds one token while nobody leads

	mu    sync.Mutex
	down  bool
	deny  bool          // nobody may become the responder
	moved chan struct{} // closed by whoever loses the lease to another
	hold  chan struct{} // appends wait for it
	grown *sync.Cond
	size  int
}

func newRoom() *room {
	r := &room{lead: make(chan struct{}, 1)}
	r.lead <- struct{}{}
	r.grown = sync.NewCond(&r.mu)
	return r
}

func (r *room) fall(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

func (r *room) refuse(deny bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deny = deny
}

// replace has the responder lose its lease, and returns once it has.
func (r *room) replace() {
	moved := make(chan struct{})
	r.mu.Lock()
	r.moved = moved
	r.mu.Unlock()
	<-moved
}

// lost reports, once, that the lease went to another.
func (r *room) lost() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.moved == nil {
		return false
	}
	close(r.moved)
	r.moved = nil
	return true
}

var errDenied = errors.New("permission denied for table responder")

var errGone = errors.New("the server is gone")

func (r *room) err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return errGone
	}
	return nil
}

func (r *room) Append(ctx context.Context, expected uint64, events ...incident.Event) ([]incident.Event, error) {
	if err := r.err(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	hold := r.hold
	r.mu.Unlock()
	if hold != nil {
		<-hold
	}
	got, err := r.Memory.Append(ctx, expected, events...)
	if err == nil {
		r.mu.Lock()
		r.size += len(got)
		r.mu.Unlock()
		r.grown.Broadcast()
	}
	return got, err
}

func (r *room) Read(ctx context.Context, after uint64) iter.Seq2[incident.Event, error] {
	if err := r.err(); err != nil {
		return func(yield func(incident.Event, error) bool) { yield(incident.Event{}, err) }
	}
	return r.Memory.Read(ctx, after)
}

func (r *room) Watch(ctx context.Context, woken func()) error {
	defer context.AfterFunc(ctx, r.grown.Broadcast)()
	r.mu.Lock()
	defer r.mu.Unlock()
	for seen := -1; ctx.Err() == nil; {
		if r.size != seen {
			seen = r.size
			woken()
		}
		r.grown.Wait()
	}
	return ctx.Err()
}

// Lead loses the lease, and says that the store does not answer, a second after the
// store fell.
func (r *room) Lead(ctx context.Context, _ string, lead func(context.Context) error) error {
	for r.err() == nil {
		r.mu.Lock()
		deny := r.deny
		r.mu.Unlock()
		if deny {
			time.Sleep(time.Millisecond) // the way to the server and back
			return errDenied
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		case <-r.lead:
			defer func() { r.lead <- struct{}{} }()
			ctx, stop := context.WithCancel(ctx)
			defer stop()
			ended := make(chan error, 1)
			go func() { ended <- lead(ctx) }()
			for {
				select {
				case err := <-ended:
					return err
				case <-time.After(time.Second):
					if err := r.err(); err != nil {
						stop()
						<-ended
						return err
					}
					if r.lost() {
						stop()
						<-ended
						return errors.New("another process has become the responder")
					}
				}
			}
		}
	}
	time.Sleep(time.Second) // as a server that is waited for; a loop that asks again at once would stop the bubble's clock
	return errGone
}

// two runs two managers on one store.
func two(t *testing.T, r *room) (a, b *stack) {
	a = startOn(t, r)
	time.Sleep(10 * time.Millisecond) // a is the responder
	return a, startOn(t, r)
}

func TestOnASharedStoreOneProcessPagesForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom()
		a, b := two(t, r)
		// Else both answer in one instant of the bubble, and say the same: events are told apart by that.
		a.gate.set(func() error { time.Sleep(time.Millisecond); return nil })
		in := b.declare(signal("book"))
		require.Positive(t, b.gate.count(), "each stops its own bot")
		time.Sleep(time.Minute)
		require.Equal(t, incident.GateClosed, b.get(in.Number).Gate)
		require.Len(t, a.phone.messages(notify.InitialAlert), 1, "the responder pages")
		require.Empty(t, b.phone.all())

		a.stop() // the responder dies
		time.Sleep(15 * time.Minute)
		pages := b.phone.messages(notify.InitialAlert)
		require.Len(t, pages, 1, "the other one goes on with the next step")
		require.Equal(t, "linus", pages[0].To)

		a = startOn(t, r)
		require.NoError(t, a.m.Acknowledge(t.Context(), in.Number, "Ada"), "decided at the one")
		time.Sleep(20 * time.Minute)
		require.Len(t, b.phone.messages(notify.InitialAlert), 1, "obeyed by the other")
		require.Equal(t, "Ada", b.get(in.Number).AckedBy)
		a.stop()
		b.stop()
	})
}

func TestLaw7_ASharedStoreThatIsGoneSilencesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom()
		a, b := two(t, r)
		time.Sleep(time.Minute)
		r.fall(true)
		time.Sleep(10 * time.Second)
		_, errA := a.m.Declare(t.Context(), "watchdog", "down", minor("risk"))
		_, errB := b.m.Declare(t.Context(), "watchdog", "down", minor("risk"))
		require.ErrorIs(t, errA, incident.ErrNotRecorded)
		require.ErrorIs(t, errB, incident.ErrNotRecorded)
		time.Sleep(time.Minute)
		fromA, fromB := a.phone.messages(notify.InitialAlert), b.phone.messages(notify.InitialAlert)
		require.Len(t, fromA, 1)
		require.Len(t, fromB, 1)
		require.Equal(t, fromA[0].Key, fromB[0].Key, "one page at the receiver")

		r.fall(false)
		time.Sleep(20 * time.Minute)
		require.Len(t, a.m.All(), 1, "and one incident once the store is back")
		require.Len(t, b.m.All(), 1)
		require.Equal(t, 2, a.get("INC-20000101-001").Signals)
		require.Len(t, append(a.phone.messages(notify.InitialAlert), b.phone.messages(notify.InitialAlert)...), 3, "one of them pages the lead")
		a.stop()
		b.stop()
	})
}

// atEnd calls a function whenever a span of a name ends.
type atEnd struct {
	sdktrace.SpanProcessor
	name string
	then func()
}

func (e atEnd) OnEnd(s sdktrace.ReadOnlySpan) {
	if s.Name() == e.name {
		e.then()
	}
}

// Another process's gate stands on the timeline, too. What Declare says of the stop is
// the answer of the gate that it closed itself.
func TestLaw1_TheGateOfAnotherProcessIsNoAnswerOfThisOne(t *testing.T) {
	for name, c := range map[string]struct {
		own    error         // what this process's gate answers
		theirs incident.Kind // what another's comes to, right after it
	}{
		"theirs is closed, and ours is not":   {errors.New("stuck"), incident.Halted},
		"ours is closed, and theirs is begun": {nil, incident.HaltDue},
		"ours is closed, and theirs is not":   {nil, incident.Unconfirmed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRoom()
				other := atEnd{SpanProcessor: sdktrace.NewSimpleSpanProcessor(tracetest.NewNoopExporter()), name: "incident.halt", then: func() {
					_, err := r.Append(context.Background(), incident.Any, incident.Event{
						At: time.Now(), Incident: "INC-20000101-001", Kind: c.theirs, By: "another", What: "its gate", Why: "it follows",
					})
					require.NoError(t, err)
					time.Sleep(time.Second) // it is read before the caller learns of ours
				}}
				s := startOn(t, r, func(cfg *incident.Config) { cfg.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(other)) })
				s.gate.set(func() error { return c.own })
				_, err := s.m.Declare(t.Context(), "reconciler", "book and venue differ", signal("book"))
				s.gate.set(nil)
				if c.own != nil {
					require.ErrorIs(t, err, incident.ErrStopUnconfirmed)
					require.ErrorContains(t, err, "INC-20000101-001: STOP NOT CONFIRMED: stuck")
				} else {
					require.NoError(t, err)
				}
				s.stop()
			})
		})
	}
}

// A role without UPDATE on the lease, a disk that is full, a server that has become
// read-only: the store is read, and nobody can become the responder.
func TestLaw7_AStoreThatLetsNobodyBeTheResponderSilencesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom()
		r.refuse(true)
		a, b := two(t, r)
		for _, s := range []*stack{a, b} {
			s.phone.takes = map[string]time.Duration{"ada": 3 * time.Second}
		}
		in := a.declare(minor("risk"))
		time.Sleep(time.Minute)
		fromA, fromB := a.phone.messages(notify.InitialAlert), b.phone.messages(notify.InitialAlert)
		require.NotEmpty(t, append(fromA, fromB...), "nobody else is the responder, so each pages")
		keys := map[string]bool{}
		for _, m := range append(fromA, fromB...) {
			keys[m.Key] = true
		}
		require.Len(t, keys, 1, "one page at the receiver")
		require.LessOrEqual(t, len(fromA), 1, "nor does the store's answer cut a page off")
		require.LessOrEqual(t, len(fromB), 1)

		r.refuse(false)
		time.Sleep(time.Minute)
		before := len(a.phone.all()) + len(b.phone.all())
		time.Sleep(14 * time.Minute)
		require.Equal(t, before+1, len(a.phone.messages(notify.InitialAlert))+len(b.phone.messages(notify.InitialAlert)), "then one of them does, and pages the lead")
		require.NoError(t, b.m.Acknowledge(t.Context(), in.Number, "Ada"))
		a.stop()
		b.stop()
	})
}

// A responder that has lost its lease while the store answers may have a successor: it
// asks before it pages by itself, or it would page for what was acknowledged meanwhile.
func TestLaw7_AResponderThatIsReplacedDoesNotPageByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom()
		a, b := two(t, r)
		for _, s := range []*stack{a, b} {
			s.phone.takes = map[string]time.Duration{"ada": 500 * time.Millisecond}
		}
		time.Sleep(time.Minute)
		r.replace()
		time.Sleep(10 * time.Millisecond)
		a.declare(minor("risk"))
		time.Sleep(time.Minute)
		require.Len(t, append(a.phone.messages(notify.InitialAlert), b.phone.messages(notify.InitialAlert)...), 1)
		a.stop()
		b.stop()
	})
}

// Two processes declare at the same time, under the same number.
func TestDeclarationsOfTwoProcessesDoNotHideEachOther(t *testing.T) {
	for _, same := range []bool{true, false} {
		t.Run(fmt.Sprint("the same thing: ", same), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRoom()
				a, b := two(t, r)
				hold := make(chan struct{})
				r.mu.Lock()
				r.hold = hold
				r.mu.Unlock()
				var atA, atB incident.Incident
				var declared sync.WaitGroup
				declared.Go(func() { atA = a.declare(minor("risk")) })
				declared.Go(func() {
					if same {
						atB = b.declare(minor("risk"))
					} else {
						atB = b.declare(minor("limits"))
					}
				})
				time.Sleep(time.Second)
				close(hold)
				declared.Wait()
				time.Sleep(time.Minute)
				want := 2
				if same {
					want = 1
				}
				require.Equal(t, same, atA.Number == atB.Number)
				for _, s := range []*stack{a, b} {
					require.Len(t, s.m.All(), want)
					require.Equal(t, atA.Component, s.get(atA.Number).Component)
					require.Equal(t, atB.Component, s.get(atB.Number).Component)
				}
				keys := map[string]bool{}
				for _, m := range append(a.phone.messages(notify.InitialAlert), b.phone.messages(notify.InitialAlert)...) {
					keys[m.Key] = true
				}
				require.Len(t, keys, want, "each thing is paged")
				all, err := incident.Replay(r.Memory.Read(t.Context(), 0))
				require.NoError(t, err)
				require.Len(t, all, want, "and the timeline says so")
				a.stop()
				b.stop()
			})
		})
	}
}
