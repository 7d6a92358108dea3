package console

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/andon-go/andon/safety"
)

// answer is what an action says to a script.
type answer struct {
	Done  string     `json:"done,omitempty"`
	Error string     `json:"error,omitempty"`
	Cord  *cordState `json:"cord,omitempty"`
}

// donePage is what pages/done.html gets.
type donePage struct {
	frame
	Title, Text string
	Failed      bool
	Plan        *safety.ClosePlan // to be confirmed
	Table       string
}

// outcome is what an action did.
type outcome struct {
	text, table string
	plan        *safety.ClosePlan
}

// deed is one action: who may do it is asked under its name.
type deed struct {
	action Action
	do     func(c *Console, ctx context.Context, person string, form func(string) string) (outcome, error)
}

// deeds by the last part of their address.
var deeds = map[string]deed{
	"stop":        {Stop, (*Console).stop},
	"hold":        {Narrow, (*Console).narrow},
	"release":     {Release, (*Console).release},
	"acknowledge": {Acknowledge, (*Console).acknowledge},
	"note":        {Note, (*Console).note},
	"approve":     {Approve, (*Console).approve},
	"plan":        {CloseAll, (*Console).plan},
	"close":       {CloseAll, (*Console).closeAll},
	"resume":      {Resume, (*Console).resume},
}

// serveAction does what a form asks for. A stop needs the browser's word that the console's
// own page sent it, and a person who may stop; every other action a token besides, which a
// page from before a restart does not have.
func (c *Console) serveAction(w http.ResponseWriter, r *http.Request, name string) {
	d, ok := deeds[name]
	if !ok {
		c.refuse(w, r, http.StatusNotFound, "There is no such action.")
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		c.refuse(w, r, http.StatusMethodNotAllowed, "This is done by a form of the console only.")
		return
	}
	if err := ownPage(r); err != nil {
		c.cfg.Log.Warn("console: forged request refused", "action", d.action, "from", r.RemoteAddr, "origin", r.Header.Get("Origin"))
		c.refuse(w, r, http.StatusForbidden, sentence(err))
		return
	}
	person, ok := c.who(w, r, d.action)
	if !ok {
		return
	}
	now := time.Now()
	parsed := r.ParseForm()
	if d.action != Stop {
		session, _ := sessionOf(r) // without one no token is good: each is of a session
		err := parsed
		if err == nil {
			err = c.guard.count(person, now)
		}
		if err == nil {
			err = c.guard.spend(session, person, r.PostForm.Get("token"), now)
		}
		if err != nil {
			c.refuse(w, r, refusedAs(err), sentence(err))
			return
		}
	}
	form := func(field string) string {
		if parsed != nil {
			return "" // a stop is not refused for its form
		}
		return strings.TrimSpace(strings.Join(r.PostForm[field], ","))
	}
	out := http.NewResponseController(w)
	if err := out.SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		c.cfg.Log.Warn("console: write deadline", "err", err)
	}
	// What was asked for is done to its end, whether or not somebody waits for the answer.
	did, err := d.do(c, context.WithoutCancel(r.Context()), person, form)
	c.answer(w, r, person, d.action, did, err)
}

func (c *Console) answer(w http.ResponseWriter, r *http.Request, person string, a Action, did outcome, err error) {
	code := http.StatusOK
	if err != nil {
		code = http.StatusConflict
		did.text = sentence(err)
		c.cfg.Log.Warn("console: not done", "action", a, "by", person, "err", err)
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		s := c.cfg.Switch.Status()
		reply := answer{Done: did.text, Cord: &cordState{trading(s.State), len(s.Holds), s.InFlight, s.Durable, seenOf(s.Holds)}}
		if err != nil {
			reply.Done, reply.Error = "", did.text
		}
		writeJSON(w, code, reply)
		return
	}
	f, frameErr := c.frame(w, r, person)
	if frameErr != nil {
		c.cfg.Log.Error("console: page", "err", frameErr)
	}
	title := "Done"
	switch {
	case err != nil:
		title = "Not done"
	case did.plan != nil:
		title = "Close all: the plan"
	}
	c.render(w, code, "done.html", donePage{f, title, did.text, err != nil, did.plan, did.table})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "the answer could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(b) // whoever asked has gone
}

func refusedAs(err error) int {
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errMany):
		return http.StatusTooManyRequests
	case errors.Is(err, errTwice):
		return http.StatusConflict
	}
	return http.StatusForbidden
}

// sentence is an error for a page.
func sentence(err error) string {
	s := err.Error()
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

func (c *Console) stop(ctx context.Context, person string, form func(string) string) (outcome, error) {
	if err := c.cfg.Switch.Engage(person, cmp.Or(form("reason"), "stopped from the console")); err != nil {
		return outcome{}, err
	}
	s := c.cfg.Switch.Status()
	text := "Trading is " + trading(s.State) + "."
	if s.InFlight > 0 {
		text += fmt.Sprintf(" %d orders had passed the gate and are in flight.", s.InFlight)
	}
	return outcome{text: text}, nil
}

func (c *Console) narrow(ctx context.Context, person string, form func(string) string) (outcome, error) {
	why := form("why")
	if why == "" {
		return outcome{}, errors.New("a hold needs a reason, for whoever lifts it")
	}
	if err := c.cfg.Switch.Reduce(person, why); err != nil {
		return outcome{}, err
	}
	return outcome{text: "Nothing that adds exposure passes. Trading is " + trading(c.cfg.Switch.State()) + "."}, nil
}

// inForce returns the holds in force that a form has marks of.
func (c *Console) inForce(marks string) []safety.Hold {
	have := strings.Split(marks, ",")
	return slices.DeleteFunc(c.cfg.Switch.Status().Holds, func(h safety.Hold) bool { return !slices.Contains(have, markOf(h)) })
}

func (c *Console) release(ctx context.Context, person string, form func(string) string) (outcome, error) {
	holds := c.inForce(form("hold"))
	if len(holds) != 1 {
		return outcome{}, errors.New("the hold is not in force any more as it was shown")
	}
	if err := c.cfg.Switch.Lift(ctx, person, form("why"), holds[0]); err != nil {
		return outcome{}, err
	}
	return outcome{text: fmt.Sprintf("Hold #%d is lifted. Trading is %s.", holds[0].ID, trading(c.cfg.Switch.State()))}, nil
}

func (c *Console) acknowledge(ctx context.Context, person string, form func(string) string) (outcome, error) {
	if err := c.cfg.Incidents.Acknowledge(ctx, form("number"), person); err != nil {
		return outcome{}, err
	}
	return outcome{text: form("number") + " is yours. No escalation page starts any more."}, nil
}

func (c *Console) note(ctx context.Context, person string, form func(string) string) (outcome, error) {
	text := form("text")
	if text == "" {
		return outcome{}, errors.New("the note is empty")
	}
	if err := c.cfg.Incidents.Note(ctx, form("number"), person, text, ""); err != nil {
		return outcome{}, err
	}
	return outcome{text: "The note is on the timeline of " + form("number") + "."}, nil
}

func (c *Console) approve(ctx context.Context, person string, form func(string) string) (outcome, error) {
	if c.cfg.Runbooks == nil {
		return outcome{}, errors.New("this bot has no runbooks (Config.Runbooks)")
	}
	if form("why") == "" {
		return outcome{}, errors.New("an approval needs a reason")
	}
	if err := c.cfg.Runbooks.Approve(ctx, form("run"), form("step"), person, form("why")); err != nil {
		return outcome{}, err
	}
	return outcome{text: "Approved: " + form("step") + "."}, nil
}

// plans are the close-all plans that were shown and may be confirmed.
type plans struct {
	mu    sync.Mutex
	shown []safety.ClosePlan // the newest last
}

// maxPlans is how many plans are kept; they are old after minutes anyhow.
const maxPlans = 8

var errNoCloser = errors.New("this bot has no Closer (Config.Closer), so that no program can close its positions: do it on the venues")

func (c *Console) plan(ctx context.Context, _ string, _ func(string) string) (outcome, error) {
	if c.cfg.Closer == nil {
		return outcome{}, errNoCloser
	}
	p, err := c.cfg.Closer.Plan(ctx, time.Now())
	if err != nil {
		return outcome{}, err
	}
	var table strings.Builder
	if err := p.WriteTable(&table); err != nil {
		return outcome{}, err
	}
	c.plans.mu.Lock()
	defer c.plans.mu.Unlock()
	c.plans.shown = append(c.plans.shown, p)
	if n := len(c.plans.shown) - maxPlans; n > 0 {
		c.plans.shown = slices.Delete(c.plans.shown, 0, n)
	}
	return outcome{text: "Nothing was sent. Read the plan; its token confirms it.", table: table.String(), plan: &p}, nil
}

func (c *Console) closeAll(ctx context.Context, person string, form func(string) string) (outcome, error) {
	if c.cfg.Closer == nil {
		return outcome{}, errNoCloser
	}
	c.plans.mu.Lock()
	i := slices.IndexFunc(c.plans.shown, func(p safety.ClosePlan) bool { return p.ID == form("plan") })
	var p safety.ClosePlan
	if i >= 0 {
		p = c.plans.shown[i]
	}
	c.plans.mu.Unlock()
	if i < 0 {
		return outcome{}, errors.New("this plan is not known any more, and nothing was done: make a new one")
	}
	report, err := c.cfg.Closer.Apply(ctx, p, safety.Confirmation{By: person, Note: form("why"), Token: form("confirm")}, time.Now())
	var table strings.Builder
	if report.Venues != nil {
		if tableErr := report.WriteTable(&table); tableErr != nil {
			err = errors.Join(err, tableErr)
		}
	}
	return outcome{text: report.String(), table: table.String()}, err
}

func (c *Console) resume(ctx context.Context, person string, form func(string) string) (outcome, error) {
	if err := c.cfg.Switch.Resume(ctx, person, form("why"), c.inForce(form("seen"))); err != nil {
		return outcome{}, err
	}
	state := trading(c.cfg.Switch.State())
	text := "Every hold that you have seen is lifted. Trading is " + state + "."
	if state != safety.Active.String() {
		text += " What still lasts narrows it; the cord says what."
	}
	return outcome{text: text}, nil
}
