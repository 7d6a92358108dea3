package alertmanager

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon/internal/resthttp"
	"github.com/andon-go/andon/notify"
)

var (
	// ErrFiring says that alerts fire. It is a *FiringError.
	ErrFiring = errors.New("alerts are not cleared")

	// ErrUnsure says that it is not known whether alerts fire: the list could not be
	// read, or it is too early for it to be whole. It counts as firing.
	ErrUnsure = errors.New("not known whether alerts are cleared")
)

// FiringError names what fires. Nothing in it is cleared: a silence and an
// inhibition hide an alert from people and end nothing.
type FiringError struct {
	Active      []string
	Silenced    []string // by a person, or muted for a time of day
	Inhibited   []string // by another alert that fires
	Unprocessed []string // too new for the Alertmanager to have looked at
}

// Error names the alerts, the first few of each.
func (e *FiringError) Error() string {
	var parts []string
	for _, p := range []struct {
		name   string
		alerts []string
	}{{"active", e.Active}, {"silenced", e.Silenced}, {"inhibited", e.Inhibited}, {"not processed yet", e.Unprocessed}} {
		const shown = 5
		switch n := len(p.alerts); {
		case n > shown:
			parts = append(parts, fmt.Sprintf("%d %s: %s and %d more", n, p.name, strings.Join(p.alerts[:shown], ", "), n-shown))
		case n > 0:
			parts = append(parts, fmt.Sprintf("%d %s: %s", n, p.name, strings.Join(p.alerts, ", ")))
		}
	}
	return ErrFiring.Error() + ": " + strings.Join(parts, "; ")
}

// Is reports whether target is ErrFiring.
func (e *FiringError) Is(target error) bool { return target == ErrFiring }

// CheckerConfig is what a Checker needs. URL has no default.
type CheckerConfig struct {
	// URL is in front of /api/v2: https, or http to a loopback host. Grafana's own is
	// its URL and /api/alertmanager/grafana.
	URL string

	// Bearer, or User and Password, are shown to it. Default to none.
	Bearer   notify.Secret
	User     string
	Password notify.Secret

	// Ignore are alerts that do not count, each by all of its matches. Defaults to
	// none.
	Ignore [][]Match

	// Heartbeat is an alert that always fires, as the Watchdog of many rule sets
	// does. Where it is missing nobody evaluates rules, so that nothing is known. It
	// does not count as firing. Defaults to none, and a Prometheus that has died
	// looks as if all were well.
	Heartbeat []Match

	// SettleFor is how long an Alertmanager must have been up: until each rule has
	// been sent to it anew, its list is not whole. Defaults to 5 min.
	SettleFor time.Duration

	// Grafana says that the URL is Grafana's, which keeps its list over a restart and
	// tells no time of it: SettleFor is left out.
	Grafana bool

	// Timeout bounds one request. Defaults to 10 s.
	Timeout time.Duration

	// Transport makes the connections. Defaults to one of its own.
	Transport http.RoundTripper
}

// Checker asks an Alertmanager what fires. NewChecker makes one. Safe for concurrent
// use.
type Checker struct {
	cfg       CheckerConfig
	client    *resthttp.Client
	ignore    [][]matcher
	heartbeat []matcher
}

// NewChecker returns a Checker, or an error that names every field that is wrong.
func NewChecker(cfg CheckerConfig) (*Checker, error) {
	cfg.SettleFor = cmp.Or(cfg.SettleFor, 5*time.Minute)
	c := &Checker{cfg: cfg}
	var errs []error
	var err error
	if cfg.SettleFor < 0 {
		errs = append(errs, fmt.Errorf("SettleFor: is %v, want more than zero", cfg.SettleFor))
	}
	if len(cfg.Bearer) > 0 && (cfg.User != "" || len(cfg.Password) > 0) {
		errs = append(errs, errors.New("Bearer: want it, or User and Password, not both"))
	}
	for i, m := range cfg.Ignore {
		compiled, err := compile(m)
		if err == nil && len(m) == 0 {
			err = errors.New("every alert would be ignored: want a Match")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("Ignore[%d]: %w", i, err))
		}
		c.ignore = append(c.ignore, compiled)
	}
	if c.heartbeat, err = compile(cfg.Heartbeat); err != nil {
		errs = append(errs, fmt.Errorf("Heartbeat: %w", err))
	}
	if c.client, err = resthttp.New(resthttp.Config{Base: cfg.URL, Timeout: cfg.Timeout, Transport: cfg.Transport, Tries: 2}); err != nil {
		errs = append(errs, fmt.Errorf("URL: %w", err))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("alertmanager: %w", err)
	}
	return c, nil
}

// Format writes where it asks, whatever the verb: fmt would otherwise print the
// token.
func (c *Checker) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.client.Host()) } // fmt takes no error here

// Close closes idle connections.
func (c *Checker) Close() { c.client.Close() }

// Cleared proves the checklist's "Monitoring alerts cleared" and returns the
// evidence. The error is ErrFiring, a *FiringError that tells alerts that are
// silenced or inhibited from those that are active, or ErrUnsure with the reason. It
// is a recovery.Check.
func (c *Checker) Cleared(ctx context.Context) (evidence string, err error) {
	all, about, err := c.list(ctx)
	if err != nil {
		return "", err
	}
	var f FiringError
	ignored, beats := 0, 0
	for _, a := range all {
		if len(c.heartbeat) > 0 && matches(c.heartbeat, a.Labels) {
			if a.Status.State == "active" {
				beats++
			}
			continue
		}
		if slices.ContainsFunc(c.ignore, func(m []matcher) bool { return matches(m, a.Labels) }) {
			ignored++
			continue
		}
		into := f.kind(a)
		*into = append(*into, a.short())
	}
	if len(f.Active)+len(f.Silenced)+len(f.Inhibited)+len(f.Unprocessed) > 0 {
		return "", &f
	}
	if len(c.heartbeat) > 0 && beats == 0 {
		return "", fmt.Errorf("%w: the heartbeat does not fire: nobody evaluates the rules, or nobody sends their alerts", ErrUnsure)
	}
	return fmt.Sprintf("%s: no alert fires (%d ignored, %d heartbeats)", about, ignored, beats), nil
}

// listed is an alert as the API lists it.
type listed struct {
	alert
	Status struct {
		State       string   `json:"state"`
		SilencedBy  []string `json:"silencedBy"`
		InhibitedBy []string `json:"inhibitedBy"`
		MutedBy     []string `json:"mutedBy"`
	} `json:"status"`
	Receivers []struct {
		Name string `json:"name"`
	} `json:"receivers"`
}

func (a listed) short() string {
	name := cmp.Or(clean(a.Labels["alertname"], 100), unnamed)
	for _, label := range []string{"instance", "service", "job"} {
		if v := a.Labels[label]; v != "" {
			return name + "(" + clean(v, 100) + ")"
		}
	}
	return name
}

// kind is where an alert belongs. A state that nobody knows is active.
func (f *FiringError) kind(a listed) *[]string {
	switch s := a.Status; {
	case s.State == "unprocessed":
		return &f.Unprocessed
	case s.State == "suppressed" && len(s.SilencedBy)+len(s.MutedBy) > 0:
		return &f.Silenced
	case s.State == "suppressed" && len(s.InhibitedBy) > 0:
		return &f.Inhibited
	}
	return &f.Active
}

// list returns every alert there is, and what the Alertmanager says of itself. The
// error is ErrUnsure.
func (c *Checker) list(ctx context.Context) ([]listed, string, error) {
	query := map[string][]string{"active": {"true"}, "silenced": {"true"}, "inhibited": {"true"}, "unprocessed": {"true"}}
	body, err := c.get(ctx, "/api/v2/alerts", query)
	if err != nil {
		return nil, "", err
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil || raw == nil {
		return nil, "", fmt.Errorf("%w: %s answers something that is no list of alerts", ErrUnsure, c.client.Host())
	}
	all := make([]listed, len(raw))
	for i, r := range raw {
		if err := json.Unmarshal(r, &all[i]); err != nil || len(all[i].Labels) == 0 {
			return nil, "", fmt.Errorf("%w: alert %d of %s cannot be read: %w", ErrUnsure, i, c.client.Host(), cmp.Or(err, errors.New("it has no labels")))
		}
		maps.DeleteFunc(all[i].Labels, func(name, _ string) bool { return private(name) })
	}
	// Asked after the list: whoever has been up for that long now was up when it was read.
	about, err := c.settled(ctx)
	return all, about, err
}

// settled says of an Alertmanager that has been up for long enough what it is.
func (c *Checker) settled(ctx context.Context) (string, error) {
	if c.cfg.Grafana {
		return "Grafana at " + c.client.Host(), nil
	}
	body, err := c.get(ctx, "/api/v2/status", nil)
	if err != nil {
		return "", err
	}
	var s struct {
		Cluster struct {
			Status string `json:"status"`
		} `json:"cluster"`
		Version struct {
			Version string `json:"version"`
		} `json:"versionInfo"`
		Since time.Time `json:"uptime"`
	}
	if err := json.Unmarshal(body, &s); err != nil || s.Since.IsZero() {
		return "", fmt.Errorf("%w: %s does not say since when it is up", ErrUnsure, c.client.Host())
	}
	if s.Cluster.Status != "ready" && s.Cluster.Status != "disabled" {
		return "", fmt.Errorf("%w: the cluster of %s is %q", ErrUnsure, c.client.Host(), clean(s.Cluster.Status, 100))
	}
	if up := c.client.Clock().Now().Sub(s.Since); up < c.cfg.SettleFor {
		return "", fmt.Errorf("%w: %s has been up for %v, and its list is whole after %v", ErrUnsure, c.client.Host(), up.Round(time.Second), c.cfg.SettleFor)
	}
	return fmt.Sprintf("Alertmanager %s at %s, up since %s", clean(s.Version.Version, 50), c.client.Host(), s.Since.UTC().Format(time.RFC3339)), nil
}

func (c *Checker) get(ctx context.Context, path string, query map[string][]string) ([]byte, error) {
	answer, err := c.client.Do(ctx, resthttp.Request{Method: http.MethodGet, Path: path, Query: query, Repeat: true, Authorize: c.authorize})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsure, err)
	}
	return answer.Body, nil
}

func (c *Checker) authorize(_ context.Context, h http.Header, _ time.Time) error {
	switch {
	case len(c.cfg.Bearer) > 0:
		h.Set("Authorization", "Bearer "+string(c.cfg.Bearer))
	case c.cfg.User != "":
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.cfg.User+":"+string(c.cfg.Password))))
	}
	return nil
}
