package andon_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/quagmt/udecimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func position() andon.Position {
	return andon.Position{Venue: "v", Symbol: "BTC", Leg: andon.Short, Quantity: dec("-1.5"), Entry: dec("100"), Mark: dec("99"), At: noon}
}

func order() andon.Order {
	return andon.Order{
		ClientID: "c", VenueID: "x", Venue: "v", Symbol: "BTC", Side: andon.Sell, Kind: andon.StopLimit, Quantity: dec("2"), Filled: dec("0.5"),
		Price: dec("90"), Trigger: dec("91"), ReduceOnly: true, ExpiresAt: noon, Status: andon.Live, At: noon,
	}
}

func fill() andon.Fill {
	return andon.Fill{
		ID: "f", OrderID: "x", ClientID: "c", Venue: "v", Symbol: "BTC", Side: andon.Sell, Quantity: dec("0.5"), Price: dec("90"),
		Fee: dec("-0.01"), FeeCurrency: "USDT", At: noon,
	}
}

func dec(s string) andon.Decimal { return andon.MustDecimal(s) }

func TestJSONInAndOutIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := position()
		p.Quantity = decimals().Draw(t, "quantity")
		o := order()
		o.Quantity, o.Kind = decimals().Draw(t, "size"), andon.Kind(rapid.IntRange(1, 6).Draw(t, "kind"))
		f := fill()
		f.Fee = decimals().Draw(t, "fee")
		b := andon.Balance{Venue: "v", Currency: "USDT", Total: decimals().Draw(t, "total")}
		requireRoundTrip(t, p)
		requireRoundTrip(t, o)
		requireRoundTrip(t, f)
		requireRoundTrip(t, b)
	})
}

func requireRoundTrip[T any](t require.TestingT, v T) {
	b, err := json.Marshal(v)
	require.NoError(t, err)
	var back T
	require.NoError(t, json.Unmarshal(b, &back), string(b))
	require.Equal(t, v, back)
}

// Law 1: a quantity that is missing, null or no number is not zero, and a value that
// could not be read is left as it was.
func TestLaw1_AMissingQuantityIsNotZero(t *testing.T) {
	for _, bad := range []string{`{"venue":"v","symbol":"s"}`, `{"quantity":null}`, `{"quantity":"x"}`, `{"quantity":""}`, `{"quantity":[]}`} {
		p, o := position(), order()
		require.Error(t, json.Unmarshal([]byte(bad), &p), bad)
		require.Error(t, json.Unmarshal([]byte(bad), &o), bad)
		require.Equal(t, position(), p)
		require.Equal(t, order(), o)
	}
	for _, missing := range []string{`{"price":1,"fee":1}`, `{"quantity":1,"fee":1}`, `{"quantity":1,"price":1}`} {
		f := fill()
		require.ErrorContains(t, json.Unmarshal([]byte(missing), &f), "is missing")
		require.Equal(t, fill(), f)
	}
	var b andon.Balance
	require.ErrorContains(t, json.Unmarshal([]byte(`{"currency":"USDT"}`), &b), "total is missing")
	var p andon.Position
	require.NoError(t, json.Unmarshal([]byte(`{"quantity":0}`), &p), "flat, when it is said")
}

func TestLaw1_UnknownNamesAreRefused(t *testing.T) {
	for _, bad := range []string{`{"side":"up","quantity":1}`, `{"kind":"iceberg","quantity":1}`, `{"leg":"both","quantity":1}`, `{"status":"ok","quantity":1}`, `{"side":"","quantity":1}`} {
		var o andon.Order
		require.ErrorContains(t, json.Unmarshal([]byte(bad), &o), "is not one of", bad)
	}
	_, err := json.Marshal(andon.Order{})
	require.Error(t, err, "an order without a side cannot be written")
	require.Equal(t, "Side(0)", andon.Side(0).String())
	require.Equal(t, "Kind(9)", andon.Kind(9).String())
	require.Equal(t, andon.StatusUnknown, andon.Status(0))
	require.False(t, andon.Status(0).Done(), "what is not known is not done")
}

func TestValidateNamesEveryFieldThatIsWrong(t *testing.T) {
	require.NoError(t, position().Validate())
	require.NoError(t, order().Validate())
	require.NoError(t, fill().Validate())
	require.ErrorContains(t, andon.Position{Leg: andon.Long, Quantity: dec("-1"), Entry: dec("-1"), Mark: dec("-1")}.Validate(),
		"position: venue is empty\nposition: symbol is empty\nposition: quantity -1 on the long leg has the wrong sign\nposition: entry -1 is negative\nposition: mark -1 is negative")
	for want, change := range map[string]func(*andon.Order){
		"client_id is empty": func(o *andon.Order) { o.ClientID = "" },
		"venue is empty":     func(o *andon.Order) { o.Venue = "" },
		"symbol is empty":    func(o *andon.Order) { o.Symbol = "" },
		"side is missing":    func(o *andon.Order) { o.Side = 0 },
		"kind is missing":    func(o *andon.Order) { o.Kind = 0 },
		"leg: Leg(3)":        func(o *andon.Order) { o.Leg = 3 },
		"quantity is 0":      func(o *andon.Order) { o.Quantity, o.Filled = dec("0"), dec("0") },
		"filled is 3 of 2":   func(o *andon.Order) { o.Filled = dec("3") },
		"price is 0":         func(o *andon.Order) { o.Price = dec("0") },
		"trigger is 0":       func(o *andon.Order) { o.Trigger = dec("0") },
		"price is 90 on a":   func(o *andon.Order) { o.Kind = andon.StopMarket },
		"trigger is 91 on a": func(o *andon.Order) { o.Kind = andon.Limit },
	} {
		o := order()
		change(&o)
		require.ErrorContains(t, o.Validate(), want)
	}
	for want, change := range map[string]func(*andon.Fill){
		"id is empty":       func(f *andon.Fill) { f.ID = "" },
		"order_id is empty": func(f *andon.Fill) { f.OrderID, f.ClientID = "", "" },
		"side is missing":   func(f *andon.Fill) { f.Side = 0 },
		"quantity is 0":     func(f *andon.Fill) { f.Quantity = dec("0") },
		"price is 0":        func(f *andon.Fill) { f.Price = dec("0") },
		"has no currency":   func(f *andon.Fill) { f.FeeCurrency = "" },
	} {
		f := fill()
		change(&f)
		require.ErrorContains(t, f.Validate(), want)
	}
}

func TestAnInstrumentNamesEveryAmountThatIsWrong(t *testing.T) {
	require.NoError(t, andon.Instrument{Lot: dec("0.1")}.Validate(), "zero is none, and none is no mistake")
	bad := andon.Instrument{Tick: dec("-1"), Lot: dec("-2"), MinNotional: dec("-3"), EntryStep: dec("-4")}
	require.EqualError(t, bad.Validate(), "Tick -1 is negative, Lot -2 is negative, MinNotional -3 is negative, EntryStep -4 is negative")
	requireRoundTrip(t, andon.Instrument{Base: "BTC", Quote: "USD", Tick: dec("0.01"), Lot: dec("0.00000001"), MinNotional: dec("1"), EntryStep: dec("0.001")})
}

func TestSignsFollowSides(t *testing.T) {
	require.Equal(t, "-1.5", order().Signed().String())
	require.Equal(t, "-0.5", fill().Signed().String())
	require.Equal(t, andon.Buy, position().ExitSide())
	require.Equal(t, andon.Side(0), andon.Position{}.ExitSide(), "nothing to leave")
	require.Equal(t, "v/BTC/short", position().Key().String())
	require.Equal(t, "v/BTC", order().Key().String())
	value, err := fill().Value()
	require.NoError(t, err)
	require.Equal(t, "45", value.String())
	require.Equal(t, "7", andon.Balance{Total: dec("10"), Reserved: dec("3")}.Available().String())
}

func TestARejectionIsTheVenuesWord(t *testing.T) {
	var err error = &andon.RejectedError{Order: order(), Reason: "too small"}
	require.ErrorIs(t, err, andon.ErrRejected)
	require.NotErrorIs(t, err, andon.ErrOutcomeUnknown)
	require.EqualError(t, err, "v rejected order c (sell 2 BTC): too small")
}

// A host may change udecimal's globals. Money is then refused, never rounded.
func TestAHostThatLowersTheGlobalPrecisionGetsErrorsNotRoundedMoney(t *testing.T) {
	defer udecimal.SetDefaultPrecision(andon.MaxDecimals)
	defer udecimal.SetDefaultParseMode(udecimal.ParseModeError)
	a, b := dec("1.00000000001"), dec("3.0000001")
	udecimal.SetDefaultPrecision(4)
	udecimal.SetDefaultParseMode(udecimal.ParseModeTrunc)
	_, err := andon.ParseDecimal("1.23456")
	require.ErrorIs(t, err, andon.ErrTooManyDigits)
	_, err = a.Mul(b)
	require.ErrorIs(t, err, andon.ErrTooManyDigits)
	require.Equal(t, "4.00000010001", a.Add(b).String())
	p, err := dec("1.25").Mul(dec("4"))
	require.NoError(t, err)
	require.Equal(t, "5", p.String())
}
