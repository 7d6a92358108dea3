package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/examples/paperbot/internal/sim"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/severity"
)

// The conditions that this bot adds to the playbook's. Both are SEV-1: a person said
// stop, and a position without its stop may lose without bound.
const (
	operatorStop  severity.Condition = "operator-stop"
	nakedPosition severity.Condition = "naked-position"
)

// ordinary is what is wrong with a venue on any day: now and then the answer to an
// order gets lost, and less often the order itself.
var ordinary = sim.Faults{TimeoutRate: 0.04, LossRate: 0.01}

// A fault is one way in which a day goes wrong, and what has to happen outside of the
// bot before it can be put right.
type fault struct {
	name   string
	strike func(ctx context.Context, d *day) (string, error)

	// outside is what somebody else does: the venue comes back, a key is changed, a
	// file is removed. Empty where nothing has to.
	outside func(d *day) (string, error)
	waits   bool // outside takes a whole window

	cause string // for the resolution
}

var faults = []fault{
	{
		name: "data-corruption", cause: "rows of the position database were overwritten",
		strike: func(ctx context.Context, d *day) (string, error) { return corruptBook(ctx, d.book, d.f.Seed) },
	},
	{
		name: "venue-outage", cause: "the venue was down", waits: true,
		strike:  setFaults(sim.Faults{Outage: true}, "the venue answers 503 to everything"),
		outside: lift("the venue is back"),
	},
	{
		name: "auth-failure", cause: "the venue no longer knew the API key", waits: true,
		strike:  setFaults(sim.Faults{Unauthorized: true}, "the venue answers 401 to everything"),
		outside: lift("the API key was changed, and the venue takes the new one"),
	},
	{
		name: "naked-position", cause: "the venue dropped a stop without a word",
		strike: func(_ context.Context, d *day) (string, error) {
			view, _ := d.snapshot()
			for _, p := range view.Positions {
				if o, ok := d.ex.DropStop(p.Symbol); ok {
					return fmt.Sprintf("the venue drops the stop %s of %s", o.ClientID, p.Symbol), nil
				}
			}
			return "", errors.New("no position has a stop that could vanish")
		},
	},
	{
		name: "slow-execution", cause: "the venue was slow", waits: true,
		strike:  setFaults(sim.Faults{Slow: 600 * time.Millisecond}, "every call to the venue takes 600 ms longer"),
		outside: lift("the venue is as fast as before"),
	},
	{
		name: "operator-flag", cause: "a person placed the emergency stop",
		strike: func(_ context.Context, d *day) (string, error) {
			path := filepath.Join(d.dir, "EMERGENCY_STOP")
			return "somebody touches " + path, os.WriteFile(path, nil, 0o600)
		},
		outside: func(d *day) (string, error) {
			path := filepath.Join(d.dir, "EMERGENCY_STOP")
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				return "", err
			}
			return d.f.Operator + " removes " + path + "; the stop stays", nil
		},
	},
}

func faultNames() []string {
	names := make([]string, len(faults))
	for i, f := range faults {
		names[i] = f.name
	}
	return names
}

func faultNamed(name string) fault {
	return faults[slices.IndexFunc(faults, func(f fault) bool { return f.name == name })]
}

func setFaults(f sim.Faults, say string) func(context.Context, *day) (string, error) {
	return func(_ context.Context, d *day) (string, error) { return say, d.ex.SetFaults(f) }
}

func lift(say string) func(*day) (string, error) {
	return func(d *day) (string, error) { return say, d.ex.SetFaults(ordinary) }
}

// corruptBook overwrites up to three rows behind the bot's back: a position, a fill's
// quantity and a fill's fee.
func corruptBook(ctx context.Context, book *reconcile.FileBook, seed uint64) (string, error) {
	rng := rand.New(rand.NewPCG(seed, 1))
	said := ""
	err := book.Update(ctx, func(r *reconcile.Records) error {
		if len(r.Positions) == 0 || len(r.Fills) < 2 {
			return errors.New("the book holds too little to damage")
		}
		p := &r.Positions[rng.IntN(len(r.Positions))]
		p.Quantity = p.Quantity.Add(p.Quantity)
		i := rng.IntN(len(r.Fills))
		r.Fills[i].Quantity = r.Fills[i].Quantity.Add(andon.NewDecimal(1, 1))
		j := rng.IntN(len(r.Fills))
		for r.Fills[j].OrderID == r.Fills[i].OrderID {
			j = (j + 1) % len(r.Fills)
			if j == i {
				return errors.New("the book holds fills of one order alone")
			}
		}
		r.Fills[j].Fee = r.Fills[j].Fee.Add(andon.NewDecimal(5, 1))
		said = fmt.Sprintf("three rows of the book are overwritten: position %v, fills %s and %s", p.Key(), r.Fills[i].ID, r.Fills[j].ID)
		return nil
	})
	return said, err
}

// signal looks for what is wrong, and returns it, or nil. stepped is what the last
// step of the bot gave.
func (d *day) signal(ctx context.Context, stepped error) *severity.Signal {
	now := time.Now()
	s := &severity.Signal{Component: "venue/" + venueName, Source: "paperbot"}
	defer func() { s.At = time.Now() }() // it is a signal once somebody has understood it
	if d.sw.Status().Resumed.By != "" && d.stoppedByFlag() {
		s.Condition, s.Component, s.Detail = operatorStop, "flag", "the emergency stop was placed"
		return s
	}
	if stepped != nil {
		d.failures++
		switch {
		case d.failures < 2:
			return nil // one lost answer is no outage
		case errors.Is(stepped, sim.ErrUnauthorized):
			s.Condition, s.Detail = severity.AuthFailure, stepped.Error()
		default:
			s.Condition, s.Detail = severity.VenueTimeouts, stepped.Error()
		}
		return s
	}
	d.failures = 0
	if legs := d.vanished(); len(legs) > 0 {
		s.Condition, s.Detail = nakedPosition, fmt.Sprintf("the stop of %v is gone", legs[0])
		return s
	}
	if v := d.slowRule.Judge(d.samples(), now); v.Fires {
		*s = d.slowRule.Signal(s.Component, s.Source, v, now)
		return s
	}
	if d.ticks%4 == 0 {
		report, err := d.rec.Compare(ctx, now)
		if err == nil && !report.Clean() {
			s.Condition, s.Component = severity.InconsistentPositions, "book"
			s.Detail = fmt.Sprintf("book and venue differ in %d places, first: %v", len(report.Discrepancies()), report.Discrepancies()[0])
			return s
		}
	}
	return nil
}

func (d *day) samples() []severity.Sample {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.latencies)
}
