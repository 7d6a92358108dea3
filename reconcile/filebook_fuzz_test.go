package reconcile

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzFileBook decodes what was fuzzed, as it is or under a head that fits it, so that
// the rows are reached. What can be read must be writable and come back the same. It
// works on the decoder, since a disk with fsync allows no more than a few tries a second.
func FuzzFileBook(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte, sealed bool) {
		if sealed {
			n := len(slices.Collect(bytes.Lines(data)))
			data = append(fmt.Appendf(nil, `{"andon_book":1,"rows":%d,"sha256":"%x"}`+"\n", n, sha256.Sum256(data)), data...)
		}
		book, err := decodeBook(data)
		if err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
			return
		}
		written, err := encodeBook(book)
		require.NoError(t, err)
		back, err := decodeBook(written)
		require.NoError(t, err)
		require.Equal(t, book, back)
	})
}
