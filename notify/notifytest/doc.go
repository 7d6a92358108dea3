// Package notifytest helps to test code that notifies people.
//
// [Recorder] is a notify.Notifier that keeps what it is given and fails on demand,
// for the unit tests of code that sends. [TestNotifier] is the conformance suite
// for a Notifier of your own:
//
//	func TestConformance(t *testing.T) {
//		notifytest.TestNotifier(t, func(t *testing.T) notifytest.Channel {
//			server := startFakePager(t)
//			return notifytest.Channel{Notifier: New(server.URL), To: "team", Took: server.Has, Refuse: server.Refuse}
//		})
//	}
//
// It imports nothing but the standard library and package notify. A failure says
// which rule was broken and why the rule is there.
package notifytest
