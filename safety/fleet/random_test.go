package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/fleetdrill"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/safety/fleet"
	"github.com/andon-go/andon/safety/fleet/fleettest"
	"github.com/stretchr/testify/require"
)

// Seeded runs of a fleet whose lines fail in every way, whose machines sleep, and whose
// clocks run at different rates, halted and resumed by anybody at any time. However it
// goes, no Enter succeeds after a Halt has returned; porcupine judges. ANDON_RUNS is how
// many, 10 by default, from ANDON_SEED on.
func TestLaw2_RandomFleets(t *testing.T) {
	number := func(name string, def int) int {
		n, err := strconv.Atoi(os.Getenv(name))
		if err != nil {
			return def
		}
		return n
	}
	runs, seed := number("ANDON_RUNS", 10), number("ANDON_SEED", 1)
	var fired [fleettest.Late + 1]int
	halts, enters, sleeps := 0, 0, 0
	for n := range runs {
		w := &world{seed: uint64(seed + n)}
		bubble(t, w.run)
		if t.Failed() {
			t.Fatalf("seed %d", w.seed)
		}
		for f, c := range w.fired {
			fired[f] += c
		}
		halts, enters, sleeps = halts+w.halts, enters+w.enters, sleeps+w.sleeps
	}
	t.Logf("%d runs, %d halts with a whole roster, %d enters, %d sleeps, faults fired %v", runs, halts, enters, sleeps, fired[1:])
	for f, c := range fired[1:] {
		require.GreaterOrEqual(t, c, runs/2, "fault %d", f+1)
	}
	require.Greater(t, halts, runs)
	require.Greater(t, enters, runs*100)
	require.Greater(t, sleeps, runs/4)
}

// world is one run.
type world struct {
	seed  uint64
	began time.Time
	wg    sync.WaitGroup

	mu     sync.Mutex
	ops    []fleetdrill.Op
	fired  [fleettest.Late + 1]int
	halts  int
	enters int
	sleeps int
}

func (w *world) note(op fleetdrill.Op) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ops = append(w.ops, op)
}

func (w *world) now() time.Duration { return time.Since(w.began) }

func (w *world) run(t *testing.T) {
	rnd := rand.New(rand.NewPCG(w.seed, 0))
	w.began = time.Now()
	var mem fleettest.Memory
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	var bots []*bot
	for i := range 3 {
		c := newClock(0.98 + 0.04*rnd.Float64())
		b := join(t, &mem, fmt.Sprintf("bot-%d", i), c)
		bots = append(bots, b)
		w.wg.Go(func() { w.trade(ctx, b, i) })
		faults := rand.New(rand.NewPCG(w.seed, uint64(i)+1))
		if i < 2 {
			c = nil // whose clock jumps beside the others' is no judge of their leases: only the last one sleeps, and halts nobody
		}
		w.wg.Go(func() { w.trouble(ctx, b, c, faults) })
	}
	op := operator(t, &mem)
	op.SetClock(newClock(0.98 + 0.04*rnd.Float64()).now)
	for ctx.Err() == nil {
		w.resume(ctx, op)
		pause(ctx, rnd, 3*lease)
		halter := op
		var self *bot
		if i := rnd.IntN(3); i < 2 {
			self, halter = bots[i], bots[i].Fleet
		}
		w.halt(ctx, halter, self, rnd)
		pause(ctx, rnd, lease)
	}
	w.wg.Wait()
	for _, b := range bots {
		b.line.Set(fleettest.None)
		b.stop()
	}
	ok, decided := fleetdrill.Linearizable(w.ops)
	require.True(t, decided)
	require.True(t, ok, "seed %d: an Enter succeeded although the fleet was halted", w.seed)
}

func pause(ctx context.Context, rnd *rand.Rand, most time.Duration) {
	select {
	case <-time.After(time.Duration(rnd.Int64N(int64(most)))):
	case <-ctx.Done():
	}
}

// trade tries an order every few milliseconds.
func (w *world) trade(ctx context.Context, b *bot, client int) {
	for n := 0; ctx.Err() == nil; n++ {
		from := w.now()
		p, err := b.enter(strconv.Itoa(n))
		if err == nil {
			w.note(fleetdrill.Op{Kind: fleetdrill.Enter, Who: strconv.Itoa(client), From: from, To: w.now()})
			w.mu.Lock()
			w.enters++
			w.mu.Unlock()
			p.Exit(safety.Refused)
		}
		time.Sleep(17 * time.Millisecond)
	}
}

// trouble makes a bot's line faulty and lets its machine sleep, now and then.
func (w *world) trouble(ctx context.Context, b *bot, c *clock, rnd *rand.Rand) {
	for ctx.Err() == nil {
		pause(ctx, rnd, 2*lease)
		f := fleettest.Fault(1 + rnd.IntN(int(fleettest.Late)))
		b.line.Set(f)
		w.mu.Lock()
		w.fired[f]++
		w.mu.Unlock()
		pause(ctx, rnd, 2*lease)
		if c != nil && rnd.IntN(2) == 0 {
			c.sleep(time.Duration(rnd.Int64N(int64(2 * lease))))
			w.mu.Lock()
			w.sleeps++
			w.mu.Unlock()
		}
		b.line.Set(fleettest.None)
	}
}

func (w *world) halt(ctx context.Context, f *fleet.Fleet, self *bot, rnd *rand.Rand) {
	op := fleetdrill.Op{Kind: fleetdrill.Halt, Who: "halter", From: w.now(), To: fleetdrill.Open}
	by := strconv.Itoa(rnd.IntN(3))
	var err error
	if self != nil {
		_, err = self.Halt(ctx, by, "drill")
	} else {
		_, err = f.Halt(ctx, by, "drill")
	}
	if err == nil {
		op.To = w.now()
		w.halts++
	}
	w.note(op)
	if self != nil && errors.Is(err, fleet.ErrNotFleetWide) {
		_ = self.sw.Resume(ctx, "alice", "drill", self.sw.Status().Holds)
	}
}

func (w *world) resume(ctx context.Context, f *fleet.Fleet) {
	op := fleetdrill.Op{Kind: fleetdrill.Resume, Who: "resumer", From: w.now()}
	st, err := f.Status(ctx)
	if err != nil {
		return
	}
	err = f.Resume(ctx, "alice", "drill", st.Holds)
	op.To = w.now()
	if errors.Is(err, safety.ErrResumeRefused) {
		return
	}
	if err != nil {
		op.To = fleetdrill.Open
	}
	w.note(op)
}
