package fleetdrill

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHistoriesAreJudged(t *testing.T) {
	for _, c := range []struct {
		name string
		ops  []Op
		want bool
	}{
		{"nothing", nil, true},
		{"an enter before the first resume", []Op{{Enter, "a", 1, 2}}, false},
		{"an enter after a resume", []Op{{Resume, "op", 1, 2}, {Enter, "a", 3, 4}}, true},
		{"an enter beside a halt", []Op{{Resume, "op", 1, 2}, {Halt, "op", 3, 9}, {Enter, "a", 4, 8}}, true},
		{"an enter that ends after a halt", []Op{{Resume, "op", 1, 2}, {Halt, "op", 3, 9}, {Enter, "a", 8, 12}}, true},
		{"an enter after a halt", []Op{{Resume, "op", 1, 2}, {Halt, "op", 3, 9}, {Enter, "a", 10, 12}}, false},
		{"an enter after another bot's halt and a resume", []Op{{Resume, "op", 1, 2}, {Halt, "b", 3, 9}, {Resume, "op", 10, 11}, {Enter, "a", 12, 13}}, true},
		{"a halt without an end", []Op{{Resume, "op", 1, 2}, {Halt, "b", 3, Open}, {Enter, "a", 12, 13}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ok, decided := Linearizable(c.ops)
			require.True(t, decided)
			require.Equal(t, c.want, ok)
		})
	}
}
