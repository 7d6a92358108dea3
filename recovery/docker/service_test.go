package docker_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/recovery/docker"
)

// Limits that cannot be meant are refused before the engine is asked.
func TestServiceRefusesLimitsThatCannotBeMeant(t *testing.T) {
	s := &docker.Service{Bot: "ai-trading-bot"} // without a stack: it must not come to that
	for _, memory := range []string{"0", "-1g", "4x", "g", "4gib", "1.5g", "99999999999g", " 4g"} {
		_, err := s.SetLimits(t.Context(), memory, "", alice, why)
		require.ErrorContains(t, err, "want an amount", memory)
	}
	for _, cpus := range []string{"0", "-1", "two", "NaN"} {
		_, err := s.SetLimits(t.Context(), "", cpus, alice, why)
		require.ErrorContains(t, err, "want a number above 0", cpus)
	}
}

// Limits go to a real container and come back as they were set; Down stops it and removes
// nothing, and Up starts it again.
func TestServiceOnARealContainer(t *testing.T) {
	w := newWorld(t)
	w.box.Run("ai-trading-bot", w.image("v1"), map[string]any{})
	s := &docker.Service{Stack: w.Stack, Bot: "ai-trading-bot"}
	_, err := s.SetLimits(t.Context(), "512m", "1.5", alice, why)
	require.NoError(t, err)
	memory, cpus, err := s.Limits(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"536870912", "1.5"}, []string{memory, cpus})
	_, err = s.SetLimits(t.Context(), memory, cpus, alice, why)
	require.NoError(t, err, "as Limits gave them")

	lines, err := s.Logs(t.Context(), false, 0, 0, "v1 up")
	require.NoError(t, err)
	require.Equal(t, "ai-trading-bot | bot v1 up", lines)
	lines, err = s.Logs(t.Context(), true, 1, 0, "nothing like it")
	require.NoError(t, err)
	require.Empty(t, lines)

	_, err = s.Down(t.Context(), alice, why)
	require.NoError(t, err)
	at, err := s.Started(t.Context())
	require.NoError(t, err)
	require.True(t, at.IsZero())
	require.Len(t, w.box.Containers(), 1, "it is there still, with its log")
	_, err = s.Status(t.Context())
	require.ErrorIs(t, err, docker.ErrNotWell)
	_, err = s.Up(t.Context(), alice, why)
	require.NoError(t, err)
	at, err = s.Started(t.Context())
	require.NoError(t, err)
	require.False(t, at.IsZero())
}
