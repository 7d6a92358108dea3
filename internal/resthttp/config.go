package resthttp

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Config is what a Client needs. Only Base has no default.
type Config struct {
	// Base is the URL in front of every path: https, or http to a loopback host.
	Base string

	// Timeout bounds one try, from the connection to the end of the answer. Defaults
	// to 10 s.
	Timeout time.Duration

	// PerSecond is how many requests the venue takes in any second. Defaults to 10.
	PerSecond int

	// Tries is how often a request that may be repeated is sent at most. Defaults to 4.
	Tries int

	// LongestWait is the longest wait that a Retry-After is obeyed for; a longer one
	// is given to the caller in the error. Defaults to 30 s.
	LongestWait time.Duration

	// MaxBody is the longest answer, in bytes. Defaults to 16 MiB.
	MaxBody int64

	// Transport makes the connections. Defaults to one of the client's own.
	Transport http.RoundTripper

	// Clock learns the venue's time; clients of one venue may share one. Defaults to
	// one of the client's own.
	Clock *Clock
}

// Validate returns every problem, joined, each starting with the field's name.
func (c Config) Validate() error {
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if _, err := parseBase(c.Base); err != nil {
		add("Base: %w", err)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"Timeout", c.Timeout}, {"LongestWait", c.LongestWait}} {
		if d.value < 0 {
			add("%s: is %v, want a positive duration", d.name, d.value)
		}
	}
	if c.PerSecond < 0 || c.PerSecond > 10_000 {
		add("PerSecond: is %d, want 1 to 10000", c.PerSecond)
	}
	if c.Tries < 0 {
		add("Tries: is %d, want at least 1", c.Tries)
	}
	if c.MaxBody < 0 {
		add("MaxBody: is %d, want a positive number of bytes", c.MaxBody)
	}
	return errors.Join(problems...)
}

func (c *Config) setDefaults() {
	defaults := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	defaults(&c.Timeout, 10*time.Second)
	defaults(&c.LongestWait, 30*time.Second)
	if c.PerSecond == 0 {
		c.PerSecond = 10
	}
	if c.Tries == 0 {
		c.Tries = 4
	}
	if c.MaxBody == 0 {
		c.MaxBody = 16 << 20
	}
	if c.Clock == nil {
		c.Clock = &Clock{}
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
			MaxIdleConns: 16, MaxIdleConnsPerHost: 8, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second}
	}
}

// parseBase reads a base URL. Its errors name the host at most.
func parseBase(base string) (*url.URL, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return nil, errors.New("is no URL")
	case u.Hostname() == "":
		return nil, errors.New("has no host: want https://host")
	case u.User != nil:
		return nil, fmt.Errorf("holds a user or password for %s: keys belong in no URL", u.Host)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("holds a query or fragment for %s: want https://host", u.Host)
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return u, nil
	}
	return nil, fmt.Errorf("is %s://%s: want https, or http to a loopback host", u.Scheme, u.Host)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
