package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
)

// exchange is a venue behind a network: it is reached over HTTP with an API key, outlives
// its clients, and can be cut off.
type exchange struct {
	venue *andontest.Venue
	addr  string

	mu      sync.Mutex
	keys    map[string]bool // those that are good
	server  *http.Server
	refused func(r *http.Request) // told of each request with a wrong key
}

const anyPort = "127.0.0.1:0"

type ask struct {
	Op         string
	Order      *andon.Order `json:",omitempty"`
	Symbol, ID string
}

type answer struct {
	Positions []andon.Position
	Orders    []andon.Order
	Balances  []andon.Balance
	Order     *andon.Order `json:",omitempty"`
	Err       string
	NotFound  bool
}

// opened begins to serve a venue on loopback. The key is the bot's.
func opened(v *andontest.Venue, refused func(*http.Request)) (e *exchange, key string, err error) {
	e = &exchange{venue: v, keys: map[string]bool{}, addr: anyPort, refused: refused}
	return e, e.issue(), e.mend()
}

// issue makes a new key.
func (e *exchange) issue() string {
	key := rand.Text()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.keys[key] = true
	return key
}

// revoke makes a key worthless.
func (e *exchange) revoke(key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.keys, key)
}

func (e *exchange) good(key string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.keys[key]
}

// cut closes the exchange's port and every connection.
func (e *exchange) cut() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server == nil {
		return nil
	}
	err := e.server.Close()
	e.server = nil
	return err
}

// mend opens the port again.
func (e *exchange) mend() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server != nil {
		return nil
	}
	l, err := net.Listen("tcp", e.addr)
	if err != nil {
		return err
	}
	if e.addr == anyPort {
		e.addr = l.Addr().String() // before anybody can read it; it is the same ever after
	}
	e.server = &http.Server{Handler: e, ReadHeaderTimeout: 5 * time.Second}
	go func(s *http.Server) { _ = s.Serve(l) }(e.server) // it ends when it is closed
	return nil
}

// ServeHTTP answers one call.
func (e *exchange) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !e.good(r.Header.Get("Authorization")) {
		e.refused(r)
		http.Error(w, "401 Unauthorized", http.StatusUnauthorized)
		return
	}
	var q ask
	var a answer
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&q)
	ctx, v := r.Context(), e.venue
	one := func(o andon.Order, failed error) {
		a.Order, err = &o, failed
	}
	switch {
	case err != nil:
	case q.Op == "positions":
		a.Positions, err = v.Positions(ctx)
	case q.Op == "orders":
		a.Orders, err = v.Orders(ctx)
	case q.Op == "balances":
		a.Balances, err = v.Balances(ctx)
	case q.Op == "submit" && q.Order != nil:
		one(v.Submit(ctx, *q.Order))
	case q.Op == "cancel" && q.Order != nil:
		err = v.Cancel(ctx, *q.Order)
	case q.Op == "lookup":
		one(v.Lookup(ctx, q.Symbol, q.ID))
	default:
		err = fmt.Errorf("no operation %q", q.Op)
	}
	if err != nil {
		a = answer{Err: err.Error(), NotFound: errors.Is(err, andon.ErrOrderNotFound)}
	}
	_ = json.NewEncoder(w).Encode(a) // a client that went away reads nothing
}

// client is a venue as the bot, or an intruder, reaches it.
type client struct {
	exchange *exchange
	key      func() string
	http     *http.Client
}

func (c client) ask(ctx context.Context, q ask) (a answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	body, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.exchange.addr+"/", bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	req.Header.Set("Authorization", c.key())
	resp, err := c.http.Do(req)
	if err != nil {
		return a, fmt.Errorf("%w: %w", andon.ErrOutcomeUnknown, err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return a, fmt.Errorf("the exchange answers %s", resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return a, fmt.Errorf("%w: %w", andon.ErrOutcomeUnknown, err)
	}
	switch {
	case a.NotFound:
		return a, andon.ErrOrderNotFound
	case a.Err != "":
		return a, errors.New(a.Err)
	}
	return a, nil
}

func (c client) one(a answer, err error) (andon.Order, error) {
	if err == nil && a.Order == nil {
		err = fmt.Errorf("%w: an empty answer", andon.ErrOutcomeUnknown)
	}
	if err != nil {
		return andon.Order{}, err
	}
	return *a.Order, nil
}

// Positions, Orders and Balances are andon.Account's.
func (c client) Positions(ctx context.Context) ([]andon.Position, error) {
	a, err := c.ask(ctx, ask{Op: "positions"})
	return a.Positions, err
}

func (c client) Orders(ctx context.Context) ([]andon.Order, error) {
	a, err := c.ask(ctx, ask{Op: "orders"})
	return a.Orders, err
}

func (c client) Balances(ctx context.Context) ([]andon.Balance, error) {
	a, err := c.ask(ctx, ask{Op: "balances"})
	return a.Balances, err
}

// Submit, Cancel and Lookup are andon.Trader's.
func (c client) Submit(ctx context.Context, o andon.Order) (andon.Order, error) {
	return c.one(c.ask(ctx, ask{Op: "submit", Order: &o}))
}

func (c client) Cancel(ctx context.Context, o andon.Order) error {
	_, err := c.ask(ctx, ask{Op: "cancel", Order: &o})
	return err
}

func (c client) Lookup(ctx context.Context, symbol, id string) (andon.Order, error) {
	return c.one(c.ask(ctx, ask{Op: "lookup", Symbol: symbol, ID: id}))
}
