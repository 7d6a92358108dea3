// Package reconciletest checks, in other people's unit tests, what package reconcile
// relies on: a Book of your own, and an [andon.Venue].
//
// # Promise
//
// [TestBook] and [TestVenue] run subtests; each failure says which rule was broken
// and why the rule is there. They use package testing of the standard library and
// nothing else. [Venue] is a venue in memory that fails as it is told to.
//
// # Usage
//
//	func TestBook(t *testing.T) {
//		reconciletest.TestBook(t, func(t *testing.T) reconcile.Book {
//			return openEmptyBook(t)
//		})
//	}
//
//	func TestVenue(t *testing.T) {
//		reconciletest.TestVenue(t, func(t *testing.T) reconciletest.VenueCase {
//			sim := newSim(t)
//			return reconciletest.VenueCase{Venue: sim, Name: "sim", Symbol: "BTC-USD", ...}
//		})
//	}
//
// # Failure
//
// A subtest that a venue cannot be put through, because the case does not say how, is
// skipped and says what was missing.
//
// # Testing
//
// The suites are run on reconcile.FileBook and on Venue here, and against broken
// ones, which they must find.
package reconciletest
