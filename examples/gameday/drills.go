package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/severity"
)

// game is one way to break the stack.
type game struct {
	name, what string
	drill      func(b *bot) incidenttest.Drill
}

// games are the drills of a game day, each on a stack of its own.
var games = []game{
	{"kill", "SIGKILL to the container of the trading engine", kill},
	{"freeze", "SIGSTOP to the PostgreSQL server", freeze},
	{"corrupt", "rows of the position table overwritten in a running database", corrupt},
	{"leak", "the API key used by an intruder, who opens a position", leak},
	{"cut", "the connection to the exchange cut", cut},
}

func kill(b *bot) incidenttest.Drill {
	return incidenttest.Drill{
		Name: "kill", Condition: severity.HealthCheckFailed, Component: "engine", Healthy: b.engineRuns,
		Break: func(context.Context) error {
			var s stage
			return s.build(func() { b.box.API("POST", "/containers/"+b.box.Name(service)+"/kill") })
		},
		Respond: func(ctx context.Context, in incident.Incident) error {
			return b.respond(ctx, in, "Service Outage", nil, "rollback")
		},
	}
}

func freeze(b *bot) incidenttest.Drill {
	frozen := false
	thaw := func() error {
		if !frozen {
			return nil
		}
		frozen = false
		var s stage
		return errors.Join(s.build(func() { b.server.Thaw() }), s.strike())
	}
	return incidenttest.Drill{
		Name: "freeze", Condition: severity.HealthCheckFailed, Component: "database", Healthy: b.databaseAnswers,
		Break: func(context.Context) error {
			frozen = true
			var s stage
			return s.build(func() { b.server.Freeze() })
		},
		Respond: func(ctx context.Context, in incident.Incident) error {
			return b.acknowledge(ctx, in, "the database server was continued", thaw)
		},
		Mend: func(context.Context) error { return thaw() },
	}
}

func corrupt(b *bot) incidenttest.Drill {
	return incidenttest.Drill{
		Name: "corrupt", Condition: severity.IntegrityCheckFailed, Component: "positions",
		Healthy: func(ctx context.Context) error {
			if _, err := b.integrity(ctx); err != nil {
				return err
			}
			r, err := b.Reconcilers["coinbase"].Compare(ctx, time.Now())
			if err != nil {
				return err
			}
			return r.Err()
		},
		Break: func(ctx context.Context) error {
			_, err := b.db.Exec(ctx, `UPDATE positions SET quantity = 9000, current_price = NULL`)
			return err
		},
		Respond: func(ctx context.Context, in incident.Incident) error {
			return b.respond(ctx, in, "Data Corruption", nil)
		},
	}
}

func leak(b *bot) incidenttest.Drill {
	leaked := b.key.Load().(string)
	return incidenttest.Drill{
		Name: "leak", Condition: severity.UnusualTrading, Component: "venue/coinbase",
		Healthy: func(ctx context.Context) error {
			if n, what, err := b.strangers(ctx); err != nil || n > 0 {
				return errors.Join(err, errors.New(what))
			}
			return nil
		},
		Break: func(ctx context.Context) error {
			intruder := b.exchange.as(func() string { return leaked })
			_, err := intruder.Submit(ctx, andon.Order{
				ClientID: "x", Venue: "coinbase", Symbol: symbol, Side: andon.Buy, Kind: andon.Limit, Price: andon.MustDecimal("50"), Quantity: andon.MustDecimal("1000"),
			})
			return err
		},
		Respond: func(ctx context.Context, in incident.Incident) error {
			err := b.respond(ctx, in, "Security Breach", hands{
				"revoke-coinbase": func(ctx context.Context) (string, error) { return b.rotate(ctx, leaked) },
			})
			if err != nil {
				return err
			}
			if _, err := b.sealed(ctx, in); err != nil {
				return fmt.Errorf("the evidence: %w", err)
			}
			intruder := b.exchange.as(func() string { return leaked })
			if _, err := intruder.Balances(ctx); err == nil {
				return errors.New("the leaked key still works")
			}
			return nil
		},
	}
}

// rotate is what a person does in the exchange's dashboard: a new key, tested, in use, the
// intruder's orders cancelled with it, and the old one revoked.
func (b *bot) rotate(ctx context.Context, leaked string) (string, error) {
	fresh := b.exchange.issue()
	b.key.Store(fresh)
	if err := b.venueAnswers(ctx); err != nil {
		b.key.Store(leaked)
		return "", fmt.Errorf("the new key does not work, and the old one stays: %w", err)
	}
	b.exchange.revoke(leaked)
	orders, err := b.venue.Orders(ctx)
	if err != nil {
		return "", err
	}
	for _, o := range orders {
		if o.ReduceOnly {
			continue
		}
		if err := b.venue.Cancel(ctx, o); err != nil {
			return "", err
		}
	}
	return "a new key is in use, the old one is revoked, and what it ordered is cancelled", nil
}

func cut(b *bot) incidenttest.Drill {
	return incidenttest.Drill{
		Name: "cut", Condition: severity.VenueTimeouts, Component: "venue/coinbase", Healthy: b.venueAnswers,
		Break: func(context.Context) error { return b.exchange.cut() },
		Respond: func(ctx context.Context, in incident.Incident) error {
			return b.acknowledge(ctx, in, "the line to the exchange was mended", b.exchange.mend)
		},
		Mend: func(context.Context) error { return b.exchange.mend() },
	}
}
