// Package dockertest helps to test what stands on package docker.
//
// # Promise
//
// [TestEngine] fails for a docker.Engine that breaks a rule of the interface, and
// says which rule. [Sandbox] makes images and containers on a real engine without
// pulling anything: FROM scratch, around one static program that is compiled for it.
// Whatever it makes bears a name and a label of its own and is removed when the test
// ends; what is not its own it never touches.
//
// # Usage
//
//	func TestMyEngine(t *testing.T) {
//		dockertest.TestEngine(t, func(t *testing.T, host string) docker.Engine {
//			engine := dialMyEngine(t, host) // host is empty for the environment's own
//			t.Cleanup(engine.Close)
//			return engine
//		})
//	}
//
// # Failure
//
// Where no engine answers a test is skipped and says so; when the environment has
// CI=true it fails.
//
// # Testing
//
// The suite runs against docker.Client and against mobyengine in their own tests. The
// sandbox speaks to the engine by plain HTTP over its Unix socket, so that it judges
// the clients without their help.
package dockertest
