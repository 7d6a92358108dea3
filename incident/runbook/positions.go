package runbook

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
)

// poll is how often is looked whether a hold is there.
const poll = 20 * time.Millisecond

// halt stops trading. Only Resume, by a named person, lifts it: it is not taken back when
// a run is aborted.
func (d Deps) halt() Action {
	if d.Cord == nil {
		return Action{}
	}
	return Action{
		Plan: func(context.Context) (string, error) {
			return fmt.Sprintf("trading is %v, and would be %v", d.Cord.State(), safety.Halted), nil
		},
		Do: func(ctx context.Context, c Call) (string, error) {
			r, err := d.Cord.Halt(ctx, c.By, why(c))
			said := fmt.Sprintf("the gate was closed in %v, hold %d", r.Closed, r.Hold.ID)
			if len(r.InFlight) > 0 {
				said += fmt.Sprintf("; in flight still: %q", r.InFlight)
			}
			return said, err
		},
		Done: func(_ context.Context, c Call) (bool, string, error) { return d.held(safety.Halted, why(c)) },
	}
}

// held reports whether a hold that this step placed is in force and on disk.
func (d Deps) held(state safety.TradingState, reason string) (bool, string, error) {
	s := d.Cord.Status()
	i := slices.IndexFunc(s.Holds, func(h safety.Hold) bool { return h.Reason == reason && h.State == state })
	if i < 0 || !s.Durable {
		return false, "", nil
	}
	return true, "it is in force: " + s.Holds[i].String(), nil
}

// throttle narrows trading as the playbook reduces load.
func (d Deps) throttle() Action {
	if d.Cord == nil {
		return Action{}
	}
	return Action{
		Plan: func(context.Context) (string, error) {
			return "would narrow trading: " + safety.ReduceLoad().String(), nil
		},
		Do: func(ctx context.Context, c Call) (string, error) {
			t := safety.ReduceLoad()
			if err := d.Cord.Throttle(c.By, why(c), t); err != nil {
				return "", err
			}
			for { // it is in force, and done once it outlives the process
				if done, said, err := d.held(safety.Active, why(c)); done || err != nil {
					return said, err
				}
				select {
				case <-ctx.Done():
					return "", fmt.Errorf("%v is in force, and not on disk: %w", t, ctx.Err())
				case <-time.After(poll):
				}
			}
		},
		Done: func(_ context.Context, c Call) (bool, string, error) { return d.held(safety.Active, why(c)) },
	}
}

// readOnly places the flag that holds writes, and waits until they are.
func (d Deps) readOnly() Action {
	if d.Cord == nil {
		return Action{}
	}
	return Action{
		Plan: func(context.Context) (string, error) {
			if err := d.Cord.CheckWrite(); err != nil {
				return fmt.Sprintf("writes are held: %v; would place %s", err, d.ReadOnlyFlag), nil
			}
			return "writes are open; would place " + d.ReadOnlyFlag, nil
		},
		Do: func(ctx context.Context, _ Call) (string, error) {
			f, err := os.OpenFile(d.ReadOnlyFlag, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			switch {
			case err == nil:
				if err := f.Close(); err != nil {
					return "", err
				}
			case !errors.Is(err, fs.ErrExist): // whatever lies there counts as the flag
				return "", err
			}
			for {
				if err := d.Cord.CheckWrite(); err != nil {
					return fmt.Sprintf("%s: %v", d.ReadOnlyFlag, err), nil
				}
				select {
				case <-ctx.Done():
					return "", fmt.Errorf("%s is there, and writes are not held: does the bot's switch watch it? %w", d.ReadOnlyFlag, ctx.Err())
				case <-time.After(poll):
				}
			}
		},
		Done: func(context.Context, Call) (bool, string, error) {
			_, err := os.Lstat(d.ReadOnlyFlag)
			switch held := d.Cord.CheckWrite(); {
			case errors.Is(err, fs.ErrNotExist) || err == nil && held == nil:
				return false, "", nil
			case err != nil:
				return false, "", err
			default:
				return true, held.Error(), nil
			}
		},
	}
}

// safe looks whether trading is halted and every position is closed or protected.
func (d Deps) safe() Look {
	if len(d.Venues) == 0 {
		return nil
	}
	return func(ctx context.Context) (string, error) {
		said, err := each(ctx, d.Venues, func(ctx context.Context, _ string, v andon.Venue) (string, error) {
			flat, err := safety.ReadFlat(ctx, v)
			if err == nil && flat.Flat {
				return "flat", nil
			}
			r, perr := safety.ReadProtection(ctx, v, d.Requirements, time.Now())
			switch {
			case perr != nil:
				return "", errors.Join(err, perr)
			case !r.Protected():
				return "", fmt.Errorf("a position is neither closed nor protected: %v", r)
			}
			return fmt.Sprintf("protected: %v", r), nil
		})
		if d.Cord != nil && d.Cord.State() != safety.Halted {
			err = errors.Join(err, fmt.Errorf("trading is %v, want %v", d.Cord.State(), safety.Halted))
		}
		return said, err
	}
}

// flat reports whether every venue is flat.
func (d Deps) flat(ctx context.Context) (bool, string, error) {
	all := true
	said, err := each(ctx, d.Venues, func(ctx context.Context, _ string, v andon.Venue) (string, error) {
		r, err := safety.ReadFlat(ctx, v)
		all = all && err == nil && r.Flat
		return r.String(), err
	})
	return all && len(d.Venues) > 0, said, err
}

// protect places the stops that are missing. It may be done again: it covers what is not
// covered, which after it is nothing.
func (d Deps) protect() Action {
	if d.Protection.Distance.IsZero() {
		return Action{}
	}
	plan := func(ctx context.Context, v andon.Venue) (safety.ProtectionPlan, error) {
		r, err := safety.ReadProtection(ctx, v, d.Requirements, time.Now())
		if err != nil {
			return safety.ProtectionPlan{}, err
		}
		return safety.PlanProtection(r, d.Protection)
	}
	return Action{
		Again: true,
		Plan: func(ctx context.Context) (string, error) {
			return each(ctx, d.Venues, func(ctx context.Context, _ string, v andon.Venue) (string, error) {
				p, err := plan(ctx, v)
				if err != nil {
					return "", err
				}
				var b strings.Builder
				err = p.WriteTable(&b)
				return b.String(), err
			})
		},
		Do: func(ctx context.Context, c Call) (string, error) {
			return each(ctx, d.Venues, func(ctx context.Context, _ string, v andon.Venue) (string, error) {
				p, err := plan(ctx, v)
				if err != nil {
					return "", err
				}
				if len(p.Steps) == 0 && len(p.Left) == 0 {
					return "nothing is unprotected", nil
				}
				r, err := safety.Protector{Venue: v, Gate: d.Cord, Recorder: d.Recorder, By: c.By}.Apply(ctx, p, time.Now())
				if err != nil {
					return "", err
				}
				if !r.After.Protected() {
					return "", fmt.Errorf("not everything is protected: %v", r.After)
				}
				return fmt.Sprintf("%d stops; %v", len(r.Steps), r.After), nil
			})
		},
	}
}

// closeAll closes every position.
func (d Deps) closeAll() Action {
	if d.Closer == nil || len(d.Venues) == 0 {
		return Action{}
	}
	return Action{
		Plan: func(ctx context.Context) (string, error) {
			p, err := d.Closer.Plan(ctx, time.Now())
			return p.String(), err
		},
		Do: func(ctx context.Context, c Call) (string, error) {
			p, err := d.Closer.Plan(ctx, time.Now())
			if err != nil {
				return "", err
			}
			r, err := d.Closer.Apply(ctx, p, safety.Confirmation{By: approver(c), Note: why(c), Token: p.Token()}, time.Now())
			switch {
			case err != nil:
				return "", fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
			case !r.Flat():
				return "", fmt.Errorf("not flat: %v", r)
			}
			return r.String(), nil
		},
		Done: func(ctx context.Context, _ Call) (bool, string, error) { return d.flat(ctx) },
	}
}
