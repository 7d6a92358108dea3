package filebackup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/andon-go/andon/internal/needs"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestARollbackOfConfigurationIsReadFirst(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, os.MkdirAll(w.source, 0o700))
	w.write(t, "bot.yaml", "name: bot\nleverage: 2\nsymbols:\n- BTC-USD\n- ETH-USD\nmode: live\nlog: info\nend")
	w.write(t, "gone.yaml", "a: 1\n")
	w.write(t, "key", "\x00\x01")
	w.write(t, "same", "same\n")
	w.good(t, noon)
	w.write(t, "bot.yaml", "name: bot\nleverage: 200\nsymbols:\n- BTC-USD\n- ETH-USD\nmode: live\nlog: info\nend\n")
	w.write(t, "key", "\x00\x02")
	w.write(t, "new.yaml", "b: 2\n")
	require.NoError(t, os.Remove(filepath.Join(w.source, "gone.yaml")))

	p := w.plan(t, Request{})
	got, err := w.store.Diff(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, strings.ReplaceAll(`--- aDIR/bot.yaml
+++ bDIR/bot.yaml
@@ -1,8 +1,8 @@
 name: bot
-leverage: 200
+leverage: 2
 symbols:
 - BTC-USD
 - ETH-USD
 mode: live
 log: info
-end
+end
\ No newline at end of file
--- /dev/null
+++ bDIR/gone.yaml
@@ -0,0 +1,1 @@
+a: 1
Files aDIR/key and bDIR/key may differ and are not shown
--- aDIR/new.yaml
+++ /dev/null
@@ -1,1 +0,0 @@
-b: 2
`, "DIR", w.source), got)
	require.Empty(t, w.rec.Entries(), "nothing of it is recorded")

	w.write(t, "bot.yaml", "moved")
	_, err = w.store.Diff(t.Context(), p)
	require.ErrorIs(t, err, ErrMoved, "law 9: what is shown is what would be applied")
	p.Changes = nil
	_, err = w.store.Diff(t.Context(), p)
	require.ErrorIs(t, err, ErrMoved)
}

func lines(s string) (all []string) {
	for line := range strings.Lines(s) {
		all = append(all, line)
	}
	return all
}

func TestADiffLeadsFromOneTextToTheOther(t *testing.T) {
	text := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a\n", "b\n", "c\n", "\n"}), 0, 30).Draw(t, "lines"), "") + rapid.SampledFrom([]string{"", "end"}).Draw(t, "end")
	})
	rapid.Check(t, func(rt *rapid.T) {
		a, b := text.Draw(rt, "a"), text.Draw(rt, "b")
		var old, now strings.Builder
		changes := 0
		for _, e := range edits(lines(a), lines(b)) {
			if e.kind != '+' {
				old.WriteString(e.line)
			}
			if e.kind != '-' {
				now.WriteString(e.line)
			}
			if e.kind != ' ' {
				changes++
			}
		}
		require.Equal(rt, a, old.String())
		require.Equal(rt, b, now.String())
		require.Equal(rt, a == b, changes == 0)
	})
	var long, other []string
	for range 3000 {
		long, other = append(long, "a\n"), append(other, "b\n")
	}
	require.Len(t, edits(long, other), 6000, "too much to compare: all is replaced")
}

func TestPatchAppliesADiff(t *testing.T) {
	if _, err := exec.LookPath("patch"); err != nil {
		needs.Missing(t, "the program patch: %v", err)
	}
	a := strings.Repeat("x\n", 20) + "old\n" + strings.Repeat("y\n", 20) + "end"
	b := "first\n" + strings.Repeat("x\n", 20) + "new\nnewer\n" + strings.Repeat("y\n", 20) + "end\n"
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	require.NoError(t, os.WriteFile(file, []byte(a), 0o600))
	cmd := exec.CommandContext(t.Context(), "patch", file)
	cmd.Stdin = strings.NewReader(unified("/f", text{lines: lines(a), data: []byte(a)}, text{lines: lines(b), data: []byte(b)}))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.NotContains(t, string(out), "offset", "the lines are those that it names")
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, b, string(data))
}
