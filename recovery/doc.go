// Package recovery brings a trading bot back by the book: objectives that are
// measured, backups that count only when they have been read back, steps in the
// playbook's order, and a checklist in which nothing is true because nobody looked.
//
// # Promise
//
//   - A backup counts only when it is [Verified]: every byte was read back and
//     compared. A partial one is never listed as good (law 8).
//   - Whatever cannot be shown is not so. A check that is missing, fails, panics,
//     takes too long or has no evidence to give is unproven and says why (law 1).
//   - A step that changes something is put on the timeline before it begins, and
//     does not begin when that fails (law 10).
//
// # Usage
//
// [Objectives] is the playbook's table of RTO and RPO. A [Catalog] stands over one
// [Target] for each component, takes backups and verifies them, and compares what
// there is with the objectives. It drills restores into a place of their own, holds
// the time against the RTO and keeps the verdicts, and it deletes by a plan in which
// only verified backups count: the last one is never deleted. A [Scheduler] does all
// of it as often as the objectives say, and tells of each breach until it is none.
// Package filebackup, below this one, is the Target
// for files and directories.
//
// A Target of your own writes to a [Repository], which compresses, cuts into chunks
// with a SHA-256 each, seals with age, writes the commit record last, reads back and
// lists. Where the chunks lie is a [Storage] of four methods: [DirStorage] is a
// directory, and an object store fits as well.
//
// [Sequence] takes a system up again in the order of [PriorityOrder], several steps at
// once where it is told so and their needs allow, and goes on where a crash cut it off:
//
//	1  Stop Loss System    Ensure all positions have stop losses
//	2  Position Tracking   Verify all open positions are accounted for
//	3  Trading Engine      Restore core trading functionality
//	4  Risk Management     Enable position sizing and leverage controls
//	5  Market Data Feed    Restore real-time price feeds
//	6  Decision Engine     Bring LLM and indicators online
//	7  Memory System       Restore learning capabilities
//	8  Monitoring          Re-enable observability
//
// [Checklist] holds the eight items of the playbook's recovery validation, each
// proven by a check or attested by a named person where only a person can. After
// trading was resumed a [Watch] looks every 30 seconds for 15 minutes.
//
// # Failure
//
// [ErrUnproven] with [*UnprovenError] says what could not be shown and why.
// [ErrDamaged] with [*DamagedError] names the first file that differs from what was
// backed up. [ErrEmpty] refuses a backup of nothing, [ErrKey] one that could not be
// opened again, [ErrClock] one that would be dated before another, [ErrLastVerified]
// the deletion of the only one that counts. [ErrNoBackup] says that a component has no verified backup. A check
// that ignores its context is left behind when its time is over: the answer comes
// in time, the goroutine ends when the check returns.
//
// # Telemetry
//
//	andon.recovery.backup.duration  s  of a backup with its verification, by component and outcome
//	andon.recovery.backup.age       s  of the newest verified backup, by component
//	andon.recovery.drill.duration   s  of a drill's restore, by component and outcome
//	andon.recovery.objective.met       1 or 0, by component and objective: rpo, rto
//	andon.recovery.step.duration    s  of a step of a Sequence, by step and outcome
//
// Backups, drills and retirements of a Catalog and the steps of a Sequence are spans:
// recovery.backup, recovery.drill, recovery.retire, recovery.step. A Scheduler and a Sequence
// write to a logger what they do.
//
// # Testing
//
// Package recoverytest has conformance suites for a Target and a Storage of your
// own, both of them in memory, and a [Recorder] that can be told to fail. Timers are those of package
// time, so that a Watch of 15 minutes runs at once in a testing/synctest bubble.
package recovery
