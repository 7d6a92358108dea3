package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// An archive of whole parts has grown by one that its chain of custody does not know.
func TestSealedIntact_ALongerArchive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	b := make([]byte, sealedChunk)
	h := sha256.Sum256(b)
	sum := hex.EncodeToString(h[:])
	require.NoError(t, os.WriteFile(path, b, 0o600))
	_, err := extend(path, nil, Custody{Action: Collected, Size: sealedChunk, Before: sum, After: sum, Chunks: []Chunk{{SHA256: sum}}})
	require.NoError(t, err)
	_, _, _, err = sealedIntact(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(b, 0), 0o600))
	_, _, _, err = sealedIntact(path)
	require.ErrorContains(t, err, "longer than when it was collected")
}
