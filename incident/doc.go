// Package incident leads an incident from the first signal to its end: it stops
// trading, pages, keeps the clocks, and writes the timeline.
//
// # Promise
//
// Everything is one list of events that only grows. A pure function of the events
// and the time says what is due; a [Manager] performs it. The intent is on the
// list before the deed and the outcome after it, so that a crash, a restart, the
// audit and the post-mortem all read the same thing.
//
//   - At SEV-1 the gate is closed before [Manager.Declare] returns and before the
//     first page. The page waits for the closed gate within Config.HaltWithin, and
//     never for orders in flight or the disk. Where the gate did not answer, the
//     page begins with STOP NOT CONFIRMED and the stop is tried again.
//   - Signals of one condition and component are one incident while it is open,
//     and a new one after it was resolved. A signal with a Ref is known when it is
//     repeated, and can be cleared: when all have been, and the checklist is proven,
//     the incident is resolved ([Manager.Clear]).
//   - A step that falls due is paged until a channel has accepted it, under one
//     dedup key, across restarts. None starts after the acknowledgement, which is told
//     to those who were paged; one that expires, an upgrade and a reopening are events
//     that open paging again.
//   - Setting the machine's clock moves nothing that is due: time goes on by the clock
//     that nobody can set, in one process and across the processes of one start of the
//     machine. Elsewhere it is never earlier than the last event, and the next message
//     is due where nobody can know how much time has passed.
//   - An audit reads the timeline every minute, and performs what fell due and was not
//     begun, whatever the manager believes.
//   - Every event says who, what, why and when. Stopping and paging never wait for
//     the record: while the store is down, events are kept in memory and written
//     later. Resolving does wait, and is refused where it cannot be recorded.
//   - An incident is resolved when each item of the checklist is proven, or a named
//     person says why it is over all the same.
//
// What happens by itself, counted from the declaration:
//
//	at once          halt (SEV-1), then drain and the first page side by side
//	the policy's     escalation, until somebody acknowledges
//	every 30 min     status update (SEV-1 and SEV-2), until resolved
//	5/15/30/120 min  response breach, unless acknowledged
//	1/4/8/24 h       resolution breach, unless resolved
//	1/4 h after it   an acknowledgement expires (SEV-1 and SEV-2), unless resolved
//
// # Usage
//
//	m, err := incident.New(ctx, incident.Config{
//		Store: j, Halter: sw, Courier: courier, Directory: directory, Channels: courier.Channels(),
//	})
//	go m.Run(ctx) // performs what is due
//	in, err := m.Declare(ctx, "reconciler", "book and venue differ", signal)
//	...
//	err = m.Acknowledge(ctx, in.Number, "Ada")
//	err = m.Resolve(ctx, in.Number, incident.Resolution{By: "Ada", Note: "row repaired"})
//
// *safety.Switch is a [Halter], *notify.Courier a [Courier], and package journal
// the [Store] that needs nothing but a disk, for one Manager at a time. On a [Shared]
// store many Managers follow each other, and one of them performs what falls due.
// A Manager is the Recorder that safety, reconcile and recovery ask for.
//
// # Failure
//
// Declare never refuses: with ErrStopUnconfirmed or ErrNotRecorded the incident is
// declared all the same. What a person decides is an error when it has no name or
// reason (ErrUnnamed), or the incident is unknown or over. ErrNotRecorded and
// ErrRecordUnknown say whether the store has it.
//
// While a shared store is down nobody knows who is to page, and each process does,
// under the same key. What two of them have declared of one thing meanwhile are two
// incidents, and whoever acknowledges one has acknowledged the other.
//
// While the store is down and the process is killed, what was only in memory is lost:
// the stop holds by itself, the detector declares again, and the page goes out under
// the same key. The number may then be given a second time.
//
// # Testing
//
// Timers are those of package time, so that a testing/synctest bubble runs hours
// in no time. Package incidenttest has a manager for unit tests and the suite for
// a store of your own.
package incident
