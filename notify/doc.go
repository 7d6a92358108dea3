// Package notify decides who is told what and when, writes the playbook's three
// messages, and delivers them through whatever channel still works.
//
// # Promise
//
//   - Each step of the escalation policy that falls due is named until it is done,
//     under a dedup key made of condition, component, episode, round and step. The
//     same events give the same key, in this process or another one, before or
//     after a crash.
//   - No escalation page is due once the acknowledgement is on record. Status
//     updates go on.
//   - A step with nobody to page waits for nothing: the next person gets its time.
//   - A message is always sent. A template that cannot be rendered gives way to a
//     plain message with the same facts.
//   - One failing channel delays no other: the next one starts when the first try
//     fails, while the failing channel goes on trying.
//   - A receiver's Retry-After wins over the wait that was computed, for every
//     message that goes there, and no address is written to faster than its [Limit];
//     the first page of an incident overtakes what waits.
//   - In a storm the pages to one contact are gathered, as [Storm] says, and so are
//     notices: their number is bounded, none is lost, and no warning goes unsaid.
//   - Who is on call at any instant is a pure function of the [Directory]; what its
//     rotations do where clocks change is stated as rules with [Rotation].
//   - Secrets are taken out of what is sent and of what channels answer, by
//     [Redact] and Config.Secrets.
//
// # Usage
//
// [Policy.Due] is a pure function of events and now; a [Courier] sends what is
// due. The caller records the intent before the send and the receipts after it:
//
//	for _, d := range due {               // from policy.Due(progress, directory, now)
//		record(d.Key)                     // intent
//		to := directory.Find(now, d.Roles...)
//		receipts := courier.Broadcast(ctx, to, message)
//		record(receipts)                  // outcome; any accepted: the step is done
//	}
//	waitUntil(next)
//
// The playbook's matrix, from [DefaultPolicy]:
//
//	level   at once        15 min            30 min
//	SEV-1   On-Call Eng    Lead Engineer     CTO/Risk Officer
//	SEV-2   On-Call Eng    Lead Engineer     Tech Manager
//	SEV-3   Primary Eng    Senior Engineer   Team Lead
//	SEV-4   Any Engineer   Team Lead         N/A
//
// At SEV-1 and SEV-2 the steps are repeated until somebody acknowledges, and an
// acknowledgement expires after the resolution target: Due then returns ReopenDue, which the caller
// records, and a new round begins.
//
// Where there is no incident engine to hand, [Courier.PageOnCall] is page_oncall in
// one call. The channels are packages of their own: slack, pagerduty, email, webhook; a
// [Terminal] is here.
//
// # Failure
//
// A [Notifier] reports a [*DeliveryError], which is [ErrPermanent] where trying
// again is useless; any other error is worth a retry. A page that no channel took
// gives a [Receipt] whose Err is [ErrUndelivered] and names each channel with its
// last error; the step is then not done, and Due names it again.
//
// # Testing
//
// Package notifytest has a Recorder to hand to the code under test and a
// conformance suite for a Notifier of your own. All waiting uses package time, so
// that a testing/synctest bubble runs an hour of escalation in no time.
package notify
