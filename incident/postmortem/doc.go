// Package postmortem writes the report on an incident from its timeline.
//
// # Promise
//
// The report has every section of the playbook's template, in its order. What the
// timeline knows is filled in: times, durations, people, impact, missed targets,
// what went wrong with the stop or the pages. What only a person can write stays as
// a prompt that begins with [Prompt], so that a search finds what is missing. The
// same events and time give the same bytes.
//
// What alerts and the timeline say is shown as text: no field can add a heading, a link
// or HTML to the report, and what looks like a secret in it is left out as notify.Redact
// does. What people write into its places, in Markdown, comes out of the
// next report as it was written; a change anywhere else is refused, never lost.
//
// # Usage
//
//	events, err := manager.Timeline(ctx, number)
//	report, err := postmortem.New(number, events, time.Now())
//	report, err = report.Write("INC-20260301-001.md") // and INC-20260301-001.html, with the timeline drawn
//	for _, p := range report.Waiting() { ... }        // what a person has to write yet
//	actions, err := report.Actions()                  // with owner, day and priority
//
// A place for a person stands between two comments, which a reader does not see:
//
//	<!--write lucky 0123456789ab--> ... <!--/write-->
//
// # Failure
//
// New is an error where the events do not have the incident. An incident that is
// still open gives a report that says so. ErrEdited names the section of a report that was
// changed outside its places; Write then leaves the files as they are.
//
// # Testing
//
// All functions but Write are pure.
package postmortem
