package severity_test

import (
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestLaw1_AValueThatIsUnknownReachesEveryThreshold(t *testing.T) {
	for name, v := range map[string]severity.Value{
		"zero":                    {},
		"nothing of nothing":      severity.Part(0, 0),
		"negative part":           severity.Part(-1, 10),
		"negative whole":          severity.Part(1, -10),
		"negative time":           severity.Took(-time.Nanosecond),
		"negative number":         severity.Number(-1),
		"negative percent":        severity.Percent(-1),
		"no unit":                 {N: 0, Of: 1},
		"foreign unit":            {N: 0, Of: 1, Unit: "furlong"},
		"count of several":        {N: 0, Of: 2, Unit: severity.Count},
		"another unit than asked": severity.Took(0),
	} {
		t.Run(name, func(t *testing.T) {
			require.True(t, v.Reaches(severity.Percent(100)))
			if v.Unit != severity.Nanos {
				require.False(t, v.Known())
				require.Equal(t, "unknown", v.String())
			}
		})
	}
	require.True(t, severity.Percent(0).Reaches(severity.Value{}), "a threshold that is unknown is reached")
}

func TestReachesIsExact(t *testing.T) {
	require.True(t, severity.Part(1, 5).Reaches(severity.Percent(20)), "exactly 20 % is at the boundary, where the worse wins")
	require.False(t, severity.Part(math.MaxInt64/5, math.MaxInt64).Reaches(severity.Percent(20)), "a hair below")
	require.True(t, severity.Part(math.MaxInt64/5+1, math.MaxInt64).Reaches(severity.Percent(20)), "a hair above")
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.Int64Range(1, math.MaxInt64)
		part := rapid.Int64Range(0, math.MaxInt64)
		a, b, c, d := part.Draw(t, "a"), whole.Draw(t, "b"), part.Draw(t, "c"), whole.Draw(t, "d")
		if rapid.Bool().Draw(t, "equal ratios") {
			k := rapid.Int64Range(1, 1000).Draw(t, "k")
			a, b = a%1e15, b%1e15+1
			c, d = a*k, b*k
		}
		want := big.NewRat(a, b).Cmp(big.NewRat(c, d)) >= 0
		require.Equal(t, want, severity.Part(a, b).Reaches(severity.Part(c, d)))
	})
}

func TestValueString(t *testing.T) {
	for want, v := range map[string]severity.Value{
		"3 of 12":              severity.Part(3, 12),
		"85 %":                 severity.Percent(85),
		"620ms":                severity.Took(620 * time.Millisecond),
		"1s on average over 3": {N: 3e9, Of: 3, Unit: severity.Nanos},
		"7":                    severity.Number(7),
	} {
		require.Equal(t, want, v.String())
	}
}
