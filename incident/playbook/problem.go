package playbook

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing that is wrong with a playbook.
type Problem struct {
	// Line and Column are where it stands in the file, from 1; 0 where it stands in no
	// file, such as what follows from a default.
	Line, Column int
	// Path is the field, such as severities.SEV-1.title; empty: the file as a whole.
	Path string
	// Text says what is wrong, and what to do.
	Text string
}

// Error gives the place, the field and what is wrong.
func (p *Problem) Error() string {
	var s strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&s, "line %d, column %d: ", p.Line, p.Column)
	}
	if p.Path != "" {
		s.WriteString(p.Path + ": ")
	}
	return s.String() + p.Text
}

func problem(path, format string, args ...any) *Problem {
	return &Problem{Path: path, Text: fmt.Sprintf(format, args...)}
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_/-]+$`)

// join makes a path of names; one with other characters than letters, digits, "_", "/"
// and "-" is quoted.
func join(path string, names ...string) string {
	for _, n := range names {
		switch {
		case !plainName.MatchString(n):
			path += "[" + strconv.Quote(n) + "]"
		case path == "":
			path = n
		default:
			path += "." + n
		}
	}
	return path
}

// joined returns the problems as one error, in the order of their places, or nil.
func joined(problems []*Problem) error {
	slices.SortStableFunc(problems, func(a, b *Problem) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
	errs := make([]error, len(problems))
	for i, p := range problems {
		errs[i] = p
	}
	return errors.Join(errs...)
}
