package fleetdrill

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/boottime"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/safety/fleet"
)

// The environment of a bot's process.
const (
	envName  = "ANDON_FLEET_BOT"
	envConn  = "ANDON_FLEET_CONN"
	envDir   = "ANDON_FLEET_DIR" // its switch's state and its history
	envLease = "ANDON_FLEET_LEASE"
)

// Main is a package's TestMain: the tests, or a bot where this process is one. open
// opens the backend by what Config.Conn says. tests runs the tests.
func Main(m *testing.M, open func(conn string) (fleet.Backend, error), tests func(m *testing.M)) {
	name := os.Getenv(envName)
	if name == "" {
		tests(m)
		return
	}
	if err := bot(name, open); err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// trader is the process of one bot.
type trader struct {
	clock   boottime.Clock
	m       *fleet.Member
	sw      *safety.Switch
	history *os.File
	lines   *bufio.Scanner
}

func bot(name string, open func(conn string) (fleet.Backend, error)) error {
	lease, err := time.ParseDuration(os.Getenv(envLease))
	if err != nil {
		return err
	}
	dir := os.Getenv(envDir)
	backend, err := open(os.Getenv(envConn))
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if os.Getenv("ANDON_FLEET_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("bot", name)
	}
	t := &trader{lines: bufio.NewScanner(os.Stdin)}
	if t.clock, err = boottime.New(); err != nil {
		return err
	}
	if t.history, err = os.OpenFile(dir+"/history", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	if t.m, err = fleet.NewMember(fleet.Config{Name: name, Backend: backend, Lease: lease, WriteWithin: 10 * time.Second, Log: log}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if t.sw, err = safety.Open(ctx, safety.Config{Name: name, Dir: dir + "/state", NoFlags: true, Lease: t.m, DrainWithin: time.Second, DurableWithin: patience, Log: log}); err != nil {
		return err
	}
	var wg sync.WaitGroup
	ended := make(chan error, 3)
	wg.Go(func() { ended <- t.sw.Run(ctx) })
	wg.Go(func() { ended <- t.m.Run(ctx, t.sw) })
	wg.Go(func() { ended <- t.trade(ctx) })
	err = t.obey(ctx)
	cancel()
	wg.Wait()
	for range 3 {
		err = errors.Join(err, <-ended)
	}
	return errors.Join(err, t.sw.Close(), t.history.Close())
}

// trade tries an order every few milliseconds, and notes what was admitted.
func (t *trader) trade(ctx context.Context) error {
	o := andon.Order{Venue: "sim", Symbol: "BTC", Side: andon.Buy, Kind: andon.Market, Quantity: andon.NewDecimal(1, 0)}
	for n := 0; ctx.Err() == nil; n++ {
		o.ClientID = fmt.Sprintf("o%d", n)
		from := t.clock.Now()
		p, err := t.sw.Enter(&o)
		to := t.clock.Now()
		if err == nil {
			p.Exit(safety.Refused)
			if _, err := fmt.Fprintf(t.history, "%d %d\n", from, to); err != nil {
				return err
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
	return nil
}

// answer is what a bot says to a command, one line of JSON.
type answer struct {
	From, To time.Duration // of the command
	Err      string        `json:",omitempty"`
	NotWide  bool          `json:",omitempty"` // fleet.ErrNotFleetWide
	Partial  bool          `json:",omitempty"` // fleet.ErrIncomplete
	Roster   fleet.Roster  `json:",omitzero"`
}

func (t *trader) say(a answer, err error) error {
	a.To = t.clock.Now()
	if err != nil {
		a.Err, a.NotWide, a.Partial = err.Error(), errors.Is(err, fleet.ErrNotFleetWide), errors.Is(err, fleet.ErrIncomplete)
	}
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = fmt.Println(string(b))
	return err
}

// obey does what the test says, until it says no more.
func (t *trader) obey(ctx context.Context) error {
	for t.lines.Scan() {
		a := answer{From: t.clock.Now()}
		command, arg, _ := strings.Cut(t.lines.Text(), " ")
		var err error
		switch command {
		case "halt":
			a.Roster, err = t.m.Halt(ctx, os.Getenv(envName), arg)
		case "resume": // its own switch
			err = t.sw.Resume(ctx, "alice", "drill", t.sw.Status().Holds)
		case "check":
			err = t.sw.Check()
		case "order":
			err = t.order(ctx, arg)
		default:
			err = fmt.Errorf("no such command: %s", command)
		}
		if err := t.say(a, err); err != nil {
			return err
		}
	}
	return t.lines.Err()
}

// order enters, says so, waits to be told to go on, and sends the order to the venue at
// that address.
func (t *trader) order(ctx context.Context, venue string) error {
	o := andon.Order{ClientID: "held", Venue: "sim", Symbol: "BTC", Side: andon.Buy, Kind: andon.Market, Quantity: andon.NewDecimal(1, 0)}
	p, err := t.sw.Enter(&o)
	if err != nil {
		return err
	}
	if err := t.say(answer{}, nil); err != nil {
		return err
	}
	out := safety.OutcomeUnknown
	defer func() { p.Exit(out) }()
	if !t.lines.Scan() {
		return io.ErrUnexpectedEOF
	}
	call, done := p.Context(ctx)
	defer done()
	req, err := http.NewRequestWithContext(call, http.MethodPost, venue, strings.NewReader("order"))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	out = safety.Accepted
	return resp.Body.Close()
}
