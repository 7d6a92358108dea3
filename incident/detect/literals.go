package detect

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// literals returns sets of texts in lower case, at most maxSets: every match of an
// expression contains one text of each, with the letters A to Z taken as a to z. It
// returns none where there are no such sets whose texts all have two bytes or more: then
// nothing rules a line out but the expression itself.
func literals(expr string) ([][]string, error) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, err
	}
	sets := required(re.Simplify()).all()
	sets = slices.DeleteFunc(sets, func(set []string) bool { return shortest(set) < 2 })
	slices.SortStableFunc(sets, func(a, b []string) int { return shortest(b) - shortest(a) })
	return sets[:min(len(sets), maxSets)], nil
}

const (
	maxExact = 32 // texts that an expression is taken apart into
	maxSets  = 2  // of texts that are looked for, for each pattern
)

// need says what a match contains. exact are all texts that it can be, where they are
// few; it contains one text of each of the sets. Nil: not known.
type need struct {
	exact []string
	sets  [][]string
}

// all returns the sets, with what is known exactly as one.
func (n need) all() [][]string {
	if n.exact != nil {
		return [][]string{n.exact}
	}
	return n.sets
}

// best returns the set that rules out most: its shortest text is the longest.
func (n need) best() (best []string) {
	for _, set := range n.all() {
		if best == nil || shortest(set) > shortest(best) {
			best = set
		}
	}
	return best
}

func shortest(texts []string) int {
	n := len(texts[0])
	for _, s := range texts {
		n = min(n, len(s))
	}
	return n
}

// required works out the need of an expression. Flags are those of the sub-expression.
func required(re *syntax.Regexp) need {
	switch re.Op {
	case syntax.OpLiteral:
		return literal(re)
	case syntax.OpCharClass:
		return class(re)
	case syntax.OpCapture:
		return required(re.Sub[0])
	case syntax.OpPlus:
		return need{sets: required(re.Sub[0]).all()}
	case syntax.OpRepeat:
		if re.Min > 0 {
			return need{sets: required(re.Sub[0]).all()}
		}
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return need{exact: []string{""}}
	case syntax.OpConcat:
		return concat(re.Sub)
	case syntax.OpAlternate:
		return alternate(re.Sub)
	}
	return need{}
}

// literal takes a text apart where it must: k and s have forms outside A to Z when case
// is ignored, and so has every letter that is not of those.
func literal(re *syntax.Regexp) need {
	if re.Flags&syntax.FoldCase == 0 {
		return need{exact: []string{lower(string(re.Rune))}}
	}
	var runs []string
	run := ""
	whole := true
	for _, r := range re.Rune {
		if r >= utf8.RuneSelf || strings.ContainsRune("kKsS", r) {
			runs, run, whole = append(runs, run), "", false
			continue
		}
		run += lower(string(r))
	}
	if runs = append(runs, run); whole {
		return need{exact: runs}
	}
	longest := ""
	for _, s := range runs {
		if len(s) > len(longest) {
			longest = s
		}
	}
	if longest == "" {
		return need{}
	}
	return need{sets: [][]string{{longest}}}
}

func class(re *syntax.Regexp) need {
	n := 0
	for i := 0; i < len(re.Rune); i += 2 {
		n += int(re.Rune[i+1]-re.Rune[i]) + 1
		if n > maxExact {
			return need{}
		}
	}
	var texts []string
	for i := 0; i < len(re.Rune); i += 2 {
		for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
			texts = append(texts, lower(string(r)))
		}
	}
	return need{exact: distinct(texts)}
}

// concat joins what stands side by side as long as it is known exactly.
func concat(subs []*syntax.Regexp) need {
	run := []string{""}
	var sets [][]string
	for _, sub := range subs {
		n := required(sub)
		if n.exact != nil && len(run)*len(n.exact) <= maxExact {
			var joined []string
			for _, a := range run {
				for _, b := range n.exact {
					joined = append(joined, a+b)
				}
			}
			run = distinct(joined)
			continue
		}
		sets = append(append(sets, run), n.all()...)
		run = []string{""}
	}
	if sets == nil {
		return need{exact: run}
	}
	return need{sets: append(sets, run)}
}

func alternate(subs []*syntax.Regexp) need {
	var exact, texts []string
	known := true
	for _, sub := range subs {
		n := required(sub)
		best := n.best()
		if best == nil {
			return need{}
		}
		exact, texts = append(exact, n.exact...), append(texts, best...)
		known = known && n.exact != nil
	}
	if known && len(exact) <= maxExact {
		return need{exact: distinct(exact)}
	}
	return need{sets: [][]string{distinct(texts)}}
}

func distinct(texts []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, s := range texts {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// lower turns A to Z into a to z, and nothing else.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		b[i] = lowerByte(c)
	}
	return string(b)
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
