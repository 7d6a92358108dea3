package console

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/severity"
)

// historyDays is how far back the status page goes.
const historyDays = 90

// maxOld is how many incidents that are over the status page lists.
const maxOld = 20

// Status is what the status page says, as /status.json gives it.
type Status struct {
	Name      string           `json:"name"`
	At        time.Time        `json:"at"`
	Trading   string           `json:"trading"` // active, reducing or halted
	Open      []StatusIncident `json:"open"`
	Over      []StatusIncident `json:"over"` // the newest first
	Days      []Day            `json:"days"` // the oldest first, today last
	Exchanges []StatusExchange `json:"exchanges"`
}

// StatusIncident is what everybody may know of an incident.
type StatusIncident struct {
	Number   string    `json:"number"`
	Level    string    `json:"level"`
	Status   string    `json:"status"`
	Declared time.Time `json:"declared"`
	Resolved time.Time `json:"resolved,omitzero"`
	Update   string    `json:"update,omitempty"` // what a person wrote last
	ETA      string    `json:"eta,omitempty"`
	Updated  time.Time `json:"updated"` // when anything was last said or changed
}

// Day is one day of the history, in UTC.
type Day struct {
	Date  string `json:"date"`
	Level string `json:"level"` // the worst; "none" without an incident, "unknown" without a record
	Count int    `json:"count"` // incidents that were open
}

// StatusExchange is the state of somebody else's service, in their words.
type StatusExchange struct {
	Name  string    `json:"name"`
	Page  string    `json:"page"`
	State string    `json:"state"` // operational, minor, major, critical, maintenance or unknown
	Why   string    `json:"why,omitempty"`
	At    time.Time `json:"at,omitzero"` // when it was last known
}

// statusPage is what pages/status.html gets.
type statusPage struct {
	Base string
	Status
}

// statusCache is the status page, made at most once a second however many read it.
type statusCache struct {
	mu         sync.Mutex
	made       time.Time
	etag       string
	html, json []byte
}

// statusFor is how long a page that was made is served.
const statusFor = time.Second

func (c *Console) serveStatus(w http.ResponseWriter, r *http.Request, asJSON bool) {
	if !c.cfg.Public {
		if r.URL.Path == c.cfg.Base || r.URL.Path == c.cfg.Base+"/" {
			http.Redirect(w, r, c.cfg.Base+"/console", http.StatusSeeOther)
			return
		}
		c.refuse(w, r, http.StatusNotFound, "This bot has no public status page.")
		return
	}
	if !reading(w, r) {
		return
	}
	etag, html, data, err := c.statusNow(time.Now())
	if err != nil {
		c.cfg.Log.Error("console: status page", "err", err)
		http.Error(w, "the status is not known: the page could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=1")
	if asJSON {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
		send(w, r, "application/json", etag, data)
		return
	}
	send(w, r, "text/html; charset=utf-8", etag, html)
}

// statusNow returns the page of this second. The lock is held while it is made, so that a
// thousand who ask at once cost one page.
func (c *Console) statusNow(now time.Time) (etag string, html, data []byte, err error) {
	s := &c.status
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := now.Sub(s.made); s.html != nil && age < statusFor && age > -statusFor {
		return s.etag, s.html, s.json, nil
	}
	status := c.Status(now)
	if html, err = c.page("status.html", statusPage{c.cfg.Base, status}); err != nil {
		s.html = nil // no old page in place of one that cannot be made
		return "", nil, nil, err
	}
	if data, err = json.MarshalIndent(status, "", "  "); err != nil {
		s.html = nil
		return "", nil, nil, err
	}
	still := status
	still.At = time.Time{} // a page that says the same is the same, whenever it was made
	same, err := json.Marshal(still)
	if err != nil {
		s.html = nil
		return "", nil, nil, err
	}
	s.made, s.etag, s.html, s.json = now, tag(same), html, append(data, '\n')
	return s.etag, s.html, s.json, nil
}

// Status returns what everybody may know at a moment, as the status page says it.
func (c *Console) Status(now time.Time) Status {
	s := Status{
		Name: c.cfg.Name, At: now.UTC().Truncate(time.Second), Trading: trading(c.cfg.Switch.State()),
		Open: []StatusIncident{}, Over: []StatusIncident{}, Exchanges: []StatusExchange{},
	}
	all := c.cfg.Incidents.All()
	for _, in := range all {
		if in.Status == incident.Closed {
			s.Over = append(s.Over, told(in))
		} else {
			s.Open = append(s.Open, told(in))
		}
	}
	slices.Reverse(s.Open)
	slices.Reverse(s.Over)
	s.Over = s.Over[:min(len(s.Over), maxOld)]
	s.Days = history(all, c.seen.beginning(), now)
	for i, e := range c.cfg.Exchanges {
		state, at, err := c.seen.exchange(i).value(now, 3*c.cfg.ExchangesEvery)
		x := StatusExchange{Name: e.Name, Page: e.Page, State: state, At: at}
		if err != nil {
			x.State, x.Why = unknown, "its status page did not say"
		}
		s.Exchanges = append(s.Exchanges, x)
	}
	return s
}

const unknown = "unknown"

// trading is the state for everybody; one that is none of the three is the strictest.
func trading(s safety.TradingState) string {
	switch s {
	case safety.Active, safety.Reducing:
		return s.String()
	}
	return safety.Halted.String()
}

func told(in incident.Incident) StatusIncident {
	t := StatusIncident{
		Number: in.Number, Level: in.Level.String(), Status: string(in.Status), Declared: in.DeclaredAt.UTC(), Resolved: in.ResolvedAt.UTC(),
		Update: in.LastUpdate.Status, ETA: in.LastUpdate.ETA,
	}
	if in.ResolvedAt.IsZero() {
		t.Resolved = time.Time{}
	}
	for _, at := range []time.Time{in.DeclaredAt, in.AckedAt, in.MitigatedAt, in.ResolvedAt, in.UpdatedAt} {
		if at.After(t.Updated) {
			t.Updated = at.UTC()
		}
	}
	return t
}

// history says of each day which was the worst incident that was open on it. Days before
// the first record are unknown: nobody looked.
func history(all []incident.Incident, begun, now time.Time) []Day {
	for _, in := range all {
		if begun.IsZero() || in.DeclaredAt.Before(begun) {
			begun = in.DeclaredAt
		}
	}
	today := now.UTC().Truncate(24 * time.Hour)
	days := make([]Day, historyDays)
	for i := range days {
		from := today.AddDate(0, 0, i-historyDays+1)
		to := from.AddDate(0, 0, 1)
		d := Day{Date: from.Format(time.DateOnly), Level: "none"}
		if begun.IsZero() || !begun.Before(to) {
			d.Level = unknown
		}
		worst, any := severity.SEV4, false
		for _, in := range all {
			if in.DeclaredAt.Before(to) && (in.ResolvedAt.IsZero() || !in.ResolvedAt.Before(from)) {
				worst, any, d.Count = severity.Worst(worst, in.Level), true, d.Count+1
			}
		}
		if any {
			d.Level = worst.String()
		}
		days[i] = d
	}
	return days
}
