package andontest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/andon-go/andon"
)

// request is one call of a venue on the wire.
type request struct {
	Op         string
	Order      *andon.Order `json:",omitempty"`
	Symbol, ID string
}

// reply is what came of it.
type reply struct {
	Positions []andon.Position
	Orders    []andon.Order
	Balances  []andon.Balance
	Order     *andon.Order `json:",omitempty"`
	Err       *failure     `json:",omitempty"`
}

// failure is an error that is still what it was to errors.Is and errors.As behind the wire.
type failure struct {
	Text              string
	NotFound, Unknown bool
	Rejected          *andon.RejectedError `json:",omitempty"`
}

func failed(err error) *failure {
	if err == nil {
		return nil
	}
	f := &failure{Text: err.Error(), NotFound: errors.Is(err, andon.ErrOrderNotFound), Unknown: errors.Is(err, andon.ErrOutcomeUnknown)}
	errors.As(err, &f.Rejected)
	return f
}

// Error is the venue's text.
func (f *failure) Error() string { return f.Text }

// Is reports whether the venue's error was one of andon's.
func (f *failure) Is(target error) bool {
	return f.NotFound && target == andon.ErrOrderNotFound || f.Unknown && target == andon.ErrOutcomeUnknown
}

// Unwrap returns the refusal, if it was one.
func (f *failure) Unwrap() error {
	if f.Rejected == nil {
		return nil
	}
	return f.Rejected
}

// Handler serves a venue to the Remotes of other processes, so that a bot can be killed or
// cut off and the venue goes on. It asks for no key: a test that wants one puts a handler
// before it. Safe for concurrent use as far as the venue is.
func Handler(v andon.Venue) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q request
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&q); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(serve(r.Context(), v, q)) // a client that went away reads nothing
	})
}

func serve(ctx context.Context, v andon.Venue, q request) (a reply) {
	var err error
	one := func(o andon.Order, failed error) {
		if err = failed; err == nil {
			a.Order = &o
		}
	}
	switch {
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
	a.Err = failed(err)
	return a
}

// Remote is the andon.Venue that a Handler serves. The venue's errors keep what they are:
// andon.ErrOrderNotFound, andon.ErrOutcomeUnknown and *andon.RejectedError. Whatever brings
// no answer, or none that can be read, is andon.ErrOutcomeUnknown; a status from 400 to 499
// says that the venue was not asked, and is an error of its own. Safe for concurrent use.
type Remote struct {
	// URL is where the handler is served. Required.
	URL string

	// Client asks. Its Timeout bounds each call, its Transport may reach a Unix socket
	// or show a key. Defaults to http.DefaultClient, which waits for as long as the
	// call's context does.
	Client *http.Client
}

func (r Remote) ask(ctx context.Context, q request) (a reply, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", q.Op, err)
		}
	}()
	body, err := json.Marshal(q)
	if err != nil {
		return reply{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	client := r.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, fmt.Errorf("%w: %w", andon.ErrOutcomeUnknown, err)
	}
	defer func() { _ = resp.Body.Close() }() // what was read was read
	switch {
	case resp.StatusCode >= 400 && resp.StatusCode < 500:
		return reply{}, fmt.Errorf("the venue answers %s", resp.Status)
	case resp.StatusCode != http.StatusOK:
		return reply{}, fmt.Errorf("%w: the venue answers %s", andon.ErrOutcomeUnknown, resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return reply{}, fmt.Errorf("%w: %w", andon.ErrOutcomeUnknown, err)
	}
	if a.Err != nil {
		return reply{}, a.Err
	}
	return a, nil
}

func (r Remote) one(ctx context.Context, q request) (andon.Order, error) {
	a, err := r.ask(ctx, q)
	if err == nil && a.Order == nil {
		err = fmt.Errorf("%s: %w: an empty answer", q.Op, andon.ErrOutcomeUnknown)
	}
	if err != nil {
		return andon.Order{}, err
	}
	return *a.Order, nil
}

// Positions is andon.Account's.
func (r Remote) Positions(ctx context.Context) ([]andon.Position, error) {
	a, err := r.ask(ctx, request{Op: "positions"})
	return a.Positions, err
}

// Orders is andon.Account's.
func (r Remote) Orders(ctx context.Context) ([]andon.Order, error) {
	a, err := r.ask(ctx, request{Op: "orders"})
	return a.Orders, err
}

// Balances is andon.Account's.
func (r Remote) Balances(ctx context.Context) ([]andon.Balance, error) {
	a, err := r.ask(ctx, request{Op: "balances"})
	return a.Balances, err
}

// Submit is andon.Trader's.
func (r Remote) Submit(ctx context.Context, o andon.Order) (andon.Order, error) {
	return r.one(ctx, request{Op: "submit", Order: &o})
}

// Cancel is andon.Trader's.
func (r Remote) Cancel(ctx context.Context, o andon.Order) error {
	_, err := r.ask(ctx, request{Op: "cancel", Order: &o})
	return err
}

// Lookup is andon.Trader's.
func (r Remote) Lookup(ctx context.Context, symbol, clientID string) (andon.Order, error) {
	return r.one(ctx, request{Op: "lookup", Symbol: symbol, ID: clientID})
}
