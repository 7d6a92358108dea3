package coinbase

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/andon-go/andon/internal/resthttp"
)

// Auth is what the venue says of the key: the playbook's check_auth.
type Auth struct {
	Key string // its name

	// ValidUntil is when the key ends. Zero: Coinbase keys have no end that the API
	// tells; one that was revoked or has expired is ErrAuth.
	ValidUntil time.Time

	// TokenUntil is when the token of this check ends; each request has one of its own.
	TokenUntil time.Time

	CanView, CanTrade, CanTransfer bool

	Portfolio     string // its id
	PortfolioType string // such as DEFAULT or INTX

	// ClockOffset is how far the venue's clock is ahead of ours, give or take
	// ClockWithin. Tokens are signed with the venue's time.
	ClockOffset, ClockWithin time.Duration

	RoundTrip time.Duration // from sending the request to the end of the answer
}

// Err returns why the key does not do for a bot, or nil: it may not view or trade.
func (a Auth) Err() error {
	var lacks []string
	if !a.CanView {
		lacks = append(lacks, "view")
	}
	if !a.CanTrade {
		lacks = append(lacks, "trade")
	}
	if lacks == nil {
		return nil
	}
	return fmt.Errorf("%w: key %s may not %s: give it the permission, or rotate it", ErrAuth, a.Key, strings.Join(lacks, ", nor "))
}

// String is one line for people.
func (a Auth) String() string {
	return fmt.Sprintf("key %s of portfolio %s (%s): view %v, trade %v, transfer %v; clock %+v ± %v, round trip %v",
		a.Key, a.Portfolio, a.PortfolioType, a.CanView, a.CanTrade, a.CanTransfer,
		a.ClockOffset.Round(time.Millisecond), a.ClockWithin.Round(time.Millisecond), a.RoundTrip.Round(time.Millisecond))
}

// CheckAuth asks the venue what the key may do. A key that it does not know is ErrAuth.
// See Auth.Err for one that may do too little.
func (v *Venue) CheckAuth(ctx context.Context) (Auth, error) {
	var body rawJSON
	answer, err := v.get(ctx, "/key_permissions", nil, &body)
	if err != nil {
		return Auth{}, err
	}
	a, err := decodePermissions(body)
	if err != nil {
		return Auth{}, fmt.Errorf("coinbase: GET /key_permissions: %w", err)
	}
	a.Key, a.RoundTrip = v.config.Key.name, answer.Took
	a.TokenUntil = time.Now().Add(tokenLife)
	a.ClockOffset, a.ClockWithin, _ = v.client.Clock().Offset()
	return a, nil
}

// decodePermissions reads the answer of GET /key_permissions.
func decodePermissions(body []byte) (Auth, error) {
	var w struct {
		View      *bool  `json:"can_view"`
		Trade     *bool  `json:"can_trade"`
		Transfer  *bool  `json:"can_transfer"`
		Portfolio string `json:"portfolio_uuid"`
		Type      string `json:"portfolio_type"`
	}
	if err := decode(body, &w); err != nil {
		return Auth{}, err
	}
	var f resthttp.Fields
	return Auth{
		CanView: resthttp.Need(&f, "can_view", w.View), CanTrade: resthttp.Need(&f, "can_trade", w.Trade),
		CanTransfer: resthttp.Need(&f, "can_transfer", w.Transfer), Portfolio: w.Portfolio, PortfolioType: w.Type,
	}, f.Err("the answer")
}

// Connection is what a walk over the venue found: the playbook's test_connection.
type Connection struct {
	Host   string
	Auth   Auth
	Probes []Probe
}

// Probe is one question to the venue.
type Probe struct {
	Name string
	Rows int           // that came back
	Took time.Duration // for all pages
	Err  error
}

// Err joins what went wrong, or is nil: the venue answers and the key does.
func (c Connection) Err() error {
	errs := []error{}
	for _, p := range c.Probes {
		if p.Err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.Name, p.Err))
		}
	}
	if len(errs) == 0 {
		errs = append(errs, c.Auth.Err())
	}
	return errors.Join(errs...)
}

// String is a few lines for people.
func (c Connection) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %v\n", c.Host, c.Auth)
	for _, p := range c.Probes {
		if p.Err != nil {
			fmt.Fprintf(&b, "%-12s failed after %v: %v\n", p.Name, p.Took.Round(time.Millisecond), p.Err)
			continue
		}
		fmt.Fprintf(&b, "%-12s ok, %d rows in %v\n", p.Name, p.Rows, p.Took.Round(time.Millisecond))
	}
	return b.String()
}

// TestConnection asks everything that the bot needs to ask, and changes nothing. It goes
// on after a failure, so that all of them are seen; Connection.Err says whether there was one.
func (v *Venue) TestConnection(ctx context.Context) Connection {
	c := Connection{Host: v.client.Host()}
	probe := func(name string, ask func() (int, error)) {
		began := time.Now()
		rows, err := ask()
		c.Probes = append(c.Probes, Probe{name, rows, time.Since(began), err})
	}
	probe("auth", func() (n int, err error) {
		c.Auth, err = v.CheckAuth(ctx)
		return 1, err
	})
	probe("balances", func() (int, error) { rows, err := v.Balances(ctx); return len(rows), err })
	probe("positions", func() (int, error) { rows, err := v.Positions(ctx); return len(rows), err })
	probe("orders", func() (int, error) { rows, err := v.Orders(ctx); return len(rows), err })
	return c
}
