// Package playbook is the incident response playbook as one value, and what makes a
// running bot of it.
//
// # Promise
//
//   - Default is the document: a test compares every number, name and row with it. A
//     number that another package of this library keeps is taken from there.
//   - A file says only what is otherwise. Load refuses what it does not know, what stands
//     twice and what has the wrong type, and names everything that is wrong at once, each
//     with its line, its column and its field. A value that nothing would honour cannot be
//     set: the error says who keeps it.
//   - Assemble either gives a bot of which every part fits, or names all that does not. It
//     starts nothing, and the gate is shut until Run.
//   - What the bot has not given is told: Missing names each row of the playbook that
//     cannot be done, and what becomes of it.
//   - Nothing acts by itself that the playbook does not say: a halt at SEV-1 and the pages
//     do, and a runbook where its start names the condition. Otherwise a person starts it.
//     The report on an incident that is over is written where there is none.
//
// # Usage
//
//	p, err := playbook.LoadFile("andon.yaml")
//	a, err := playbook.Assemble(ctx, p, playbook.Deps{
//		Name: "btc-maker", Dir: "/var/lib/btc-maker", Store: j,
//		Channels: map[string]notify.Notifier{"pagerduty": pd, "email": mail},
//		Venues:   map[string]safety.CloseVenue{"coinbase": {Venue: coinbase}},
//	})
//	for _, gap := range a.Missing() {
//		log.Warn("playbook", "gap", gap)
//	}
//	err = a.Run(ctx) // until ctx ends; orders go through a.Switch
//
// A file, where maps are merged by key and lists stand whole; null takes an entry away:
//
//	contacts:
//	  on_call_rotation:
//	    primary: "ada@example.com | +1-555-010-0199"
//	indicators:
//	  slow-execution:
//	    at_least: 300ms
//	runbooks:
//	  Performance Degradation:
//	    start: [high-memory]
//
// Schema gives the JSON Schema of such a file, for editors; playbook.schema.json in
// testdata is it. Coverage lists every row of the document beside what does it.
//
// # Failure
//
// Errors of Load and Validate are *Problem, joined. Run stops everything, and the gate
// shuts, when a part ends by itself.
//
// # Testing
//
// Deps takes an incidenttest.Memory as Store, a notifytest.Recorder as channel and an
// andontest venue; timers are those of package time, for testing/synctest.
package playbook
