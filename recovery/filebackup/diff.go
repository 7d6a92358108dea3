package filebackup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

const (
	maxDiffBytes = 1 << 20 // of a file; a longer one is only said to differ
	maxDiffEdits = 2000    // lines; with more, all of the file is shown as replaced
	diffContext  = 3       // lines around a change
)

// Diff returns what a plan changes in the text of files, as unified diffs in the
// order of the paths, so that a rollback of configuration is read before it is
// applied. Files that are no text, or longer than 1 MiB, are only said to differ;
// changes of mode, owner and links are in the plan itself. It is ErrMoved when the
// target is not as it was when the plan was made.
//
// A diff shows what is in the files, secrets included: it is for eyes, and nothing of
// it is recorded.
func (s *Store) Diff(ctx context.Context, p Plan) (string, error) {
	text, err := s.diff(ctx, p)
	if err != nil {
		return "", fmt.Errorf("showing plan %s: %w", p.short(), err)
	}
	return text, nil
}

func (s *Store) diff(ctx context.Context, p Plan) (_ string, err error) {
	if id, err := p.id(); err != nil || id != p.ID {
		return "", errors.Join(fmt.Errorf("the plan is not as it was made: %w", ErrMoved), err)
	}
	current, err := s.current(ctx, string(p.Into))
	if err != nil {
		return "", err
	}
	if is, err := fingerprint(current); err != nil || is != p.Before {
		return "", errors.Join(fmt.Errorf("the target is not as it was at %v: %w", p.At, ErrMoved), err)
	}
	m, _, err := s.manifest(ctx, p.Backup)
	if err != nil {
		return "", err
	}
	from, err := s.contents(ctx, p.Backup)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	files := map[Path]bool{}
	for _, e := range m.tree(string(p.Source)) {
		files[e.Path] = e.Kind == File
	}
	var b strings.Builder
	for _, c := range p.Changes {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		before, err := readText(filepath.Join(string(p.Into), string(c.Path)))
		if err != nil {
			return "", err
		}
		after := text{none: true}
		if files[c.Path] {
			if after, err = storedText(ctx, from, Path(path.Join(string(p.Source[1:]), string(c.Path)))); err != nil {
				return "", err
			}
		}
		b.WriteString(unified(path.Join(string(p.Into), string(c.Path)), before, after))
	}
	return b.String(), nil
}

// text is the content of a file, or why there is none to show.
type text struct {
	lines  []string
	none   bool // there is no file
	opaque bool // it cannot be shown
	data   []byte
}

func readText(p string) (t text, err error) {
	info, err := os.Lstat(p)
	switch {
	case errors.Is(err, os.ErrNotExist), err == nil && !info.Mode().IsRegular():
		return text{none: true}, nil
	case err != nil:
		return t, err
	}
	f, err := os.OpenFile(p, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return t, err
	}
	return textOf(f)
}

func storedText(ctx context.Context, from contents, p Path) (text, error) {
	f, err := from.open(ctx, p)
	if err != nil {
		return text{}, err
	}
	return textOf(f)
}

// textOf reads what can be shown of an open file, and closes it.
func textOf(f io.ReadCloser) (t text, err error) {
	defer func() { err = errors.Join(err, f.Close()) }()
	t.data, err = io.ReadAll(io.LimitReader(f, maxDiffBytes+1))
	if err != nil {
		return t, err
	}
	if len(t.data) > maxDiffBytes || bytes.IndexByte(t.data, 0) >= 0 || !utf8.Valid(t.data) {
		t.opaque = true
		return t, nil
	}
	for line := range strings.Lines(string(t.data)) {
		t.lines = append(t.lines, line)
	}
	return t, nil
}

// unified returns the diff of one file; it is empty when nothing can be seen of it.
func unified(name string, before, after text) string {
	old, now := "a"+Path(name).String(), "b"+Path(name).String()
	switch {
	case before.none && after.none, !before.opaque && !after.opaque && before.none == after.none && bytes.Equal(before.data, after.data):
		return ""
	case before.opaque || after.opaque:
		if bytes.Equal(before.data, after.data) && len(before.data) <= maxDiffBytes {
			return ""
		}
		return fmt.Sprintf("Files %s and %s may differ and are not shown\n", old, now)
	}
	if before.none {
		old = "/dev/null"
	}
	if after.none {
		now = "/dev/null"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n+++ %s\n", old, now)
	writeHunks(&b, edits(before.lines, after.lines))
	return b.String()
}

// edit is one line of a diff: ' ' stays, '-' goes, '+' comes.
type edit struct {
	kind byte
	line string
}

// edits returns a shortest way from one text to another, by Myers's algorithm; with
// more than maxDiffEdits changes it replaces all.
func edits(a, b []string) []edit {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var all []edit
	for _, line := range a[:head] {
		all = append(all, edit{' ', line})
	}
	all = append(all, middle(a[head:len(a)-tail], b[head:len(b)-tail])...)
	for _, line := range a[len(a)-tail:] {
		all = append(all, edit{' ', line})
	}
	return all
}

func middle(a, b []string) []edit {
	limit := min(len(a)+len(b), maxDiffEdits)
	reach := make([]int, 2*limit+3) // by diagonal: how far in a so many changes lead
	at := func(k int) int { return k + limit + 1 }
	var trace [][]int
	for d := 0; d <= limit; d++ {
		trace = append(trace, append([]int(nil), reach[at(-d-1):at(d+1)+1]...))
		for k := -d; k <= d; k += 2 {
			x := reach[at(k-1)] + 1
			if k == -d || k != d && reach[at(k-1)] < reach[at(k+1)] {
				x = reach[at(k+1)]
			}
			for x < len(a) && x-k < len(b) && a[x] == b[x-k] {
				x++
			}
			reach[at(k)] = x
			if x >= len(a) && x-k >= len(b) {
				return walkBack(a, b, trace)
			}
		}
	}
	var all []edit
	for _, line := range a {
		all = append(all, edit{'-', line})
	}
	for _, line := range b {
		all = append(all, edit{'+', line})
	}
	return all
}

// walkBack finds the way that led to the end of both texts.
func walkBack(a, b []string, trace [][]int) []edit {
	var back []edit
	x, y := len(a), len(b)
	for d := len(trace) - 1; d >= 0; d-- {
		reach := func(k int) int { return trace[d][k+d+1] }
		k := x - y
		from := k - 1
		if k == -d || k != d && reach(k-1) < reach(k+1) {
			from = k + 1
		}
		px := reach(from)
		py := px - from
		if d == 0 {
			px, py = 0, 0
		}
		for x > px && y > py {
			x, y = x-1, y-1
			back = append(back, edit{' ', a[x]})
		}
		switch {
		case d == 0:
		case x > px:
			x--
			back = append(back, edit{'-', a[x]})
		default:
			y--
			back = append(back, edit{'+', b[y]})
		}
	}
	all := make([]edit, 0, len(back))
	for i := len(back) - 1; i >= 0; i-- {
		all = append(all, back[i])
	}
	return all
}

// writeHunks writes the changes with some lines around them.
func writeHunks(w *strings.Builder, all []edit) {
	shown := make([]bool, len(all))
	for i, e := range all {
		if e.kind != ' ' {
			for j := max(0, i-diffContext); j <= min(len(all)-1, i+diffContext); j++ {
				shown[j] = true
			}
		}
	}
	oldLine, newLine := 1, 1
	for i := 0; i < len(all); {
		end, olds, news := i, 0, 0
		for ; end < len(all) && shown[end] == shown[i]; end++ {
			if all[end].kind != '+' {
				olds++
			}
			if all[end].kind != '-' {
				news++
			}
		}
		if shown[i] {
			fmt.Fprintf(w, "@@ -%s +%s @@\n", hunkRange(oldLine, olds), hunkRange(newLine, news))
			for _, e := range all[i:end] {
				w.WriteByte(e.kind)
				w.WriteString(e.line)
				if !strings.HasSuffix(e.line, "\n") {
					w.WriteString("\n\\ No newline at end of file\n")
				}
			}
		}
		oldLine, newLine, i = oldLine+olds, newLine+news, end
	}
}

// hunkRange says which lines a hunk is about; of none, the one before.
func hunkRange(start, n int) string {
	if n == 0 {
		start--
	}
	return fmt.Sprintf("%d,%d", start, n)
}
