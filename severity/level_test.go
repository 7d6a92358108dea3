package severity_test

import (
	"testing"

	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func levels() *rapid.Generator[severity.Level] {
	return rapid.Map(rapid.Uint8(), func(n uint8) severity.Level { return severity.Level(n % 7) })
}

func TestLaw1_ALevelThatIsUnknownCountsAsTheWorst(t *testing.T) {
	for _, unknown := range []severity.Level{severity.Unclassified, severity.SEV4 + 1, 255} {
		for l := severity.SEV1; l <= severity.SEV4; l++ {
			require.True(t, unknown.AtLeast(l), "%v at least %v", unknown, l)
		}
		require.True(t, severity.SEV1.AtLeast(unknown))
		require.False(t, severity.SEV2.AtLeast(unknown))
		require.Equal(t, severity.SEV1.Targets(), unknown.Targets())
		require.Equal(t, severity.SEV1, severity.Worst(unknown, severity.SEV1), "a real level where one is as bad")
		require.Equal(t, severity.SEV1, severity.Worst(severity.SEV1, unknown))
		require.Equal(t, unknown, severity.Worst(severity.SEV2, unknown))
		require.Equal(t, unknown, severity.Worst(unknown, severity.SEV2))
	}
}

func TestWorstIsAtLeastBoth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := levels().Draw(t, "a"), levels().Draw(t, "b")
		w := severity.Worst(a, b)
		require.True(t, w == a || w == b)
		require.True(t, w.AtLeast(a) && w.AtLeast(b))
		require.True(t, a.AtLeast(b) || b.AtLeast(a), "any two compare")
	})
}

func TestLevelText(t *testing.T) {
	for l, want := range map[severity.Level]string{0: "unclassified", 1: "SEV-1", 2: "SEV-2", 3: "SEV-3", 4: "SEV-4"} {
		text, err := l.MarshalText()
		require.NoError(t, err)
		require.Equal(t, want, string(text))
		var back severity.Level
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, l, back)
	}
	_, err := severity.Level(5).MarshalText()
	require.ErrorContains(t, err, "5")
	require.Equal(t, "Level(5)", severity.Level(5).String())

	kept := severity.SEV3
	require.ErrorContains(t, kept.UnmarshalText([]byte("sev-1")), `"sev-1"`)
	require.Equal(t, severity.SEV3, kept)
}
