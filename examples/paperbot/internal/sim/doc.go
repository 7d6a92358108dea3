// Package sim is a simulated exchange for perpetual contracts, made for the paper
// bot and its drills. [Exchange] implements [andon.Venue] as a real venue behaves on
// a bad day: orders fill in parts, answers get lost while the order exists,
// conditional orders lie in a list of their own, a stop vanishes behind the bot's
// back.
//
// # Promise
//
// Everything follows from [Config.Seed] and the calls. The same seed and the same
// calls, one after the other, give the same prices, fills, ids and lost answers,
// whatever the wall clock does: time is what [Exchange.Step] is told. Prices and depth
// depend on the number of steps alone, and whether the answer to an order gets lost on
// its client id alone, so both hold with concurrent callers too. Which of two
// concurrent orders comes first, and with it fill ids and who gets the depth of
// a step, depends on the scheduler.
//
// Money is exact. The balance is the deposit plus realised profit less fees to the last
// digit; only [andon.Position.Entry] is rounded, half to even, to [EntryPlaces] digits,
// and what that rounds off is kept and realised when the leg becomes flat. A book that
// [reconcile.Derive] makes of the fills has the same entry prices.
//
// The venue itself keeps three rules: a reduce-only order never opens and never
// flips, a client id is taken once, and an order whose outcome was unknown is found by
// Lookup or was never there.
//
// # Usage
//
// Create an Exchange with [New], call [Exchange.Step] for each moment that passes, trade through
// the methods of andon.Venue, and switch faults on and off with
// [Exchange.SetFaults] and [Exchange.DropStop]. [Exchange.Counts] says how often each has struck.
//
// How orders trade:
//
//	market       at the other side's best price, one tick from the mark, as far as
//	             the depth of this step reaches; the rest at the next steps
//	limit        what crosses on arrival as taker; the rest waits and fills at its
//	             own price as maker when the other side reaches it
//	conditional  waits in the second list until the mark touches its trigger, then
//	             as market or limit; refused when it would trigger at once
//	reduce-only  cut to the position when it trades; a resting one is cancelled
//	             when nothing is left to reduce, a conditional one stays, as on real
//	             venues, and is cancelled when it triggers for nothing
//
// There is one balance in the quote currency. Positions and orders that may open
// reserve [Config.Margin] of their value. There is no funding and no liquidation.
//
// # Failure
//
// A refused order is an *andon.RejectedError and nothing of it is kept, so its client id
// stays free. Everything else that a call can meet is a [*CallError]: [ErrOutage],
// [ErrUnauthorized], the caller's context, or [ErrBroken]. For Submit and Cancel it is also
// andon.ErrOutcomeUnknown unless the venue has certainly not acted.
//
// # Testing
//
// The laws are checked by rapid over random orders, steps and faults. With no latency
// configured no call sleeps; latency uses package time and can be tested in a
// testing/synctest bubble.
package sim
