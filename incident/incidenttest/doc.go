// Package incidenttest has what tests about incidents need: the conformance suite
// that every [incident.Store] has to pass, and helpers for the unit tests of a bot
// that embeds the library.
//
// # Promise
//
// TestStore explains each failure by the rule of incident.Store that was broken.
// Nothing here needs more than the standard library's testing package.
//
// # Usage
//
//	func TestMyStore(t *testing.T) {
//		incidenttest.TestStore(t, func(t *testing.T) func() incident.Store {
//			dir := t.TempDir()
//			return func() incident.Store { return open(t, dir) }
//		})
//	}
//
//	func TestBotDeclares(t *testing.T) {
//		m := incidenttest.NewManager(t)
//		bot := NewBot(m)
//		bot.OnFill(badFill)
//		incidenttest.RequireDeclared(t, m, severity.InconsistentPositions, "book")
//	}
//
// A [Drill] breaks something on purpose, inside a unit test too, has the response run, and
// judges when it was noticed, halted, paged and mended against the playbook's targets:
//
//	incidenttest.RequireDrill(t, m, incidenttest.Drill{
//		Name: "kill", Condition: severity.HealthCheckFailed,
//		Healthy: bot.Ping, Break: bot.Kill, Respond: restart,
//	})
//
// # Failure
//
// The helpers end the test through testing.TB.
//
// # Testing
//
// The package is tested on package journal and on planted faults.
package incidenttest
