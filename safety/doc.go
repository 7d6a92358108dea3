// Package safety is the emergency stop of a trading bot: a switch that cannot be
// outrun and cannot be forgotten.
//
// # Promise
//
// A [Switch] stands between the bot and its venues. Every order passes its gate,
// and the trading state decides what passes:
//
//	state      increase  reduce  protect  cancel  close (confirmed by a person)
//	active     yes       yes     yes      yes     yes
//	reducing   no        yes     yes      yes     yes
//	halted     no        no      yes      yes     yes
//
// The state is the strictest of the [Hold]s in force. A person places one by Halt, a
// component by Engage or Reduce, anybody with a shell by a flag file. A component takes
// back by Relax what it placed by Reduce, and nothing else.
//
//   - After Halt returns, no order that adds exposure passes, and every order that
//     had passed before has settled or is named in the report.
//   - A halt outlives the process. Only Resume, by a named person with a note who has
//     seen every hold, opens the gate. A state that is missing, torn or another bot's
//     is a halt, and so the very first start is a Resume too.
//   - Exits stay possible. The gate derives itself whether an order reduces, from the
//     order and the last verified position of its leg, and reserves what reduces, so
//     that two exits at once cannot flip a position.
//   - What is not known is never safe: a flag that cannot be looked at, a state that
//     cannot be saved, a position that was not verified each give the stricter
//     answer, and the error names what was missing.
//
// # Usage
//
// Open a switch, run it, and send orders with Submit:
//
//	sw, err := safety.Open(ctx, safety.Config{Name: "btc-maker", Dir: "/var/lib/btc-maker"})
//	go sw.Run(ctx)
//	...
//	order, err = sw.Submit(ctx, venue, order) // *DeniedError while held
//
// Submit resolves an answer that did not come by the order's client id. A bot with
// its own way to the venue calls Enter before, sends under Permit.Context, and calls
// Permit.Exit after. After each reading of the venue, give it to Observe, so that the
// gate can tell exits from entries; Check tells a strategy whether it is worth thinking.
//
// [Switch.Halt] waits, within bounds, until the hold is on disk and the orders in
// flight have settled. Engage and Drain are its two halves, for a caller that has
// people to page meanwhile.
//
// CheckProtection, PlanProtection and ReadFlat look at what is on the venue: whether
// each position has its stop, what is missing, and whether the account is flat,
// which is said only after every list was read. A [Protector] places what is missing and
// replaces what does not count.
//
// A [Closer] closes every position for a person who has read its plan and typed the
// plan's token: it halts, cancels entries, closes each leg by reduce-only orders, cancels
// stops last, and says flat only when the venues were read again and again.
//
// # Trips, watchdog, dead man's switch
//
// Three things place holds by themselves. OpenTrips adds windows over what comes of
// trading, which the bot feeds: the day's loss, drawdown, rapid loss, losing streaks,
// failed and slow orders, venue errors, positions that nobody explains, margin, and
// whatever has gone silent. NewWatchdog notices a component that no longer beats.
// NewDeadManSwitch keeps a venue's own switch armed, which cancels every order once this
// process no longer does. Only a named person lifts their holds; what lasts, such as
// silence, narrows trading beside that as long as it does.
//
// # Failure
//
// Nothing here waits for a disk, a recorder or the file system before the gate is
// closed. A hold that cannot be made durable gives ErrNotDurable and is tried again;
// meanwhile a Reducing hold says so. A flag directory that vanishes, or hangs, halts.
// When Run ends, the gate closes: a stop that nobody would hear is not possible.
//
// What it cannot do:
//
//   - An order that another program sends does not pass this gate.
//   - A flag that is created and deleted between two looks is seen by file
//     notification only, so not where PollOnly is set or notification cannot be had.
//     A flag in another mount namespace, such as another container's /tmp, is never
//     seen. Status says which place is watched.
//   - A state file that is put back from a backup is believed: keep the state
//     directory out of what is restored. Its lock file must not be removed.
//   - A client id is remembered for a stated number of orders, Config.RememberIDs, and
//     a restart forgets all but those that the next view shows.
//   - A venue that gives the same wrong list for more readings in a row than
//     CloserConfig.Confirm cannot be told from one that is right.
//   - Between the cancel of a spot stop and its close nothing protects the symbol: a
//     process that is killed there leaves it so until the plan is applied again, or the
//     position check finds it.
//   - A trip judges what it is fed. A loss on an account that the bot does not read is
//     not seen.
//   - A dead man's switch that fires takes protective stops away with the rest, on every
//     venue known here, and a dead process places none.
//   - A protective order is let through although an exit that the venue does not
//     guard is live on its leg, since a naked position is the worse of the two. Close
//     beside a stop with reduce-only orders.
//
// # Testing
//
// The fake that a bot's unit tests need is the real switch in a temporary directory:
// Open with Dir from t.TempDir and Flags from FlagsIn, Run in a goroutine, Resume.
// safetytest has that in one call, checks on it, and the conformance suite for a
// Store.
package safety
