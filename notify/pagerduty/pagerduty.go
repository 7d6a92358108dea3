package pagerduty

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/andon-go/andon/notify"
)

// Config is what a Notifier needs. Only Services has no default.
type Config struct {
	// Services holds the integration key of each service, by the name that
	// Address.To uses.
	Services map[string]notify.Secret

	// Source is what the alerts are about, as PagerDuty shows it. Defaults to
	// "AI Trading Bot".
	Source string

	// URL is the API's. Defaults to https://events.pagerduty.com; the EU's is
	// https://events.eu.pagerduty.com.
	URL string

	// Timeout bounds one event from connecting to the end of the answer. Defaults to 10 s.
	Timeout time.Duration

	// Transport makes the connections. Defaults to one of its own with the settings
	// of http.DefaultTransport.
	Transport http.RoundTripper
}

func (c Config) withDefaults() Config {
	if c.Source == "" {
		c.Source = "AI Trading Bot"
	}
	if c.URL == "" {
		c.URL = "https://events.pagerduty.com"
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
			MaxIdleConns: 100, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second}
	}
	return c
}

func (c Config) validate() error {
	var problems []error
	if len(c.Services) == 0 {
		problems = append(problems, errors.New("Services: is empty: there is nobody to page"))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		if name == "" || len(c.Services[name]) == 0 {
			problems = append(problems, fmt.Errorf("Services[%q]: needs a name and an integration key", name))
		}
	}
	if u, err := url.Parse(c.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		problems = append(problems, errors.New("URL: want one such as https://events.pagerduty.com"))
	}
	if len(c.Source) > longestSource {
		problems = append(problems, fmt.Errorf("Source: has %d bytes, want at most %d", len(c.Source), longestSource))
	}
	if c.Timeout < 0 {
		problems = append(problems, fmt.Errorf("Timeout: is %v, want a positive duration", c.Timeout))
	}
	return errors.Join(problems...)
}

// Notifier sends events. Safe for concurrent use.
type Notifier struct {
	services map[string]notify.Secret
	source   string
	url      string
	client   *http.Client
}

// New returns a Notifier, or an error that names every field that is wrong. It calls
// nobody.
func New(cfg Config) (*Notifier, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	services := make(map[string]notify.Secret, len(cfg.Services))
	for name, key := range cfg.Services {
		services[name] = bytes.Clone(key)
	}
	return &Notifier{services: services, source: cfg.Source, url: cfg.URL, client: &http.Client{
		Transport: cfg.Transport, Timeout: cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Format writes "pagerduty" whatever the verb, since fmt would print the keys.
func (n *Notifier) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "pagerduty") } // fmt takes no error here

// Close closes connections that are idle. It is idempotent, and Notify still works after it.
func (n *Notifier) Close() error {
	n.client.CloseIdleConnections()
	return nil
}

// Notify sends the events of a message to the service in m.To, each once.
func (n *Notifier) Notify(ctx context.Context, m notify.Message) error {
	key, ok := n.services[m.To]
	if !ok {
		return &notify.DeliveryError{Permanent: true, Err: fmt.Errorf("pagerduty: there is no service %q in the Config", m.To)}
	}
	if err := ctx.Err(); err != nil {
		return &notify.DeliveryError{Err: fmt.Errorf("pagerduty: %w", err)}
	}
	events, err := n.events(m)
	if err != nil {
		return &notify.DeliveryError{Permanent: true, Err: fmt.Errorf("pagerduty: %w", err)}
	}
	var errs []error
	for _, e := range events {
		if err := n.send(ctx, key, m.To, e); err != nil {
			errs = append(errs, err)
			if !errors.Is(err, notify.ErrPermanent) {
				break // the others fare no better, and all are sent again
			}
		}
	}
	return join(errs)
}

// join returns one error for several: the last, which alone may be temporary.
func join(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return errs[len(errs)-1]
}

// send posts one event.
func (n *Notifier) send(ctx context.Context, key notify.Secret, service string, e event) error {
	body, err := e.encode(key)
	if err != nil {
		return &notify.DeliveryError{Permanent: true, Err: fmt.Errorf("pagerduty: %w", err)}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url+e.path(), bytes.NewReader(body))
	if err != nil {
		return &notify.DeliveryError{Permanent: true, Err: fmt.Errorf("pagerduty: %w", err)}
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := n.client.Do(request)
	if err != nil {
		return &notify.DeliveryError{Err: fmt.Errorf("pagerduty service %s: %w", service, err)}
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		if err != nil {
			return &notify.DeliveryError{Err: fmt.Errorf("pagerduty service %s: the answer broke off: %w", service, err)}
		}
		if !success(answer) {
			return &notify.DeliveryError{Status: response.StatusCode, Err: fmt.Errorf("pagerduty service %s: the answer is not PagerDuty's: a proxy may have given it", service)}
		}
		return nil
	}
	return notify.HTTPAnswer("pagerduty service "+service+why(answer, key), response, time.Now())
}

// success reports whether the API says that it has taken an event. A proxy or a portal
// that wants a login answers 200 too, and rings nobody.
func success(answer []byte) bool {
	var said struct {
		Status string `json:"status"`
	}
	return json.Unmarshal(answer, &said) == nil && said.Status == "success"
}

// why returns what the API says is wrong, without the key.
func why(answer []byte, key notify.Secret) string {
	var said struct {
		Message string   `json:"message"`
		Errors  []string `json:"errors"`
	}
	if json.Unmarshal(answer, &said) != nil || said.Message == "" && len(said.Errors) == 0 {
		return "" // a proxy's page, say; the status stands in the error
	}
	text := fmt.Sprintf(" says %.200q %.200q and", said.Message, said.Errors)
	return string(bytes.ReplaceAll([]byte(text), key, []byte("[secret]")))
}
