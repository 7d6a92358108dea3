package bluefin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Auth is what the venue says of the key and the account: the playbook's check_auth.
type Auth struct {
	Key     string // the address that signs
	Account string // the address that trades

	// ValidUntil is when the session ends for good: until then it is renewed without the
	// key, and after it the key logs in again. A Sui key itself has no end.
	ValidUntil time.Time

	// TokenUntil is when the token ends that requests carry; it is renewed before.
	TokenUntil time.Time

	CanTrade, CanWithdraw bool

	// ClockOffset is how far the venue's clock is ahead of ours, give or take
	// ClockWithin. Logins and orders are signed with the venue's time.
	ClockOffset, ClockWithin time.Duration

	RoundTrip time.Duration // from sending the question for the account to the end of the answer
}

// Err returns why the account does not do for a bot, or nil: it may not trade.
func (a Auth) Err() error {
	if a.CanTrade {
		return nil
	}
	return fmt.Errorf("%w: account %s may not trade", ErrAuth, a.Account)
}

// String is one line for people.
func (a Auth) String() string {
	return fmt.Sprintf("account %s signed by %s: trade %v, withdraw %v; session until %s, token until %s; clock %+v ± %v, round trip %v",
		a.Account, a.Key, a.CanTrade, a.CanWithdraw, a.ValidUntil.UTC().Format(time.RFC3339), a.TokenUntil.UTC().Format(time.RFC3339),
		a.ClockOffset.Round(time.Millisecond), a.ClockWithin.Round(time.Millisecond), a.RoundTrip.Round(time.Millisecond))
}

// CheckAuth logs in anew and asks what the account may do. A key that the venue does not
// accept is ErrAuth. See Auth.Err for an account that may do too little.
func (v *Venue) CheckAuth(ctx context.Context) (Auth, error) {
	s, err := v.login(ctx)
	if err != nil {
		return Auth{}, err
	}
	v.sessions.set(s)
	a, took, err := v.account(ctx)
	if err != nil {
		return Auth{}, err
	}
	auth := Auth{
		Key: v.config.Key.Address(), Account: v.config.Account, ValidUntil: s.refreshUntil, TokenUntil: s.accessUntil,
		CanTrade: a.canTrade, CanWithdraw: a.canWithdraw, RoundTrip: took,
	}
	auth.ClockOffset, auth.ClockWithin, _ = v.clock.Offset()
	return auth, nil
}

// Connection is what a walk over the venue found: the playbook's test_connection.
type Connection struct {
	Hosts  []string
	Auth   Auth
	Probes []Probe
}

// Probe is one question to the venue.
type Probe struct {
	Name string
	Rows int // that came back
	Took time.Duration
	Err  error
}

// Err joins what went wrong, or is nil: the venue answers and the account does.
func (c Connection) Err() error {
	var errs []error
	for _, p := range c.Probes {
		if p.Err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.Name, p.Err))
		}
	}
	if errs == nil {
		return c.Auth.Err()
	}
	return errors.Join(errs...)
}

// String is a few lines for people.
func (c Connection) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %v\n", strings.Join(c.Hosts, ", "), c.Auth)
	for _, p := range c.Probes {
		if p.Err != nil {
			fmt.Fprintf(&b, "%-12s failed after %v: %v\n", p.Name, p.Took.Round(time.Millisecond), p.Err)
			continue
		}
		fmt.Fprintf(&b, "%-12s ok, %d rows in %v\n", p.Name, p.Rows, p.Took.Round(time.Millisecond))
	}
	return b.String()
}

// TestConnection asks everything that the bot needs to ask, of all three hosts, and changes
// nothing. It goes on after a failure, so that all of them are seen; Connection.Err says
// whether there was one.
func (v *Venue) TestConnection(ctx context.Context) Connection {
	c := Connection{Hosts: []string{v.auth.Host(), v.api.Host(), v.trade.Host()}}
	probe := func(name string, ask func() (int, error)) {
		began := time.Now()
		rows, err := ask()
		c.Probes = append(c.Probes, Probe{name, rows, time.Since(began), err})
	}
	probe("auth", func() (n int, err error) {
		c.Auth, err = v.CheckAuth(ctx)
		return 1, err
	})
	probe("markets", func() (int, error) { i, err := v.exchange(ctx); return len(i.leverage), err })
	probe("positions", func() (int, error) { rows, err := v.Positions(ctx); return len(rows), err })
	probe("orders", func() (int, error) { rows, err := v.Orders(ctx); return len(rows), err })
	probe("trades", func() (int, error) {
		rows, err := v.trades(ctx, "", v.clock.Now().Add(-time.Hour))
		return len(rows), err
	})
	return c
}
