package bluefin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/recent"
	"github.com/andon-go/andon/internal/resthttp"
)

// ErrAuth says that the venue did not accept the key, or not for this account. It is
// SEV-1 of the playbook.
var ErrAuth = errors.New("bluefin does not accept the key")

// Venue is one Bluefin Pro account. It implements andon.Venue and is safe for concurrent
// use.
type Venue struct {
	config           Config
	auth, api, trade *resthttp.Client
	clock            *resthttp.Clock // the venue's, which all hosts share
	sessions         *sessions
	sent             recent.Map[orderName, sentOrder]

	mu     sync.Mutex
	info   exchangeInfo
	infoAt time.Time
	held   map[string]Market // how the positions are held
	heldAt time.Time
}

var _ andon.Venue = (*Venue)(nil)

// New returns a Venue, or every problem of the Config, joined. It sends nothing:
// CheckAuth does.
func New(c Config) (*Venue, error) {
	c.setDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("bluefin: %w", err)
	}
	c.Markets = maps.Clone(c.Markets)
	v := &Venue{config: c, clock: &resthttp.Clock{}, sessions: newSessions()}
	for _, h := range []struct {
		to   **resthttp.Client
		base string
	}{{&v.auth, c.AuthURL}, {&v.api, c.APIURL}, {&v.trade, c.TradeURL}} {
		client, err := resthttp.New(c.rest(h.base, v.clock))
		if err != nil {
			return nil, fmt.Errorf("bluefin: %w", err)
		}
		*h.to = client
	}
	return v, nil
}

// Close closes idle connections. It is idempotent.
func (v *Venue) Close() error {
	v.auth.Close()
	v.api.Close()
	v.trade.Close()
	return nil
}

// String returns "bluefin", the name of the rows and the account.
func (v *Venue) String() string {
	return fmt.Sprintf("bluefin %s, account %s", v.config.Name, v.config.Account)
}

// Format writes String whatever the verb, and so no token of a session.
func (v *Venue) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, v.String()) } // fmt takes no error here

// do sends a request with the token of a session. A token that the venue does not accept
// is dropped, and the request sent once more with a new one, since it did nothing.
func (v *Venue) do(ctx context.Context, c *resthttp.Client, r resthttp.Request) (resthttp.Answer, error) {
	for again := false; ; again = true {
		s, err := v.session(ctx)
		if err != nil {
			return resthttp.Answer{}, &resthttp.Error{Host: c.Host(), Method: r.Method, Path: r.Path, Err: err}
		}
		r.Authorize = func(_ context.Context, h http.Header, _ time.Time) error {
			h.Set("Authorization", "Bearer "+s.access)
			return nil
		}
		answer, err := c.Do(ctx, r)
		if again || statusOf(err) != http.StatusUnauthorized {
			return answer, err
		}
		v.sessions.drop(s.access)
	}
}

// get reads from a path with a token.
func (v *Venue) get(ctx context.Context, c *resthttp.Client, path string, q url.Values) ([]byte, error) {
	answer, err := v.do(ctx, c, resthttp.Request{Method: http.MethodGet, Path: path, Query: q, Repeat: true})
	return answer.Body, v.named(err)
}

// named puts the venue's name before an error, and ErrAuth where it is one.
func (v *Venue) named(err error) error {
	switch {
	case err == nil:
		return nil
	case refusedKey(err) && !errors.Is(err, ErrAuth):
		return fmt.Errorf("%w: %w", ErrAuth, err)
	}
	return fmt.Errorf("bluefin: %w", err)
}

// statusOf returns the status of an answer that is an error, or 0.
func statusOf(err error) int {
	if e, ok := errors.AsType[*resthttp.Error](err); ok {
		return e.Status
	}
	return 0
}

func refusedKey(err error) bool {
	s := statusOf(err)
	return s == http.StatusUnauthorized || s == http.StatusForbidden
}

// infoAge is how long what the venue says of itself is believed.
const infoAge = time.Hour

// exchange returns what the venue says of itself, or the last that it said: an exit may
// need it.
func (v *Venue) exchange(ctx context.Context) (exchangeInfo, error) {
	v.mu.Lock()
	info, at := v.info, v.infoAt
	v.mu.Unlock()
	if !at.IsZero() && time.Since(at) < infoAge {
		return info, nil
	}
	const path = "/v1/exchange/info"
	answer, err := v.api.Do(ctx, resthttp.Request{Method: http.MethodGet, Path: path, Repeat: true, Urgent: true})
	if err == nil {
		var fresh exchangeInfo
		if fresh, err = decodeExchange(answer.Body); err == nil {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.info, v.infoAt = fresh, time.Now()
			return fresh, nil
		}
		err = fmt.Errorf("GET %s: %w", path, err)
	}
	if !at.IsZero() {
		return info, nil
	}
	return exchangeInfo{}, v.named(err)
}
