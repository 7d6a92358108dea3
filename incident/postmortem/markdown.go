package postmortem

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/andon-go/andon/incident"
)

// Markdown returns the report in the playbook's template, ending with a newline. What a
// person is to write stands between two comments that no reader sees; Read finds it by them.
func (r Report) Markdown() string {
	d := doc{text: r.Text}
	in := r.Incident
	d.line("# Post-Mortem %s", esc(in.Number))
	d.line("")
	if in.Status != incident.Closed {
		d.line("**The incident is still open; this is what was known at %s.**", stamp(r.At))
		d.line("")
	}
	r.summary(&d)
	r.rootCause(&d)
	r.lessons(&d)
	r.actions(&d)
	r.record(&d)
	return sealed(d.String())
}

// doc is a Markdown document being written.
type doc struct {
	strings.Builder
	text  map[Place]string
	waits []Place // those that nobody has written yet
}

func (d *doc) line(format string, args ...any) {
	fmt.Fprintf(d, format, args...)
	d.WriteByte('\n')
}

func (d *doc) section(level int, title string) {
	d.line("%s %s\n", strings.Repeat("#", level), title)
}

// place writes what a person has written there, or the prompt that waits for it.
func (d *doc) place(p Place, prompt string) {
	text, written := d.text[p]
	if !written {
		text = prompt
		d.waits = append(d.waits, p)
	}
	fmt.Fprintf(d, "%s%s%s", opening(p, prompt), text, closing)
}

// ask leaves a place for a paragraph or more.
func (d *doc) ask(p Place, what string) {
	d.place(p, fmt.Sprintf("\n\n> **%s** %s\n\n", Prompt, what))
	d.line("\n")
}

func (r Report) summary(d *doc) {
	in := r.Incident
	d.section(2, "Incident Summary")
	d.line("- **Incident ID**: %s", esc(in.Number))
	d.line("- **Date**: %s", in.DeclaredAt.UTC().Format(time.DateOnly))
	d.line("- **Duration**: %s", hours(in.Duration(r.At)))
	d.line("- **Severity**: %v", in.Level)
	d.line("- **Lead**: %s", esc(cmp.Or(in.Commander, in.ResolvedBy, in.AckedBy, "nobody took the lead")))
	d.line("")
	r.timeline(d)
	r.impact(d)
}

func (r Report) timeline(d *doc) {
	in := r.Incident
	cause, _ := r.first(func(e incident.Event) bool { return e.Data.RootCause != "" })
	d.section(3, "Timeline")
	for _, p := range []struct {
		at   time.Time
		what string
	}{
		{in.SignalAt, "Initial detection"},
		{in.DeclaredAt, "Incident declared by " + esc(in.DeclaredBy)},
		{in.HaltedAt, "Trading halted"},
		{in.FirstPageAt, "First page accepted"},
		{in.AckedAt, "Acknowledged by " + esc(in.AckedBy)},
		{cause.At, "Root cause identified"},
		{in.MitigatedAt, "Fix implemented"},
		{r.restored(), "Service restored"},
		{in.ResolvedAt, "Incident closed by " + esc(in.ResolvedBy)},
	} {
		if p.at.IsZero() {
			d.line("- **--:--** - %s: not on record", strings.TrimSuffix(p.what, " by "))
			continue
		}
		d.line("- **%s** - %s", p.at.UTC().Format("15:04"), p.what)
	}
	d.line("\nTimes are UTC.\n")
	r.durations(d)
}

func (r Report) durations(d *doc) {
	in := r.Incident
	t := in.Times()
	d.line("| Measured | Took | Target | Verdict |")
	d.line("|----------|------|--------|---------|")
	for _, row := range []struct {
		what         string
		took         time.Duration
		done, target time.Time
	}{
		{"Signal to declaration (detect)", in.DeclaredAt.Sub(in.SignalAt), in.DeclaredAt, time.Time{}},
		{"Signal to halt", t.SignalToHalt, in.HaltedAt, time.Time{}},
		{"Halt to the last order in flight settled", t.HaltToDrained, in.DrainedAt, time.Time{}},
		{"Halt to the first page accepted", t.HaltToFirstPage, in.FirstPageAt, time.Time{}},
		{"Declaration to acknowledgement", t.DeclaredToAck, in.AckedAt, in.RespondBy},
		{"Declaration to mitigation", t.DeclaredToCalm, in.MitigatedAt, time.Time{}},
		{"Declaration to resolution", t.DeclaredToClosed, in.ResolvedAt, in.ResolveBy},
	} {
		target, verdict := "none", ""
		if !row.target.IsZero() {
			target = "under " + tick(row.target.Sub(in.DeclaredAt))
			verdict = [...]string{pending: "pending", met: "met", missed: "missed"}[r.judge(row.done, row.target)]
		}
		d.line("| %s | %s | %s | %s |", row.what, took(row.took), target, verdict)
	}
	d.line("")
}

func (r Report) impact(d *doc) {
	in, i := r.Incident, r.Incident.Impact
	d.section(3, "Impact")
	money := ""
	if len(i.Lost) > 0 {
		money = esc(i.Lost.String()) + " lost"
	}
	if len(i.AtRisk) > 0 {
		money += strings.Repeat(", ", min(1, len(money))) + esc(i.AtRisk.String()) + " at risk"
	}
	known(d, Financial, "Financial Impact", money, "money lost or at risk")
	known(d, Trades, "Trades Affected", counted(i.Trades, "trades failed or delayed"), "trades that failed or were delayed")
	known(d, Users, "Users Affected", counted(i.Users, "users"), "users affected")
	d.line("- **SLA Breach**: %s", breach(r.judge(in.AckedAt, in.RespondBy), r.judge(in.ResolvedAt, in.ResolveBy)))
	d.line("")
}

// known writes a fact, or asks for it. What a person wrote before it was known stays.
func known(d *doc, p Place, label, fact, question string) {
	fmt.Fprintf(d, "- **%s**: %s", label, fact)
	if _, written := d.text[p]; written && fact != "" {
		d.WriteString(" ")
	}
	if _, written := d.text[p]; written || fact == "" {
		d.place(p, fmt.Sprintf("**%s** %s", Prompt, question))
	}
	d.line("")
}

func counted(n *int, what string) string {
	if n == nil {
		return ""
	}
	return fmt.Sprintf("%d %s", *n, what)
}

func breach(response, resolution verdict) string {
	var late []string
	if response == missed {
		late = append(late, "response")
	}
	if resolution == missed {
		late = append(late, "resolution")
	}
	switch {
	case len(late) > 0:
		return "Yes: " + strings.Join(late, " and ") + " target missed"
	case response == pending || resolution == pending:
		return "No, so far"
	}
	return "No"
}

func (r Report) rootCause(d *doc) {
	in := r.Incident
	d.section(2, "Root Cause Analysis")
	d.section(3, "What Happened")
	d.line("%s (condition %s of %s). %s\n", esc(in.Summary), esc(string(in.Condition)), esc(cmp.Or(in.Component, "no component")), esc(in.Why))
	d.ask(WhatHappened, "a detailed description of the incident")
	d.section(3, "Root Cause")
	if in.RootCause != "" {
		d.line("%s\n", esc(in.RootCause))
	}
	d.ask(RootCause, "a technical explanation of the underlying cause")
	d.section(3, "Contributing Factors")
	var factors strings.Builder
	for i := range 3 {
		fmt.Fprintf(&factors, "%d. **%s** factor %d\n", i+1, Prompt, i+1)
	}
	d.place(Factors, "\n\n"+factors.String()+"\n")
	d.line("\n")
	d.section(3, "Why It Wasn't Caught Earlier")
	d.line("From the signal to the declaration: %s.\n", took(in.DeclaredAt.Sub(in.SignalAt)))
	d.ask(NotCaught, "an explanation of the gaps in detection")
}

func (r Report) lessons(d *doc) {
	well, poorly := r.findings()
	d.section(2, "Lessons Learned")
	for _, s := range []struct {
		title string
		facts []string
		place Place
		ask   string
	}{
		{"What Went Well", well, WentWell, "what else went well"},
		{"What Went Poorly", poorly, WentPoorly, "what else has to improve"},
		{"Where We Got Lucky", nil, Lucky, "near misses"},
	} {
		d.section(3, s.title)
		for _, f := range s.facts {
			d.line("- %s", f)
		}
		d.line("")
		d.place(s.place, fmt.Sprintf("\n\n- **%s** %s\n\n", Prompt, s.ask))
		d.line("\n")
	}
}

// findings says what the timeline shows to have gone well and poorly.
func (r Report) findings() (well, poorly []string) {
	in := r.Incident
	note := func(v verdict, what string) {
		switch v {
		case met:
			well = append(well, what+" target was met.")
		case missed:
			poorly = append(poorly, what+" target was missed.")
		}
	}
	note(r.judge(in.AckedAt, in.RespondBy), "The response")
	note(r.judge(in.ResolvedAt, in.ResolveBy), "The resolution")
	if t := in.Times(); t.SignalToHalt >= 0 {
		well = append(well, "Trading was halted "+took(t.SignalToHalt)+" after the signal.")
	}
	for _, k := range []struct {
		kind incident.Kind
		what string
	}{
		{incident.Unconfirmed, "Stop not confirmed"},
		{incident.PageFailed, "Pages not accepted, or cut off"},
		{incident.NoticeFailed, "Notices not accepted"},
	} {
		if n := r.count(k.kind); n > 0 {
			poorly = append(poorly, fmt.Sprintf("%s: %d.", k.what, n))
		}
	}
	for _, item := range r.unproven() {
		poorly = append(poorly, "Resolved without proof of: "+esc(item)+".")
	}
	return well, poorly
}

// unproven is what the resolution left open.
func (r Report) unproven() []string {
	end, _ := r.first(func(e incident.Event) bool { return e.Kind == incident.Resolved })
	return end.Data.Unproven
}

func (r Report) actions(d *doc) {
	in := r.Incident
	d.section(2, "Action Items")
	var table strings.Builder
	table.WriteString("\n\n| Action | Owner | Due Date | Priority |\n|--------|-------|----------|----------|\n")
	row := func(action, priority string) {
		fmt.Fprintf(&table, "| %s | **%s** name | **%s** YYYY-MM-DD | %s |\n", action, Prompt, Prompt, priority)
	}
	for _, item := range r.unproven() {
		row("Prove: "+esc(item), "P0")
	}
	if r.judge(in.AckedAt, in.RespondBy) == missed {
		row("Find out why nobody answered within the target", "P1")
	}
	for i := range 3 {
		row(fmt.Sprintf("**%s** action %d", Prompt, i+1), fmt.Sprintf("P%d", i))
	}
	d.place(ActionItems, table.String()+"\n")
	d.line("\n")
	d.section(3, "Follow-up")
	review := ""
	if !in.PostMortem.IsZero() {
		review = in.PostMortem.UTC().Format(time.DateOnly)
	}
	known(d, Review, "Review Date", review, "YYYY-MM-DD")
	known(d, Metrics, "Success Metrics", "", "how improvement will be measured")
	d.line("")
}

// record is the whole timeline, so that the report can stand alone.
func (r Report) record(d *doc) {
	d.section(2, "Complete Timeline")
	d.line("| Event | Time (UTC) | Kind | Who | What | Why |")
	d.line("|-------|------------|------|-----|------|-----|")
	for _, e := range r.Events {
		seq := "not stored yet"
		if e.Seq > 0 {
			seq = fmt.Sprint(e.Seq)
		}
		d.line("| %s | %s | %s | %s | %s | %s |", seq, e.At.UTC().Format("2006-01-02 15:04:05.000"), esc(string(e.Kind)), esc(e.By), esc(e.What), esc(e.Why))
	}
	if n := len(r.Events); n > 0 && r.Events[n-1].Seq > 0 {
		d.line("\nThe last event's hash is `%v`.", r.Events[n-1].Hash)
	}
}
