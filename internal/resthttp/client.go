package resthttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Client sends requests to one host. Safe for concurrent use.
type Client struct {
	config Config
	base   *url.URL
	http   *http.Client
	pace   *pace
}

// New returns a Client, or every problem of the Config, joined.
func New(c Config) (*Client, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.setDefaults()
	base, err := parseBase(c.Base)
	if err != nil {
		return nil, err
	}
	return &Client{
		config: c,
		base:   base,
		pace:   newPace(c.PerSecond),
		http: &http.Client{
			Transport:     c.Transport,
			Timeout:       c.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Host returns the host, with its port if the base URL has one.
func (c *Client) Host() string { return c.base.Host }

// Clock returns the venue's clock.
func (c *Client) Clock() *Clock { return c.config.Clock }

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Request is one call.
type Request struct {
	Method string
	Path   string // what follows the base URL, with a leading slash, without a query
	Query  url.Values
	Body   []byte // JSON, or nil

	// Repeat says that sending it twice does what sending it once does.
	Repeat bool

	// Urgent lets it use what is kept for urgent requests.
	Urgent bool

	// Authorize adds headers to each try. Nil adds none.
	Authorize Authorize

	// Secrets are hidden wherever an answer is shown. Those that Authorize sets are
	// hidden without it.
	Secrets []string
}

// Authorize adds to a request what makes the venue believe it; now is the venue's time.
type Authorize func(ctx context.Context, h http.Header, now time.Time) error

// Answer is a 2xx answer.
type Answer struct {
	Status int
	Body   []byte
	Took   time.Duration // of the last try, from sending to the last byte
}

// significant is how far the estimate of the venue's clock has to move to sign again
// what the venue did not accept.
const significant = 2 * time.Second

// Do sends a request until there is an answer, it may not be sent again, or the tries
// are used up. An error is an *Error.
func (c *Client) Do(ctx context.Context, r Request) (Answer, error) {
	waits := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(200*time.Millisecond), backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
	signedAgain := false
	for try := 1; ; try++ {
		before, _, _ := c.config.Clock.Offset()
		answer, err := c.try(ctx, r)
		if err == nil {
			return answer, nil
		}
		after, _, _ := c.config.Clock.Offset()
		switch {
		case ctx.Err() != nil:
			return Answer{}, err
		case err.Status == http.StatusUnauthorized && !signedAgain && (after-before).Abs() > significant:
			signedAgain = true // it was signed with a clock that was wrong
			continue
		case !err.temporary(), err.Unknown() && !r.Repeat, try >= c.config.Tries:
			return Answer{}, err
		}
		wait := waits.NextBackOff()
		if err.RetryAfter > 0 {
			wait = err.RetryAfter
		}
		if wait > c.config.LongestWait {
			return Answer{}, err
		}
		if Sleep(ctx, wait) != nil {
			return Answer{}, err
		}
	}
}

// try sends a request once.
func (c *Client) try(ctx context.Context, r Request) (Answer, *Error) {
	failed := &Error{Host: c.base.Host, Method: r.Method, Path: r.Path}
	if err := c.pace.wait(ctx, r.Urgent); err != nil {
		failed.Err = err
		return Answer{}, failed
	}
	// Once a connection is there, part of the request may be on its way.
	var connected atomic.Bool
	request, err := c.request(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}), r)
	if err != nil {
		failed.Err = err
		return Answer{}, failed
	}
	sent := time.Now()
	response, err := c.http.Do(request)
	if err != nil {
		failed.Err, failed.Sent = withoutURL(err), connected.Load()
		return Answer{}, failed
	}
	defer response.Body.Close()
	received := time.Now()
	failed.Sent = true
	c.config.Clock.learn(response.Header, sent, received)
	body, err := c.read(response)
	if err != nil {
		failed.Err = fmt.Errorf("the answer, %d, cannot be read: %w", response.StatusCode, withoutURL(err))
		return Answer{}, failed
	}
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		return Answer{Status: response.StatusCode, Body: body, Took: time.Since(sent)}, nil
	}
	failed.Status, failed.RetryAfter = response.StatusCode, retryAfter(response.Header, received)
	failed.Body = hide(body, append(secretsOf(request.Header), r.Secrets...))
	failed.shown = show(failed.Body)
	if response.StatusCode == http.StatusTooManyRequests {
		c.pace.close(received, min(failed.RetryAfter, c.config.LongestWait))
	}
	return Answer{}, failed
}

func (c *Client) request(ctx context.Context, r Request) (*http.Request, error) {
	target := *c.base
	target.Path = strings.TrimSuffix(target.Path, "/") + r.Path
	target.RawQuery = r.Query.Encode()
	var body io.Reader
	if r.Body != nil {
		body = bytes.NewReader(r.Body)
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, target.String(), body)
	if err != nil {
		return nil, withoutURL(err)
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "andon")
	if r.Body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if r.Authorize != nil {
		if err := r.Authorize(ctx, request.Header, c.config.Clock.Now()); err != nil {
			return nil, err
		}
	}
	return request, nil
}

// read reads the whole answer, or none of it.
func (c *Client) read(r *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, c.config.MaxBody+1))
	if err == nil && int64(len(body)) > c.config.MaxBody {
		err = fmt.Errorf("it is longer than %d bytes", c.config.MaxBody)
	}
	return body, err
}

// secretsOf returns what a request's headers must not give away.
func secretsOf(h http.Header) []string {
	var secrets []string
	for name, values := range h {
		switch name {
		case "Accept", "User-Agent", "Content-Type":
			continue
		}
		for _, v := range values {
			secrets = append(secrets, strings.TrimPrefix(v, "Bearer "), v)
		}
	}
	return secrets
}

// withoutURL returns what an error of net/http says without the URL, whose query is
// nobody's business.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
