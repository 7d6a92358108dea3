// Package safetytest helps to test what embeds package safety: a bot's unit tests,
// and a Store of one's own.
//
// # Promise
//
// It has no fake switch: the real one in a temporary directory is the fake. Nothing
// here touches /tmp/EMERGENCY_STOP or any other place that a real bot listens to, and
// nothing outlives the test. It imports nothing for tests but package testing.
//
// # Usage
//
// New gives an active switch, and the Require functions look at it:
//
//	func TestBotStopsOnDrawdown(t *testing.T) {
//		sw := safetytest.New(t, safety.Config{})
//		bot := NewBot(sw, venue)
//		bot.Lose(5 * percent)
//		safetytest.RequireHalted(t, sw)
//		safetytest.RequireHold(t, sw, "drawdown")
//	}
//
// The venue beside it is andontest.Venue, which fails in every way that a test asks for
// and knows what is really there:
//
//	venue := andontest.New(andontest.Config{Name: "kraken", Seed: 7})
//	venue.Inject(andontest.TimeoutTaken, 1)
//	_, err := sw.Halt(ctx, "drawdown", "5 % in 5 minutes")
//	halted := time.Now()
//	bot.Tick()
//	safetytest.RequireNothingPassed(t, venue, halted)
//
// TestStore is the conformance suite for an implementation of safety.Store:
//
//	func TestStore(t *testing.T) {
//		safetytest.TestStore(t, func(t *testing.T) func() safety.Store {
//			dir := t.TempDir()
//			return func() safety.Store { return mystore.Open(dir) }
//		})
//	}
//
// # Failure
//
// A check that does not hold fails the test at once and says what it saw and which
// rule of the Store's contract was broken. The functions call testing.TB's Fatal
// methods, so they belong on the test's own goroutine.
//
// # Testing
//
// The suite is itself tested with stores that break one rule each.
package safetytest
