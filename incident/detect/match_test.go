package detect

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A line is ruled out only if the expression does not match it: whatever the expression,
// a line that it matches contains one of the texts.
func TestLiterals_NeverRuleOutAMatch(t *testing.T) {
	atom := rapid.SampledFrom([]string{
		"a", "B", "k", "s", "é", "ERROR", "trade", "fail", ".", "[ab]", "[A-C]x", `\d`, `\b`, "^", "$", "(?i:task)", "(?i:error)", "(?i:[k-s]b)",
		"(?:ab|AC)", "(?:ab|c*)", "(ab)+", "(?:abc){2,3}", "(?:ab)?", ".*", `\.`, " ", "4(01|03)", "(?i)é",
	})
	text := rapid.SampledFrom([]string{"a", "b", "B", "k", "K", "\u212a", "ſ", "s", "é", "É", "ERROR", "error", "trade", "fail", "abc", "AC", "x", "1", "401", "403", ".", " ", "task", "TA\u017f\u212a"})
	rapid.Check(t, func(t *rapid.T) {
		expr := strings.Join(rapid.SliceOfN(atom, 1, 5).Draw(t, "expr"), "")
		re, err := regexp.Compile(expr)
		if err != nil {
			t.Skip("no expression")
		}
		line := strings.Join(rapid.SliceOfN(text, 0, 8).Draw(t, "line"), "")
		requireNotRuledOut(t, expr, re, line)
	})
}

func requireNotRuledOut(t require.TestingT, expr string, re *regexp.Regexp, line string) {
	sets, err := literals(expr)
	require.NoError(t, err)
	if !re.MatchString(line) {
		return
	}
	for _, texts := range sets {
		require.True(t, slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(lower(line), s) }),
			"%q matches %q, and none of %q is in it", expr, line, texts)
	}
}

func FuzzLiterals(f *testing.F) {
	for _, p := range PlaybookPatterns() {
		f.Add(p.Expr, "ERROR trade 7 failed: 401 Unauthorized")
	}
	f.Add(`(?i)task\s+(failed|lost)`, "TA\u017f\u212a  LOST")
	f.Fuzz(func(t *testing.T, expr, line string) {
		re, err := regexp.Compile(expr)
		if err != nil || strings.Contains(line, "\n") {
			return
		}
		requireNotRuledOut(t, expr, re, line)
	})
}

func TestLiterals_OfThePlaybook(t *testing.T) {
	for expr, want := range map[string][][]string{
		`ERROR|CRITICAL|FATAL`:                 {{"error", "critical", "fatal"}},
		`\b(401|403)\b|Invalid|Unauthorized`:   {{"401", "403", "invalid", "unauthorized"}},
		`trade.*failed`:                        {{"failed"}, {"trade"}},
		`(?i)auth`:                             {{"auth"}},
		`(?i)task`:                             {{"ta"}},
		`.*`:                                   nil,
		`a`:                                    nil,
		`x?\d+`:                                nil,
		`order [0-9]+ (refused|rejected) by .`: {{" refused by ", " rejected by "}, {"order "}},
	} {
		got, err := literals(expr)
		require.NoError(t, err)
		for _, set := range want {
			slices.Sort(set)
		}
		for _, set := range got {
			slices.Sort(set)
		}
		require.Equal(t, len(want), len(got), expr)
		for i := range want {
			require.Equal(t, want[i], got[i], expr)
		}
	}
}

// The automaton finds in each line exactly the patterns of which it contains a text.
func TestAutomaton_FindsWhatContainsFinds(t *testing.T) {
	word := rapid.StringMatching(`[a-c]{2,4}`)
	rapid.Check(t, func(t *rapid.T) {
		patterns := rapid.SliceOfN(rapid.SliceOfN(rapid.SliceOfN(word, 1, 3), 1, maxSets), 1, 6).Draw(t, "patterns")
		lines := rapid.SliceOfN(rapid.StringMatching(`[a-dA-C]{0,12}`), 1, 6).Draw(t, "lines")
		a := newAutomaton(patterns)
		got := map[string]found{}
		a.scan([]byte(strings.Join(lines, "\n")), func(line []byte, in found) { got[string(line)] = in })
		for _, line := range lines {
			var want found
			for i, sets := range patterns {
				for set, texts := range sets {
					if slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(lower(line), s) }) {
						want[set] |= 1 << i
					}
				}
			}
			require.Equal(t, want, got[line], "%q in %q", patterns, line)
		}
	})
}

// Whatever the patterns, those without a text among them, each line is told of each
// pattern that it matches, with the place where it begins.
func TestMatcher_FindsWhatTheExpressionsFind(t *testing.T) {
	exprs := []string{"ERROR|FATAL", "trade.*failed", `^\d+ `, "x$", "(?i)auth"}
	rapid.Check(t, func(t *rapid.T) {
		var patterns []Pattern
		for i := range exprs {
			if rapid.Bool().Draw(t, "has") {
				patterns = append(patterns, Pattern{exprs[i], exprs[i]})
			}
		}
		m, err := newMatcher(patterns)
		require.NoError(t, err)
		lines := rapid.SliceOf(rapid.SampledFrom([]string{
			"", "7 ok", "FATAL", "7 ERROR trade x", "trade 4 failed", "AUTH x", "nothing", "trade failed ERROR\r", "x\r",
		})).Draw(t, "lines")
		type hit struct {
			at   int
			expr string
		}
		var got, want []hit
		all := []byte(strings.Join(lines, "\n"))
		m.scan(all, func(at int, line []byte, p int) {
			require.True(t, bytes.HasPrefix(all[at:], line))
			got = append(got, hit{at, m.names[p]})
		})
		at := 0
		for _, line := range lines {
			for _, p := range patterns {
				if regexp.MustCompile(p.Expr).MatchString(strings.TrimSuffix(line, "\r")) {
					want = append(want, hit{at, p.Name})
				}
			}
			at += len(line) + 1
		}
		require.Equal(t, want, got)
	})
}

func TestMatcher_RefusesWhatCannotBeMeant(t *testing.T) {
	for why, patterns := range map[string][]Pattern{
		"matches an empty line": {{"a", "x*"}},
		"Name is empty":         {{"", "abc"}},
		"missing closing )":     {{"a", "(abc"}},
		"asks for a line's end": {{"a", "abc\ndef"}},
		"no more than 64":       make([]Pattern, 65),
	} {
		_, err := newMatcher(patterns)
		require.ErrorContains(t, err, why)
	}
	m, err := newMatcher(PlaybookPatterns())
	require.NoError(t, err)
	require.False(t, m.always, "each of the playbook's has a text that rules lines out")
}
