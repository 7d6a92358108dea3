package slack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/andon-go/andon/notify"
	"github.com/slack-go/slack"
)

// Room is the address of the incident's own channel.
const Room = "#incident"

// Config is what a Notifier needs. Only Token has no default.
type Config struct {
	// Token is the bot's, such as xoxb-...
	Token notify.Secret

	// Invite are the ids of the people who are invited to each incident's channel.
	// Defaults to nobody.
	Invite []string

	// Trouble is told of a step of opening an incident's channel that did not
	// succeed, and of threads that could not be looked for; messages go out all the same.
	// It must not block. Defaults to nothing.
	Trouble func(incident string, err error)

	// URL is the API's. Defaults to https://slack.com/api/.
	URL string

	// Timeout bounds one call of the API. Defaults to 10 s.
	Timeout time.Duration

	// SearchWithin bounds the search for what may have been posted already; after it
	// the message is posted. Defaults to 2 s.
	SearchWithin time.Duration

	// Transport makes the connections. Defaults to one of its own with the settings
	// of http.DefaultTransport.
	Transport http.RoundTripper
}

func (c Config) withDefaults() Config {
	c.URL = cmp.Or(c.URL, slack.APIURL)
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	c.SearchWithin = cmp.Or(c.SearchWithin, 2*time.Second)
	if c.Trouble == nil {
		c.Trouble = func(string, error) {}
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
			MaxIdleConns: 100, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second}
	}
	return c
}

func (c Config) validate() error {
	var problems []error
	if len(c.Token) == 0 {
		problems = append(problems, errors.New("Token: is empty"))
	}
	if slices.Contains(c.Invite, "") {
		problems = append(problems, errors.New("Invite: holds an empty id"))
	}
	if u, err := url.Parse(c.URL); err != nil || u.Host == "" || !strings.HasSuffix(c.URL, "/") {
		problems = append(problems, fmt.Errorf("URL: is %q, want one such as %s", c.URL, slack.APIURL))
	}
	if c.Timeout < 0 {
		problems = append(problems, fmt.Errorf("Timeout: is %v, want a positive duration", c.Timeout))
	}
	if c.SearchWithin < 0 {
		problems = append(problems, fmt.Errorf("SearchWithin: is %v, want a positive duration", c.SearchWithin))
	}
	return errors.Join(problems...)
}

// Notifier posts messages. It remembers the threads and channels of the latest
// incidents. Safe for concurrent use.
type Notifier struct {
	cfg    Config
	api    *slack.Client
	client *http.Client

	mu      sync.Mutex
	threads map[place]*thread
	rooms   map[string]*room // by incident
}

// New returns a Notifier, or an error that names every field that is wrong. It calls
// nobody: a Slack that is down keeps no bot from starting.
func New(cfg Config) (*Notifier, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.Invite = slices.Clone(cfg.Invite)
	client := &http.Client{
		Transport: cfg.Transport, Timeout: cfg.Timeout,
		// The token stands in the body, which a redirect would hand to whomever it names.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Notifier{cfg: cfg, client: client, threads: map[place]*thread{}, rooms: map[string]*room{},
		api: slack.New(string(cfg.Token), slack.OptionAPIURL(cfg.URL), slack.OptionHTTPClient(client))}, nil
}

// Format writes "slack" whatever the verb, since fmt would print the token.
func (n *Notifier) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "slack") } // fmt takes no error here

// Close closes connections that are idle. It is idempotent, and Notify still works after it.
func (n *Notifier) Close() error {
	n.client.CloseIdleConnections()
	return nil
}

// Notify posts the message to the channel or person in m.To, or to the incident's
// own channel where that is Room.
func (n *Notifier) Notify(ctx context.Context, m notify.Message) error {
	if err := ctx.Err(); err != nil {
		return &notify.DeliveryError{Err: fmt.Errorf("slack: %w", err)}
	}
	channel := m.To
	switch {
	case m.To == "":
		return &notify.DeliveryError{Permanent: true, Err: errors.New("slack: the address is empty, want the id of a channel or slack.Room")}
	case m.To == Room:
		var err error
		if channel, err = n.room(ctx, m.Incident); err != nil {
			return n.failed("open the incident's channel", err)
		}
	}
	return n.post(ctx, channel, m)
}

// longestText is below Slack's 40,000 characters, with room for what escaping adds.
const longestText = 30_000

// text makes a message fit to be posted.
func text(s string) string {
	s = strings.ToValidUTF8(s, "�")
	if utf8.RuneCountInString(s) > longestText {
		s = string([]rune(s)[:longestText]) + "… (cut)"
	}
	return s
}

// failed maps an error of the API.
func (n *Notifier) failed(what string, err error) error {
	e := &notify.DeliveryError{Err: fmt.Errorf("slack: could not %s: %w", what, withoutURL(err))}
	if limited, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		e.RetryAfter, e.Status = max(0, min(limited.RetryAfter, 24*time.Hour)), http.StatusTooManyRequests
	} else if status, ok := errors.AsType[slack.StatusCodeError](err); ok {
		e.Status = status.Code
		e.Permanent = status.Code < 500 && status.Code != http.StatusRequestTimeout && status.Code != http.StatusTooManyRequests
	} else if said, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		e.Permanent = !slices.Contains(temporary, said.Err)
	}
	return e
}

// temporary are the errors by which Slack says that it is not our fault.
var temporary = []string{"internal_error", "fatal_error", "service_unavailable", "request_timeout", "ratelimited",
	"rate_limited", "team_added_to_org", "message_limit_exceeded", "external_channel_migrating", "accesslimited"}

// withoutURL drops the URL that net/http puts into its errors.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
