package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/filebackup"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/severity"
)

// declare opens the incident. When it returns, nothing that adds exposure passes.
func (d *day) declare(ctx context.Context, s severity.Signal) (incident.Incident, error) {
	in, err := d.manager.Declare(ctx, "paperbot", s.Detail, s)
	if err != nil {
		if in.Number == "" {
			return in, err
		}
		d.screen.printf("%s: %v", in.Number, err)
	}
	d.screen.printf("SIGNAL %s at %s: %s", s.Condition, s.Component, s.Detail)
	d.screen.printf("%s %v, because %s", in.Number, in.Level, in.Why)
	if s.Condition == operatorStop && d.fault.name != "operator-flag" {
		d.fault = fault{name: "operator-flag", cause: faultNamed("operator-flag").cause}
	}
	if in.Gate == incident.NotHalted {
		if err := d.sw.Reduce("paperbot", "reduce load: "+s.Detail); err != nil {
			return in, err
		}
	}
	d.screen.printf("trading is %v; the gate is %v", d.sw.State(), in.Gate)
	return in, nil
}

// respond handles the incident by the playbook. in is kept up to date for whoever
// looks on.
func (d *day) respond(ctx context.Context, in *incident.Incident) error {
	for _, act := range []func(context.Context, *incident.Incident) error{
		d.answer, d.preserve, d.outside, d.settle, d.recover, d.check, d.resume, d.watch, d.resolve,
	} {
		err := act(ctx, in)
		if now, getErr := d.manager.Get(in.Number); getErr == nil {
			*in = now
		}
		if err != nil {
			if reportErr := d.writePostMortem(context.WithoutCancel(ctx), *in); reportErr != nil {
				err = errors.Join(err, reportErr)
			}
			return err
		}
	}
	return nil
}

// answer waits for the page and acknowledges it.
func (d *day) answer(ctx context.Context, in *incident.Incident) error {
	err := d.breathe(ctx, 30*time.Second, func(error) bool {
		now, err := d.manager.Get(in.Number)
		accepted, _ := d.pager.counts()
		return err == nil && !now.FirstPageAt.IsZero() && accepted > 0
	})
	if err != nil {
		return fmt.Errorf("first page: %w", err)
	}
	if err := d.manager.Assign(ctx, in.Number, d.f.Operator, incident.Commander, d.f.Operator); err != nil {
		return err
	}
	if err := d.manager.Acknowledge(ctx, in.Number, d.f.Operator); err != nil {
		return err
	}
	d.screen.printf("%s acknowledges and leads", d.f.Operator)
	return nil
}

// preserve stops writes where data is in doubt, and takes a backup that counts before
// anything is changed.
func (d *day) preserve(ctx context.Context, in *incident.Incident) error {
	if in.Condition == severity.InconsistentPositions {
		path := d.path("READONLY_MODE")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return err
		}
		err := d.breathe(ctx, 5*time.Second, func(error) bool { return d.sw.CheckWrite() != nil })
		if err != nil {
			return fmt.Errorf("hold of %s: %w", path, err)
		}
		d.screen.printf("writes to the book are held: touched %s", path)
	}
	for _, c := range []recovery.Component{recovery.PositionDatabase, recovery.Configuration} {
		b, err := d.catalog.Backup(ctx, c, time.Now())
		if err != nil {
			return fmt.Errorf("backup of %s: %w", c, err)
		}
		d.screen.printf("backup of %s: %v", c, b)
		if err := d.drill(ctx, c); err != nil {
			return fmt.Errorf("restore drill of %s: %w", c, err)
		}
	}
	return nil
}

// drill restores a backup into a place of its own, which is how its restore time is
// known.
func (d *day) drill(ctx context.Context, c recovery.Component) error {
	into := d.path("restore-drill/" + map[recovery.Component]string{
		recovery.PositionDatabase: "positions.db", recovery.Configuration: "production.json",
	}[c])
	if err := os.MkdirAll(filepath.Dir(into), 0o700); err != nil {
		return err
	}
	plan, err := d.files[c].PlanRestore(ctx, filebackup.Request{Into: into}, time.Now())
	if err != nil {
		return err
	}
	restored, err := d.files[c].Restore(ctx, plan, d.f.Operator, "measure the restore", time.Now())
	if err != nil {
		return err
	}
	d.screen.printf("  restored into %s in %v", restored.Into, restored.Took.Round(time.Millisecond))
	return nil
}

// outside covers what can be covered at once, and waits for what others have to do.
func (d *day) outside(ctx context.Context, _ *incident.Incident) error {
	if report, err := safety.ReadProtection(ctx, d.ex, safety.Requirements{}, time.Now()); err != nil {
		d.screen.printf("position check: unknown, and so taken for unprotected: %v", strings.ReplaceAll(err.Error(), "\n", "; "))
	} else {
		d.screen.printf("position check: %v", report)
		if !report.Protected() {
			if err := d.placeStops(ctx); err != nil {
				return err
			}
		}
	}
	if d.fault.outside != nil {
		if d.fault.waits {
			d.screen.printf("waiting for somebody outside; at most %v (-window; the playbook's 15 min)", d.f.Window)
			end := time.Now().Add(d.f.Window)
			if err := d.breathe(ctx, d.f.Window+time.Minute, func(error) bool { return time.Now().After(end) }); err != nil {
				return err
			}
		}
		said, err := d.fault.outside(d)
		if err != nil {
			return err
		}
		d.screen.printf("%s", said)
	}
	return d.flagGone(ctx)
}

// flagGone waits until the person who placed the emergency stop takes the file away.
func (d *day) flagGone(ctx context.Context) error {
	path := d.path("EMERGENCY_STOP")
	gone := func() bool { _, err := os.Lstat(path); return errors.Is(err, os.ErrNotExist) }
	if gone() {
		return nil
	}
	d.screen.printf("%s is there: remove it to go on (within %v)", path, patience)
	if err := d.breathe(ctx, patience, func(error) bool { return gone() }); err != nil {
		return fmt.Errorf("%s is still there: %w", path, err)
	}
	d.screen.printf("%s is gone; the stop stays until it is resumed", path)
	return nil
}

// settle waits until no order is in flight and no outcome unknown.
func (d *day) settle(ctx context.Context, in *incident.Incident) error {
	err := d.breathe(ctx, 30*time.Second, func(stepped error) bool {
		now, err := d.manager.Get(in.Number)
		return stepped == nil && err == nil && d.sw.Status().InFlight == 0 && (now.Gate == incident.NotHalted || !now.DrainedAt.IsZero())
	})
	if err != nil {
		return fmt.Errorf("orders in flight %v: %w", d.sw.Status().Unresolved, err)
	}
	now, err := d.manager.Get(in.Number)
	if err != nil {
		return err
	}
	if t := now.Times(); t.HaltToDrained >= 0 {
		d.screen.printf("every order that was in flight is settled, %v after the halt", t.HaltToDrained.Round(time.Microsecond))
	}
	return nil
}

// recover takes the system up again in the playbook's order.
func (d *day) recover(ctx context.Context, in *incident.Incident) error {
	seq, err := recovery.NewSequence(recovery.SequenceConfig{
		Steps: d.steps(), Budget: time.Minute, Recorder: d.manager, Logger: slog.New(slog.DiscardHandler), // OnResult says it
		OnResult: func(r recovery.StepResult) { d.screen.printf("recovery %v", r) },
	})
	if err != nil {
		return err
	}
	if _, err := seq.Run(ctx, d.f.Operator, nil); err != nil {
		return err
	}
	if err := d.manager.RootCause(ctx, in.Number, d.f.Operator, d.fault.cause, "found in the response"); err != nil {
		return err
	}
	_, denied, _ := d.tally()
	if err := d.manager.Impact(ctx, in.Number, d.f.Operator, incident.Impact{Trades: &denied}, "orders that the gate denied"); err != nil {
		return err
	}
	return d.manager.Mitigate(ctx, in.Number, d.f.Operator, "the recovery steps are proven")
}

// check proves the recovery checklist.
func (d *day) check(ctx context.Context, in *incident.Incident) error {
	if err := d.silence(ctx); err != nil {
		return err
	}
	when := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Hour)
	err := d.manager.Note(ctx, in.Number, d.f.Operator, postMortemNote+when.Format(time.RFC3339), "the playbook asks for it")
	if err != nil {
		return err
	}
	list, err := recovery.NewChecklist(recovery.ChecklistConfig{
		Items: recovery.ValidationItems(d.proofs(in.Number)), Recorder: d.manager,
	})
	if err != nil {
		return err
	}
	runErr := list.Run(ctx, d.f.Operator)
	d.screen.printf("recovery checklist; error window %v (-window; the playbook's 5 min)", d.errorWindow())
	for _, r := range list.Results() {
		d.screen.printf("%v", r)
		if r.Proven {
			if err := d.manager.Prove(ctx, in.Number, r.By, r.Text, r.Evidence, r.Attested); err != nil {
				return err
			}
		}
	}
	return runErr
}

// silence waits until the log had no error for as long as the checklist asks.
func (d *day) silence(ctx context.Context) error {
	return d.breathe(ctx, d.errorWindow()+time.Minute, func(error) bool {
		last, _, _ := d.errors.newest()
		slow := d.slowRule.Judge(d.samples(), time.Now()).Fires // its samples grow old
		return !slow && time.Since(last) > d.errorWindow() && time.Since(d.screen.start) > d.errorWindow()
	})
}

// errorWindow is how long the log has to be without errors: 5 minutes, or -window
// where that is shorter.
func (d *day) errorWindow() time.Duration { return min(5*time.Minute, d.f.Window) }

// resume opens the gate again, by a named person with a note who has seen every hold.
func (d *day) resume(ctx context.Context, _ *incident.Incident) error {
	if err := os.Remove(d.path("READONLY_MODE")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for {
		holds := d.sw.Status().Holds
		for _, h := range holds {
			d.screen.printf("seen: %v", h)
		}
		err := d.sw.Resume(ctx, d.f.Operator, d.f.Note, holds)
		if refused := (*safety.ResumeError)(nil); errors.As(err, &refused) && strings.Contains(refused.Why, "EMERGENCY_STOP") {
			d.screen.printf("%v", err)
			if err := d.flagGone(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		d.screen.printf("%s resumes (%s): trading is %v", d.f.Operator, d.f.Note, d.sw.State())
		return nil
	}
}

// watch trades on under watch.
func (d *day) watch(ctx context.Context, in *incident.Incident) error {
	every := max(d.shorter(30*time.Second), 150*time.Millisecond)
	d.screen.printf("watch: %v, a look every %v (-window; the playbook's 15 min and 30 s)", d.f.Window, every)
	w, err := recovery.NewWatch(recovery.WatchConfig{
		For: d.f.Window, Every: every, Timeout: 10 * time.Second, Look: d.look,
		OnLook: func(l recovery.Look) {
			if !l.Good() || l.Number%10 == 1 {
				d.screen.printf("look %d: %s%s", l.Number, l.Evidence, l.Problem)
			}
		},
	})
	if err != nil {
		return err
	}
	result, err := w.Run(ctx)
	if err != nil {
		if _, haltErr := d.sw.Halt(ctx, d.f.Operator, "the watch did not pass: "+err.Error()); haltErr != nil {
			err = errors.Join(err, haltErr)
		}
		return err
	}
	d.screen.printf("%v", result)
	return d.manager.Note(ctx, in.Number, d.f.Operator, result.String(), "trading was watched after the resume")
}

// resolve ends the incident and writes its report.
func (d *day) resolve(ctx context.Context, in *incident.Incident) error {
	err := d.manager.Resolve(ctx, in.Number, incident.Resolution{
		By: d.f.Operator, Note: d.f.Note, RootCause: d.fault.cause,
		PostMortem: time.Now().Add(24 * time.Hour).UTC().Truncate(time.Hour),
	})
	if err != nil {
		return err
	}
	if *in, err = d.manager.Get(in.Number); err != nil {
		return err
	}
	d.screen.printf("%s is resolved after %v", in.Number, in.Duration(time.Now()).Round(time.Millisecond))
	for _, c := range d.catalog.Compliance(ctx, time.Now()) {
		d.screen.printf("objective %v", c)
	}
	return d.writePostMortem(ctx, *in)
}

// tally returns how many orders were sent, denied and lost on the way.
func (d *day) tally() (sent, denied, lost int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.orders, d.denied, d.lost
}

// passing returns the holds that go by themselves.
func passing(holds []safety.Hold) (p []safety.Hold) {
	for _, h := range holds {
		if h.Passing {
			p = append(p, h)
		}
	}
	return p
}
