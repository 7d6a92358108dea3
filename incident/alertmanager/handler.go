package alertmanager

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/severity"
)

// The conditions of what a sender could not, or did not, say. They are in no table,
// and so count as the worst, until severity.TableConfig gives them a level.
const (
	Unreadable severity.Condition = "alerts-unreadable" // a body that cannot be read, or not whole
	Truncated  severity.Condition = "alerts-truncated"  // alerts that the sender left out
)

// Handler takes the posts of Alertmanager and Grafana. New makes one. Safe for
// concurrent use.
type Handler struct {
	cfg     Config
	check   check
	rules   []mapping
	slots   chan struct{}
	told    telemetry
	nothing nothing
}

// New returns a Handler, or an error that names every field that is wrong. Without
// a token, a password or LoopbackOnly it is refused: who can post can halt trading.
func New(cfg Config) (*Handler, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("alertmanager: %w", err)
	}
	h := &Handler{cfg: cfg, check: newCheck(cfg), slots: make(chan struct{}, cfg.MaxConcurrent)}
	for _, r := range cfg.Rules {
		match, err := compile(r.Match)
		if err != nil {
			return nil, fmt.Errorf("alertmanager: %w", err) // validate has found it before
		}
		h.rules = append(h.rules, mapping{r, match})
	}
	var err error
	if h.told, err = newTelemetry(cfg); err != nil {
		return nil, fmt.Errorf("alertmanager: Meter: %w", err)
	}
	return h, nil
}

// Format writes the source whatever the verb: fmt would otherwise print the token.
func (h *Handler) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, h.cfg.Source) } // fmt takes no error here

// refusal is an answer that is not 200.
type refusal struct {
	status int
	why    string
}

func (r *refusal) Error() string { return r.why }

// ServeHTTP takes one body. See the package's Failure section for the answers.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, end := h.told.receive(r.Context())
	result, err := h.serve(w, r.WithContext(ctx))
	status := http.StatusOK
	if err != nil {
		status = http.StatusServiceUnavailable
		if no, ok := errors.AsType[*refusal](err); ok {
			status = no.status
		}
		h.cfg.Log.Warn("alertmanager: alerts were not taken", "source", h.cfg.Source, "status", status, "error", err)
	}
	end(status, result, err)
	h.answer(w, status, result, err)
}

func (h *Handler) answer(w http.ResponseWriter, status int, result Result, err error) {
	switch status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", h.check.challenge())
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err != nil {
		http.Error(w, err.Error(), status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(result); err != nil {
		h.cfg.Log.Debug("alertmanager: the sender did not wait for the answer", "error", err)
	}
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) (Result, error) {
	if r.Method != http.MethodPost {
		return Result{}, &refusal{http.StatusMethodNotAllowed, "want POST"}
	}
	if no := h.check.allows(r); no != nil {
		return Result{}, no
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return Result{}, &refusal{http.StatusUnsupportedMediaType, "want application/json"}
	}
	turn := time.NewTimer(h.cfg.WaitWithin)
	defer turn.Stop()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-turn.C:
		return Result{}, &refusal{http.StatusServiceUnavailable, "too many at a time"}
	case <-r.Context().Done():
		return Result{}, &refusal{http.StatusServiceUnavailable, "the sender has gone"}
	}
	// From here on the sender's hanging up stops nothing: what it has said is said.
	ctx := context.WithoutCancel(r.Context())
	body, no := h.read(w, r)
	switch {
	case no != nil && no.status == http.StatusRequestEntityTooLarge:
		return Result{}, h.unreadable(ctx, no)
	case no != nil:
		return Result{}, no
	}
	d, alerts, left, err := decode(body, h.cfg.MaxAlerts)
	if err != nil {
		return Result{}, h.unreadable(ctx, &refusal{http.StatusBadRequest, err.Error()})
	}
	result, err := h.take(ctx, d, alerts)
	if err == nil && left > 0 {
		err = h.unreadable(ctx, &refusal{http.StatusRequestEntityTooLarge,
			fmt.Sprintf("%d alerts were taken and %d left: the limit is MaxAlerts", len(alerts), left)})
	}
	return result, err
}

// read reads the body, in bounds of size and time.
func (h *Handler) read(w http.ResponseWriter, r *http.Request) ([]byte, *refusal) {
	control := http.NewResponseController(w)
	bounded := control.SetReadDeadline(time.Now().Add(h.cfg.ReadWithin)) == nil // a server of another make may know none
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.cfg.MaxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is longer than %d bytes", h.cfg.MaxBody)}
	}
	if err != nil {
		return nil, &refusal{http.StatusRequestTimeout, "the body did not come in time, or not whole"}
	}
	if bounded {
		err = control.SetReadDeadline(time.Time{}) // else the deadline would end the request while its alerts are recorded
	}
	if err != nil {
		return nil, &refusal{http.StatusRequestTimeout, "the connection is gone"}
	}
	return body, nil
}

// unreadable declares that alerts came which nobody can read, and returns why.
func (h *Handler) unreadable(ctx context.Context, why *refusal) error {
	err := h.declare(ctx, severity.Signal{
		Condition: Unreadable, Component: h.cfg.Source, Source: h.cfg.Source, Ref: h.cfg.Source + "/unreadable",
		Detail: clean("alerts of "+h.cfg.Source+" cannot be read: "+why.Error(), maxSummary),
	})
	if err != nil {
		return err
	}
	return why
}

// declare puts a signal on the timeline; nil means that it is there.
func (h *Handler) declare(ctx context.Context, s severity.Signal) error {
	in, err := h.cfg.Manager.Declare(ctx, h.cfg.Source, s.Detail, s)
	switch {
	case errors.Is(err, incident.ErrNothing):
		return h.nothing.once(s, func() error {
			return h.cfg.Manager.Record(ctx, time.Now(), h.cfg.Source, cmp.Or(s.Detail, string(s.Condition)), err.Error())
		})
	case errors.Is(err, incident.ErrStopUnconfirmed) && !errors.Is(err, incident.ErrNotRecorded):
		h.cfg.Log.Error("alertmanager: recorded; trading is not known to have stopped", "incident", in.Number, "error", err)
		return nil // the manager goes on trying, and says so in the page
	}
	return err
}

// nothing remembers the alerts that are no incident, so that each is recorded once
// and not whenever it is posted again. The zero value remembers none.
type nothing struct {
	mu   sync.Mutex
	seen map[string]time.Time // by Ref: since when it fires
}

// mostNothing is how many are remembered; then it begins anew.
const mostNothing = 1000

func (n *nothing) once(s severity.Signal, record func() error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if since, known := n.seen[s.Ref]; known && since.Equal(s.At) {
		return nil
	}
	if err := record(); err != nil {
		return err
	}
	if n.seen == nil || len(n.seen) >= mostNothing {
		n.seen = map[string]time.Time{}
	}
	n.seen[s.Ref] = s.At
	return nil
}
