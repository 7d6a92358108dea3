package alertmanager

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/andon-go/andon/incident"
)

// Result is what became of the alerts of a body.
type Result struct {
	Firing   int    `json:"firing"`   // on the timeline, those that were there before among them
	Resolved int    `json:"resolved"` // cleared on the timeline, or not known there
	Ignored  int    `json:"ignored"`  // by a rule that says so
	LeftOut  uint64 `json:"left_out"` // by the sender: recorded as one signal
}

// atOnce is how many alerts of a body wait for the record at the same time: the
// store writes what comes together with one sync.
const atOnce = 64

// take puts every alert of a body on the timeline. Those that fire come first, so
// that an incident to which one is added is not resolved for another that has ended.
func (h *Handler) take(ctx context.Context, d delivery, alerts []alert) (Result, error) {
	result := Result{LeftOut: d.TruncatedAlerts}
	fires := make(map[string]bool, len(alerts))
	var work, clears []func() error
	for _, a := range alerts {
		if a.resolved() {
			clears = append(clears, func() error { return h.clear(ctx, a, fires) })
			continue
		}
		s, wanted := h.signal(a)
		if !wanted {
			result.Ignored++
			continue
		}
		fires[s.Ref] = true
		result.Firing++
		work = append(work, func() error { return h.declare(ctx, s) })
	}
	result.Resolved = len(clears)
	err := errors.Join(together(work), h.leftOut(ctx, d))
	err = errors.Join(err, together(clears))
	return result, err
}

// together does all of it, atOnce at a time, and joins what went wrong, up to a few.
func together(work []func() error) error {
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	next := make(chan func() error)
	for range min(len(work), atOnce) {
		wg.Go(func() {
			for do := range next {
				if err := do(); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	for _, do := range work {
		next <- do
	}
	close(next)
	wg.Wait()
	if n := len(errs); n > 3 {
		errs = append(errs[:3], fmt.Errorf("and %d more", n-3))
	}
	return errors.Join(errs...)
}

// clear says that an alert is over, unless the same body says that it fires.
func (h *Handler) clear(ctx context.Context, a alert, fires map[string]bool) error {
	ref := h.ref(a)
	if fires[ref] {
		return nil
	}
	if why := a.unseen(); why != "" {
		in, known := h.cfg.Manager.ByRef(ref)
		if !known {
			return nil
		}
		return h.cfg.Manager.Note(ctx, in.Number, h.cfg.Source, "no longer looked at, which is not known to be over: "+h.text(a), "state reason: "+h.clean(why))
	}
	ended := a.EndsAt.Time
	if ended.IsZero() {
		ended = time.Now()
	}
	return h.over(ctx, ref, ended, "resolved: "+h.text(a))
}

// over clears a Ref; one that no open incident has is over already.
func (h *Handler) over(ctx context.Context, ref string, at time.Time, why string) error {
	_, err := h.cfg.Manager.Clear(ctx, h.cfg.Source, ref, at, why)
	if errors.Is(err, incident.ErrUnknown) && !errors.Is(err, incident.ErrNotRecorded) {
		return nil
	}
	return err
}

// leftOut declares what the sender left out of a group, by what the group has in
// common, and clears it once it leaves out nothing any more.
func (h *Handler) leftOut(ctx context.Context, d delivery) error {
	sum := sha256.Sum256([]byte(d.GroupKey))
	ref := h.cfg.Source + "/truncated/" + hex.EncodeToString(sum[:16])
	if d.TruncatedAlerts == 0 {
		if _, known := h.cfg.Manager.ByRef(ref); !known {
			return nil
		}
		return h.over(ctx, ref, time.Now(), "the sender leaves out none of the group any more")
	}
	s, wanted := h.signal(alert{Labels: d.GroupLabels})
	if !wanted {
		return nil
	}
	if _, named := d.GroupLabels["alertname"]; !named && s.Condition == unknown+unnamed {
		s.Condition, s.Component = Truncated, h.cfg.Source
	}
	s.Ref = ref
	s.Detail = fmt.Sprintf("%d alerts were left out by the sender (max_alerts) [%s]", d.TruncatedAlerts, s.Detail)
	return h.declare(ctx, s)
}
