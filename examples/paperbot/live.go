package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/postmortem"
	"github.com/andon-go/andon/severity"
)

const (
	calmTicks = 24 // before the fault
	tick      = 25 * time.Millisecond
	patience  = 2 * time.Minute // for a person who has to do something
)

// liveDay is the main job: a day of trading, an incident, and its end.
func liveDay(ctx context.Context, f flags, out io.Writer) (err error) {
	d, err := newDay(ctx, f, out)
	if err != nil {
		return err
	}
	d.start()
	if f.HTTP != "" {
		if d.web, err = d.serve(f.HTTP); err != nil {
			return errors.Join(fmt.Errorf("-http %s: %w", f.HTTP, err), d.close())
		}
	}
	d.screen.show(d.picture)
	var in incident.Incident
	runErr := d.live(ctx, &in)
	d.screen.end()
	if d.web != nil && runErr == nil {
		d.screen.printf("the day is over; the pages stay until Ctrl-C")
		<-ctx.Done()
	}
	closeErr := d.close()
	if in.Number != "" {
		d.conclude(in)
	}
	return errors.Join(runErr, closeErr)
}

// live goes through the day.
func (d *day) live(ctx context.Context, in *incident.Incident) error {
	if err := d.firstStart(ctx); err != nil {
		return err
	}
	d.screen.printf("trading %d symbols, seed %d; to stop it: touch %s", len(symbols()), d.f.Seed, d.path("EMERGENCY_STOP"))
	signal, err := d.calm(ctx)
	if err != nil {
		return err
	}
	*in, err = d.declare(ctx, *signal)
	if err != nil {
		return err
	}
	if err := d.respond(ctx, in); err != nil {
		return fmt.Errorf("%s is not over, and the bot stays %v: %w", in.Number, d.sw.State(), err)
	}
	return nil
}

// firstStart is a resume too: there is no state yet, so the gate is closed until a
// named person has looked.
func (d *day) firstStart(ctx context.Context) error {
	if err := d.step(ctx); err != nil {
		return err
	}
	for range 100 { // until Run listens
		if err := d.sw.Check(); err == nil || len(passing(d.sw.Status().Holds)) == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	st := d.sw.Status()
	for _, h := range st.Holds {
		d.screen.printf("%v", h)
	}
	if err := d.sw.Resume(ctx, d.f.Operator, "first start: book and venue are empty and agree", st.Holds); err != nil {
		return err
	}
	d.screen.printf("%s resumes: trading is %v", d.f.Operator, d.sw.State())
	return nil
}

// calm trades until something is wrong. After calmTicks it is the fault that makes it
// so, but a person's stop is heard at any time.
func (d *day) calm(ctx context.Context) (*severity.Signal, error) {
	for struck := false; ; d.ticks++ {
		if d.ticks == calmTicks {
			said, err := d.fault.strike(ctx, d)
			if err != nil {
				return nil, fmt.Errorf("-fault %s: %w", d.fault.name, err)
			}
			struck = true
			d.screen.printf("FAULT  %s", said)
		}
		if struck && d.ticks > calmTicks+200 {
			return nil, fmt.Errorf("the fault %s was not noticed", d.fault.name)
		}
		stepped := d.step(ctx)
		orders, err := d.decideAll(ctx)
		if stepped == nil {
			stepped = err
		}
		signal := d.signal(ctx, stepped)
		// Whatever was found, this tick's orders are on their way when trading stops:
		// the halt waits for them.
		group := d.launch(ctx, orders)
		if signal != nil {
			return signal, nil
		}
		group.Wait()
		if stepped == nil {
			if err := d.step(ctx); err == nil {
				if err := d.protect(ctx); err != nil {
					d.screen.printf("protect: %v", err)
				}
			}
		}
		if err := pause(ctx, tick); err != nil {
			return nil, err
		}
	}
}

// breathe lets the exchange go on while somebody waits, and says whether ok came true
// in time. The errors of steps are what ok looks at, not ours.
func (d *day) breathe(ctx context.Context, most time.Duration, ok func(stepped error) bool) error {
	deadline := time.Now().Add(most)
	for {
		if ok(d.step(ctx)) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %v in vain", most)
		}
		if err := pause(ctx, tick); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("interrupted: %w", ctx.Err())
	}
}

// conclude says where everything lies and how long everything took.
func (d *day) conclude(in incident.Incident) {
	t := in.Times()
	took := func(v time.Duration, none string) string {
		if v < 0 {
			return none
		}
		return v.Round(10 * time.Microsecond).String()
	}
	fmt.Fprintln(d.screen.out)
	for _, row := range [][2]string{
		{"state", d.path("state")}, {"journal", d.journal.Path()}, {"backups", d.path("backups")}, {"book", d.book.Path()},
		{"log", d.path("trading_bot.log")}, {"post-mortem", d.postMortem(in)},
	} {
		if _, err := os.Stat(row[1]); err != nil {
			row[1] += "  (not written)"
		}
		fmt.Fprintf(d.screen.out, "%-34s %s\n", row[0], row[1])
	}
	for _, row := range [][2]string{
		{"signal to halt", took(t.SignalToHalt, "not halted: "+in.Level.String()+" reduces")},
		{"halt to last in-flight order", took(t.HaltToDrained, "not waited for")},
		{"halt to first page accepted", took(t.HaltToFirstPage, "nobody was reached")},
		{"declared to acknowledged", took(t.DeclaredToAck, "not acknowledged")},
		{"incident to resolved", took(t.DeclaredToClosed, "NOT RESOLVED")},
	} {
		fmt.Fprintf(d.screen.out, "%-34s %s\n", row[0], row[1])
	}
}

func (d *day) postMortem(in incident.Incident) string { return d.path(in.Number + ".md") }

// writePostMortem makes the report from the timeline, and keeps what people wrote into an
// earlier one.
func (d *day) writePostMortem(ctx context.Context, in incident.Incident) error {
	events, err := d.manager.Timeline(ctx, in.Number)
	if err != nil {
		return err
	}
	report, err := postmortem.New(in.Number, events, time.Now())
	if err != nil {
		return err
	}
	_, err = report.Write(d.postMortem(in))
	return err
}
