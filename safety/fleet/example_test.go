package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/safety/fleet"
	"github.com/andon-go/andon/safety/fleet/fleettest"
)

func Example() {
	dir, err := os.MkdirTemp("", "fleet")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	backend := &fleettest.Memory{} // pgfleet.Open or etcdfleet.New in life

	// In each bot: a member, and a switch that trades under its lease.
	quiet := slog.New(slog.DiscardHandler)
	m, err := fleet.NewMember(fleet.Config{Name: "btc-maker-1", Backend: backend, Log: quiet})
	if err != nil {
		log.Fatal(err)
	}
	sw, err := safety.Open(context.Background(), safety.Config{Name: "btc-maker-1", Dir: dir, NoFlags: true, Lease: m, Log: quiet})
	if err != nil {
		log.Fatal(err)
	}
	defer sw.Close()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = sw.Run(ctx) })
	running.Go(func() { _ = m.Run(ctx, sw) })
	defer running.Wait()
	defer cancel()

	// The very first start is a resume, of the bot and of the fleet.
	if err := sw.Resume(ctx, "alice", "first start", sw.Status().Holds); err != nil {
		log.Fatal(err)
	}
	st, err := m.Status(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if err := m.Resume(ctx, "alice", "first start", st.Holds); err != nil {
		log.Fatal(err)
	}
	for sw.Check() != nil {
		time.Sleep(time.Millisecond)
	}
	fmt.Println("trading")

	// From any process, at any time.
	roster, err := m.Halt(ctx, "bob", "the venue answers nonsense")
	fmt.Println("halted:", errors.Is(sw.Check(), safety.ErrDenied), err)
	for _, s := range roster.Settled {
		fmt.Println("nothing in flight:", s.Name)
	}
	for _, s := range roster.Unsettled {
		fmt.Println("look up by client id:", s)
	}

	// Output:
	// trading
	// halted: true <nil>
	// nothing in flight: btc-maker-1
}
