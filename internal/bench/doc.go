// Package bench puts the gate beside what others offer for the same purpose, in one
// run on one machine, so that the figures can be compared: absolute times drift.
//
//	cd internal/bench && go test -bench . -benchmem
//
// Single is one goroutine, Parallel one on each processor. The peers are circuit
// breakers (sony/gobreaker, failsafe-go), which count calls as our gate counts orders
// in flight, and os.Stat of a flag file before each order, which is what a bot does
// that has no such library. The floor is one atomic pointer load.
//
// The module stands alone so that its peers stay out of the product's module graph.
package bench
