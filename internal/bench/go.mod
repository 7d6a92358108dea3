// Peers beside our gate, in a module of its own so that they stay out of the product's
// module graph. Run by ./bench.sh.
module github.com/andon-go/andon/internal/bench

go 1.26.0

require (
	github.com/andon-go/andon v0.0.0-00010101000000-000000000000
	github.com/failsafe-go/failsafe-go v0.9.8
	github.com/sony/gobreaker/v2 v2.4.0
)

require (
	github.com/bits-and-blooms/bitset v1.24.4 // indirect
	github.com/fsnotify/fsnotify v1.10.1 // indirect
	github.com/gofrs/flock v0.13.2 // indirect
	github.com/quagmt/udecimal v1.10.1 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/andon-go/andon => ../..
