package coinbase

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/recent"
	"github.com/andon-go/andon/internal/resthttp"
)

// ErrAuth says that the venue did not accept the key, or not for this. It is SEV-1 of
// the playbook.
var ErrAuth = errors.New("coinbase does not accept the key")

// Venue is one Coinbase account. It implements andon.Venue and reconcile.History and is
// safe for concurrent use.
type Venue struct {
	config   Config
	client   *resthttp.Client
	products products
	sent     recent.Map[orderName, sentOrder]
}

// orderName is how the bot names an order.
type orderName struct{ symbol, clientID string }

// sentOrder is what this process knows of an order that it sent or saw.
type sentOrder struct {
	venueID string    // empty before the venue has said it
	at      time.Time // when it was sent, by our clock; zero for one that was only seen
}

var _ andon.Venue = (*Venue)(nil)

// New returns a Venue, or every problem of the Config, joined. It sends nothing:
// CheckAuth does.
func New(c Config) (*Venue, error) {
	c.setDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("coinbase: %w", err)
	}
	client, err := resthttp.New(c.rest())
	if err != nil {
		return nil, fmt.Errorf("coinbase: %w", err)
	}
	c.Cash = slices.Clone(c.Cash)
	return &Venue{config: c, client: client}, nil
}

// Close closes idle connections. It is idempotent.
func (v *Venue) Close() error {
	v.client.Close()
	return nil
}

// String returns "coinbase", the name of the rows and the key's name.
func (v *Venue) String() string { return fmt.Sprintf("coinbase %s, %v", v.config.Name, v.config.Key) }

// Format writes String whatever the verb.
func (v *Venue) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, v.String()) } // fmt takes no error here

// prefix stands before every path of the API.
const prefix = "/api/v3/brokerage"

// authorize signs a request to a path.
func (v *Venue) authorize(method, path string, life time.Duration) resthttp.Authorize {
	return func(_ context.Context, h http.Header, now time.Time) error {
		token, err := v.config.Key.token(method+" "+v.client.Host()+path, now, life)
		if err != nil {
			return err
		}
		h.Set("Authorization", "Bearer "+token)
		return nil
	}
}

// get reads JSON from a path below the prefix.
func (v *Venue) get(ctx context.Context, path string, q url.Values, to any) (resthttp.Answer, error) {
	answer, err := v.client.Get(ctx, prefix+path, q, v.authorize(http.MethodGet, prefix+path, tokenLife), to)
	return answer, v.named(err)
}

// post sends JSON to a path below the prefix and returns the answer unread.
func (v *Venue) post(ctx context.Context, path string, body any, repeat bool, life time.Duration) (resthttp.Answer, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return resthttp.Answer{}, fmt.Errorf("coinbase: %w", err)
	}
	return v.client.Do(ctx, resthttp.Request{
		Method: http.MethodPost, Path: prefix + path, Body: data, Repeat: repeat, Urgent: true,
		Authorize: v.authorize(http.MethodPost, prefix+path, life),
	})
}

// named puts the venue's name before an error, and ErrAuth where it is one.
func (v *Venue) named(err error) error {
	if err == nil {
		return nil
	}
	if refusedKey(err) {
		return fmt.Errorf("%w: %w", ErrAuth, err)
	}
	return fmt.Errorf("coinbase: %w", err)
}

func refusedKey(err error) bool {
	e, ok := errors.AsType[*resthttp.Error](err)
	return ok && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden)
}

func notFound(err error) bool {
	e, ok := errors.AsType[*resthttp.Error](err)
	return ok && e.Status == http.StatusNotFound
}

// plainID reports whether an id can stand in a path as it is.
func plainID(id string) bool {
	return id != "" && !strings.ContainsFunc(id, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	})
}
