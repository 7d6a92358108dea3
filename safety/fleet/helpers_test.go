package fleet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/safety/fleet"
	"github.com/andon-go/andon/safety/fleet/fleettest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const lease = 6 * time.Second

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// memoryStore keeps a switch's state, for bubbles of synctest.
type memoryStore struct {
	mu sync.Mutex
	b  []byte
}

func (s *memoryStore) Load(context.Context) (st safety.State, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.b == nil {
		return st, safety.ErrNoState
	}
	return st, json.NewDecoder(bytes.NewReader(s.b)).Decode(&st)
}

func (s *memoryStore) Save(_ context.Context, st safety.State) error {
	b, err := json.Marshal(st)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b = b
	return err
}

// bot is one process: a switch and its place in the fleet.
type bot struct {
	*fleet.Member
	sw   *safety.Switch
	mem  *fleettest.Memory
	line *fleettest.Line
	stop func() // ends it as a shutdown does
}

type clock struct {
	mu    sync.Mutex
	began time.Time
	rate  float64       // of its own seconds to real ones
	slept time.Duration // what timers did not count
}

func newClock(rate float64) *clock { return &clock{began: time.Now(), rate: rate} }

func (c *clock) now() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Hour + c.slept + time.Duration(float64(time.Since(c.began))*c.rate)
}

func (c *clock) sleep(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slept += d
}

// join starts a bot whose own switch is resumed, and which trades when the fleet does.
func join(t testing.TB, mem *fleettest.Memory, name string, c *clock) *bot {
	b := &bot{mem: mem, line: mem.Line()}
	joinWith(t, b, name, c, lease)
	return b
}

func joinWith(t testing.TB, b *bot, name string, c *clock, lease time.Duration) {
	m, err := fleet.NewMember(fleet.Config{Name: name, Backend: b.line, Lease: lease, Log: quiet()})
	require.NoError(t, err)
	m.SetClock(c.now)
	b.Member = m
	b.sw, err = safety.Open(t.Context(), safety.Config{Name: name, Store: &memoryStore{}, NoFlags: true, Lease: m, Log: quiet()})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() { require.NoError(t, b.sw.Run(ctx)) })
	wg.Go(func() { require.NoError(t, m.Run(ctx, b.sw)) })
	b.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		require.NoError(t, b.sw.Close())
	})
	t.Cleanup(b.stop)
	require.NoError(t, b.sw.Resume(ctx, "alice", "first start", b.sw.Status().Holds))
}

// operator is a handle that trades nothing.
func operator(t testing.TB, mem *fleettest.Memory) *fleet.Fleet {
	f, err := fleet.New(fleet.Config{Name: "operator", Backend: mem, Lease: lease, Log: quiet()})
	require.NoError(t, err)
	f.SetClock(newClock(1).now)
	return f
}

func resumeFleet(t testing.TB, f *fleet.Fleet) {
	t.Helper()
	st, err := f.Status(t.Context())
	require.NoError(t, err)
	require.NoError(t, f.Resume(t.Context(), "alice", "looked at everything", st.Holds))
}

// heard lets a resume be heard: a member that had read it before the word came closes its
// gate by the word, and waits a moment before it asks again.
func heard() {
	time.Sleep(10 * time.Millisecond)
	synctest.Wait()
}

// trading starts bots in a fleet that trades.
func trading(t testing.TB, mem *fleettest.Memory, names ...string) (bots []*bot) {
	resumeFleet(t, operator(t, mem))
	for _, n := range names {
		bots = append(bots, join(t, mem, n, newClock(1)))
	}
	synctest.Wait()
	for _, b := range bots {
		require.NoError(t, b.sw.Check())
	}
	return bots
}

func order(id string, side andon.Side, quantity string) andon.Order {
	return andon.Order{ClientID: id, Venue: "sim", Symbol: "BTC", Side: side, Kind: andon.Market, Quantity: andon.MustDecimal(quantity)}
}

// enter tries an order that adds exposure.
func (b *bot) enter(id string) (safety.Permit, error) {
	o := order(id, andon.Buy, "1")
	return b.sw.Enter(&o)
}

// admits reports whether an order that adds exposure passes now.
func (b *bot) admits() bool {
	p, err := b.enter("probe")
	if err == nil {
		p.Exit(safety.Refused)
	}
	return err == nil
}

func names(ss []fleet.Standing) (out []string) {
	for _, s := range ss {
		out = append(out, s.Name)
	}
	return out
}

func bubble(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }
