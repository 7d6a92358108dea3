package evidence_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/incident/evidence"
)

// An archive is found again for its incident and since its time alone, and only while it
// is what was sealed.
func TestVaultFindsWhatItHasSealed(t *testing.T) {
	log := filepath.Join(t.TempDir(), "bot.log")
	write(t, log, "401 Unauthorized")
	v := evidence.Vault{Collector: collector(t, newKey(t), nil, evidence.Files("logs", log))}
	would, err := v.Preview(t.Context())
	require.NoError(t, err)
	require.Contains(t, would, "would seal logs into")
	const incident = "INC-20260301-001"
	before := time.Now()
	none, err := v.Sealed(t.Context(), incident, before)
	require.NoError(t, err)
	require.Empty(t, none, "a preview seals nothing")

	said, err := v.Seal(t.Context(), "Ada", incident, "unknown API key in use")
	require.NoError(t, err)
	path, _, _ := strings.Cut(said, ",")
	found, err := v.Sealed(t.Context(), incident, before)
	require.NoError(t, err)
	require.Equal(t, path, found)
	for _, tc := range []struct {
		incident string
		since    time.Time
	}{{incident, time.Now()}, {"INC-20260301-00", before}, {"INC-20260301-002", before}} {
		none, err := v.Sealed(t.Context(), tc.incident, tc.since)
		require.NoError(t, err)
		require.Empty(t, none, "%v", tc)
	}

	sealed, err := os.ReadFile(path)
	require.NoError(t, err)
	sealed[len(sealed)/2] ^= 1
	require.NoError(t, os.WriteFile(path, sealed, 0o600))
	_, err = v.Sealed(t.Context(), incident, before)
	require.ErrorIs(t, err, evidence.ErrDamaged)
	for _, chain := range []string{"", "{}\n"} { // of which not one line can be read
		require.NoError(t, os.WriteFile(evidence.CustodyPath(path), []byte(chain), 0o600))
		_, err = v.Sealed(t.Context(), incident, before)
		require.ErrorIs(t, err, evidence.ErrDamaged, "%q", chain)
	}
}
