//go:build unix

package mutants_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/andon-go/andon/internal/mutants"
	"github.com/stretchr/testify/require"
)

const root = "../.."

func TestEveryMutantFitsItsSource(t *testing.T) {
	all, err := mutants.Load("testdata")
	require.NoError(t, err)
	require.NotEmpty(t, all)
	for _, m := range all {
		t.Run(m.Name, func(t *testing.T) {
			_, err := m.Mutate(root)
			require.NoError(t, err)
			require.True(t, hasTest(t, filepath.Join(root, m.Package), m.Test), "no test in %s has a name like %q", m.Package, m.Test)
		})
	}
}

var testFunc = regexp.MustCompile(`(?m)^func (Test\w+|Fuzz\w+|Example\w*)\(`)

// hasTest reports whether the package has a test that the pattern matches.
func hasTest(t *testing.T, dir, pattern string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	require.NoError(t, err)
	top := regexp.MustCompile(strings.SplitN(pattern, "/", 2)[0])
	for _, f := range files {
		src, err := os.ReadFile(f)
		require.NoError(t, err)
		for _, match := range testFunc.FindAllSubmatch(src, -1) {
			if top.Match(match[1]) {
				return true
			}
		}
	}
	return false
}

// TestEveryMutantIsKilled plants every bug and runs its test: minutes, so only on
// request (ANDON_MUTANTS=1, or a pattern of names).
func TestEveryMutantIsKilled(t *testing.T) {
	want := os.Getenv("ANDON_MUTANTS")
	if want == "" {
		t.Skip("set ANDON_MUTANTS=1 to plant every bug; ./bench.sh does")
	}
	if want == "1" {
		want = "."
	}
	pattern, err := regexp.Compile(want)
	require.NoError(t, err, "ANDON_MUTANTS is 1 or a pattern of names")
	all, err := mutants.Load("testdata")
	require.NoError(t, err)

	ran, killed := 0, 0
	green := map[string]error{} // by package and test
	for _, m := range all {
		if !pattern.MatchString(m.Name) {
			continue
		}
		ran++
		verdict := judge(t.Context(), &m, green)
		if verdict == nil {
			killed++
			fmt.Printf("killed    %-40s %s\n", m.Name, m.Bug)
			continue
		}
		fmt.Printf("NOT KILLED %-39s %s\n", m.Name, m.Bug)
		t.Errorf("%s (%s): %v", m.Name, m.Bug, verdict)
	}
	fmt.Printf("%d of %d planted bugs killed\n", killed, ran)
	require.Positive(t, ran, "no mutant has a name like %q", want)
}

// judge returns nil when the mutant is killed by a test that is green without it.
func judge(ctx context.Context, m *mutants.Mutant, green map[string]error) error {
	key := m.Package + " " + m.Test
	if _, ok := green[key]; !ok {
		green[key] = m.Green(ctx, root)
	}
	if green[key] != nil {
		return green[key]
	}
	killed, err := m.Killed(ctx, root)
	if err == nil && !killed {
		err = fmt.Errorf("survived: %s -run %s passes with the bug", m.Package, m.Test)
	}
	return err
}
