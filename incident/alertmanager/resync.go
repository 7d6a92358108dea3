package alertmanager

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// Resync compares what fires on the timeline with what the Alertmanager lists, and
// makes good what was lost between the two: an alert that is active, and routed to
// the receiver of that name, is declared; one that it does not list any more is
// cleared. Either can be lost when Alertmanager is killed, or was down while an alert
// ended. Call it at the start, and every few minutes.
//
// The error is ErrUnsure where the list cannot be relied on; nothing is changed then.
// Declaring goes on where an alert could not be recorded, and the error says so.
func (h *Handler) Resync(ctx context.Context, c *Checker, receiver string) (Result, error) {
	// What fires here before the list is read was known there, so that what the list
	// lacks has ended. What comes in meanwhile is not judged by it.
	before, at := h.cfg.Manager.Firing(), time.Now()
	all, _, err := c.list(ctx)
	if err != nil {
		return Result{}, err
	}
	var result Result
	var work, clears []func() error
	there := map[string]bool{}
	for _, a := range all {
		s, wanted := h.signal(a.alert)
		there[s.Ref] = true
		switch {
		case a.Status.State != "active" || !a.routed(receiver):
		case !wanted:
			result.Ignored++
		default:
			result.Firing++
			work = append(work, func() error { return h.declare(ctx, s) })
		}
	}
	for _, f := range before {
		if h.own(f.Ref) && !there[f.Ref] {
			clears = append(clears, func() error {
				return h.over(ctx, f.Ref, at, "the Alertmanager does not list it any more")
			})
		}
	}
	result.Resolved = len(clears)
	return result, errors.Join(together(work), together(clears))
}

func (a listed) routed(receiver string) bool {
	return slices.ContainsFunc(a.Receivers, func(r struct {
		Name string `json:"name"`
	}) bool {
		return r.Name == receiver
	})
}

// own reports whether a Ref is one of this handler's alerts, and not what it says of
// a sender.
func (h *Handler) own(ref string) bool {
	rest, mine := strings.CutPrefix(ref, h.cfg.Source+"/")
	return mine && !strings.Contains(rest, "/") && rest != "unreadable"
}
