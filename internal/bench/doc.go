// Package bench puts the gate beside what others offer for the same purpose, in one
// run on one machine, so that the figures can be compared: absolute times drift.
//
//	cd internal/bench && go test -run '^$' -bench SideBySide -benchtime 1x
//	cd internal/bench && go test -run '^$' -bench . -benchmem
//
// SideBySide takes every contender in turn and prints ratios. Single is one goroutine,
// Parallel one on each processor, Enter is our Enter without its Exit. The peers are
// circuit breakers (sony/gobreaker, failsafe-go), which count calls as our gate counts
// orders in flight; a rate limiter (x/time/rate), which is one of our limits; a feature
// flag (OpenFeature's in-memory provider); and os.Stat of a flag file before each order,
// which is what a bot does that has no such library. The floor is one atomic pointer
// load.
//
// The module stands alone so that its peers stay out of the product's module graph.
package bench
