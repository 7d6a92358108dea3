package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

// EntryPlaces is how many digits after the point the entry price of a position has.
const EntryPlaces = reconcile.EntryPlaces

// maxAmount bounds every price and quantity, so that their products stay exact.
var maxAmount = andon.MustDecimal("1000000000")

// Config is what an Exchange starts with.
type Config struct {
	// Name is the venue's name in orders, positions and fills. Defaults to "sim".
	Name string

	// Seed decides prices, depth and which answers get lost. Zero is a seed like
	// any other.
	Seed uint64

	// Start is the venue's first moment. Required.
	Start time.Time

	// Symbols is what is traded. Defaults to BTC-USDT, ETH-USDT and SOL-USDT.
	Symbols []Symbol

	// Hedge gives each symbol a long and a short leg. Defaults to false, one
	// signed position a symbol.
	Hedge bool

	// Currency is what balance, prices and fees are in. Defaults to "USDT".
	Currency string

	// Deposit is the balance at the start. Defaults to 100000.
	Deposit andon.Decimal

	// Margin is the fraction of its value that a position, or an order that may
	// open one, reserves, above 0 and at most 1. Defaults to 0.1.
	Margin andon.Decimal

	// MakerFee and TakerFee are fractions of a fill's value. A negative maker fee
	// is a rebate. Default to 0.
	MakerFee andon.Decimal
	TakerFee andon.Decimal

	// Latency is what each call takes, half of it on the way to the venue and half
	// on the way back. Defaults to 0.
	Latency time.Duration
}

// Symbol is one perpetual contract.
type Symbol struct {
	// Name is the symbol, such as "BTC-USDT". Required.
	Name string

	// Price is the first mark, a multiple of Tick and at least two of them. Required.
	Price andon.Decimal

	// Tick is the step of prices and Lot the step of quantities. Required.
	Tick andon.Decimal
	Lot  andon.Decimal

	// MinValue is the least value, price × quantity, of an order that is not
	// reduce-only. Defaults to 0.
	MinValue andon.Decimal

	// Swing is how many ticks the mark moves at most in one step. Defaults to 0,
	// a price that stands still.
	Swing int

	// Depth is the most that trades in one step, in units of the base; each step
	// draws between half of it and all of it. Defaults to 0, no limit.
	Depth andon.Decimal
}

// withDefaults returns c with what was left out filled in.
func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = "sim"
	}
	if c.Currency == "" {
		c.Currency = "USDT"
	}
	if c.Deposit.IsZero() {
		c.Deposit = andon.NewDecimal(100_000, 0)
	}
	if c.Margin.IsZero() {
		c.Margin = andon.NewDecimal(1, 1)
	}
	if len(c.Symbols) == 0 {
		c.Symbols = majors()
	}
	return c
}

// majors is what is traded unless the caller says otherwise.
func majors() []Symbol {
	d := andon.MustDecimal
	return []Symbol{
		{Name: "BTC-USDT", Price: d("64000"), Tick: d("0.1"), Lot: d("0.001"), MinValue: d("5"), Swing: 300, Depth: d("2")},
		{Name: "ETH-USDT", Price: d("3100"), Tick: d("0.01"), Lot: d("0.01"), MinValue: d("5"), Swing: 200, Depth: d("30")},
		{Name: "SOL-USDT", Price: d("145"), Tick: d("0.01"), Lot: d("0.1"), MinValue: d("5"), Swing: 15, Depth: d("600")},
	}
}

// validate reports every field that cannot be right, joined.
func (c Config) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	one := andon.NewDecimal(1, 0)
	if c.Start.IsZero() {
		add("Start is missing")
	}
	if c.Deposit.Sign() < 0 || maxAmount.Less(c.Deposit) {
		add("Deposit is %v, want 0 to %v", c.Deposit, maxAmount)
	}
	if c.Margin.Sign() < 0 || one.Less(c.Margin) || decimals(c.Margin) > 4 {
		add("Margin is %v, want above 0 to 1 with at most 4 decimals", c.Margin)
	}
	for _, fee := range []struct {
		name  string
		value andon.Decimal
	}{{"MakerFee", c.MakerFee}, {"TakerFee", c.TakerFee}} {
		if !fee.value.Abs().Less(one) || decimals(fee.value) > 6 {
			add("%s is %v, want a fraction below 1 with at most 6 decimals", fee.name, fee.value)
		}
	}
	if c.Latency < 0 {
		add("Latency is %v, want 0 or more", c.Latency)
	}
	seen := map[string]bool{}
	for i, s := range c.Symbols {
		if seen[s.Name] {
			add("Symbols[%d].Name is %q again", i, s.Name)
		}
		seen[s.Name] = true
		for _, err := range s.problems() {
			add("Symbols[%d].%w", i, err)
		}
	}
	return errors.Join(errs...)
}

// problems returns every field of s that cannot be right.
func (s Symbol) problems() (errs []error) {
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.Name == "" {
		add("Name is missing")
	}
	for _, step := range []struct {
		name  string
		value andon.Decimal
	}{{"Tick", s.Tick}, {"Lot", s.Lot}} {
		if step.value.Sign() <= 0 || decimals(step.value) > 6 {
			add("%s is %v, want more than 0 with at most 6 decimals", step.name, step.value)
		}
	}
	if !multiple(s.Price, s.Tick) || s.Price.Less(s.Tick.Add(s.Tick)) || maxAmount.Less(s.Price) {
		add("Price is %v, want a multiple of Tick, from two of them to %v", s.Price, maxAmount)
	}
	if s.MinValue.Sign() < 0 {
		add("MinValue is %v, want 0 or more", s.MinValue)
	}
	if s.Swing < 0 {
		add("Swing is %d, want 0 or more", s.Swing)
	}
	if s.Depth.Sign() < 0 || maxAmount.Less(s.Depth) || !multiple(s.Depth, s.Lot) {
		add("Depth is %v, want a multiple of Lot up to %v", s.Depth, maxAmount)
	}
	return errs
}
