package reconcile

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzMemory reads what was fuzzed as a memory, as it is or with a checksum that fits it.
// What can be read must be writable and come back the same, and must not mislead what is
// decided next: a memory that names a confirmed mismatch never lets a hold go.
func FuzzMemory(f *testing.F) {
	w := newWatch()
	key := Key{Subject: Positions, Venue: "v", Symbol: "A"}
	w.mismatches[key] = Mismatch{Key: key, What: "quantity", Since: time.Unix(1, 0).UTC(), Seen: 2}
	w.holds[mismatch] = "book and venue disagree"
	w.accepted = []Acceptance{{Kind: Price, Key: key, InBook: "1", OnVenue: "2", By: "ada", Note: "seen"}}
	seed, err := w.encode("v")
	require.NoError(f, err)
	f.Add(seed, false)
	f.Add([]byte(`{"andon_reconcile":1,"venue":"v","holds":null,"confirmed":true,"mismatches":null,"accepted":null}`), true)
	f.Fuzz(func(t *testing.T, data []byte, sealed bool) {
		if sealed {
			var m memory
			if decodeStrict(data, &m) != nil {
				return
			}
			sum, err := m.sum()
			if err != nil {
				return
			}
			m.SHA256 = sum
			if data, err = marshal(m); err != nil {
				return
			}
		}
		w, err := decodeMemory(data, "v")
		if err != nil {
			return
		}
		text, err := w.encode("v")
		require.NoError(t, err)
		again, err := decodeMemory(text, "v")
		require.NoError(t, err)
		back, err := again.encode("v")
		require.NoError(t, err)
		require.Equal(t, string(text), string(back))
		if do, _ := w.next(true); w.confirmed {
			require.NotEqual(t, pullRelax, do)
		}
	})
}
