package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/recovery"
)

// hands are what people do themselves: what a step that they attest asks for, by its name.
type hands map[string]func(ctx context.Context) (evidence string, err error)

// respond is the on-call engineer: acknowledges, takes command, and goes through a runbook.
// Grace and Linus approve; what no hand does is attested as not exercised.
func (b *bot) respond(ctx context.Context, in incident.Incident, book string, h hands, skip ...string) error {
	if err := b.Incidents.Acknowledge(ctx, in.Number, "Ada"); err != nil {
		return err
	}
	if err := b.Incidents.Assign(ctx, in.Number, "Ada", incident.Commander, "Ada"); err != nil {
		return err
	}
	id, err := b.Runbooks.Start(ctx, book, in.Number, "Ada", in.Summary, nil)
	if err != nil {
		return err
	}
	for {
		run, err := b.Runbooks.Wait(ctx, id)
		waits, waiting := errors.AsType[*runbook.WaitingError](err)
		switch {
		case !waiting && err != nil:
			return err
		case !waiting && run.Status != runbook.Done:
			return fmt.Errorf("run %s ended as %s", id, run.Status)
		case !waiting:
			return b.resolve(ctx, in)
		}
		if err := b.decide(ctx, run, waits.For, h, skip); err != nil {
			return err
		}
	}
}

// decide does what a run waits for.
func (b *bot) decide(ctx context.Context, run runbook.Run, waits string, h hands, skip []string) error {
	for _, s := range run.Steps {
		if !strings.Contains(waits, fmt.Sprintf("step %q", s.Name)) {
			continue
		}
		if slices.Contains(skip, s.Name) {
			return b.Runbooks.Skip(ctx, run.ID, s.Name, "Ada", "not needed in this drill")
		}
		switch {
		case strings.Contains(waits, "to Approve"):
			by := "Grace"
			if len(s.Approvals) > 0 {
				by = "Linus"
			}
			return b.Runbooks.Approve(ctx, run.ID, s.Name, by, "it is right")
		case strings.Contains(waits, "Attest"):
			evidence := "game day: this step was not exercised"
			if do := h[s.Name]; do != nil {
				var err error
				if evidence, err = do(ctx); err != nil {
					return fmt.Errorf("step %q: %w", s.Name, err)
				}
			}
			return b.Runbooks.Attest(ctx, run.ID, s.Name, "Ada", evidence)
		}
		if s.Name != "checklist" || s.Tries > 60 {
			return fmt.Errorf("step %q is %s: %s (%s)", s.Name, s.Status, s.Error, waits)
		}
		return b.prepare(ctx, run.ID)
	}
	return fmt.Errorf("the run waits for %q, which no step is", waits)
}

// prepare does what the checklist still lacks, and has it looked at again: the book adopts
// what was closed, the post-mortem is put into the calendar, and alerts take time to clear.
func (b *bot) prepare(ctx context.Context, run string) error {
	if err := b.agree(ctx); err != nil {
		return err
	}
	if err := b.Checklist.Attest(ctx, time.Now(), recovery.ItemPostMortemScheduled, "Ada", "tomorrow at 10"); err != nil {
		return err
	}
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return ctx.Err()
	}
	return b.Runbooks.Retry(ctx, run, "checklist", "Ada", "what was missing is done")
}

// resolve ends the incident, which is refused while an item of the checklist is unproven.
func (b *bot) resolve(ctx context.Context, in incident.Incident) error {
	if err := b.Prove(ctx, in.Number, "Ada"); err != nil {
		return err
	}
	return b.Incidents.Resolve(ctx, in.Number, incident.Resolution{
		By: "Ada", Note: "the runbook was done, and the checklist proven", RootCause: "a game day", PostMortem: time.Now().Add(24 * time.Hour),
	})
}

// acknowledge is an engineer who mends it without a runbook.
func (b *bot) acknowledge(ctx context.Context, in incident.Incident, how string, mend func() error) error {
	if err := b.Incidents.Acknowledge(ctx, in.Number, "Ada"); err != nil {
		return err
	}
	if err := mend(); err != nil {
		return err
	}
	return b.Incidents.Note(ctx, in.Number, "Ada", how, "it answers again at "+time.Now().Format(time.TimeOnly))
}
