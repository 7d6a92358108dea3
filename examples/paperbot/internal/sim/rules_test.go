package sim

import (
	"errors"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/stretchr/testify/require"
)

// buy is a market order of AAA-USDT that is taken.
func buy(quantity string) andon.Order {
	return andon.Order{
		ClientID: "c1", Venue: "sim", Symbol: "AAA-USDT", Side: andon.Buy,
		Kind: andon.Market, Quantity: dec(quantity),
	}
}

func TestTheVenueRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(o *andon.Order)
		reason string
	}{
		"another venue":     {func(o *andon.Order) { o.Venue = "elsewhere" }, `this is venue "sim"`},
		"unknown symbol":    {func(o *andon.Order) { o.Symbol = "CCC-USDT" }, "not traded here"},
		"leg in one-way":    {func(o *andon.Order) { o.Leg = andon.Long }, "leg long does not exist"},
		"no side":           {func(o *andon.Order) { o.Side = 0 }, "side is missing"},
		"part of a lot":     {func(o *andon.Order) { o.Quantity = dec("0.7") }, "multiple of the lot 0.5"},
		"too large":         {func(o *andon.Order) { o.Quantity = dec("1000000000.5") }, "multiple of the lot"},
		"part of a tick":    {func(o *andon.Order) { o.Kind, o.Price = andon.Limit, dec("99.9") }, "multiple of the tick 0.25"},
		"trigger off tick":  {func(o *andon.Order) { o.Kind, o.Trigger = andon.StopMarket, dec("110.1") }, "trigger is not a multiple"},
		"filled before":     {func(o *andon.Order) { o.Filled = dec("0.5") }, "filled already"},
		"expired":           {func(o *andon.Order) { o.ExpiresAt = start }, "has expired"},
		"below least value": {func(o *andon.Order) { o.Quantity = dec("0.5") }, "value 50 is below the least value 60"},
		"beyond margin":     {func(o *andon.Order) { o.Quantity = dec("10000.5") }, "margin 100005 needed, 100000 available"},
		"triggers at once":  {func(o *andon.Order) { o.Kind, o.Trigger = andon.StopMarket, dec("99") }, "trigger immediately"},
		"reduces nothing":   {func(o *andon.Order) { o.ReduceOnly = true }, "would not reduce"},
	} {
		t.Run(name, func(t *testing.T) {
			x, o := open(t, config(1, false)), buy("1")
			c.change(&o)
			_, err := x.Submit(ctx, o)
			rejected, ok := errors.AsType[*andon.RejectedError](err)
			require.True(t, ok, "%v", err)
			require.Contains(t, rejected.Reason, c.reason)
			require.Equal(t, o, rejected.Order)
			_, err = x.Lookup(ctx, o.Symbol, o.ClientID)
			require.ErrorIs(t, err, andon.ErrOrderNotFound, "nothing of it is kept")
			_, err = x.Submit(ctx, buy("1"))
			require.NoError(t, err, "the client id stays free")
		})
	}
}

func TestHedgeModeKnowsNoNetOrder(t *testing.T) {
	x := open(t, config(1, true))
	_, err := x.Submit(ctx, buy("1"))
	require.ErrorIs(t, err, andon.ErrRejected)
	long := buy("1")
	long.Leg = andon.Long
	_, err = x.Submit(ctx, long)
	require.NoError(t, err)
	short := andon.Order{ClientID: "c2", Venue: "sim", Symbol: "AAA-USDT", Leg: andon.Short, Side: andon.Sell, Kind: andon.Market, Quantity: dec("2")}
	_, err = x.Submit(ctx, short)
	require.NoError(t, err)
	positions, err := x.Positions(ctx)
	require.NoError(t, err)
	require.Len(t, positions, 2)
	require.Equal(t, "1", positions[0].Quantity.String())
	require.Equal(t, "-2", positions[1].Quantity.String())
	for _, p := range positions {
		require.NoError(t, p.Validate())
	}
}

func TestAStopWaitsInTheSecondListAndClosesAtItsTrigger(t *testing.T) {
	cfg := config(1, false)
	cfg.Symbols[0].Depth = andon.Decimal{}
	x := open(t, cfg)
	_, err := x.Submit(ctx, buy("4"))
	require.NoError(t, err)
	stop := andon.Order{
		ClientID: "stop", Venue: "sim", Symbol: "AAA-USDT", Side: andon.Sell, Kind: andon.StopMarket,
		Quantity: dec("10"), Trigger: dec("97"), ReduceOnly: true,
	}
	_, err = x.Submit(ctx, stop)
	require.NoError(t, err)
	for range 500 {
		require.NoError(t, x.Step(x.Now().Add(time.Second)))
		q, err := x.Quote(ctx, "AAA-USDT")
		require.NoError(t, err)
		orders, err := x.Orders(ctx)
		require.NoError(t, err)
		if dec("97").Less(q.Mark) {
			require.Len(t, orders, 1, "waits at %v", q.Mark)
			continue
		}
		require.Empty(t, orders)
		o, err := x.Lookup(ctx, "AAA-USDT", "stop")
		require.NoError(t, err)
		require.Equal(t, andon.Canceled, o.Status, "what was left had nothing to reduce")
		require.Equal(t, "4", o.Filled.String())
		positions, err := x.Positions(ctx)
		require.NoError(t, err)
		require.Empty(t, positions)
		require.Equal(t, 1, x.Counts().Triggered)
		return
	}
	t.Fatal("500 steps never took the mark to the trigger")
}

func TestAConditionalOrderOutlivesItsPosition(t *testing.T) {
	x := open(t, config(1, false))
	_, err := x.Submit(ctx, buy("1"))
	require.NoError(t, err)
	exit := andon.Order{ClientID: "stop", Venue: "sim", Symbol: "AAA-USDT", Side: andon.Sell, Kind: andon.StopMarket, Quantity: dec("1"), Trigger: dec("50"), ReduceOnly: true}
	_, err = x.Submit(ctx, exit)
	require.NoError(t, err)
	exit.ClientID, exit.Kind, exit.Trigger, exit.Price = "target", andon.Limit, andon.Decimal{}, dec("150")
	_, err = x.Submit(ctx, exit)
	require.NoError(t, err)
	exit.ClientID, exit.Kind, exit.Price = "close", andon.Market, andon.Decimal{}
	_, err = x.Submit(ctx, exit)
	require.NoError(t, err)
	orders, err := x.Orders(ctx)
	require.NoError(t, err)
	require.Len(t, orders, 1, "the resting exit is gone, the stop is not")
	require.Equal(t, "stop", orders[0].ClientID)
}

func TestALimitRestsAsMakerAtItsOwnPrice(t *testing.T) {
	x := open(t, config(5, false))
	o := buy("3")
	o.Kind, o.Price = andon.Limit, dec("99")
	got, err := x.Submit(ctx, o)
	require.NoError(t, err)
	require.Equal(t, andon.Live, got.Status)
	balances, err := x.Balances(ctx)
	require.NoError(t, err)
	require.Equal(t, "29.7", balances[0].Reserved.String())
	for range 500 {
		require.NoError(t, x.Step(x.Now().Add(time.Second)))
		if got, err = x.Lookup(ctx, o.Symbol, o.ClientID); err != nil || got.Status.Done() {
			break
		}
	}
	require.NoError(t, err)
	require.Equal(t, andon.Filled, got.Status)
	fills, err := x.Fills(ctx, time.Time{})
	require.NoError(t, err)
	for _, f := range fills {
		require.Equal(t, "99", f.Price.String())
		require.Equal(t, -1, f.Fee.Sign(), "the maker's rebate")
	}
	last, err := x.Fills(ctx, fills[len(fills)-1].At)
	require.NoError(t, err)
	require.Contains(t, last, fills[len(fills)-1], "asking from the last moment repeats it")
}

func TestConfigurationErrorsNameTheField(t *testing.T) {
	_, err := New(Config{
		Deposit: dec("-1"), Margin: dec("1.5"), TakerFee: dec("1"), Latency: -1,
		Symbols: []Symbol{
			{Name: "A", Price: dec("1.5"), Tick: dec("1"), Lot: dec("-1"), Swing: -1, MinValue: dec("-1")},
			{Name: "A", Price: dec("3"), Tick: dec("1"), Lot: dec("1"), Depth: dec("1.5")},
			{},
		},
	})
	for _, want := range []string{
		"Start is missing", "Deposit is -1", "Margin is 1.5", "TakerFee is 1", "Latency is -1",
		"Symbols[0].Price is 1.5", "Symbols[0].Lot is -1", "Symbols[0].Swing is -1", "Symbols[0].MinValue is -1",
		`Symbols[1].Name is "A" again`, "Symbols[1].Depth is 1.5", "Symbols[2].Name is missing", "Symbols[2].Tick is 0",
	} {
		require.ErrorContains(t, err, want)
	}
	_, err = New(Config{Start: start})
	require.NoError(t, err, "everything else has a default")
}

func TestStepRefusesAClockThatDoesNotMove(t *testing.T) {
	x := open(t, config(1, false))
	require.ErrorContains(t, x.Step(start), "not after")
	require.ErrorContains(t, x.Step(start.Add(-time.Second)), "not after")
	require.Equal(t, start, x.Now())
}
