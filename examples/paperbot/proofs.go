package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/examples/paperbot/internal/sim"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/safety"
)

// postMortemNote begins the note that schedules the post-mortem.
const postMortemNote = "post-mortem scheduled for "

// steps are the playbook's eight, with this bot's checks and actions.
func (d *day) steps() []recovery.Step {
	checks := map[string]recovery.Check{
		recovery.StepStopLoss:      d.protectionHolds,
		recovery.StepPositions:     d.bookAgrees,
		recovery.StepTradingEngine: d.engineReady,
		recovery.StepRisk:          d.limitsHold,
		recovery.StepMarketData:    d.quotesFresh,
		recovery.StepDecision:      d.decisionsMade,
		recovery.StepMemory:        d.memoryThere,
		recovery.StepMonitoring:    d.monitoringWorks,
	}
	actions := map[string]func(context.Context) error{
		recovery.StepStopLoss:  d.placeStops,
		recovery.StepPositions: d.repairBook,
		recovery.StepMemory:    func(ctx context.Context) error { _, err := d.decideAll(ctx); return err },
	}
	steps := recovery.PriorityOrder()
	for i := range steps {
		steps[i].Check, steps[i].Action = checks[steps[i].Name], actions[steps[i].Name]
	}
	return steps
}

// proofs are the checks of the recovery checklist.
func (d *day) proofs(number string) recovery.Proofs {
	return recovery.Proofs{
		ServicesRunning:      d.servicesRun,
		NoErrorLogs:          d.noErrors,
		TestTrade:            d.testTrade,
		PositionsAccounted:   d.bookAgrees,
		RiskLimitsEnforced:   d.limitsHold,
		AlertsCleared:        d.alertsCleared,
		StakeholdersNotified: func(ctx context.Context) (string, error) { return d.notified(ctx, number) },
		PostMortemScheduled:  func(ctx context.Context) (string, error) { return d.scheduled(ctx, number) },
		ErrorWindow:          d.errorWindow(),
	}
}

func (d *day) protectionHolds(ctx context.Context) (string, error) {
	report, err := safety.ReadProtection(ctx, d.ex, safety.Requirements{}, time.Now())
	if err != nil {
		return "", err
	}
	if !report.Protected() {
		return "", errors.New(report.String())
	}
	return report.String(), nil
}

// placeStops plans what is missing, shows it, and places it.
func (d *day) placeStops(ctx context.Context) error {
	report, err := safety.ReadProtection(ctx, d.ex, safety.Requirements{}, time.Now())
	if err != nil {
		return err
	}
	if err := report.WriteTable(d.screen); err != nil {
		return err
	}
	plan, err := safety.PlanProtection(report, d.policy())
	if err != nil {
		return err
	}
	if err := plan.WriteTable(d.screen); err != nil {
		return err
	}
	p := d.protector
	p.By = d.f.Operator
	if _, err := p.Apply(ctx, plan, time.Now()); err != nil {
		return err
	}
	return d.catchUp(ctx)
}

// catchUp reads the venue and books what happened while writes were held.
func (d *day) catchUp(ctx context.Context) error {
	token, err := d.sw.AllowWrite(ctx, d.f.Operator, "book what happened while writes were held")
	if err != nil {
		return err
	}
	d.token = token
	defer func() { d.token = safety.WriteToken{}; d.sw.Release(token) }()
	return d.step(ctx)
}

func (d *day) bookAgrees(ctx context.Context) (string, error) {
	report, err := d.rec.Compare(ctx, time.Now())
	if err != nil {
		return "", err
	}
	if !report.Clean() {
		return "", fmt.Errorf("book and venue differ in %d places", len(report.Discrepancies()))
	}
	var parts []string
	for _, c := range report.Comparisons {
		parts = append(parts, fmt.Sprintf("%d of %d: %v", c.Agreed, c.OnVenue, c.Subject))
	}
	return "book and venue agree, " + strings.Join(parts, ", "), nil
}

// repairBook compares, shows the plan, and applies it on the operator's word.
func (d *day) repairBook(ctx context.Context) error {
	if err := d.catchUp(ctx); err != nil {
		return err
	}
	now := time.Now()
	report, err := d.rec.Compare(ctx, now)
	if err != nil {
		return err
	}
	if err := report.WriteTable(d.screen); err != nil {
		return err
	}
	plan, err := report.Plan()
	if err != nil {
		return err
	}
	if err := plan.WriteTable(d.screen); err != nil {
		return err
	}
	result, err := d.rec.Apply(ctx, plan, reconcile.Approval{By: d.f.Operator, Note: "the venue is right, the book was damaged", Commit: true}, now)
	if err != nil {
		return err
	}
	d.screen.printf("applied: %d repairs of the book, approved by %s", result.Repairs, d.f.Operator)
	return nil
}

func (d *day) engineReady(context.Context) (string, error) {
	st := d.sw.Status()
	switch {
	case len(passing(st.Holds)) > 0:
		return "", fmt.Errorf("the switch is not well: %v", passing(st.Holds)[0])
	case st.InFlight > 0:
		return "", fmt.Errorf("%d orders are in flight", st.InFlight)
	case !st.Durable:
		return "", errors.New("the switch's state is not on disk")
	}
	return "nothing in flight, the switch listens and its state is on disk", nil
}

// rehearse runs a second bot in paper mode, with this bot's settings, through one
// trade and past its limit.
func (d *day) rehearse(ctx context.Context) (trade, limit string, err error) {
	dir, err := os.MkdirTemp(d.dir, "rehearsal-")
	if err != nil {
		return "", "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	paper, err := sim.New(sim.Config{Name: "paper", Start: time.Now(), Symbols: symbols()})
	if err != nil {
		return "", "", err
	}
	sw, err := safety.Open(ctx, safety.Config{Name: "rehearsal", Dir: dir, NoFlags: true, MaxPosition: limits(), Log: d.log})
	if err != nil {
		return "", "", err
	}
	defer func() { err = errors.Join(err, sw.Close()) }()
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- sw.Run(running) }()
	defer func() { stop(); err = errors.Join(err, <-done) }()
	for len(passing(sw.Status().Holds)) > 0 {
		if err := pause(ctx, time.Millisecond); err != nil {
			return "", "", err
		}
	}
	if err := sw.Resume(ctx, d.f.Operator, "rehearsal", sw.Status().Holds); err != nil {
		return "", "", err
	}
	view, err := safety.ReadView(ctx, "paper", paper)
	if err != nil {
		return "", "", err
	}
	if err := sw.Observe(view); err != nil {
		return "", "", err
	}
	first := symbols()[0].Name
	o := andon.Order{ClientID: "test", Venue: "paper", Symbol: first, Side: andon.Buy, Kind: andon.Market, Quantity: unit[first]}
	got, err := sw.Submit(ctx, paper, o)
	if err != nil {
		return "", "", err
	}
	if got.Status != andon.Filled {
		return "", "", fmt.Errorf("test trade: %s is %v, filled %v of %v", first, got.Status, got.Filled, got.Quantity)
	}
	o.ClientID, o.Quantity = "too-large", limits()[first]
	_, err = sw.Submit(ctx, paper, o)
	denied := (*safety.DeniedError)(nil)
	if !errors.As(err, &denied) || !strings.Contains(denied.Why, "MaxPosition") {
		return "", "", fmt.Errorf("an order beyond the limit of %v was not denied: %w", o.Quantity, err)
	}
	return fmt.Sprintf("bought %v %s on paper", got.Filled, first), "denied on paper: " + denied.Why, nil
}

func (d *day) testTrade(ctx context.Context) (string, error) {
	trade, _, err := d.rehearse(ctx)
	return trade, err
}

func (d *day) limitsHold(ctx context.Context) (string, error) {
	_, limit, err := d.rehearse(ctx)
	return limit, err
}

func (d *day) quotesFresh(ctx context.Context) (string, error) {
	if err := d.step(ctx); err != nil {
		return "", err
	}
	for _, s := range symbols() {
		q, err := d.ex.Quote(ctx, s.Name)
		if err != nil {
			return "", err
		}
		if age := time.Since(q.At); age > 5*time.Second {
			return "", fmt.Errorf("the quote of %s is %v old", s.Name, age)
		}
	}
	return fmt.Sprintf("fresh quotes of %d symbols", len(symbols())), nil
}

func (d *day) decisionsMade(ctx context.Context) (string, error) {
	orders, err := d.decideAll(ctx)
	if err != nil {
		return "", err
	}
	for _, o := range orders {
		if err := o.Validate(); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d decisions, each a valid order; none was sent", len(orders)), nil
}

func (d *day) memoryThere(context.Context) (string, error) {
	if len(d.marks) != len(symbols()) {
		return "", fmt.Errorf("last prices of %d of %d symbols are remembered", len(d.marks), len(symbols()))
	}
	return fmt.Sprintf("last prices of %d symbols are remembered", len(d.marks)), nil
}

func (d *day) monitoringWorks(context.Context) (string, error) {
	report, err := journal.Verify(d.journal.Path(), d.journal.Tip())
	if err != nil {
		return "", err
	}
	if err := d.logFile.Sync(); err != nil {
		return "", err
	}
	return fmt.Sprintf("the journal's chain is whole up to event %d, the log is written", report.Tip.Seq), nil
}

func (d *day) servicesRun(ctx context.Context) (string, error) {
	if p := passing(d.sw.Status().Holds); len(p) > 0 {
		return "", fmt.Errorf("switch: %v", p[0])
	}
	if n, err := d.manager.Unrecorded(); n > 0 {
		return "", fmt.Errorf("timeline: %d events wait: %w", n, err)
	}
	if _, err := d.ex.Balances(ctx); err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.pager.url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("pager: %w", err)
	}
	if err := resp.Body.Close(); err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusUnauthorized {
		return "", fmt.Errorf("pager: it took an unsigned request: %s", resp.Status)
	}
	return "switch, timeline, venue and pager answer", nil
}

func (d *day) noErrors(_ context.Context, window time.Duration) (string, error) {
	last, text, n := d.errors.newest()
	if since := time.Since(last); since < window {
		return "", fmt.Errorf("%v ago: %s", since.Round(time.Millisecond), text)
	}
	return fmt.Sprintf("no error for %v; %d since the start", window, n), nil
}

// alertsCleared looks for what raised alerts: nothing may be left.
func (d *day) alertsCleared(ctx context.Context) (string, error) {
	if _, err := d.protectionHolds(ctx); err != nil {
		return "", err
	}
	if v := d.slowRule.Judge(d.samples(), time.Now()); v.Fires {
		return "", errors.New(v.Why)
	}
	if d.failures > 0 && d.step(ctx) != nil {
		return "", errors.New("the venue does not answer")
	}
	if d.flagPresent() {
		return "", errors.New("a flag is still placed")
	}
	return "stops in place, execution fast enough, the venue answers, no emergency stop placed", nil
}

func (d *day) flagPresent() bool {
	for _, f := range d.sw.Status().Flags {
		if f.State == safety.Halted && (f.Present || f.Err != nil) {
			return true
		}
	}
	return false
}

func (d *day) notified(ctx context.Context, number string) (string, error) {
	events, err := d.manager.Timeline(ctx, number)
	if err != nil {
		return "", err
	}
	told := map[string]bool{}
	for _, e := range events {
		if e.Kind == incident.Paged && e.Data.Error == "" {
			told[e.Data.Channel] = true
		}
	}
	accepted, refused := d.pager.counts()
	if len(told) == 0 || accepted == 0 || refused > d.unsigned() {
		return "", fmt.Errorf("channels that took a page: %d; the pager took %d messages and refused %d", len(told), accepted, refused)
	}
	return fmt.Sprintf("paged on %d channels; the pager verified the signature of %d messages", len(told), accepted), nil
}

// unsigned is how many requests without a signature this program itself has sent to
// its pager, to see that it refuses them.
func (d *day) unsigned() int { return 1 }

func (d *day) scheduled(ctx context.Context, number string) (string, error) {
	events, err := d.manager.Timeline(ctx, number)
	if err != nil {
		return "", err
	}
	for _, e := range events {
		if e.Kind == incident.Noted && strings.HasPrefix(e.What, postMortemNote) {
			return e.What, nil
		}
	}
	return "", errors.New("the timeline has no date for it")
}

// mayResume is what the switch asks before it opens: a clean comparison and a stop on
// every leg.
func (d *day) mayResume(ctx context.Context) error {
	_, bookErr := d.bookAgrees(ctx)
	_, stopErr := d.protectionHolds(ctx)
	return errors.Join(bookErr, stopErr)
}

// look trades once and looks whether all is well.
func (d *day) look(ctx context.Context) (string, error) {
	if err := d.sw.Check(); err != nil {
		return "", err
	}
	if err := d.step(ctx); err != nil {
		return "", err
	}
	orders, err := d.decideAll(ctx)
	if err != nil {
		return "", err
	}
	d.launch(ctx, orders).Wait()
	if err := d.step(ctx); err != nil {
		return "", err
	}
	if err := d.protect(ctx); err != nil {
		return "", err
	}
	if err := d.step(ctx); err != nil {
		return "", err
	}
	evidence, err := d.bookAgrees(ctx)
	if err != nil {
		return "", err
	}
	if _, err := d.noErrors(ctx, time.Since(d.screen.start)); err != nil {
		if _, err := d.noErrors(ctx, d.errorWindow()); err != nil {
			return "", err
		}
	}
	return "trading is active, " + evidence, nil
}
