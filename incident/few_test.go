package incident

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestFewIsAMap: whatever is put and dropped, it says what a map says, and so does a
// copy that was made before.
func TestFewIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f, copied *few[int]
		is, was := map[string]int{}, map[string]int{}
		key := rapid.StringMatching("[a-m]")
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k, v := key.Draw(t, "key"), rapid.Int().Draw(t, "value")
				put(&f, k, v)
				is[k] = v
			},
			"drop": func(t *rapid.T) {
				k := key.Draw(t, "key")
				f.drop(k)
				delete(is, k)
			},
			"copy": func(*rapid.T) { copied, was = f.clone(), maps.Clone(is) },
			"": func(t *rapid.T) {
				require.Equal(t, is, maps.Collect(f.all()))
				require.Equal(t, was, maps.Collect(copied.all()))
				k := key.Draw(t, "asked")
				v, ok := f.get(k)
				require.Equal(t, is[k], v)
				require.Equal(t, is[k], f.at(k))
				_, want := is[k]
				require.Equal(t, want, ok)
			},
		})
	})
}
