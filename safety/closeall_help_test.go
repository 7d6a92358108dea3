package safety_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// bookOf is a book that says what it holds.
type bookOf []andon.Position

func (b bookOf) Positions(context.Context) ([]andon.Position, error) { return b, nil }

// bookFails is a book that cannot be read.
type bookFails struct{}

func (bookFails) Positions(context.Context) ([]andon.Position, error) { return nil, errWire }

// desk is a switch that trades on venues whose every position the bot opened.
type desk struct {
	t      testing.TB
	sw     *safety.Switch
	venues map[string]*andontest.Venue
	cfg    safety.CloserConfig
}

// newDesk opens an active switch, in a bubble of synctest, beside venues.
func newDesk(t testing.TB, cfg safety.Config, venues ...*andontest.Venue) *desk {
	cfg.Name, cfg.NoFlags, cfg.Log = "test", true, slog.New(slog.NewTextHandler(io.Discard, nil))
	if cfg.Store == nil {
		cfg.Store = &memoryStore{}
	}
	sw, err := safety.Open(context.Background(), cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- sw.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ran
		require.NoError(t, sw.Close())
	})
	synctest.Wait()
	require.NoError(t, sw.Resume(ctx, "alice", "a test begins", sw.Status().Holds))
	d := &desk{t: t, sw: sw, venues: map[string]*andontest.Venue{}, cfg: safety.CloserConfig{Switch: sw, Venues: map[string]safety.CloseVenue{}}}
	book := bookOf{}
	for _, v := range venues {
		d.venues[v.Name()] = v
		d.cfg.Venues[v.Name()] = safety.CloseVenue{Venue: v}
		book = append(book, v.Truth().Positions...)
	}
	d.cfg.Book = book
	return d
}

func (d *desk) plan(foreign ...andon.LegKey) (*safety.Closer, safety.ClosePlan) {
	c, err := safety.NewCloser(d.cfg)
	require.NoError(d.t, err)
	p, err := c.Plan(context.Background(), time.Now(), foreign...)
	require.NoError(d.t, err)
	return c, p
}

// confirmed is what a person types.
func confirmed(p safety.ClosePlan) safety.Confirmation {
	return safety.Confirmation{By: "alice", Note: "drawdown", Token: p.Token()}
}

// closeAll plans and applies.
func (d *desk) closeAll(foreign ...andon.LegKey) (safety.CloseReport, error) {
	c, p := d.plan(foreign...)
	return c.Apply(context.Background(), p, confirmed(p), time.Now())
}

// perp is a venue that holds a position of 2 BTC with a stop, and a bid that rests.
func perp(name string) *andontest.Venue {
	v := andontest.New(andontest.Config{Name: name})
	v.SetPosition(andon.Position{Symbol: "BTC", Quantity: dec("2"), Entry: dec("100")})
	v.SetOrder(on("BTC", reduceOnly(stopOrder("stop-"+name, andon.Sell, "2"))))
	v.SetOrder(on("BTC", limitOrder("bid-"+name, andon.Buy, "1", "80")))
	return v
}

func on(symbol string, o andon.Order) andon.Order { o.Symbol = symbol; return o }

func limitOrder(id string, side andon.Side, quantity, price string) andon.Order {
	o := order(id, side, quantity)
	o.Kind, o.Price = andon.Limit, dec(price)
	return o
}

// submitted is every order that reached a venue, in words.
func submitted(v *andontest.Venue) (lines []string) {
	for _, c := range v.Calls() {
		switch c.Op {
		case andontest.OpSubmit:
			lines = append(lines, fmt.Sprintf("%v %v %v %v", c.Order.Side, c.Order.Quantity, c.Order.Kind, c.Order.Symbol))
		case andontest.OpCancel:
			lines = append(lines, fmt.Sprintf("cancel %s", c.Order.ClientID))
		}
	}
	return lines
}
