// Package fleet is one stop for many processes: a halt that every bot hears, and that
// comes back with a roster of all of them.
//
// # Promise
//
// A [Member] joins a bot's switch to the fleet. It holds a lease, and every Enter of the
// switch reads the lease's deadline itself; no timer has to fire for the gate to close.
//
//   - After Halt has returned without an error, no member's Enter succeeds for an order
//     that adds exposure, and every member is in the roster: it has confirmed with
//     nothing in flight, or it has admitted nothing since a time T, and its orders in
//     flight are to be resolved by client id. There is no third kind.
//   - A member that cannot reach the backend stops adding exposure by itself when its
//     lease runs out. Its exits and its own halt go on.
//   - A halt outlives every process. A record that is missing, damaged or older than what
//     a member has seen is a halt. Whoever joins while the fleet is halted is halted.
//   - Only Resume lifts it: once, for all, by a named person with a note who has seen
//     every hold. Holds of a bot's own switch are not touched by it.
//
// # How it works
//
// The records are the fleet's order (who halted it, why; or who resumed it), one for each
// member, and one beat for each. A [Backend] keeps them in one total order. To renew, a
// member notes its clock, writes its beat, and reads all records. If the order read there
// lets the fleet trade, the lease is good for Lease from the noted instant.
//
// A renewal that reads after a halt was written sees it. So one that does not has begun
// before, and whoever wrote the halt knows, by its own clock, that no lease is left once
// Lease and the margin have passed. Where a member's beat has stood still for longer,
// and has not moved when it is read after the halt, its lease ran out earlier, and Halt
// does not wait for it.
//
// No reading of a clock is ever compared with one of another machine, and wall clocks
// decide nothing; times in records are for people. Durations are: each by CLOCK_BOOTTIME,
// which goes on while a machine sleeps. The margin is a twentieth of the lease. It covers
// clocks whose rates differ by up to 4 percent; time synchronisation steers them by at
// most 0.05 percent each.
//
// # Usage
//
//	m, err := fleet.NewMember(fleet.Config{Name: "btc-maker-1", Backend: backend})
//	sw, err := safety.Open(ctx, safety.Config{..., Lease: m})
//	go sw.Run(ctx)
//	go m.Run(ctx, sw)
//	...
//	roster, err := m.Halt(ctx, "alice", "the venue answers nonsense")
//
// A tool of the operator's that trades nothing uses [New] and has Halt, Resume, Status
// and Forget too. Orders go through Switch.Submit, or through Enter and Permit.Context,
// so that a process that was stopped after Enter does not send when it goes on.
//
// pgfleet keeps the records in PostgreSQL, etcdfleet in etcd.
//
// # Failure
//
// Member.Halt closes its own gate before it asks anybody. Where the backend cannot be
// written, the bot's own switch is halted for good, the error is [ErrNotFleetWide], and
// the member goes on trying while it runs. Where the roster cannot be completed the
// error is an [IncompleteError] with the names.
//
// What it cannot do:
//
//   - An order that the process has handed to the kernel is on its way, whatever happens
//     then. Permit.Lapsed and Permit.Context are the last looks before that.
//   - A guest that its hypervisor freezes, and whose clocks are not set forward
//     afterwards, takes its lease for younger than it is. Suspend guests with their
//     clocks, or halt them before.
//   - A backend that loses what it has confirmed can lose a halt: use a durable one, and
//     its primary. A member that has seen the halt notices, and stays halted.
//   - The processes run on Linux: elsewhere there is no clock that counts sleep.
//
// # Testing
//
// fleettest has a backend in memory, for a bot's unit tests, and the conformance suite
// for one's own.
package fleet
