package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNothingThatIsSaidActsOnTheTerminal: symbols, exchanges and people may say anything.
func TestNothingThatIsSaidActsOnTheTerminal(t *testing.T) {
	hostile := "BTC\x1b[2J\x1b[31m\r\u202eDSU\x9b\u0085\x07\ntrading: ACTIVE"
	for _, colour := range []bool{false, true} {
		var w, stderr bytes.Buffer
		p := newPrinter(&w, &stderr, false, colour, colour)
		p.table([]any{"symbol"}, []any{hostile})
		p.line("%s", p.bad(oneLine(hostile)))
		p.note("%s", hostile)
		for _, out := range []string{w.String(), stderr.String()} {
			require.NotContains(t, out, "\x1b[2J")
			require.NotContains(t, out, "\r")
			require.NotContains(t, out, "\u202e")
			require.NotContains(t, out, "\x07")
			require.Contains(t, out, `BTC\x1b[2J`)
			require.Contains(t, out, `\u202eDSU\x9b\u0085`)
		}
		require.NotContains(t, w.String(), "\ntrading: ACTIVE", "a line of its own")
		require.Equal(t, colour, bytes.Contains(w.Bytes(), []byte("\x1b[1;31mBTC")), "what paint paints stays")
	}

	var w bytes.Buffer
	require.NoError(t, newPrinter(&w, &w, true, false, false).show(hostile, nil))
	require.NotContains(t, w.String(), "\x1b")
}
