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
// What people and alerts wrote is shown as text: no field can add a heading, a link
// or HTML to the report.
//
// # Usage
//
//	events, err := manager.Timeline(ctx, number)
//	report, err := postmortem.New(number, events, time.Now())
//	err = os.WriteFile("postmortem.md", []byte(report.Markdown()), 0o644)
//
// # Failure
//
// New is an error where the events do not have the incident. An incident that is
// still open gives a report that says so.
//
// # Testing
//
// All functions are pure.
package postmortem
