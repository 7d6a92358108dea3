package safety

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon"
	"github.com/stretchr/testify/require"
)

// exchange is an account with a dead man's switch like Kraken's: when it is not armed
// again in time, it cancels every order, stops too.
type exchange struct {
	mu     sync.Mutex
	timer  *time.Timer
	orders []andon.Order
	armed  []time.Time // when
	fired  int
	fail   error         // of every call
	blind  error         // of reading the orders
	hang   bool          // every call takes effect, and is not answered
	slow   time.Duration // before a call takes effect
	spares bool
}

func (x *exchange) answer(ctx context.Context, effect func()) error {
	x.mu.Lock()
	slow := x.slow
	x.mu.Unlock()
	time.Sleep(slow)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.fail != nil {
		return x.fail
	}
	effect()
	if x.hang {
		x.mu.Unlock()
		<-ctx.Done()
		x.mu.Lock()
		return ctx.Err()
	}
	return nil
}

func (x *exchange) Arm(ctx context.Context, after time.Duration) error {
	return x.answer(ctx, func() {
		x.armed = append(x.armed, time.Now())
		if x.timer != nil {
			x.timer.Stop()
		}
		x.timer = time.AfterFunc(after, x.fire)
	})
}

func (x *exchange) Disarm(ctx context.Context) error {
	return x.answer(ctx, func() {
		if x.timer != nil {
			x.timer.Stop()
		}
	})
}

func (x *exchange) SparesProtection() bool { return x.spares }

func (x *exchange) fire() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.fired++
	x.orders = nil
}

func (x *exchange) Orders(ctx context.Context) (orders []andon.Order, err error) {
	err = x.answer(ctx, func() { orders = append(orders, x.orders...) })
	x.mu.Lock()
	defer x.mu.Unlock()
	return orders, errors.Join(err, x.blind)
}

func (x *exchange) Positions(context.Context) ([]andon.Position, error) {
	return []andon.Position{{Venue: "kraken", Symbol: "BTC", Quantity: andon.MustDecimal("1"), Mark: andon.MustDecimal("100"), At: time.Now()}}, nil
}

func (x *exchange) Balances(context.Context) ([]andon.Balance, error) { return nil, nil }

// protect places the stop that is missing.
func (x *exchange) protect() {
	x.set(func() {
		x.orders = []andon.Order{{ClientID: "stop", VenueID: "1", Venue: "kraken", Symbol: "BTC", Side: andon.Sell, Kind: andon.StopMarket, ReduceOnly: true,
			Quantity: andon.MustDecimal("1"), Trigger: andon.MustDecimal("95"), Status: andon.Live}}
	})
}

func (x *exchange) set(f func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f()
}

func (x *exchange) counts() (armed, fired int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.armed), x.fired
}

func kraken(x *exchange) DeadManConfig {
	return DeadManConfig{Venue: "kraken", Account: x, AcceptNaked: true}
}

// Off unless it is made, and refused where it would leave positions naked and nobody said
// that this is accepted.
func TestDeadManIsRefusedWithoutAcceptNaked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := resumed(t)
		x := &exchange{}
		cfg := kraken(x)
		cfg.AcceptNaked = false
		_, err := NewDeadManSwitch(sw, x, cfg)
		require.ErrorContains(t, err, "AcceptNaked is not set, and this venue cancels protective stops too")
		require.Equal(t, Active, sw.State())
		x.spares = true
		_, err = NewDeadManSwitch(sw, x, cfg)
		require.NoError(t, err)
		_, err = NewDeadManSwitch(sw, nil, DeadManConfig{Timeout: -1, Requirements: Requirements{MinLife: -1}})
		for _, says := range []string{"Venue is empty", "Account is nil", "Timeout -1ns", "Requirements: MinLife", "switch is nil"} {
			require.ErrorContains(t, err, says)
		}
	})
}

// It is armed again every quarter of its timeout, while halted too, and never fires.
func TestDeadManIsArmedWhileHaltedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := resumed(t)
		x := &exchange{}
		x.protect()
		dm, err := NewDeadManSwitch(sw, x, kraken(x))
		require.NoError(t, err)
		require.Equal(t, Reducing, sw.State(), "not armed yet")
		stop := aside(t, dm.Run)
		require.Equal(t, Active, sw.State(), "%v", sw.Status().Holds)
		require.NoError(t, sw.Engage("bob", "drill"))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		armed, fired := x.counts()
		require.Equal(t, 41, armed, "at once and every 15 s")
		require.Zero(t, fired)
		require.ErrorIs(t, dm.Run(t.Context()), ErrRunning)
		// An orderly end leaves the stops where they are.
		require.NoError(t, stop())
		time.Sleep(time.Hour)
		_, fired = x.counts()
		require.Zero(t, fired)
	})
}

// After a restart the gate stays shut for what adds exposure until every position is seen
// to be protected: the venue may have fired while nobody was there.
func TestDeadManProtectsBeforeTheGateOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := resumed(t)
		x := &exchange{}
		dm, err := NewDeadManSwitch(sw, x, kraken(x))
		require.NoError(t, err)
		aside(t, dm.Run)
		time.Sleep(time.Minute)
		require.NoError(t, sw.Resume(t.Context(), "alice", "fine", sw.Status().Holds))
		require.Equal(t, Reducing, sw.State())
		require.Contains(t, by(sw, "andon/deadman/kraken", true)[0].Reason, "NOT PROTECTED: 1 of 1 open legs")
		x.set(func() { x.blind = errors.New("503") }) // not known is not protected
		x.protect()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Equal(t, Reducing, sw.State())
		require.Contains(t, by(sw, "andon/deadman/kraken", true)[0].Reason, "live orders are not known: 503")
		x.set(func() { x.blind = nil })
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.NoError(t, sw.Resume(t.Context(), "alice", "fine", sw.Status().Holds))
		require.Equal(t, Active, sw.State(), "%v", sw.Status().Holds)
	})
}

// A refresh that fails holds at once and says when the venue fires; what fired has to be
// protected again; whether the answer was lost or the call makes no difference.
func TestDeadManThatFailsSaysWhenTheVenueFires(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("answer lost %v", lost), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sw := resumed(t)
				x := &exchange{}
				x.protect()
				dm, err := NewDeadManSwitch(sw, x, kraken(x))
				require.NoError(t, err)
				aside(t, dm.Run)
				fires := time.Now().Add(time.Minute)
				x.set(func() {
					if lost {
						x.hang = true
					} else {
						x.fail = errors.New("503")
					}
				})
				time.Sleep(14 * time.Second)
				require.Equal(t, Active, sw.State())
				time.Sleep(9 * time.Second)
				synctest.Wait()
				require.Equal(t, Reducing, sw.State())
				holds := by(sw, "andon/deadman/kraken", false)
				require.Len(t, holds, 1)
				require.Contains(t, holds[0].Reason, "it fires from "+stamp(fires)+" on and cancels every order, protective stops too")
				time.Sleep(50 * time.Second)
				synctest.Wait()
				holds = by(sw, "andon/deadman/kraken", false)
				require.Len(t, holds, 2, "one for the failure, one for what may have fired")
				require.Contains(t, holds[1].Reason, "may have cancelled every order by itself, protective stops too")
				_, fired := x.counts()
				require.Equal(t, !lost, fired == 1)
				x.set(func() { x.fail, x.hang, x.orders = nil, false, nil })
				time.Sleep(20 * time.Second)
				synctest.Wait()
				require.NoError(t, sw.Resume(t.Context(), "alice", "seen", sw.Status().Holds))
				require.Equal(t, Reducing, sw.State(), "armed, and naked")
				x.protect()
				time.Sleep(20 * time.Second)
				synctest.Wait()
				require.Equal(t, Active, sw.State(), "%v", sw.Status().Holds)
			})
		})
	}
}

// A machine that slept through the timeout did not keep the venue from firing, although
// Go's clock says that no time has passed.
func TestDeadManCountsSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := resumed(t)
		x := &exchange{}
		x.protect()
		dm, err := NewDeadManSwitch(sw, x, kraken(x))
		require.NoError(t, err)
		asleep := make(chan time.Duration, 1)
		asleep <- 0
		dm.asleep = func() time.Duration { d := <-asleep; asleep <- d; return d }
		aside(t, dm.Run)
		require.Equal(t, Active, sw.State())
		<-asleep
		asleep <- time.Hour
		x.fire()
		time.Sleep(15 * time.Second)
		synctest.Wait()
		require.Equal(t, Reducing, sw.State())
		require.Contains(t, by(sw, "andon/deadman/kraken", true)[0].Reason, "NOT PROTECTED")
	})
}

func TestDeadManEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := resumed(t)
		x := &exchange{}
		x.protect()
		dm, err := NewDeadManSwitch(sw, x, kraken(x))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- dm.Run(ctx) }()
		synctest.Wait()
		x.set(func() { x.fail = errors.New("503") })
		cancel()
		require.ErrorContains(t, <-done, "cancels every order, protective stops too, within 1m0s: disarm it: 503")
		require.Equal(t, Reducing, sw.State())
		time.Sleep(time.Hour)

		// One that spares protection stays armed and cancels what nobody looks after.
		y := &exchange{spares: true}
		y.protect()
		dm, err = NewDeadManSwitch(sw, y, kraken(y))
		require.NoError(t, err)
		require.NoError(t, aside(t, dm.Run)())
		time.Sleep(time.Hour)
		_, fired := y.counts()
		require.Equal(t, 1, fired)
	})
}

// What nobody kept from firing between two runs may have fired: the second one looks.
func TestDeadManLooksAgainAtItsNextRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := resumed(t)
		x := &exchange{}
		x.protect()
		dm, err := NewDeadManSwitch(sw, x, kraken(x))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- dm.Run(ctx) }()
		synctest.Wait()
		require.Equal(t, Active, sw.State(), "%v", sw.Status().Holds)
		x.set(func() { x.fail = errors.New("503") })
		cancel()
		require.Error(t, <-done, "the venue could not be disarmed")
		x.set(func() { x.fail = nil })
		time.Sleep(5 * time.Minute)
		_, fired := x.counts()
		require.Equal(t, 1, fired)
		aside(t, dm.Run)
		require.Equal(t, Reducing, sw.State())
		require.Contains(t, by(sw, "andon/deadman/kraken", true)[0].Reason, "NOT PROTECTED: 1 of 1 open legs")
	})
}

// The venue's time runs from when it was asked at the earliest: an answer that takes long
// must not make the moment at which it fires look later than it is.
func TestDeadManCountsFromTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := resumed(t)
		x := &exchange{slow: 5 * time.Second}
		x.protect()
		dm, err := NewDeadManSwitch(sw, x, kraken(x))
		require.NoError(t, err)
		fires := time.Now().Add(time.Minute)
		aside(t, dm.Run)
		time.Sleep(12 * time.Second)
		synctest.Wait()
		require.Equal(t, Active, sw.State(), "%v", sw.Status().Holds)
		x.set(func() { x.slow, x.fail = 0, errors.New("503") })
		time.Sleep(15 * time.Second)
		synctest.Wait()
		require.Contains(t, by(sw, "andon/deadman/kraken", false)[0].Reason, "it fires from "+stamp(fires)+" on")
		x.set(func() { x.fail = nil })
	})
}

// deafVenue is an exchange whose client does not heed its context while it is deaf.
type deafVenue struct {
	*exchange
	deaf  atomic.Bool
	calls atomic.Int64
	hear  chan struct{}
}

func (v *deafVenue) Arm(ctx context.Context, after time.Duration) error {
	if v.deaf.Load() {
		v.calls.Add(1)
		<-v.hear
	}
	return v.exchange.Arm(ctx, after)
}

// A client that neither answers nor ends with its context must not keep the switch from
// saying that the venue is about to fire.
func TestLaw11_AVenueThatNeverAnswersIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := resumed(t)
		x := &deafVenue{exchange: &exchange{}, hear: make(chan struct{})}
		x.protect()
		dm, err := NewDeadManSwitch(sw, x, kraken(x.exchange))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- dm.Run(ctx) }()
		synctest.Wait()
		require.Equal(t, Active, sw.State(), "%v", sw.Status().Holds)
		x.deaf.Store(true)
		time.Sleep(23 * time.Second)
		synctest.Wait()
		require.Equal(t, Reducing, sw.State())
		require.Contains(t, by(sw, "andon/deadman/kraken", false)[0].Reason, "kraken cannot be armed: it fires from")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Contains(t, by(sw, "andon/deadman/kraken", false)[1].Reason, "may have cancelled every order by itself")
		require.EqualValues(t, 1, x.calls.Load(), "no second call passes one that is still at work")
		cancel()
		require.ErrorContains(t, <-done, "disarm it: an earlier call did not end with its context", "it may arm the venue yet")
		x.deaf.Store(false)
		close(x.hear)
		x.protect()
		aside(t, dm.Run)
		require.NoError(t, sw.Resume(t.Context(), "alice", "the client is mended", sw.Status().Holds))
		require.Equal(t, Active, sw.State(), "%v", sw.Status().Holds)
	})
}

// A venue's client that panics is one that failed.
func TestComplaintTrading6_APanicOfTheVenueIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := resumed(t)
		x := &exchange{}
		dm, err := NewDeadManSwitch(sw, panics{x}, kraken(x))
		require.NoError(t, err)
		aside(t, dm.Run)
		require.Contains(t, by(sw, "andon/deadman/kraken", false)[0].Reason, "arm it: the venue panicked: nil map")
	})
}

type panics struct{ *exchange }

func (panics) Arm(context.Context, time.Duration) error { panic("nil map") }

// krakenAPI is a client of POST /0/private/CancelAllOrdersAfter; signing is left out.
type krakenAPI struct {
	base   string
	client *http.Client
}

func (k krakenAPI) after(ctx context.Context, seconds int) error {
	form := url.Values{"nonce": {strconv.FormatInt(time.Now().UnixNano(), 10)}, "timeout": {strconv.Itoa(seconds)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.base+"/0/private/CancelAllOrdersAfter", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := k.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Error  []string `json:"error"`
		Result *struct {
			TriggerTime string `json:"triggerTime"`
		} `json:"result"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("answer of %s: %w", resp.Status, err)
	}
	if len(answer.Error) > 0 || answer.Result == nil {
		return fmt.Errorf("kraken: %s %q", resp.Status, answer.Error)
	}
	return nil
}

func (k krakenAPI) Arm(ctx context.Context, after time.Duration) error {
	return k.after(ctx, int(after/time.Second))
}
func (k krakenAPI) Disarm(ctx context.Context) error { return k.after(ctx, 0) }
func (k krakenAPI) SparesProtection() bool           { return false }

// Against a server over HTTP, in real time: it is kept from firing, it fires when the
// server stops answering, and the gate opens after protection only.
func TestDeadManOverHTTP(t *testing.T) {
	x := &exchange{}
	x.protect()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seconds, err := strconv.Atoi(r.PostFormValue("timeout"))
		if err != nil || r.URL.Path != "/0/private/CancelAllOrdersAfter" || r.Method != http.MethodPost {
			http.Error(w, `{"error":["EGeneral:Invalid arguments"]}`, http.StatusOK)
			return
		}
		if seconds == 0 {
			err = x.Disarm(r.Context())
		} else {
			err = x.Arm(r.Context(), time.Duration(seconds)*time.Second)
		}
		if err != nil {
			fmt.Fprintf(w, `{"error":["EService:Unavailable"]}`)
			return
		}
		fmt.Fprintf(w, `{"error":[],"result":{"currentTime":%q,"triggerTime":%q}}`, stamp(time.Now()), stamp(time.Now().Add(time.Duration(seconds)*time.Second)))
	}))
	defer srv.Close()
	defer srv.Client().CloseIdleConnections()
	sw, err := Open(t.Context(), Config{Name: "test", Store: forgetful{}, NoFlags: true, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	defer func() { require.NoError(t, sw.Close()) }()
	dm, err := NewDeadManSwitch(sw, krakenAPI{srv.URL, srv.Client()}, DeadManConfig{Venue: "kraken", Account: x, AcceptNaked: true, Timeout: 2 * time.Second})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- dm.Run(ctx) }()
	passing := func() string { return fmt.Sprint(by(sw, "andon/deadman/kraken", true)) }
	soon := func(cond func() bool, what string) {
		t.Helper()
		require.Eventually(t, cond, 60*time.Second, 10*time.Millisecond, what)
	}
	soon(func() bool { return passing() == "[]" }, "armed and protected")
	soon(func() bool { armed, _ := x.counts(); return armed >= 5 }, "armed again and again")
	x.set(func() { x.fail = errors.New("maintenance") })
	soon(func() bool { return strings.Contains(passing(), "kraken cannot be armed") }, "it says so")
	soon(func() bool { _, fired := x.counts(); return fired > 0 }, "the venue fires")
	x.set(func() { x.fail = nil })
	soon(func() bool { return strings.Contains(passing(), "NOT PROTECTED: 1 of 1") }, "naked")
	x.protect()
	soon(func() bool { return passing() == "[]" }, "protected again")
	cancel()
	require.NoError(t, <-done)
}
