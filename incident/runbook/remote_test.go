package runbook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
)

// An exchange outlives the bot. So that a process can be killed and the venue go on, the
// venue lives in the test's process and is spoken to over a Unix socket.

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

func (a *answer) failed(err error) {
	if err != nil {
		a.Err, a.NotFound = err.Error(), errors.Is(err, andon.ErrOrderNotFound)
	}
}

func (a *answer) order(o andon.Order, err error) {
	if err == nil {
		a.Order = &o
	}
	a.failed(err)
}

// serve lets a venue be reached over the socket in dir until the test ends.
func serve(t testing.TB, v *andontest.Venue, dir string) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(dir, "venue"))
	require.NoError(t, err)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q ask
		var a answer
		err := json.NewDecoder(r.Body).Decode(&q)
		ctx := r.Context()
		switch {
		case err != nil:
		case q.Op == "positions":
			a.Positions, err = v.Positions(ctx)
		case q.Op == "orders":
			a.Orders, err = v.Orders(ctx)
		case q.Op == "balances":
			a.Balances, err = v.Balances(ctx)
		case q.Op == "submit":
			a.order(v.Submit(ctx, *q.Order))
		case q.Op == "cancel":
			err = v.Cancel(ctx, *q.Order)
		case q.Op == "lookup":
			a.order(v.Lookup(ctx, q.Symbol, q.ID))
		default:
			err = fmt.Errorf("what is %q?", q.Op)
		}
		a.failed(err)
		if err := json.NewEncoder(w).Encode(a); err != nil {
			t.Log(err) // the bot was killed
		}
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }() // it ends when it is closed
	t.Cleanup(func() { require.NoError(t, srv.Close()); <-done })
}

// remote is the venue in another process.
type remote struct{ http *http.Client }

func reach(dir string) remote {
	return remote{&http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "venue"))
	}}}}
}

func (r remote) ask(ctx context.Context, q ask) (a answer, err error) {
	body, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://venue/", bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return a, fmt.Errorf("%w: %w", andon.ErrOutcomeUnknown, err)
	}
	defer resp.Body.Close()
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

func (r remote) Positions(ctx context.Context) ([]andon.Position, error) {
	a, err := r.ask(ctx, ask{Op: "positions"})
	return a.Positions, err
}
func (r remote) Orders(ctx context.Context) ([]andon.Order, error) {
	a, err := r.ask(ctx, ask{Op: "orders"})
	return a.Orders, err
}
func (r remote) Balances(ctx context.Context) ([]andon.Balance, error) {
	a, err := r.ask(ctx, ask{Op: "balances"})
	return a.Balances, err
}
func (r remote) Submit(ctx context.Context, o andon.Order) (andon.Order, error) {
	a, err := r.ask(ctx, ask{Op: "submit", Order: &o})
	return a.one(err)
}
func (r remote) Cancel(ctx context.Context, o andon.Order) error {
	_, err := r.ask(ctx, ask{Op: "cancel", Order: &o})
	return err
}
func (r remote) Lookup(ctx context.Context, symbol, id string) (andon.Order, error) {
	a, err := r.ask(ctx, ask{Op: "lookup", Symbol: symbol, ID: id})
	return a.one(err)
}

func (a answer) one(err error) (andon.Order, error) {
	if err == nil && a.Order == nil {
		err = fmt.Errorf("%w: an empty answer", andon.ErrOutcomeUnknown)
	}
	if err != nil {
		return andon.Order{}, err
	}
	return *a.Order, nil
}
