package safety

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Against a list that remembers everything: an id that is among the last so many, or
// whose order is kept, is found; one that was taken out is not; and the tables do not
// grow beyond what that takes.
func TestLaw6_ClientIDsAreRememberedAsLongAsStated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fill := rapid.IntRange(1, 20).Draw(t, "remember")
		x := newIDs(fill)
		var kept []*tracked
		var added []string // in order, newest last
		ever := map[string]bool{}
		n := 0
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				n++
				id := fmt.Sprint("id", n)
				if rapid.Bool().Draw(t, "reuse") && n > 1 {
					id = fmt.Sprint("id", rapid.IntRange(1, n-1).Draw(t, "old"))
				}
				h := x.hash(id)
				e, at := x.find(h, id)
				if e != nil {
					require.True(t, ever[id], "%s was never added or was taken out", id)
					return
				}
				tr := &tracked{id: id, hash: h}
				if rapid.Bool().Draw(t, "kept") {
					tr.phase = flying
					x.add(h, id, at, tr, kept)
					kept = append(kept, tr)
				} else {
					x.add(h, id, at, nil, kept)
				}
				added, ever[id] = append(added, id), true
			},
			"settle": func(t *rapid.T) {
				if len(kept) == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, len(kept)-1).Draw(t, "which")
				tr := kept[i]
				tr.phase = free
				kept = append(kept[:i:i], kept[i+1:]...)
				if rapid.Bool().Draw(t, "refused") {
					x.forget(tr.hash, tr.id)
					delete(ever, tr.id)
					e, _ := x.find(tr.hash, tr.id)
					require.Nil(t, e, "taken out")
				}
			},
			"": func(t *rapid.T) {
				for _, id := range added[max(0, len(added)-fill):] {
					e, _ := x.find(x.hash(id), id)
					require.Equal(t, ever[id], e != nil, "%s is among the last %d", id, fill)
				}
				for _, tr := range kept {
					e, _ := x.find(tr.hash, tr.id)
					require.Same(t, tr, e.kept())
				}
				require.LessOrEqual(t, len(x.young.hashes), max(16, 4*(fill+n)))
			},
		})
		// Long after, only the last are known: memory is bounded.
		for i := range 10 * fill {
			id := fmt.Sprint("later", i)
			_, at := x.find(x.hash(id), id)
			x.add(x.hash(id), id, at, nil, nil)
		}
		require.LessOrEqual(t, len(x.young.hashes), max(16, 4*fill))
		for id := range ever {
			e, _ := x.find(x.hash(id), id)
			require.Nil(t, e, id)
		}
	})
}

// An id that is refused and sent again, again and again, takes one place.
func TestIDsThatAreRetriedTakeOnePlace(t *testing.T) {
	x := newIDs(100)
	for range 10_000 {
		h := x.hash("again")
		e, at := x.find(h, "again")
		require.Nil(t, e)
		x.add(h, "again", at, nil, nil)
		x.forget(h, "again")
	}
	require.Equal(t, 1, x.used)
}
