package detect

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Pattern is what is looked for in lines.
type Pattern struct {
	Name string // of the indicator that counts its matches
	Expr string // as of package regexp, matched against one line without its end
}

// PlaybookPatterns returns what the playbook greps for, under the names of the
// indicators that count it. 401 and 403 are whole words here, since a price may hold
// them. The slice is the caller's own.
func PlaybookPatterns() []Pattern {
	return []Pattern{
		{Name: "rising-errors", Expr: `ERROR|CRITICAL|FATAL`},
		{Name: "unauthorized-access", Expr: `\b(401|403)\b|Invalid|Unauthorized`},
		{Name: "anomalous-logs", Expr: `trade.*failed`},
	}
}

// maxPatterns is how many patterns one look tells apart.
const maxPatterns = 64

// matcher finds the lines that match. It does not change once made.
type matcher struct {
	names  []string
	exprs  []*regexp.Regexp
	texts  *automaton
	always bool  // a pattern has no texts, so that every line is tried
	lacks  found // the sets that a pattern has not: they count as found
}

func newMatcher(patterns []Pattern) (*matcher, error) {
	var errs []error
	if len(patterns) > maxPatterns {
		return nil, fmt.Errorf("Patterns are %d, want no more than %d", len(patterns), maxPatterns)
	}
	m := &matcher{}
	all := make([][][]string, len(patterns))
	for i, p := range patterns {
		re, err := regexp.Compile(p.Expr)
		switch {
		case p.Name == "":
			errs = append(errs, fmt.Errorf("Patterns[%d]: Name is empty", i))
		case err != nil:
			errs = append(errs, fmt.Errorf("Patterns[%d] %q: %w", i, p.Name, err))
		case re.MatchString(""):
			errs = append(errs, fmt.Errorf("Patterns[%d] %q: Expr %q matches an empty line, so every line", i, p.Name, p.Expr))
		default:
			sets, err := literals(p.Expr)
			if err != nil {
				errs = append(errs, fmt.Errorf("Patterns[%d] %q: %w", i, p.Name, err))
			}
			if slices.ContainsFunc(slices.Concat(sets...), func(s string) bool { return strings.Contains(s, "\n") }) {
				errs = append(errs, fmt.Errorf("Patterns[%d] %q: Expr %q asks for a line's end, and a line has none", i, p.Name, p.Expr))
			}
			all[i] = sets
			m.always = m.always || len(sets) == 0
			for s := len(sets); s < maxSets; s++ {
				m.lacks[s] |= 1 << i
			}
		}
		m.names, m.exprs = append(m.names, p.Name), append(m.exprs, re)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	m.texts = newAutomaton(all)
	return m, nil
}

// scan calls hit for each line of b and each pattern that it matches; at is where the
// line begins.
func (m *matcher) scan(b []byte, hit func(at int, line []byte, pattern int)) {
	verify := func(line []byte, in found) {
		in.add(m.lacks)
		maybe := in[0]
		for _, set := range in[1:] {
			maybe &= set
		}
		if maybe == 0 {
			return
		}
		at := cap(b) - cap(line) // line is a part of b
		line = bytes.TrimSuffix(line, []byte{'\r'})
		for i, re := range m.exprs {
			if maybe&(1<<i) != 0 && re.Match(line) {
				hit(at, line, i)
			}
		}
	}
	if !m.always {
		m.texts.scan(b, verify)
		return
	}
	for rest := b; len(rest) > 0; {
		line := rest
		if n := bytes.IndexByte(rest, '\n'); n >= 0 {
			line, rest = rest[:n], rest[n+1:]
		} else {
			rest = nil
		}
		var in found
		m.texts.scan(line, func(_ []byte, more found) { in = more })
		verify(line, in)
	}
}
