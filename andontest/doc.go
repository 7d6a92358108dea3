// Package andontest has a venue for unit tests: an exchange in memory that trades by the
// rules of real ones, fails in the ways that real ones fail, and knows the truth.
//
// # Promise
//
// [Venue] implements andon.Venue. It keeps positions by leg, in one-way and hedge mode,
// or the balances of a spot account, and two lists of orders. It enforces what venues
// enforce: a client id is taken once, reduce-only never opens, a spot order reserves its
// balance and a stop does so too, quantities are whole lots and orders reach the minimum
// notional.
//
// Everything follows from [Config.Seed] and the calls: the same calls in the same order
// meet the same faults and get the same answers. No timer runs and nothing happens
// between calls; what comes late comes with a later call.
//
// # Usage
//
//	venue := andontest.New(andontest.Config{Name: "kraken"})
//	venue.SetPosition(andon.Position{Symbol: "BTC-USD", Quantity: andon.MustDecimal("0.5")})
//	venue.Inject(andontest.TimeoutTaken, 1) // the next submit takes effect, and no answer comes
//	bot := NewBot(venue)
//	...
//	venue.Counts()[andontest.TimeoutTaken] // 1: it was met
//	venue.Truth().Positions                // what is really there
//
// Faults strike at random by [Config.Faults] or [Venue.SetFaults], and surely by
// [Venue.Inject]. Each that strikes is counted. [Venue.Calls] lists what reached the venue.
//
// A venue outlives the bot: [Handler] serves one over HTTP, and a [Remote] in another
// process reaches it, so that the bot can be killed, or cut off, and the venue goes on.
//
// # Failure
//
// New panics on a configuration that cannot be right, which is a mistake in the test.
// Lists that lie without an error, which real venues give although andon.Account forbids
// it, are never drawn more than [MaxLies] times in a row for one list: a venue that
// repeats a lie for ever cannot be told from the truth.
//
// # Testing
//
// The venue passes reconciletest.TestVenue, near and behind the wire. It imports the
// vocabulary and the standard library only.
package andontest
