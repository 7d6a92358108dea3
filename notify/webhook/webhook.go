package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
)

// Config is what a Notifier needs. Only Secret has no default.
type Config struct {
	// Secret signs each request. At least 16 bytes.
	Secret notify.Secret

	// Timeout bounds one request from connecting to the end of the answer. Defaults
	// to 10 s.
	Timeout time.Duration

	// Transport makes the connections. Defaults to one of its own with the settings
	// of http.DefaultTransport.
	Transport http.RoundTripper
}

const shortestSecret = 16 // bytes

func (c Config) validate() error {
	var problems []error
	if len(c.Secret) < shortestSecret {
		problems = append(problems, fmt.Errorf("Secret: has %d bytes, want at least %d", len(c.Secret), shortestSecret))
	}
	if c.Timeout < 0 {
		problems = append(problems, fmt.Errorf("Timeout: is %v, want a positive duration", c.Timeout))
	}
	return errors.Join(problems...)
}

// Notifier posts messages. Safe for concurrent use.
type Notifier struct {
	secret notify.Secret
	client *http.Client
}

// New returns a Notifier, or an error that names every field that is wrong.
func New(cfg Config) (*Notifier, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.Transport == nil {
		cfg.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
			MaxIdleConns: 100, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second}
	}
	return &Notifier{
		secret: bytes.Clone(cfg.Secret),
		client: &http.Client{
			Transport:     cfg.Transport,
			Timeout:       cfg.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Format writes "webhook" whatever the verb: fmt would otherwise print the secret,
// since it does not ask unexported fields how they want to be shown.
func (n *Notifier) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "webhook") } // fmt takes no error here

// Close closes connections that are idle. It is idempotent, and Notify still works
// after it.
func (n *Notifier) Close() error {
	n.client.CloseIdleConnections()
	return nil
}

// Notify posts the message to the URL in m.To, once.
func (n *Notifier) Notify(ctx context.Context, m notify.Message) error {
	target, err := CheckURL(m.To)
	if err != nil {
		return &notify.DeliveryError{Permanent: true, Err: err}
	}
	request, err := n.request(ctx, target, m)
	if err != nil {
		return &notify.DeliveryError{Permanent: true, Err: fmt.Errorf("webhook to %s: %w", target.Host, err)}
	}
	response, err := n.client.Do(request)
	if err != nil {
		return &notify.DeliveryError{Err: fmt.Errorf("webhook to %s: %w", target.Host, withoutURL(err))}
	}
	defer response.Body.Close()
	// The connection is used again only once the answer is read; what it says beyond
	// the status is not needed, so that an error here changes nothing.
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10)
	return notify.HTTPAnswer("webhook to "+target.Host, response, time.Now())
}

// request makes the signed request.
func (n *Notifier) request(ctx context.Context, target *url.URL, m notify.Message) (*http.Request, error) {
	body, err := encode(m)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, withoutURL(err)
	}
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(IdempotencyKey, headerValue(m.Key))
	request.Header.Set(TimestampHeader, timestamp)
	request.Header.Set(SignatureHeader, sign(n.secret, timestamp, body))
	return request, nil
}

// encode writes the body. A level or a time that JSON cannot hold becomes the zero
// one, "not known", rather than the reason why a page is lost.
func encode(m notify.Message) ([]byte, error) {
	m.To = ""
	if _, err := m.Level.MarshalText(); err != nil {
		m.Level = severity.Unclassified
	}
	if _, err := m.At.MarshalJSON(); err != nil {
		m.At = time.Time{}
	}
	return json.Marshal(m)
}

// CheckURL reports whether a URL may be an address: absolute, https or to a
// loopback host, and without user and password, which belong in no directory. The
// error names the host at most.
func CheckURL(address string) (*url.URL, error) {
	target, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, errors.New("webhook address is no URL")
	case target.Hostname() == "":
		return nil, errors.New("webhook address has no host: want https://host/path")
	case target.User != nil:
		return nil, fmt.Errorf("webhook address on %s holds a user or password: use the signature instead", target.Host)
	case target.Scheme == "https", target.Scheme == "http" && loopback(target.Hostname()):
		return target, nil
	}
	return nil, fmt.Errorf("webhook address on %s is not https: plain http is for loopback alone", target.Host)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// withoutURL drops the URL that net/http puts into its errors.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// headerValue makes a key fit for a header.
func headerValue(key string) string {
	var out strings.Builder
	for _, b := range []byte(key) {
		if b > ' ' && b < 0x7f {
			out.WriteByte(b)
		} else {
			fmt.Fprintf(&out, "%%%02X", b)
		}
	}
	return out.String()
}
