package recovery

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The answer and the end of its time can come at the same instant; which of them
// prove sees first is chance, what it makes of them is not.
func TestLaw1_AnAnswerAfterItsTimeProvesNothing(t *testing.T) {
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	evidence, err := judge(ctx, time.Minute, "fine", nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Empty(t, evidence)
	evidence, err = judge(t.Context(), time.Minute, "fine", nil)
	require.NoError(t, err)
	require.Equal(t, "fine", evidence)
}
