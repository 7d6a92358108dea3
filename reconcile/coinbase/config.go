package coinbase

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/resthttp"
)

// Config says which account a Venue is and what of it is read. What is not named here
// is not read: holdings there are neither positions nor balances.
type Config struct {
	// Key signs every request. Required.
	Key Key

	// Name is what rows carry as their venue. Defaults to "coinbase".
	Name string

	// Spot reads the spot accounts. Spot has no positions: what is held of a currency,
	// on hold or not, is the position in its product against Quote. One of Spot,
	// Futures and Perpetuals is required.
	Spot bool

	// Quote is the currency against which spot holdings are counted, so that BTC is
	// the position BTC-USD. Defaults to "USD".
	Quote string

	// Cash names the currencies that are money and no position. Defaults to Quote
	// alone.
	Cash []string

	// Futures reads positions and balance of US futures.
	Futures bool

	// Perpetuals is the id of the INTX portfolio whose positions and balances are read.
	// Defaults to none.
	Perpetuals string

	// History bounds how far back Orders looks for orders that are neither open nor
	// done, such as pending and queued ones, which the venue's filter for open orders
	// hides. Older ones are found only if they are open. It bounds the window of
	// Reports too. Defaults to everything there is, which takes a request for every
	// 250 orders that were ever sent.
	History time.Duration

	// Settle is how long after an order was sent its absence from the venue's lists
	// does not mean that there is none. Defaults to 45 s, which is more than a request
	// can be under way.
	Settle time.Duration

	// CancelWait is how long a cancel that was accepted may take before its outcome is
	// called unknown. Defaults to 15 s.
	CancelWait time.Duration

	// StopSlippage is how far beyond its trigger, as a fraction of it, a stop-market or
	// take-profit-market order is filled: Coinbase has only stop-limit orders. Defaults
	// to 0.05, which is what the venue takes for the stop of a bracket.
	StopSlippage andon.Decimal

	// BaseURL is the API: https, or http to a loopback host. Defaults to
	// "https://api.coinbase.com".
	BaseURL string

	// Timeout bounds one request. Defaults to 10 s.
	Timeout time.Duration

	// PerSecond is how many requests are sent a second at most; the venue takes 30 of
	// all that use the key. Defaults to 30.
	PerSecond int

	// Transport makes the connections. Defaults to one of its own.
	Transport http.RoundTripper
}

// DefaultBaseURL is the API of Coinbase.
const DefaultBaseURL = "https://api.coinbase.com"

func (c *Config) setDefaults() {
	text := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	duration := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	text(&c.Name, "coinbase")
	text(&c.Quote, "USD")
	text(&c.BaseURL, DefaultBaseURL)
	duration(&c.Settle, 45*time.Second)
	duration(&c.CancelWait, 15*time.Second)
	if c.Cash == nil {
		c.Cash = []string{c.Quote}
	}
	if c.StopSlippage.IsZero() {
		c.StopSlippage = andon.NewDecimal(5, 2)
	}
	if c.PerSecond == 0 {
		c.PerSecond = 30
	}
}

// validate judges a Config whose defaults are set.
func (c Config) validate() error {
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.Key.alg == "" {
		add("Key: is missing: read it with ParseKey")
	}
	if !c.Spot && !c.Futures && c.Perpetuals == "" {
		add("Spot: is false, Futures too, and Perpetuals is empty: nothing of the account would be read")
	}
	if c.Perpetuals != "" && !plainID(c.Perpetuals) {
		add("Perpetuals: %q is no portfolio id", c.Perpetuals)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"History", c.History}, {"Settle", c.Settle}, {"CancelWait", c.CancelWait}, {"Timeout", c.Timeout}} {
		if d.value < 0 {
			add("%s: is %v, want a positive duration", d.name, d.value)
		}
	}
	if one := andon.NewDecimal(1, 0); c.StopSlippage.Sign() < 0 || !c.StopSlippage.Less(one) {
		add("StopSlippage: is %v, want a fraction below 1", c.StopSlippage)
	}
	if err := c.rest().Validate(); err != nil {
		add("BaseURL, PerSecond: %w", err)
	}
	return errors.Join(problems...)
}

func (c Config) rest() resthttp.Config {
	return resthttp.Config{Base: c.BaseURL, Timeout: max(0, c.Timeout), PerSecond: c.PerSecond, Transport: c.Transport}
}
