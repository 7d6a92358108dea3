package bluefin

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/resthttp"
)

// Config says which account a Venue is.
type Config struct {
	// Key signs logins and orders. Required.
	Key Key

	// Account is the address of the account: the key's own, or one that has authorized
	// it. Defaults to the key's.
	Account string

	// Name is what rows carry as their venue. Defaults to "bluefin".
	Name string

	// Markets says how a market is traded where there is no position yet: with one, its
	// own leverage and margin count. Defaults to cross margin and the market's default
	// leverage.
	Markets map[string]Market

	// OrderLife is how long an order lives that is not told when to expire: the venue
	// knows none that lives for ever, and gives a limit order a month by itself. The
	// order's ExpiresAt says it. Defaults to 30 days.
	OrderLife time.Duration

	// MarketLife is how long a market order may be under way before the venue drops
	// it. Defaults to 1 min.
	MarketLife time.Duration

	// Settle is how long the lists may lag: for so long after it was sent an order's
	// absence does not mean that there is none, and for so long after it left the lists
	// its trades may not all be there. Defaults to 30 s.
	Settle time.Duration

	// AcceptWait is how long Submit waits for an order that was accepted, and not done,
	// to be seen, before its outcome is called unknown. Defaults to 3 s.
	AcceptWait time.Duration

	// CancelWait is how long a cancel that was accepted may take before its outcome is
	// called unknown. Defaults to 15 s.
	CancelWait time.Duration

	// TradesBack is how far back Lookup searches the trades for an order that is in no
	// list. Defaults to 7 days; at most 90.
	TradesBack time.Duration

	// AuthURL, APIURL and TradeURL are the three hosts: https, or http to a loopback
	// host. Default to those of sui-prod.
	AuthURL, APIURL, TradeURL string

	// Timeout bounds one request. Defaults to 10 s.
	Timeout time.Duration

	// PerSecond is how many requests are sent a second to each host at most. The venue
	// states no number. Defaults to 10.
	PerSecond int

	// Transport makes the connections. Defaults to one of its own.
	Transport http.RoundTripper
}

// Market says how a market is traded.
type Market struct {
	Leverage andon.Decimal // such as 5
	Isolated bool          // false is cross margin
}

// The hosts of sui-prod.
const (
	DefaultAuthURL  = "https://auth.api.sui-prod.bluefin.io"
	DefaultAPIURL   = "https://api.sui-prod.bluefin.io"
	DefaultTradeURL = "https://trade.api.sui-prod.bluefin.io"
)

const day = 24 * time.Hour

func (c *Config) setDefaults() {
	for _, d := range []struct {
		to *string
		v  string
	}{{&c.Name, "bluefin"}, {&c.Account, c.Key.Address()}, {&c.AuthURL, DefaultAuthURL}, {&c.APIURL, DefaultAPIURL}, {&c.TradeURL, DefaultTradeURL}} {
		if *d.to == "" {
			*d.to = d.v
		}
	}
	for _, d := range []struct {
		to *time.Duration
		v  time.Duration
	}{
		{&c.OrderLife, 30 * day}, {&c.MarketLife, time.Minute}, {&c.Settle, 30 * time.Second}, {&c.AcceptWait, 3 * time.Second},
		{&c.CancelWait, 15 * time.Second}, {&c.TradesBack, 7 * day},
	} {
		if *d.to == 0 {
			*d.to = d.v
		}
	}
}

// validate judges a Config whose defaults are set.
func (c Config) validate() error {
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.Key.sign == nil {
		add("Key: is missing: read it with ParseKey")
	} else if _, err := parseAddress(c.Account); err != nil {
		add("Account: %w", err)
	}
	for symbol, m := range c.Markets {
		if text, err := toE9(m.Leverage); err != nil || text == "0" {
			add("Markets: %s: leverage is %v, want more than 0 with at most nine digits after the point", symbol, m.Leverage)
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"OrderLife", c.OrderLife}, {"MarketLife", c.MarketLife}, {"Settle", c.Settle}, {"AcceptWait", c.AcceptWait},
		{"CancelWait", c.CancelWait}, {"TradesBack", c.TradesBack}, {"Timeout", c.Timeout},
	} {
		if d.value < 0 {
			add("%s: is %v, want a positive duration", d.name, d.value)
		}
	}
	if c.TradesBack > 90*day {
		add("TradesBack: is %v, the venue gives at most 90 days", c.TradesBack)
	}
	for _, u := range []struct{ name, base string }{{"AuthURL", c.AuthURL}, {"APIURL", c.APIURL}, {"TradeURL", c.TradeURL}} {
		if err := c.rest(u.base, nil).Validate(); err != nil {
			add("%s: %w", u.name, err)
		}
	}
	return errors.Join(problems...)
}

func (c Config) rest(base string, clock *resthttp.Clock) resthttp.Config {
	return resthttp.Config{Base: base, Timeout: max(0, c.Timeout), PerSecond: c.PerSecond, Transport: c.Transport, Clock: clock}
}
