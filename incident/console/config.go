package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/safety"
)

// Config is what a Console needs. Name, Switch and Incidents have no default; what else
// is left out is said to be missing where it would be shown.
type Config struct {
	// Name of the bot, as people see it.
	Name string

	// Base is the path below which the handler is mounted, such as "/andon". Defaults to
	// the root.
	Base string

	// Public serves the status page to everybody.
	Public bool

	// Authorizer decides who may use the console. Nil: the console is not served.
	Authorizer Authorizer

	// Hosts are the names, without a port, by which the console may be asked for.
	// Defaults to this machine's own, localhost and loopback addresses, and then it
	// answers no request that came from another machine or through a proxy.
	Hosts []string

	Switch    *safety.Switch    // the cord
	Incidents *incident.Manager // the incidents

	// Timeline is the store that Incidents writes, for the live stream. Nil: there is none.
	Timeline incident.Store

	Closer      *safety.Closer                   // close all
	Runbooks    *runbook.Engine                  // runs, and their approvals
	Catalog     *recovery.Catalog                // backups against their objectives
	Reconcilers map[string]*reconcile.Reconciler // by venue: where book and venue disagree

	// Accounts are read for the positions, by venue. Requirements say which stops count.
	Accounts     map[string]andon.Account
	Requirements safety.Requirements

	// Exchanges are the status pages of others. Defaults to Coinbase's and Bluefin's;
	// empty and not nil: none.
	Exchanges []Exchange

	// Client asks them. Defaults to one that follows no redirect to another host.
	Client *http.Client

	// Card is the quick-reference card; playbook.Playbook.Card makes one. Defaults to
	// DefaultCard.
	Card Card

	// LookEvery is how often accounts are read, 10 s by default; BackupsEvery how often
	// the catalog is, 30 s; ExchangesEvery how often the exchanges' pages are, 1 min.
	LookEvery, BackupsEvery, ExchangesEvery time.Duration

	// AskWithin is how long one of these looks, or one reading of the timeline, may take.
	// Defaults to 10 s.
	AskWithin time.Duration

	// MaxStreams is how many pages may be live at a time. Defaults to 256.
	MaxStreams int

	// ActionsPerMinute is how many actions one person may ask for; stopping is not
	// counted. Defaults to 60.
	ActionsPerMinute int

	// Log gets what could not be looked at or done. Defaults to slog.Default().
	Log *slog.Logger
}

// Exchange is the status page of somebody else.
type Exchange struct {
	Name string
	Page string // for people

	// API is the address of its state in the form that statuspage.io gives it
	// (/api/v2/status.json). Empty: the page is linked and its state is unknown.
	API string
}

// DefaultExchanges returns the playbook's: Coinbase and Bluefin.
func DefaultExchanges() []Exchange {
	return []Exchange{
		{"Coinbase", "https://status.coinbase.com", "https://status.coinbase.com/api/v2/status.json"},
		{"Bluefin", "https://status.bluefin.io", "https://status.bluefin.io/api/v2/status.json"},
	}
}

func (c Config) withDefaults() Config {
	if c.Exchanges == nil {
		c.Exchanges = DefaultExchanges()
	}
	if c.Client == nil {
		c.Client = &http.Client{CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if r.URL.Host != via[0].URL.Host || len(via) > 3 {
				return http.ErrUseLastResponse
			}
			return nil
		}}
	}
	if c.Card.empty() {
		c.Card = DefaultCard()
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.LookEvery, 10 * time.Second}, {&c.BackupsEvery, 30 * time.Second}, {&c.ExchangesEvery, time.Minute}, {&c.AskWithin, 10 * time.Second}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, n := range []struct {
		field *int
		value int
	}{{&c.MaxStreams, 256}, {&c.ActionsPerMinute, 60}} {
		if *n.field == 0 {
			*n.field = n.value
		}
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if strings.TrimSpace(c.Name) == "" {
		add("Name is empty")
	}
	if c.Switch == nil {
		add("Switch is missing")
	}
	if c.Incidents == nil {
		add("Incidents is missing")
	}
	if c.Base != "" && (!strings.HasPrefix(c.Base, "/") || strings.HasSuffix(c.Base, "/") || strings.ContainsAny(c.Base, "?#;\"'<> \\")) {
		add("Base %q is no path such as /andon", c.Base)
	}
	for _, h := range c.Hosts {
		if h == "" || strings.ContainsAny(h, "/*: ") {
			add("Hosts has %q, want a name without a port, and no wildcard", h)
		}
	}
	for i, e := range c.Exchanges {
		if e.Name == "" {
			add("Exchanges[%d].Name is empty", i)
		}
		if !webAddress(e.Page) {
			add("Exchanges[%d].Page %q is no http address", i, e.Page)
		}
		if e.API != "" && !webAddress(e.API) {
			add("Exchanges[%d].API %q is no http address", i, e.API)
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"LookEvery", c.LookEvery}, {"BackupsEvery", c.BackupsEvery}, {"ExchangesEvery", c.ExchangesEvery}, {"AskWithin", c.AskWithin}} {
		if d.value < 0 {
			add("%s is %v, want more than zero", d.name, d.value)
		}
	}
	if c.MaxStreams < 0 {
		add("MaxStreams is %d, want more than zero", c.MaxStreams)
	}
	if c.ActionsPerMinute < 0 {
		add("ActionsPerMinute is %d, want more than zero", c.ActionsPerMinute)
	}
	for i, l := range c.Card.Links {
		if !webAddress(l.To) {
			add("Card.Links[%d].To %q is no http address", i, l.To)
		}
	}
	return errors.Join(errs...)
}

func webAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// bounded runs a look within AskWithin; one that panics is an error of its own.
func (c *Console) bounded(ctx context.Context, what string, f func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.AskWithin)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s panicked: %v", what, p)
		}
	}()
	return f(ctx)
}
