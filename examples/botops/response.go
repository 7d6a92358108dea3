package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/evidence"
	"github.com/andon-go/andon/incident/evidence/host"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/incident/playbook/control"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/webhook"
	"github.com/andon-go/andon/severity"
)

func (a *app) incidentTable(all []control.Incident) {
	var rows [][]any
	for _, in := range all {
		level := in.Level
		if level == severity.SEV1.String() {
			level = a.out.bad(level)
		}
		rows = append(rows, []any{in.Number, level, in.Status, in.Summary, in.Component, when(in.DeclaredAt), in.AckedBy})
	}
	a.out.table([]any{"incident", "level", "status", "summary", "component", "declared", "acknowledged by"}, rows...)
}

func (a *app) showIncident(in control.Incident) error {
	return a.out.show(in, func() {
		a.incidentTable([]control.Incident{in})
		a.out.line("level because %s", oneLine(in.Why))
		for _, item := range in.Unproven {
			a.out.line("[ ] %s", oneLine(item))
		}
		if in.Problem != "" {
			a.out.line("%s", a.out.bad(in.Problem))
		}
	})
}

type declareCmd struct {
	Summary   string `arg:"" help:"One line for people."`
	Condition string `help:"A condition of the playbook, such as auth-failure; one that is not known pages as SEV-1 and halts." default:"service-unavailable"`
	Component string `help:"What it is about." default:"bot"`
}

func (c declareCmd) Run(a *app) error { return a.declare(c.Summary, c.Condition, c.Component) }

func (a *app) declare(summary, condition, component string) error {
	in, err := a.bot.Declare(a.ctx, a.by, summary, condition, component)
	if err != nil {
		return err
	}
	return a.showDone(in)
}

// showDone shows an incident after something was done to it, and is ErrUnwell where that
// has a problem.
func (a *app) showDone(in control.Incident) error {
	if err := a.showIncident(in); err != nil {
		return err
	}
	if in.Problem != "" {
		return as(control.ErrUnwell, errors.New(in.Problem))
	}
	return nil
}

// pageConditions are what a page of a level that a person has judged is declared as.
var pageConditions = map[severity.Level]severity.Condition{
	severity.SEV1: severity.TradingHalted, severity.SEV2: severity.ExecutionDegraded,
	severity.SEV3: severity.NonCriticalFailure, severity.SEV4: severity.NonCriticalAlert,
}

type pageCmd struct {
	Text string `arg:"" help:"SEV-1: Trading system down"`
}

var pageForm = regexp.MustCompile(`^(SEV-[1-4]):\s*(\S.*)$`)

// Run declares an incident, by which the bot pages. Without a bot the webhooks of the
// configuration are called.
func (c pageCmd) Run(a *app) error {
	m := pageForm.FindStringSubmatch(strings.TrimSpace(c.Text))
	if m == nil {
		return as(errUsage, fmt.Errorf("%q: want \"SEV-1: text\", with a level from 1 to 4", c.Text))
	}
	var level severity.Level
	if err := level.UnmarshalText([]byte(m[1])); err != nil {
		return as(errUsage, err)
	}
	// The component carries the text: pages of two things are two incidents.
	err := a.declare(m[2], string(pageConditions[level]), "operator: "+m[2])
	if err == nil || errors.Is(err, control.ErrUnwell) {
		return err
	}
	if len(a.cfg.Page.URLs) == 0 {
		return errors.Join(err, unwired("page.urls, to page without a bot"))
	}
	if perr := a.pageAlone(level, m[2]); perr != nil {
		return errors.Join(err, perr)
	}
	return a.out.show(map[string]any{"paged": true, "bot": err.Error()}, func() {
		a.out.line("%s without the bot: %v", a.out.good("paged"), err)
	})
}

func (a *app) pageAlone(level severity.Level, text string) error {
	hook, err := webhook.New(webhook.Config{Secret: notify.Secret(os.Getenv(a.cfg.Page.SecretEnv))})
	if err != nil {
		return as(control.ErrNotWired, fmt.Errorf("page.secret_env: %w", err))
	}
	courier, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{"webhook": hook}, Budget: 30 * time.Second, Log: quiet()})
	if err != nil {
		return err
	}
	contact := notify.Contact{Name: "on-call", Roles: []notify.Role{notify.OnCallEngineer, notify.PrimaryEngineer, notify.AnyEngineer}}
	for _, u := range a.cfg.Page.URLs {
		contact.Addresses = append(contact.Addresses, notify.Address{Channel: "webhook", To: u})
	}
	_, err = courier.PageOnCall(a.ctx, notify.Directory{Contacts: []notify.Contact{contact}}, notify.Alert{
		Level: level, Impact: text, Commander: a.by, First: true, Warning: "the bot does not answer",
	})
	return err
}

type ackCmd struct {
	Incident string `arg:"" help:"Its number."`
}

func (c ackCmd) Run(a *app) error {
	in, err := a.bot.Acknowledge(a.ctx, c.Incident, a.by)
	if err != nil {
		return err
	}
	return a.showDone(in)
}

type updateCmd struct {
	Incident string   `arg:"" help:"Its number."`
	Status   string   `arg:"" help:"Current status."`
	Action   []string `help:"An action taken; more than one may be given." sep:"none"`
	Next     []string `help:"A next step; more than one may be given." sep:"none"`
	ETA      string   `help:"Time estimate." name:"eta"`
}

func (c updateCmd) Run(a *app) error {
	in, err := a.bot.Update(a.ctx, c.Incident, a.by, incident.Update{Status: c.Status, Actions: c.Action, Next: c.Next, ETA: c.ETA})
	if err != nil {
		return err
	}
	return a.showDone(in)
}

type attestCmd struct {
	Incident string `arg:"" help:"Its number."`
	Item     string `arg:"" help:"The item of the checklist, in its words."`
	Why      string `help:"What you have seen or done." required:""`
}

func (c attestCmd) Run(a *app) error {
	in, err := a.bot.Attest(a.ctx, c.Incident, a.by, c.Item, c.Why)
	if err != nil {
		return err
	}
	return a.showDone(in)
}

type resolveCmd struct {
	Incident   string `arg:"" help:"Its number."`
	Why        string `help:"What was done." required:""`
	RootCause  string `help:"The cause, in brief."`
	Despite    string `help:"Why it is over although items of the checklist are not proven."`
	PostMortem string `help:"When the post-mortem is held: 2026-03-14T10:00:00Z." placeholder:"TIME"`
}

func (c resolveCmd) Run(a *app) error {
	r := incident.Resolution{By: a.by, Note: c.Why, RootCause: c.RootCause, Despite: c.Despite}
	if c.PostMortem != "" {
		var err error
		if r.PostMortem, err = time.Parse(time.RFC3339, c.PostMortem); err != nil {
			return as(errUsage, fmt.Errorf("--post-mortem: %w", err))
		}
	}
	in, err := a.bot.Resolve(a.ctx, c.Incident, r)
	if err != nil {
		return err
	}
	return a.showIncident(in)
}

type incidentsCmd struct{}

func (incidentsCmd) Run(a *app) error {
	all, err := a.bot.Incidents(a.ctx)
	if err != nil {
		return err
	}
	return a.out.show(all, func() { a.incidentTable(all) })
}

type timelineCmd struct {
	Incident string `arg:"" optional:"" help:"Its number; everything by default."`
}

func (c timelineCmd) Run(a *app) error {
	all, err := a.bot.Timeline(a.ctx, c.Incident)
	if noBot(err) {
		events, jerr := a.savedTimeline(c.Incident)
		if jerr != nil {
			return errors.Join(err, jerr)
		}
		all, err = []control.Event{}, nil
		for _, e := range events {
			all = append(all, control.Event{Seq: e.Seq, At: e.At, Incident: e.Incident, Kind: string(e.Kind), By: e.By, What: e.What, Why: e.Why})
		}
	}
	if err != nil {
		return err
	}
	return a.out.show(all, func() {
		var rows [][]any
		for _, e := range all {
			rows = append(rows, []any{e.Seq, when(e.At), e.Incident, e.Kind, e.By, e.What, e.Why})
		}
		a.out.table([]any{"", "at", "incident", "kind", "by", "what", "why"}, rows...)
	})
}

// savedTimeline reads the journal of a bot that does not run.
func (a *app) savedTimeline(number string) (events []incident.Event, err error) {
	if a.cfg.Timeline == "" {
		return nil, unwired("timeline")
	}
	if _, err := os.Stat(a.cfg.Timeline); err != nil {
		return nil, err
	}
	j, err := journal.Open(a.cfg.Timeline)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	for e, err := range j.Read(a.ctx, 0) {
		if err != nil {
			return nil, err
		}
		if number == "" || e.Incident == number {
			events = append(events, e)
		}
	}
	if number != "" && len(events) == 0 {
		return nil, as(errUsage, fmt.Errorf("timeline of %q: %w", number, incident.ErrUnknown))
	}
	return events, nil
}

type postmortemCmd struct {
	Incident string `arg:"" help:"Its number."`
	Output   string `help:"The Markdown file; the HTML page lies beside it. Defaults to NUMBER.md here." placeholder:"FILE"`
}

func (c postmortemCmd) Run(a *app) error {
	if c.Output == "" {
		c.Output = filepath.Base(c.Incident) + ".md"
	}
	before, err := os.ReadFile(c.Output)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return as(errUsage, err)
	}
	p, err := a.bot.PostMortem(a.ctx, c.Incident, string(before))
	if noBot(err) {
		events, jerr := a.savedTimeline(c.Incident)
		if jerr != nil {
			return errors.Join(err, jerr)
		}
		p, err = control.WritePostMortem(c.Incident, events, string(before), time.Now())
	}
	if err != nil {
		return err
	}
	page := strings.TrimSuffix(c.Output, filepath.Ext(c.Output)) + ".html"
	for path, text := range map[string]string{c.Output: p.Markdown, page: p.HTML} {
		if err := replace(path, text); err != nil {
			return err
		}
	}
	return a.out.show(map[string]any{"markdown": c.Output, "html": page, "waiting": p.Waiting}, func() {
		a.out.line("%s\n%s", c.Output, page)
		a.out.line("waits for a person: %s", strings.Join(p.Waiting, ", "))
	})
}

// replace writes a file whole or not at all.
func replace(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".botops-*")
	if err != nil {
		return as(errUsage, err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

type evidenceCmd struct {
	Collect collectCmd  `cmd:"" default:"withargs" help:"Seal evidence into one archive."`
	Verify  evVerifyCmd `cmd:"" help:"Read an archive and compare it with its chain of custody."`
}

type collectCmd struct {
	Incident string `help:"Its number."`
	Why      string `help:"The reason." required:""`
}

func (c collectCmd) Run(a *app) error {
	archive, err := a.bot.Collect(a.ctx, a.by, c.Incident, c.Why)
	if noBot(err) || errors.Is(err, control.ErrNotWired) {
		if len(a.cfg.Evidence.Recipients) == 0 {
			return errors.Join(err, unwired("evidence.recipients"))
		}
		archive, err = a.collectAlone(c)
	}
	if archive.Path == "" {
		return err
	}
	if serr := a.out.show(archive, func() {
		a.out.line("%s: %s\nsha256 %s, %d bytes, %d files", a.out.good("sealed"), archive.Path, archive.SHA256, archive.Size, archive.Entries)
		if len(archive.Problems) > 0 {
			a.out.line("%s: %s", a.out.warn("could not be had"), archive.Problems)
		}
	}); serr != nil {
		return errors.Join(err, serr)
	}
	return err
}

func (a *app) collectAlone(c collectCmd) (control.Archive, error) {
	items := []evidence.Item{host.Network(""), host.Processes(""), host.Logins(), evidence.History()}
	if len(a.cfg.Evidence.Paths) > 0 {
		items = append([]evidence.Item{evidence.Files("files", a.cfg.Evidence.Paths...)}, items...)
	}
	col, err := evidence.New(evidence.Config{Dir: a.cfg.Evidence.Dir, Recipients: a.cfg.Evidence.Recipients, Items: items, Log: quiet()})
	if err != nil {
		return control.Archive{}, as(errUsage, err)
	}
	r, err := col.Collect(a.ctx, a.by, c.Incident, c.Why)
	return control.Archive{Path: r.Path, SHA256: r.SHA256, Size: r.Size, Entries: len(r.Manifest.Entries)}, err
}

type evVerifyCmd struct {
	Archive  string `arg:"" help:"The archive."`
	Identity string `help:"File with an age identity, to open it too." placeholder:"FILE"`
}

func (c evVerifyCmd) Run(a *app) error {
	if _, err := os.Stat(c.Archive); err != nil {
		return as(errUsage, err)
	}
	var ids []age.Identity
	if c.Identity != "" {
		f, err := os.Open(c.Identity)
		if err != nil {
			return as(errUsage, err)
		}
		ids, err = age.ParseIdentities(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return as(errUsage, fmt.Errorf("%s: %w", c.Identity, err))
		}
	}
	r, err := evidence.Verify(a.ctx, c.Archive, a.by, ids...)
	if err != nil {
		if errors.Is(err, evidence.ErrDamaged) {
			err = as(control.ErrUnwell, err)
		}
		return err
	}
	return a.out.show(r, func() {
		a.out.line("%s: %d lines of custody, opened: %v, %d files", a.out.good("what it was"), len(r.Custody), r.Opened, len(r.Manifest.Entries))
	})
}

type runbookCmd struct {
	Plan    runPlanCmd  `cmd:"" help:"What each step would do now; changes nothing."`
	Start   runStartCmd `cmd:"" help:"Begin a runbook for an incident."`
	Show    runShowCmd  `cmd:"" help:"How far a run is; all of them by default."`
	Approve runStepCmd  `cmd:"" help:"Agree that a step is done."`
	Attest  runStepCmd  `cmd:"" help:"Say that you have done a step that a person does."`
	Retry   runStepCmd  `cmd:"" help:"Have a step tried again."`
	Skip    runStepCmd  `cmd:"" help:"Go on without a step."`
	Abort   runAbortCmd `cmd:"" help:"End a run and take back what can be."`
}

type runPlanCmd struct {
	Runbook  string `arg:"" help:"Its name, such as \"Service Outage\"."`
	Incident string `help:"The incident's number."`
}

func (c runPlanCmd) Run(a *app) error {
	steps, err := a.bot.PlanRun(a.ctx, c.Runbook, c.Incident, a.by)
	if err != nil {
		return err
	}
	return a.out.show(steps, func() { a.stepTable(steps) })
}

func (a *app) stepTable(steps []control.Step) {
	var rows [][]any
	for _, s := range steps {
		rows = append(rows, []any{s.Name, s.Status, s.Approval, first(s.Plan + s.Evidence), first(s.Problem)})
	}
	a.out.table([]any{"step", "status", "who agrees", "what", "problem"}, rows...)
	// What a cell has no room for is what a person is to do, or why it went wrong.
	for _, s := range steps {
		for _, full := range []string{s.Plan + s.Evidence, s.Problem} {
			if full != first(full) {
				a.out.line("\n%s:", oneLine(s.Name))
				a.out.text(full)
			}
		}
	}
}

func first(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	if r := []rune(line); len(r) > 80 {
		return string(r[:79]) + "…"
	}
	return line
}

type runStartCmd struct {
	Runbook  string `arg:"" help:"Its name, such as \"Service Outage\"."`
	Incident string `help:"The incident's number." required:""`
	Why      string `help:"The reason." required:""`
}

func (c runStartCmd) Run(a *app) error {
	r, err := a.bot.StartRun(a.ctx, c.Runbook, c.Incident, a.by, c.Why)
	if err != nil {
		return err
	}
	return a.showRun(r)
}

func (a *app) showRun(r control.Run) error {
	return a.out.show(r, func() {
		a.out.line("%s  %s for %s: %s %s", r.ID, r.Runbook, r.Incident, r.Status, r.For)
		a.stepTable(r.Steps)
	})
}

type runShowCmd struct {
	ID string `arg:"" optional:"" help:"Of the run."`
}

func (c runShowCmd) Run(a *app) error {
	if c.ID != "" {
		r, err := a.bot.Run(a.ctx, c.ID)
		if err != nil {
			return err
		}
		return a.showRun(r)
	}
	all, err := a.bot.Runs(a.ctx)
	if err != nil {
		return err
	}
	return a.out.show(all, func() {
		var rows [][]any
		for _, r := range all {
			rows = append(rows, []any{r.ID, r.Runbook, r.Incident, r.Status, r.For})
		}
		a.out.table([]any{"run", "runbook", "incident", "status", "waits for"}, rows...)
	})
}

type runStepCmd struct {
	ID   string `arg:"" help:"Of the run."`
	Step string `arg:"" help:"The step's name."`
	Why  string `help:"The reason, or what shows that it is done." required:""`
}

func (c runStepCmd) Run(a *app) error {
	r, err := a.bot.Step(a.ctx, a.sub, c.ID, c.Step, a.by, c.Why)
	if err != nil {
		return err
	}
	return a.showRun(r)
}

type runAbortCmd struct {
	ID  string `arg:"" help:"Of the run."`
	Why string `help:"The reason." required:""`
}

func (c runAbortCmd) Run(a *app) error {
	r, err := a.bot.Step(a.ctx, "abort", c.ID, "", a.by, c.Why)
	if err != nil {
		return err
	}
	return a.showRun(r)
}
