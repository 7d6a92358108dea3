// Package mobyengine is a docker.Engine on github.com/moby/moby/client, the successor
// of the client that package docker stands on by default, which is frozen upstream.
//
//	engine, err := mobyengine.Dial("")
//	defer engine.Close()
//	stack, err := docker.New(docker.Config{Engine: engine, Project: "trading"})
//
// # Promise
//
// It passes the same conformance suite as docker.Client, on the same engine. The
// version of the API is agreed on with the engine, down to docker.MinAPI.
//
// # Failure
//
// Dial connects to nobody, so that a bot starts while the engine is down. Errors are
// *docker.EngineError.
//
// The package lives in a module of its own: a consumer who keeps to the default
// client has no second one in his module graph.
package mobyengine
