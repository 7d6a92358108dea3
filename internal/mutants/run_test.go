//go:build unix

package mutants_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/andon-go/andon/internal/mutants"
	"github.com/stretchr/testify/require"
)

const example = `# law 2: the gate is not looked at again
package: ./safety
test: TestLaw2_
file: safety/permit.go
-- old --
	if a {
-- new --
	if b {
`

func TestParse(t *testing.T) {
	m, err := mutants.Parse("safety_gate", example)
	require.NoError(t, err)
	require.Equal(t, mutants.Mutant{
		Name: "safety_gate", Bug: "law 2: the gate is not looked at again", Package: "./safety",
		Test: "TestLaw2_", File: "safety/permit.go", Old: "\tif a {", New: "\tif b {",
	}, m)
	deletion, err := mutants.Parse("x", "# b\npackage: .\ntest: T\nfile: a.go\n-- old --\nx()\n-- new --\n")
	require.NoError(t, err)
	require.Empty(t, deletion.New)
}

func TestParseNamesEveryProblem(t *testing.T) {
	_, err := mutants.Parse("x", "package: safety\nfile: ../x.go\ntest: (\nlaw: 2\nfile: b.go\n-- new --\n")
	require.Error(t, err)
	for _, want := range []string{
		`line 4: "law: 2" is not`, "file: given twice, again in line 5", `old: no line "-- old --"`, "#: no line says",
		`package: "safety"`, `test: "("`, `file: "../x.go"`, "old: empty",
	} {
		require.ErrorContains(t, err, want)
	}
	_, err = mutants.Parse("x", "# b\npackage: .\ntest: T\nfile: a_test.go\n-- old --\nx\n-- new --\nx\n")
	require.EqualError(t, err, "file: \"a_test.go\" is not a source file of the module\nnew: the same text as old")
}

// tiny writes a module with one function and a test for it.
func tiny(t *testing.T, body string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module tiny\n\ngo 1.26\n",
		"a.go":   "package tiny\n\nimport \"time\"\n\nvar _ time.Time\n\nfunc Add(a, b int) int {\n\treturn a + b // sum\n}\n",
		"a_test.go": "package tiny\n\nimport \"testing\"\n\nfunc TestAdd(t *testing.T) {\n" + body + "}\n\n" +
			"func TestSkipped(t *testing.T) { t.Skip() }\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

func TestKilledTellsAFailureFromEverythingElse(t *testing.T) {
	const checks = "\tif Add(1, 2) != 3 {\n\t\tt.Fatal(\"wrong\")\n\t}\n"
	for _, tc := range []struct {
		name, body, test, replacement string
		killed                        bool
		want                          string
	}{
		{"a test fails", checks, "TestAdd", "return a - b", true, ""},
		{"a test panics", checks, "TestAdd", "panic(a)", true, ""},
		{"another goroutine panics", checks, "TestAdd", "go panic(a)\n\ttime.Sleep(time.Minute)\n\treturn a", true, ""},
		{"no test looks", "\tAdd(1, 2)\n", "TestAdd", "return a - b", false, ""},
		{"it does not compile", checks, "TestAdd", "return c", false, "undefined: c"},
		{"no test of that name", checks, "TestSub", "return a - b", false, "matches no test"},
		{"only skipped tests", checks, "TestSkipped", "return a - b", false, "matches no test"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := tiny(t, tc.body)
			m := mutants.Mutant{Name: "tiny", Package: ".", Test: tc.test, File: "a.go", Old: "return a + b", New: tc.replacement}
			killed, err := m.Killed(t.Context(), dir)
			require.Equal(t, tc.killed, killed)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, mutants.ErrNoVerdict)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestGreenRefusesATestThatFailsAnyway(t *testing.T) {
	m := mutants.Mutant{Name: "tiny", Package: ".", Test: "TestAdd", File: "a.go", Old: "return a + b", New: "return a"}
	require.NoError(t, m.Green(t.Context(), tiny(t, "\tAdd(1, 2)\n")))
	err := m.Green(t.Context(), tiny(t, "\tt.Fatal(\"always red\")\n"))
	require.ErrorIs(t, err, mutants.ErrNoVerdict)
	require.ErrorContains(t, err, "always red")
}

func TestMutateWantsTheTextExactlyOnce(t *testing.T) {
	dir := tiny(t, "")
	m := mutants.Mutant{File: "a.go", Old: "time", New: "x"}
	_, err := m.Mutate(dir)
	require.EqualError(t, err, "old: its text occurs 2 times in a.go, want exactly once")
	m.Old = "nowhere"
	_, err = m.Mutate(dir)
	require.EqualError(t, err, "old: its text occurs 0 times in a.go, want exactly once")
}
