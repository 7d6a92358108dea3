package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

var (
	// ErrNoSuchItem says that the checklist has no item of that text.
	ErrNoSuchItem = errors.New("no such item on the checklist")

	// ErrNotAttestable says that an item is proven by its check only.
	ErrNotAttestable = errors.New("only its check can prove this item")
)

// ChecklistConfig says what must be shown before a recovery counts as one.
type ChecklistConfig struct {
	// Items in their order. Defaults to ValidationItems(Proofs{}), of which
	// nothing can be proven by a machine.
	Items []Item

	// Timeout is the time of each check. Defaults to 30 seconds.
	Timeout time.Duration

	// Recorder keeps each result and each attestation. Required: what could not
	// be recorded is not proven.
	Recorder Recorder
}

func (c ChecklistConfig) withDefaults() ChecklistConfig {
	if c.Items == nil {
		c.Items = ValidationItems(Proofs{})
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	return c
}

func (c ChecklistConfig) validate() error {
	var errs []error
	if err := validateItems(c.Items); err != nil {
		errs = append(errs, err)
	}
	if c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("Timeout: %v", c.Timeout))
	}
	if c.Recorder == nil {
		errs = append(errs, errors.New("Recorder: is nil, and what is not recorded is not proven"))
	}
	return errors.Join(errs...)
}

// Checklist is a list of items that are proven one by one. It is safe for
// concurrent use; no lock is held while a check runs.
type Checklist struct {
	cfg ChecklistConfig

	mu      sync.Mutex
	results []ItemResult // as cfg.Items
}

// NewChecklist returns a checklist with everything unproven, or every problem of
// the configuration, joined.
func NewChecklist(cfg ChecklistConfig) (*Checklist, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.Items = slices.Clone(cfg.Items)
	c := &Checklist{cfg: cfg}
	for _, item := range cfg.Items {
		c.results = append(c.results, ItemResult{Text: item.Text, Window: item.Window, Problem: "not looked at yet"})
	}
	return c, nil
}

// Run runs every check for by, a named person or component, one after the other.
// All are run whatever the first ones say. An attestation stands until a check
// proves the item. The error joins an *UnprovenError for each item that is not
// proven.
func (c *Checklist) Run(ctx context.Context, by string) error {
	if by == "" {
		return errors.New("recovery checklist: who runs it is empty")
	}
	for i, item := range c.cfg.Items {
		c.keep(i, c.look(ctx, by, item))
	}
	return c.err()
}

func (c *Checklist) look(ctx context.Context, by string, item Item) ItemResult {
	evidence, err := prove(ctx, c.cfg.Timeout, item.Check)
	r := ItemResult{Text: item.Text, Window: item.Window, By: by, At: time.Now(), Evidence: evidence}
	what, why := "checklist item proven: "+item.Text, evidence
	if err != nil {
		what, why = "checklist item unproven: "+item.Text, err.Error()
	}
	err = errors.Join(err, record(context.WithoutCancel(ctx), c.cfg.Recorder, r.At, by, what, why))
	if err != nil {
		r.Problem, r.Evidence = err.Error(), ""
	}
	r.Proven = err == nil
	return r
}

func (c *Checklist) keep(i int, r ItemResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.results[i].Attested && !r.Proven {
		return
	}
	c.results[i] = r
}

// Attest proves an item by the word of a named person, who says what was seen or
// done. It is ErrNotAttestable for an item that a machine can see, and nothing is
// attested when it cannot be recorded.
func (c *Checklist) Attest(ctx context.Context, now time.Time, text, by, evidence string) error {
	i := slices.IndexFunc(c.cfg.Items, func(item Item) bool { return item.Text == text })
	switch {
	case i < 0:
		return fmt.Errorf("attesting %q: %w", text, ErrNoSuchItem)
	case by == "":
		return fmt.Errorf("attesting %q: the person's name is empty", text)
	case evidence == "":
		return fmt.Errorf("attesting %q: what was seen or done is empty", text)
	case !c.cfg.Items[i].Attestable:
		return fmt.Errorf("attesting %q: %w", text, ErrNotAttestable)
	}
	if err := record(ctx, c.cfg.Recorder, now, by, "checklist item attested: "+text, evidence); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results[i] = ItemResult{Text: text, Window: c.cfg.Items[i].Window, Proven: true, By: by, At: now, Attested: true, Evidence: evidence}
	return nil
}

// Results returns how every item stands, in their order. The slice is the caller's.
func (c *Checklist) Results() []ItemResult {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.results)
}

// Unproven returns every item that is not proven, with the reason, in their order.
// It is empty when all are.
func (c *Checklist) Unproven() []string {
	var unproven []string
	for _, r := range c.Results() {
		if !r.Proven {
			unproven = append(unproven, r.Text+": "+r.Problem)
		}
	}
	return unproven
}

func (c *Checklist) err() error {
	var errs []error
	for _, r := range c.Results() {
		if !r.Proven {
			errs = append(errs, &UnprovenError{r.Text, errors.New(r.Problem)})
		}
	}
	return errors.Join(errs...)
}
