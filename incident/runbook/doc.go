// Package runbook runs the steps of a runbook: typed, recorded, resumed after a crash,
// approved where it must be, taken back where it can be.
//
// # Promise
//
//   - A run is events on the incident's timeline: the intent of a step is durable before
//     the step begins, its outcome after it (law 10). A step that changes something does
//     not begin when its intent cannot be recorded.
//   - After a crash a run goes on where it was. A step whose outcome is not known is
//     looked up before it is done again (law 6); where that cannot be, a person says.
//   - Nothing stays running for ever: a step ends within its timeout and its tries, and
//     a run that cannot go on by itself says for whom it waits.
//   - An approval of two is of two different people, each with a reason.
//   - Plan performs nothing.
//
// # Usage
//
// A [Runbook] is a list of steps, a [Step] a function with what must be known about it:
//
//	var outage = runbook.Runbook{Name: "Service Outage", Steps: []runbook.Step{
//		{Name: "halt", Purpose: "no order while nobody sees the positions", Do: halt, Again: true},
//		{Name: "restart", Purpose: "the engine answers again", Do: restart, Done: answers, Approval: runbook.One},
//		{Name: "revoke", Purpose: "the old key is worthless", Attest: "Coinbase: Dashboard > API > Revoke All Keys"},
//	}}
//
//	e, err := runbook.New(ctx, runbook.Config{Incidents: manager, Runbooks: []runbook.Runbook{outage}})
//	go e.Run(ctx)
//	id, err := e.Start(ctx, "Service Outage", in.Number, "Ada", "the engine does not answer", nil)
//	err = e.Approve(ctx, id, "restart", "Grace", "logs say out of memory")
//
// [Playbook] makes the playbook's four runbooks and four quick fixes over [Deps]: every
// numbered item and every command of the document is a step. What Deps does not have is a
// step that a person does and attests, with the document's own command before their eyes.
// They bring a bot back as far as the checklist; only Resume, by a named person, lets it
// trade again.
//
// What a step goes through:
//
//	waiting -> approved -> begun -> done
//	                       begun -> failed -> begun        while tries are left, and after Retry
//	                       begun -> unknown -> done        Done found it done, or a person says so
//	                                unknown -> begun       Done found it not done, or Again
//	done    -> undone                                      after Abort, the last first
//
// # Failure
//
// ErrWaiting with *WaitingError names the step and whom it waits for. What a person asks
// of a step that is not in the state for it is ErrState. What a person says and Incidents
// cannot record has not been said; with incident.ErrRecordUnknown the timeline tells, and
// the run is read from it. The outcome of a step that cannot be recorded is tried again
// until it is, or looked up by the next process.
//
// # Testing
//
// Timers are those of package time, for testing/synctest. incidenttest.NewManager is an
// Incidents in memory.
package runbook
