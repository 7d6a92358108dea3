package safety

import (
	"io"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/stretchr/testify/require"
)

// The barrier step by step. An order that came before the gate was closed, and is
// counted only after that, has to turn back: its closer has perhaps looked for orders
// already. One that is counted before is seen.
func TestLaw2_WhoIsCountedLateTurnsBack(t *testing.T) {
	sw, err := Open(t.Context(), Config{
		Name: "barrier", Dir: t.TempDir(), NoFlags: true, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, sw.Close()) }()
	open := func() {
		sw.mu.Lock()
		defer sw.mu.Unlock()
		sw.holds = nil
		sw.changed()
	}
	open()
	o := andon.Order{
		ClientID: "early", Venue: "sim", Symbol: "BTC", Side: andon.Buy, Kind: andon.Market, Quantity: andon.NewDecimal(1, 0),
	}
	early, err := sw.Enter(&o)
	require.NoError(t, err)
	names, waiting := sw.names()
	require.Equal(t, []string{"early"}, names, "who is counted early is seen")
	require.Equal(t, 1, waiting)
	early.Exit(Accepted)

	b := sw.ledger("sim")
	b.mu.Lock() // the order that comes now is before the lock
	o.ClientID = "late"
	denied := make(chan error)
	go func() {
		_, err := sw.Enter(&o)
		denied <- err
	}()
	for range 100 { // it has time to look at the open gate; what must hold does not depend on it
		runtime.Gosched()
		time.Sleep(100 * time.Microsecond)
	}
	require.NoError(t, sw.Engage("bob", "drill"))
	b.mu.Unlock()
	require.ErrorIs(t, <-denied, ErrDenied, "who is counted late turns back")
	require.Empty(t, b.orders, "and is counted no more")
}
