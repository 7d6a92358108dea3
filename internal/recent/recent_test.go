package recent_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/internal/recent"
)

func TestMap_KeepsTheYoungestAndForgetsTheOldest(t *testing.T) {
	var m recent.Map[int, int]
	const n = 5 * recent.Generation
	for i := range n {
		m.Put(i, i)
		for j := max(0, i-recent.Generation+1); j <= i; j += 999 {
			_, ok := m.Get(j)
			require.True(t, ok, "%d after %d", j, i)
		}
	}
	kept := m.Find(func(int, int) bool { return true })
	require.GreaterOrEqual(t, len(kept), recent.Generation)
	require.LessOrEqual(t, len(kept), 2*recent.Generation)
}

func TestMap_OneValueUnderAKey(t *testing.T) {
	var m recent.Map[string, int]
	m.Change("a", func(v *int) { *v = 9 })
	_, ok := m.Get("a")
	require.False(t, ok, "what is not there is not changed")

	_, ok = m.PutNew("a", 1)
	require.False(t, ok)
	known, ok := m.PutNew("a", 2)
	require.True(t, ok)
	require.Equal(t, 1, known)

	for i := range recent.Generation {
		m.Put(string(rune(i+1000)), i)
	}
	m.Change("a", func(v *int) { *v += 10 }) // moves it into the young generation
	require.Equal(t, []int{11}, m.Find(func(k string, _ int) bool { return k == "a" }))
	m.Forget("a")
	_, ok = m.Get("a")
	require.False(t, ok)
}
