package fleetdrill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/boottime"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/safety/fleet"
)

// Server is a backend's server as a drill needs it.
type Server struct {
	Conn    string                // for bots and for the test
	Address string                // of its TCP port, to put a proxy before
	Through func(port int) string // Conn through a proxy on that port of the loopback
	Open    func(string) (fleet.Backend, error)
	Stop    func()
	Start   func()
}

// lease is short, so that a drill is; what it does not bear on a slow machine is denied.
const lease = 1500 * time.Millisecond

// drill is one run.
type drill struct {
	t     *testing.T
	s     Server
	clock boottime.Clock
	op    *fleet.Fleet
	bots  []*Proc
	ops   []Op
	rnd   *rand.Rand
}

// Run drills a fleet: the cases that are known to be hard, then random ones. How many
// random ones is ANDON_DRILLS, 2 by default.
func Run(t *testing.T, s Server) {
	rounds, seed := 2, uint64(1)
	for name, set := range map[string]func(int){"ANDON_DRILLS": func(n int) { rounds = n }, "ANDON_SEED": func(n int) { seed = uint64(n) }} {
		if v := os.Getenv(name); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil {
				t.Fatalf("fleetdrill: %s: %v", name, err)
			}
			set(n)
		}
	}
	d := newDrill(t, s, seed)
	proxy := NewProxy(t, s.Address)
	for i := range 3 {
		d.bots = append(d.bots, Start(t, fmt.Sprintf("bot-%d", i), s.Conn, lease))
	}
	behind := Start(t, "bot-behind", s.Through(proxy.Port()), lease)
	d.bots = append(d.bots, behind)
	d.trade()

	d.step("a bot halts, all confirm", func() { d.halt(d.bots[0], nil) })
	d.step("a bot was killed", func() {
		d.bots[1].Kill()
		d.halt(nil, []string{"bot-1"})
		d.bots[1].Restart()
		d.bots[1].Admits(false)
	})
	d.step("a bot is frozen", func() {
		d.bots[2].Freeze()
		d.halt(d.bots[0], []string{"bot-2"})
		d.bots[2].Thaw()
		d.bots[2].Admits(false)
	})
	d.step("a bot's connection is frozen", func() {
		proxy.Freeze()
		d.halt(nil, []string{"bot-behind"})
		proxy.Thaw()
		behind.Admits(false)
	})
	d.step("the server is down", func() {
		s.Stop()
		for _, b := range d.bots {
			b.Admits(false) // its lease is over
		}
		from := d.clock.Now()
		a := d.bots[0].Do("halt no server")
		if !a.NotWide {
			t.Fatalf("fleetdrill: a halt without a server: %q, want ErrNotFleetWide", a.Err)
		}
		d.ops = append(d.ops, Op{Halt, "bot-0", from, Open})
		s.Start()
		d.waitHalted() // the bot goes on trying
		if a := d.bots[0].Do("resume"); a.Err != "" {
			t.Fatalf("fleetdrill: its own hold: %s", a.Err)
		}
	})
	d.step("the halting bot is killed while it halts", func() {
		from := d.clock.Now()
		d.bots[0].Tell("halt and die")
		time.Sleep(time.Duration(d.rnd.Int64N(int64(5 * time.Millisecond))))
		d.bots[0].Kill()
		d.ops = append(d.ops, Op{Halt, "bot-0", from, Open})
		d.bots[0].Restart()
	})
	for n := range rounds {
		d.step(fmt.Sprintf("random round %d of seed %d", n, seed), d.random)
	}
	for _, b := range d.bots {
		history := b.History()
		if len(history) < 20 {
			t.Errorf("fleetdrill: %s admitted %d orders only: this shows nothing", b.name, len(history))
		}
		d.ops = append(d.ops, history...)
	}
	Check(t, d.ops)
}

func newDrill(t *testing.T, s Server, seed uint64) *drill {
	clock, err := boottime.New()
	if err != nil {
		t.Fatalf("fleetdrill: %v", err)
	}
	d := &drill{t: t, s: s, clock: clock, rnd: rand.New(rand.NewPCG(seed, 0))}
	backend, err := s.Open(s.Conn)
	if err != nil {
		t.Fatalf("fleetdrill: %v", err)
	}
	if c, ok := backend.(io.Closer); ok {
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Errorf("fleetdrill: %v", err)
			}
		})
	}
	d.op, err = fleet.New(fleet.Config{Name: "operator", Backend: backend, Lease: lease, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatalf("fleetdrill: %v", err)
	}
	return d
}

// step does one thing to a fleet that trades, and has it trade again.
func (d *drill) step(name string, do func()) {
	d.t.Helper()
	began := time.Now()
	do()
	d.trade()
	d.t.Logf("fleetdrill: %s: %v", name, time.Since(began).Round(time.Millisecond))
}

// trade resumes the fleet and waits until all bots admit orders. Where a halt that was
// on its way comes in between, it resumes again.
func (d *drill) trade() {
	d.t.Helper()
	deadline := time.Now().Add(2 * patience)
	for {
		if time.Now().After(deadline) {
			d.t.Fatalf("fleetdrill: the fleet does not trade")
		}
		d.resume()
		again := time.Now().Add(3 * lease)
		open := 0
		for _, b := range d.bots {
			for open++; b.Do("check").Err != ""; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(again) {
					open--
					break
				}
			}
		}
		if open == len(d.bots) {
			time.Sleep(50 * time.Millisecond) // for some orders
			return
		}
	}
}

func (d *drill) resume() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	st, err := d.op.Status(ctx)
	for err != nil && ctx.Err() == nil { // the server was only just started
		time.Sleep(10 * time.Millisecond)
		st, err = d.op.Status(ctx)
	}
	if err != nil {
		d.t.Fatalf("fleetdrill: %v", err)
	}
	if !st.Halted {
		return
	}
	op := Op{Kind: Resume, Who: "operator", From: d.clock.Now()}
	err = d.op.Resume(ctx, "alice", "drill", st.Holds)
	op.To = d.clock.Now()
	switch {
	case errors.Is(err, safety.ErrResumeRefused):
		return
	case err != nil:
		op.To = Open
	}
	d.ops = append(d.ops, op)
}

// halt halts by a bot, or by the operator, and expects a roster of all bots, of which
// these have not confirmed.
func (d *drill) halt(by *Proc, silent []string) {
	d.t.Helper()
	r := d.haltAny(by)
	got := map[string]bool{}
	for _, s := range r.Settled {
		got[s.Name] = true
		if slices.Contains(silent, s.Name) {
			d.t.Fatalf("fleetdrill: %s has confirmed, want it silent:\n%v", s.Name, r)
		}
	}
	for _, s := range r.Unsettled {
		got[s.Name] = true
		if !s.Confirmed && s.Since.After(time.Now()) {
			d.t.Fatalf("fleetdrill: a lease that has not run out yet:\n%v", r)
		}
	}
	for _, b := range d.bots {
		if !got[b.name] {
			d.t.Fatalf("fleetdrill: %s is not in the roster:\n%v", b.name, r)
		}
	}
}

// haltAny halts, whatever the roster says, and takes it into the history.
func (d *drill) haltAny(by *Proc) fleet.Roster {
	d.t.Helper()
	if by != nil {
		a := by.Do("halt drill")
		if a.Err != "" {
			d.t.Fatalf("fleetdrill: halt by %s: %s", by.name, a.Err)
		}
		d.ops = append(d.ops, Op{Halt, by.name, a.From, a.To})
		return a.Roster
	}
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	op := Op{Kind: Halt, Who: "operator", From: d.clock.Now()}
	r, err := d.op.Halt(ctx, "bob", "drill")
	op.To = d.clock.Now()
	if err != nil {
		d.t.Fatalf("fleetdrill: halt: %v", err)
	}
	d.ops = append(d.ops, op)
	return r
}

func (d *drill) waitHalted() {
	d.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(d.t.Context(), 5*time.Second)
		st, err := d.op.Status(ctx)
		cancel()
		if err == nil && st.Halted {
			return
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("fleetdrill: the halt does not become fleet-wide: %v", err)
		}
	}
}

// random halts while something happens to somebody.
func (d *drill) random() {
	victim := d.bots[1+d.rnd.IntN(len(d.bots)-1)]
	undo := func() {}
	switch d.rnd.IntN(4) {
	case 0:
		victim.Kill()
		undo = victim.Restart
	case 1:
		victim.Freeze()
		undo = victim.Thaw
	case 2:
		d.s.Stop()
		d.s.Start()
	}
	time.Sleep(time.Duration(d.rnd.Int64N(int64(lease))))
	if d.rnd.IntN(2) == 0 {
		undo()
		undo = func() {}
	}
	var by *Proc
	if d.rnd.IntN(2) == 0 {
		by = d.bots[0]
	}
	d.haltAny(by)
	time.Sleep(time.Duration(d.rnd.Int64N(int64(lease / 4))))
	undo()
}

// FrozenAfterEnter stops a bot between Enter and the venue, halts the fleet, and lets the
// bot go on: the order must not arrive.
func FrozenAfterEnter(t *testing.T, s Server) {
	d := newDrill(t, s, 1)
	var arrived atomic.Int64
	venue := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
	defer venue.Close()
	b := Start(t, "frozen", s.Conn, lease)
	d.bots = []*Proc{b}
	d.trade()

	if a := b.Do("order " + venue.URL); a.Err != "" {
		t.Fatalf("fleetdrill: %s", a.Err)
	}
	b.Tell("go")
	if a := b.Hear(); a.Err != "" || arrived.Load() != 1 {
		t.Fatalf("fleetdrill: without a halt the order arrives: %d arrived, %q", arrived.Load(), a.Err)
	}
	d.trade()

	for a := b.Do("order " + venue.URL); a.Err != ""; a = b.Do("order " + venue.URL) {
		d.trade() // its lease was over just then
	}
	b.Freeze()
	r := d.haltAny(nil)
	if len(r.Unsettled) != 1 || r.Unsettled[0].Name != "frozen" || r.Unsettled[0].Confirmed {
		t.Fatalf("fleetdrill: want the frozen bot named, with its lease run out:\n%v", r)
	}
	d.resume() // it goes on in a fleet that trades again: that must not let the old order out
	b.Thaw()
	b.Tell("go")
	if a := b.Hear(); a.Err == "" || arrived.Load() != 1 {
		t.Fatalf("fleetdrill: an order that entered before the halt was sent after it: %d arrived, %q", arrived.Load(), a.Err)
	}
}
