package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/safety"
)

// maxAnswer bounds what a client reads.
const maxAnswer = 64 << 20

// Client asks a running bot. It is safe for concurrent use.
type Client struct {
	path string
	http *http.Client
}

// Dial returns a Client of the bot whose socket lies at path. It asks nothing yet.
func Dial(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		d := net.Dialer{Timeout: 2 * time.Second}
		c, err := d.DialContext(ctx, "unix", path)
		if err != nil {
			return nil, &dialError{err}
		}
		return c, nil
	}
	return &Client{path: path, http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// dialError is an error before anything was asked.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// call asks for one command. What came beside an error is returned with it.
func call[Req, Resp any](ctx context.Context, c *Client, name string, req Req) (resp Resp, err error) {
	body, err := json.Marshal(req)
	if err != nil {
		return resp, fmt.Errorf("%s: %w", name, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://bot/v1/"+name, bytes.NewReader(body))
	if err != nil {
		return resp, err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := c.http.Do(r)
	if err != nil {
		return resp, c.unanswered(name, err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return resp, fmt.Errorf("%s: %w: %w", name, ErrOutcome, err)
	case len(b) > maxAnswer:
		return resp, fmt.Errorf("%s: %w: the answer is longer than %d bytes", name, ErrOutcome, maxAnswer)
	}
	if answer.StatusCode != http.StatusOK {
		var f failure
		if err := json.Unmarshal(b, &f); err != nil || f.Code == "" {
			return resp, fmt.Errorf("%s: %w: answer %d, which is not a bot's", name, ErrOutcome, answer.StatusCode)
		}
		if f.Detail != nil {
			if err := json.Unmarshal(f.Detail, &resp); err != nil {
				return resp, errors.Join(&Error{Command: name, Code: f.Code, Text: f.Text}, err)
			}
		}
		return resp, &Error{Command: name, Code: f.Code, Text: f.Text}
	}
	if err := json.Unmarshal(b, &resp); err != nil {
		return resp, fmt.Errorf("%s: %w: answer: %w", name, ErrOutcome, err)
	}
	return resp, nil
}

// unanswered says what it means that no answer came.
func (c *Client) unanswered(name string, err error) error {
	if _, before := errors.AsType[*dialError](err); !before {
		return fmt.Errorf("%s: %w: %w", name, ErrOutcome, err)
	}
	switch {
	case c.path == "":
		return as(ErrNotRunning, errors.New("no control socket was named, so no bot was asked: name it with --socket, ANDON_SOCKET, or socket in the file of --config"))
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s: %w", c.path, ErrNotRunning)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: %w", c.path, ErrForbidden)
	}
	// Somebody may be there who does not take connections, such as a process that is frozen.
	return fmt.Errorf("%s: nobody answers: %w", c.path, err)
}

// Stop closes the gate, and returns once it is closed. Only Stopped.State says that it is:
// with any error it is not known.
func (c *Client) Stop(ctx context.Context, by, why string) (Stopped, error) {
	return call[stopReq, Stopped](ctx, c, "stop", stopReq{by, why})
}

// Resume opens the gate again, lifting the holds of the ids that the caller has seen.
func (c *Client) Resume(ctx context.Context, by, note string, seen ...uint64) (Status, error) {
	return call[resumeReq, Status](ctx, c, "resume", resumeReq{by, note, nonNil(seen)})
}

// Status returns how the bot stands.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return call[none, Status](ctx, c, "status", none{})
}

// Positions returns what every venue says.
func (c *Client) Positions(ctx context.Context) ([]Positions, error) {
	return call[none, []Positions](ctx, c, "positions", none{})
}

// ClosePlan returns what a close-all would do. Foreign legs are closed whole.
func (c *Client) ClosePlan(ctx context.Context, foreign ...andon.LegKey) (safety.ClosePlan, error) {
	return call[closePlanReq, safety.ClosePlan](ctx, c, "close-plan", closePlanReq{foreign})
}

// CloseAll closes what the plan says. The report may come beside an error.
func (c *Client) CloseAll(ctx context.Context, plan safety.ClosePlan, by safety.Confirmation) (safety.CloseReport, error) {
	return call[closeReq, safety.CloseReport](ctx, c, "close-all", closeReq{plan, by.By, by.Note, by.Token})
}

// Protect says which stops are missing, and with commit places them.
func (c *Client) Protect(ctx context.Context, by string, commit bool) ([]Protection, error) {
	return call[protectReq, []Protection](ctx, c, "protect", protectReq{by, commit})
}

// Reconcile compares the book with an exchange, or with all of them where it is empty.
func (c *Client) Reconcile(ctx context.Context, exchange string) ([]Comparison, error) {
	return call[exchangeReq, []Comparison](ctx, c, "reconcile", exchangeReq{exchange})
}

// Apply applies a plan to the bot's book; without Approval.Commit it only tries it.
func (c *Client) Apply(ctx context.Context, plan *reconcile.Plan, a reconcile.Approval) (reconcile.Result, error) {
	return call[applyReq, reconcile.Result](ctx, c, "apply", applyReq{plan.Venue, *plan, a.By, a.Note, a.Commit})
}

// Look has the bot look at something: "health", "threads", "api-usage" with the number of
// days and so on. The text may come beside an ErrUnwell.
func (c *Client) Look(ctx context.Context, what, arg string) (string, error) {
	l, err := call[lookReq, looked](ctx, c, "look", lookReq{what, arg})
	return l.Text, err
}

// Declare declares an incident.
func (c *Client) Declare(ctx context.Context, by, summary, condition, component string) (Incident, error) {
	return call[declareReq, Incident](ctx, c, "declare", declareReq{by, summary, condition, component})
}

// Acknowledge says that by has taken an incident.
func (c *Client) Acknowledge(ctx context.Context, number, by string) (Incident, error) {
	return call[incidentReq, Incident](ctx, c, "ack", incidentReq{Number: number, By: by})
}

// Update puts a status update on an incident's timeline.
func (c *Client) Update(ctx context.Context, number, by string, u incident.Update) (Incident, error) {
	return call[updateReq, Incident](ctx, c, "update", updateReq{number, by, u})
}

// Attest proves an item of an incident's checklist by a person's word.
func (c *Client) Attest(ctx context.Context, number, by, item, evidence string) (Incident, error) {
	return call[stepReq, Incident](ctx, c, "attest", stepReq{ID: number, Step: item, By: by, Why: evidence})
}

// Resolve runs the checklist and ends an incident.
func (c *Client) Resolve(ctx context.Context, number string, r incident.Resolution) (Incident, error) {
	return call[resolveReq, Incident](ctx, c, "resolve", resolveReq{number, r.By, r.Note, r.RootCause, r.Despite, r.PostMortem})
}

// Incidents returns every incident.
func (c *Client) Incidents(ctx context.Context) ([]Incident, error) {
	return call[none, []Incident](ctx, c, "incidents", none{})
}

// Timeline returns the events of an incident; of everything where number is empty.
func (c *Client) Timeline(ctx context.Context, number string) ([]Event, error) {
	return call[incidentReq, []Event](ctx, c, "timeline", incidentReq{Number: number})
}

// PostMortem writes the report on an incident. before is the report as it lies there, whose
// human text is kept; it may be empty.
func (c *Client) PostMortem(ctx context.Context, number, before string) (PostMortem, error) {
	return call[postmortemReq, PostMortem](ctx, c, "postmortem", postmortemReq{number, before})
}

// PlanRun says what each step of a runbook would do now.
func (c *Client) PlanRun(ctx context.Context, runbook, number, by string) ([]Step, error) {
	return call[runbookReq, []Step](ctx, c, "run-plan", runbookReq{Runbook: runbook, Number: number, By: by})
}

// StartRun begins a runbook for an incident.
func (c *Client) StartRun(ctx context.Context, runbook, number, by, why string) (Run, error) {
	return call[runbookReq, Run](ctx, c, "run-start", runbookReq{Runbook: runbook, Number: number, By: by, Why: why})
}

// Run returns how far a run is.
func (c *Client) Run(ctx context.Context, id string) (Run, error) {
	return call[stepReq, Run](ctx, c, "run-get", stepReq{ID: id})
}

// Runs returns every run.
func (c *Client) Runs(ctx context.Context) ([]Run, error) {
	return call[none, []Run](ctx, c, "run-list", none{})
}

// Step does something to a step of a run: action is approve, attest, retry or skip; abort is
// of the whole run.
func (c *Client) Step(ctx context.Context, action, id, step, by, why string) (Run, error) {
	return call[stepReq, Run](ctx, c, "run-step", stepReq{ID: id, Step: step, By: by, Why: why, Action: action})
}

// Collect seals evidence. The archive may come beside an error.
func (c *Client) Collect(ctx context.Context, by, number, why string) (Archive, error) {
	return call[evidenceReq, Archive](ctx, c, "evidence", evidenceReq{by, number, why})
}

// Backup takes a backup of a component and reads it back.
func (c *Client) Backup(ctx context.Context, component recovery.Component, by string) (recovery.Backup, error) {
	return call[componentReq, recovery.Backup](ctx, c, "backup", componentReq{component, by})
}

// Backups lists the backups of a component.
func (c *Client) Backups(ctx context.Context, component recovery.Component) ([]recovery.Backup, error) {
	return call[componentReq, []recovery.Backup](ctx, c, "backups", componentReq{component, ""})
}

// Drill restores the newest backup of a component for practice. The verdict may come beside
// an ErrUnwell.
func (c *Client) Drill(ctx context.Context, component recovery.Component, by string) (recovery.Drill, error) {
	return call[componentReq, recovery.Drill](ctx, c, "drill", componentReq{component, by})
}

// Rotate has new keys take the place of a venue's, once for a key; without commit it says
// what would be done.
func (c *Client) Rotate(ctx context.Context, key, by, why, venue string, commit bool) (string, error) {
	l, err := call[changeReq, looked](ctx, c, "rotate", changeReq{key, by, why, venue, commit})
	return l.Text, err
}

// Rollback deploys another revision of the bot, once for a key; without commit it says what
// would be done.
func (c *Client) Rollback(ctx context.Context, key, by, why, revision string, commit bool) (string, error) {
	l, err := call[changeReq, looked](ctx, c, "rollback", changeReq{key, by, why, revision, commit})
	return l.Text, err
}

// Record puts a decision on the bot's timeline: a Client is the Recorder that recovery and
// reconcile ask for.
func (c *Client) Record(ctx context.Context, at time.Time, who, what, why string) error {
	_, err := call[recordReq, none](ctx, c, "record", recordReq{at, who, what, why})
	return err
}
