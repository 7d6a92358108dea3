package safety

import (
	"io"
	"log/slog"
	"testing"

	"github.com/andon-go/andon"
	"github.com/stretchr/testify/require"
)

// The barrier step by step. An order that looked at the gate before it was closed,
// and is counted only after its closer has looked for orders, has to turn back: its
// closer did not see it. One that is counted before is seen.
func TestLaw2_WhoIsCountedLateTurnsBack(t *testing.T) {
	sw, err := Open(t.Context(), Config{
		Name: "barrier", Dir: t.TempDir(), NoFlags: true, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, sw.Close()) }()
	o := &andon.Order{
		ClientID: "a", Venue: "sim", Symbol: "BTC", Side: andon.Buy, Kind: andon.Market, Quantity: andon.NewDecimal(1, 0),
	}

	looked := &gate{state: Active, fast: true}
	sw.gate.Store(looked)
	early, err := sw.pass(looked, o)
	require.NoError(t, err)
	require.NotNil(t, early.slot)
	require.Equal(t, 1, sw.slotsBusy(), "who is counted early is seen")
	early.Exit(Accepted)

	sw.gate.Store(&gate{state: Halted, err: ErrDenied})
	require.Zero(t, sw.slotsBusy(), "nobody is in flight, so Halt returns")
	_, err = sw.pass(looked, o)
	require.ErrorIs(t, err, ErrDenied, "who is counted late turns back")
	require.Zero(t, sw.slotsBusy(), "and is counted no more")

	sw.gate.Store(&gate{state: Active, fast: true})
	late, err := sw.pass(looked, o)
	require.NoError(t, err)
	require.Nil(t, late.slot, "closed and open again is a change too: it starts again below the lock")
	late.Exit(Refused)

	sw.mu.Lock()
	sw.regate()
	sw.mu.Unlock()
}
