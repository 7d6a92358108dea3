package andontest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/andon-go/andon"
)

// Config is what a Venue is made from. The zero value is usable: a venue for
// perpetual contracts where every symbol costs 100.
type Config struct {
	// Name is what rows carry as their venue. Defaults to "test".
	Name string

	// Seed decides which calls meet a fault, and what it does.
	Seed uint64

	// Now is the moment that every row carries. Defaults to the time of the call.
	Now time.Time

	// Price is what a symbol costs, in the quote currency, that Symbols does not have.
	// Defaults to 100.
	Price andon.Decimal

	// Symbols are the rules of symbols that have some. Any other symbol trades at
	// Price in every quantity; on spot there is no other.
	Symbols map[string]Symbol

	// Hedge gives every symbol a long and a short leg; an order has to name one.
	Hedge bool

	// Spot makes it a spot account: positions are the balances of the symbols' base
	// currencies, orders reserve their balance, and there is no reduce-only.
	Spot bool

	// Balances is what the account holds at first, by currency.
	Balances map[string]andon.Decimal

	// Faults strike from the start. Defaults to none.
	Faults Faults
}

// Symbol is how a venue counts one symbol, and what it costs there.
type Symbol struct {
	// Instrument has the rules by which orders are taken and entry prices rounded; the
	// bot under test is given the same. MinNotional holds for exits too. What is zero is
	// no rule. Base and Quote are required on spot.
	andon.Instrument

	// Price in the quote currency. Defaults to Config.Price.
	Price andon.Decimal

	// Fee is what a fill costs, as a ratio of it: 0.001 is 0.1 %. On spot a buy pays
	// in the base, so that less arrives than was bought. Defaults to 0.
	Fee andon.Decimal
}

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = "test"
	}
	if c.Price.IsZero() {
		c.Price = andon.NewDecimal(100, 0)
	}
	c.Symbols = maps.Clone(c.Symbols)
	for name, s := range c.Symbols {
		if s.Price.IsZero() {
			s.Price = c.Price
			c.Symbols[name] = s
		}
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Price.Sign() < 0 {
		add("Price %v is negative", c.Price)
	}
	if c.Hedge && c.Spot {
		add("Hedge and Spot: an account is one of them")
	}
	if c.Spot && len(c.Symbols) == 0 {
		add("Symbols is empty: a spot symbol needs its currencies")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Symbols)) {
		s := c.Symbols[name]
		for _, d := range []struct {
			name  string
			value andon.Decimal
		}{{"Price", s.Price}, {"Fee", s.Fee}} {
			if d.value.Sign() < 0 {
				add("Symbols[%q].%s %v is negative", name, d.name, d.value)
			}
		}
		if err := s.Validate(); err != nil {
			add("Symbols[%q]: %w", name, err)
		}
		if c.Spot && (s.Base == "" || s.Quote == "") {
			add("Symbols[%q].Base and Quote are required on spot", name)
		}
	}
	for _, currency := range slices.Sorted(maps.Keys(c.Balances)) {
		if c.Balances[currency].Sign() < 0 {
			add("Balances[%q] %v is negative", currency, c.Balances[currency])
		}
	}
	return errors.Join(append(errs, c.Faults.validate())...)
}
