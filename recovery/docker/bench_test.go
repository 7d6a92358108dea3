package docker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkStats is one sample of a running container, without finding it first.
func BenchmarkStats(b *testing.B) {
	w := newWorld(b)
	id := w.box.Run("bot", w.image("1"), nil)
	engine := dial(b, "")
	b.ReportAllocs()
	for b.Loop() {
		_, err := engine.Stats(b.Context(), id)
		require.NoError(b, err)
	}
}

// BenchmarkExec is one program that runs in a container and ends.
func BenchmarkExec(b *testing.B) {
	w := newWorld(b)
	w.box.Run("bot", w.image("1"), nil)
	b.ReportAllocs()
	for b.Loop() {
		_, err := w.Exec(b.Context(), "bot", []string{"/bin/box", "say", "", "", "0"}, alice, why, noon)
		require.NoError(b, err)
	}
}

// BenchmarkStatus is how three containers of a project stand.
func BenchmarkStatus(b *testing.B) {
	w := newWorld(b)
	image := w.image("1")
	for _, service := range []string{"bot", "postgres", "redis"} {
		w.box.Run(service, image, nil)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, err := w.Status(b.Context())
		require.NoError(b, err)
	}
}

// BenchmarkRecreate is a rollback: journal, new container, stop, start, and well again
// after the 100 ms that it has to run. The time in which no bot runs is reported apart.
func BenchmarkRecreate(b *testing.B) {
	w := newWorld(b)
	one, two := w.image("1"), w.image("2")
	w.box.Run("bot", one, policy("always"))
	to, down, n := two, time.Duration(0), 0
	for b.Loop() {
		plan := w.planTo(b, to)
		r, err := w.Recreate(b.Context(), plan, alice, why, noon)
		require.NoError(b, err)
		old, err := dial(b, "").Inspect(b.Context(), r.Kept)
		require.NoError(b, err)
		down, n = down+r.Container.Started.Sub(old.Finished), n+1
		require.NoError(b, w.Discard(b.Context(), plan.ID, alice, why, noon))
		if to = one; n%2 == 0 {
			to = two
		}
	}
	b.ReportMetric(float64(down.Milliseconds())/float64(n), "ms-down/op")
}
