// Package fleettest helps to test what embeds package fleet: a bot's unit tests, and a
// Backend of one's own.
//
// Memory is a backend in the test's own memory, with faults that a test can switch on.
// TestBackend is the conformance suite for a fleet.Backend:
//
//	func TestBackend(t *testing.T) {
//		fleettest.TestBackend(t, func(t *testing.T) func() fleet.Backend {
//			db := startDatabase(t)
//			return func() fleet.Backend { return mybackend.Open(db) }
//		})
//	}
//
// A check that does not hold fails the test at once and says which rule of the Backend's
// contract was broken. The suite is itself tested with backends that break one rule each.
// The package imports nothing for tests but package testing.
package fleettest
