package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

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

// TestATableFitsTheTerminal: a timeline is read at night on eighty columns. A program, and
// grep, has a row on a line.
func TestATableFitsTheTerminal(t *testing.T) {
	why := "book and venue disagree: " + strings.Repeat("unexpected live order ", 20)
	table := func(width int) (lines []string) {
		var w bytes.Buffer
		p := newPrinter(&w, &w, false, true, true)
		p.width = width
		p.table([]any{"", "at", "kind", "why"}, []any{12, "2026-11-24 18:35:26Z", p.bad("declared"), why})
		return strings.Split(strings.TrimRight(w.String(), "\n"), "\n")
	}
	wide := table(0)
	require.Len(t, wide, 3)
	require.Contains(t, wide[2], why)
	for _, width := range []int{60, 80, 200} {
		var said strings.Builder
		for _, l := range table(width) {
			l = strings.NewReplacer("\x1b[1;31m", "", "\x1b[0m", "").Replace(l)
			require.LessOrEqual(t, utf8.RuneCountInString(l), width, l)
			said.WriteString(" " + l)
		}
		require.Equal(t, 20, strings.Count(said.String(), "unexpected"), "nothing is left out")
		require.Contains(t, said.String(), "declared")
	}
	require.NotEmpty(t, table(5), "one that is too narrow ends too")
}
