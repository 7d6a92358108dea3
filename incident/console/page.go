package console

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/severity"
)

// How much one page lists; the rest is counted.
const (
	maxIncidents = 50
	maxDue       = 20
	maxRuns      = 10
	maxLines     = 50
	maxTimeline  = 200
)

// frame is what every page of the console has.
type frame struct {
	Base, Name, Person, Token string
	Public                    bool
	At                        time.Time
}

// consolePage is what pages/console.html gets.
type consolePage struct {
	frame
	Cord      safety.Status
	State     string
	Seen      string
	Legs      []legRow
	Strays    []legRow
	Unread    []string // venues that could not be read, and why
	Looked    []string // venues and when they were read
	Venues    int
	Incidents []incident.Incident
	More      int // open incidents that are not listed
	Due       []dueRow
	Runs      []runbook.Run
	HasRuns   bool
	Backups   []backupRow
	BackupErr string
	HasBackup bool
	Books     []bookRow
	Closer    bool
	Lines     []line
	Last      uint64
	LinesErr  string
	Unwritten int
	Live      bool
}

type legRow struct {
	Venue, Leg, Quantity, Entry, Mark string
	Covered                           string
	Protected                         bool
	Problems                          []string
	Stops                             []stopRow
	Draw                              []tick
}

type stopRow struct {
	Name, What, Trigger string
	Covers              bool
	Findings            []string
}

// tick is a price on the drawing of a leg, X from 0 to 200.
type tick struct{ X, Kind, Label string }

type dueRow struct {
	incident.Upcoming
	Late bool
	To   string
}

type backupRow struct {
	recovery.Compliance
	RPO, RTO bar
}

// bar is how much of an objective is used: the objective is at 100 of 200.
type bar struct {
	Width int // 0 to 200; -1: nothing was measured
	Text  string
}

type bookRow struct {
	Venue      string
	Mismatches []reconcile.Mismatch
	Accepted   []reconcile.Acceptance
}

// consoleNow gathers the page from what the engines have in memory and Run has seen.
func (c *Console) consoleNow(f frame) consolePage {
	now := f.At
	p := consolePage{frame: f, Cord: c.cfg.Switch.Status(), HasRuns: c.cfg.Runbooks != nil, HasBackup: c.cfg.Catalog != nil,
		Closer: c.cfg.Closer != nil, Venues: len(c.cfg.Accounts), Live: c.running.Load()}
	p.State, p.Seen = trading(p.Cord.State), seenOf(p.Cord.Holds)
	for _, name := range slices.Sorted(maps.Keys(c.cfg.Accounts)) {
		seen, at, err := c.seen.accounts[name].value(now, 3*c.cfg.LookEvery)
		if err != nil {
			p.Unread = append(p.Unread, fmt.Sprintf("%s: %v", name, err))
		}
		if at.IsZero() {
			continue
		}
		p.Looked = append(p.Looked, name+" at "+at.UTC().Format(time.TimeOnly))
		for _, l := range seen.report.Legs {
			p.Legs = append(p.Legs, legOf(name, l))
		}
		for _, s := range seen.report.Strays {
			p.Strays = append(p.Strays, legRow{Venue: name, Leg: s.Order.Key().String(), Stops: []stopRow{stopOf(s)}})
		}
	}
	open := c.cfg.Incidents.Open()
	slices.SortStableFunc(open, func(a, b incident.Incident) int {
		return cmp.Or(worstFirst(a.Level, b.Level), b.DeclaredAt.Compare(a.DeclaredAt))
	})
	p.More = max(0, len(open)-maxIncidents)
	p.Incidents = open[:len(open)-p.More]
	for _, u := range c.cfg.Incidents.Upcoming() {
		if len(p.Due) < maxDue {
			p.Due = append(p.Due, dueRow{Upcoming: u, Late: !u.At.After(now)})
		}
	}
	if c.cfg.Runbooks != nil {
		p.Runs = c.cfg.Runbooks.All()
		p.Runs = p.Runs[:min(len(p.Runs), maxRuns)]
	}
	if c.cfg.Catalog != nil {
		all, _, err := c.seen.backups.value(now, 3*c.cfg.BackupsEvery)
		if err != nil {
			p.BackupErr = err.Error()
		}
		for _, x := range all {
			p.Backups = append(p.Backups, backupRow{x, barOf(x.Age, x.Objective.RPO, !x.Newest.At.IsZero()), barOf(x.RestoreTook, x.Objective.RTO, x.RestoreTook > 0)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.cfg.Reconcilers)) {
		r := c.cfg.Reconcilers[name]
		p.Books = append(p.Books, bookRow{name, r.Mismatches(), r.Accepted()})
	}
	var err error
	if p.Lines, p.Last, err = c.feed.tail(maxLines); err != nil {
		p.LinesErr = err.Error()
	}
	if p.Unwritten, err = c.cfg.Incidents.Unrecorded(); err != nil {
		p.LinesErr = err.Error()
	}
	return p
}

// worstFirst orders levels, the worst first; an unclassified one is as bad as the worst.
func worstFirst(a, b severity.Level) int {
	switch {
	case a.AtLeast(b) && b.AtLeast(a):
		return 0
	case a.AtLeast(b):
		return -1
	}
	return 1
}

// seenOf is what a form remembers of holds, so that only those are lifted that its reader
// has seen.
func seenOf(holds []safety.Hold) string {
	var marks []string
	for _, h := range holds {
		marks = append(marks, markOf(h))
	}
	return strings.Join(marks, ",")
}

func markOf(h safety.Hold) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d|%v|%q|%q|%d|%v", h.ID, h.State, h.By, h.Reason, h.At.UnixNano(), h.Passing))
	return hex.EncodeToString(sum[:8])
}

func legOf(venue string, l safety.LegProtection) legRow {
	row := legRow{
		Venue: venue, Leg: l.Position.Key().String(), Quantity: l.Position.Quantity.String(), Entry: price(l.Position.Entry), Mark: price(l.Position.Mark),
		Covered: l.Covered.String(), Protected: l.Protected(), Draw: drawn(l),
	}
	for _, f := range l.Problems {
		row.Problems = append(row.Problems, f.String())
	}
	for _, s := range l.Stops {
		row.Stops = append(row.Stops, stopOf(s))
	}
	return row
}

func stopOf(s safety.StopCheck) stopRow {
	o := s.Order
	row := stopRow{Name: cmp.Or(o.ClientID, o.VenueID, "(no id)"), What: fmt.Sprintf("%v %v", o.Side, o.Remaining()), Trigger: price(o.Trigger), Covers: s.Covers}
	for _, f := range s.Findings {
		row.Findings = append(row.Findings, f.String())
	}
	return row
}

// price is a price for people; zero means that it is not known.
func price(d andon.Decimal) string {
	if d.IsZero() {
		return unknown
	}
	return d.String()
}

// drawn places the prices of a leg on a line, to scale. Prices that are not known are not
// on it, and with less than two there is no line.
func drawn(l safety.LegProtection) []tick {
	type named struct {
		d           andon.Decimal
		kind, label string
	}
	var all []named
	add := func(d andon.Decimal, kind, label string) {
		if d.Sign() > 0 {
			all = append(all, named{d, kind, label})
		}
	}
	add(l.Position.Entry, "entry", "entry "+price(l.Position.Entry))
	add(l.Position.Mark, "mark", "mark "+price(l.Position.Mark))
	for _, s := range l.Stops {
		kind, label := "stop", "stop "
		if !s.Covers {
			kind, label = "nostop", "no cover "
		}
		add(s.Order.Trigger, kind, label+price(s.Order.Trigger))
	}
	if len(all) < 2 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b named) int { return a.d.Cmp(b.d) }) // read from left to right, as it is drawn
	low, high := all[0].d, all[len(all)-1].d
	span := high.Sub(low)
	if span.Sign() <= 0 {
		return nil
	}
	var ticks []tick
	for _, n := range all {
		x, err := n.d.Sub(low).Mul(andon.NewDecimal(180, 0))
		if err != nil {
			return nil
		}
		if x, err = x.Quo(span, 1, andon.HalfEven); err != nil {
			return nil
		}
		ticks = append(ticks, tick{x.Add(andon.NewDecimal(10, 0)).String(), n.kind, n.label})
	}
	return ticks
}

func barOf(took, objective time.Duration, measured bool) bar {
	if !measured {
		return bar{-1, "not measured"}
	}
	b := bar{200, fmt.Sprintf("%v of %v", rounded(took), objective)}
	if objective > 0 {
		b.Width = int(min(200, took*100/objective))
	}
	return b
}

// rounded keeps what is shorter than a second.
func rounded(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Second)
}

// incidentPage is what pages/incident.html gets.
type incidentPage struct {
	frame
	In       incident.Incident
	Over     bool
	Unproven []string
	Lines    []line // the newest first
	Earlier  int    // events that are not listed
	Err      string
}

func (c *Console) incidentNow(ctx context.Context, f frame, number string) (incidentPage, error) {
	in, err := c.cfg.Incidents.Get(number)
	if err != nil {
		return incidentPage{}, err
	}
	p := incidentPage{frame: f, In: in, Over: in.Status == incident.Closed}
	if p.Unproven, err = c.cfg.Incidents.Unproven(number); err != nil {
		return p, err
	}
	var events []incident.Event
	err = c.bounded(ctx, "the timeline", func(ctx context.Context) (err error) {
		events, err = c.cfg.Incidents.Timeline(ctx, number)
		return err
	})
	if err != nil {
		p.Err = err.Error()
	}
	p.Earlier = max(0, len(events)-maxTimeline)
	for _, e := range events[p.Earlier:] {
		p.Lines = append(p.Lines, lineOf(e))
	}
	slices.Reverse(p.Lines)
	return p, nil
}

// words are the functions of the pages.
func (c *Console) words() template.FuncMap {
	return template.FuncMap{
		"at": func(t time.Time) string {
			if t.IsZero() {
				return "not yet"
			}
			return t.UTC().Format("2006-01-02 15:04:05 UTC")
		},
		"iso": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"for": func(now, t time.Time) string {
			d := t.Sub(now).Round(time.Second)
			if d < 0 {
				return "late by " + (-d).String()
			}
			return "in " + d.String()
		},
		"mark":     markOf,
		"lower":    func(v any) string { return strings.ToLower(fmt.Sprint(v)) },
		"mul":      func(a, b int) int { return a * b },
		"needs":    func(s runbook.StepStatus) bool { return s.Status == runbook.Waiting },
		"css":      c.asset("console.css"),
		"js":       c.asset("console.js"),
		"halted":   func(s string) bool { return s == safety.Halted.String() },
		"lifts":    func(h safety.Hold) bool { return !h.Passing && h.State != safety.Halted },
		"levelcss": func(s string) string { return "l-" + strings.ToLower(strings.ReplaceAll(s, " ", "-")) },
	}
}

// asset returns the address of a file, which changes with its content.
func (c *Console) asset(name string) func() string {
	return func() string {
		return c.cfg.Base + "/assets/" + name + "?v=" + strings.Trim(c.assets[name].etag, `W/"`)[:8]
	}
}

// serveConsole serves everything below /console.
func (c *Console) serveConsole(w http.ResponseWriter, r *http.Request, sub string) {
	if c.cfg.Authorizer == nil {
		c.refuse(w, r, http.StatusForbidden, "The console is not served: this bot has no Authorizer (Config.Authorizer), so nobody could be told from anybody.")
		return
	}
	if why := c.here(r); why != "" {
		c.refuse(w, r, http.StatusForbidden, why)
		return
	}
	if action, ok := strings.CutPrefix(sub, "do/"); ok {
		c.serveAction(w, r, action)
		return
	}
	if !reading(w, r) {
		return
	}
	person, ok := c.who(w, r, View)
	if !ok {
		return
	}
	if sub == "events" {
		c.serveEvents(w, r)
		return
	}
	f, err := c.frame(w, r, person)
	if err != nil {
		c.cfg.Log.Error("console: page", "err", err)
		c.refuse(w, r, http.StatusInternalServerError, "The page could not be made. To stop trading, place the flag file.")
		return
	}
	switch sub {
	case "":
		c.render(w, http.StatusOK, "console.html", c.consoleNow(f))
	case "incident":
		p, err := c.incidentNow(r.Context(), f, r.URL.Query().Get("number"))
		if err != nil {
			c.refuse(w, r, http.StatusNotFound, err.Error())
			return
		}
		c.render(w, http.StatusOK, "incident.html", p)
	case "card":
		c.render(w, http.StatusOK, "card.html", struct {
			frame
			Card Card
		}{f, c.cfg.Card})
	default:
		c.refuse(w, r, http.StatusNotFound, "There is no such page.")
	}
}

func (c *Console) frame(w http.ResponseWriter, r *http.Request, person string) (frame, error) {
	f := frame{Base: c.cfg.Base, Name: c.cfg.Name, Person: person, Public: c.cfg.Public, At: time.Now()}
	session, err := c.session(w, r)
	if err != nil {
		return f, err
	}
	f.Token, err = c.guard.token(session, person, f.At)
	return f, err
}
