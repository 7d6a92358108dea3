package mutants

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Mutant is one planted bug.
type Mutant struct {
	Name    string // of its file, without .txt
	Bug     string // the bug in one line
	Package string // the package to test, such as ./safety
	Test    string // for go test -run
	File    string // the source file, relative to the root of the module
	Old     string // the text that is replaced
	New     string // the text in its place
}

const (
	oldMark = "-- old --\n"
	newMark = "-- new --\n"
)

// Parse reads a mutant's file. An error joins every problem, each starting with the field's name.
func Parse(name, text string) (Mutant, error) {
	m := Mutant{Name: name}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	head, rest, hasOld := strings.Cut(text, oldMark)
	before, after, hasNew := strings.Cut(rest, newMark)
	m.Old, m.New = strings.TrimSuffix(before, "\n"), strings.TrimSuffix(after, "\n")
	errs := []error{m.parseHead(head)}
	if !hasOld {
		errs = append(errs, errors.New("old: no line \"-- old --\""))
	}
	if !hasNew {
		errs = append(errs, errors.New("new: no line \"-- new --\""))
	}
	errs = append(errs, m.validate())
	return m, errors.Join(errs...)
}

// parseHead reads the lines before the texts.
func (m *Mutant) parseHead(head string) error {
	fields := map[string]*string{"package": &m.Package, "test": &m.Test, "file": &m.File}
	var errs []error
	for i, line := range strings.Split(strings.TrimRight(head, "\n"), "\n") {
		if bug, ok := strings.CutPrefix(line, "#"); ok {
			m.Bug = strings.TrimSpace(m.Bug + " " + strings.TrimSpace(bug))
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		field := fields[key]
		switch {
		case strings.TrimSpace(line) == "":
		case !ok || field == nil:
			errs = append(errs, fmt.Errorf("line %d: %q is not \"# the bug\", package:, test: or file:", i+1, line))
		case *field != "":
			errs = append(errs, fmt.Errorf("%s: given twice, again in line %d", key, i+1))
		default:
			*field = strings.TrimSpace(value)
		}
	}
	return errors.Join(errs...)
}

func (m *Mutant) validate() error {
	var errs []error
	if m.Bug == "" {
		errs = append(errs, errors.New("#: no line says which bug is planted"))
	}
	if !strings.HasPrefix(m.Package, "./") && m.Package != "." {
		errs = append(errs, fmt.Errorf("package: %q is not a path such as ./safety", m.Package))
	}
	if _, err := regexp.Compile(m.Test); err != nil || m.Test == "" {
		errs = append(errs, fmt.Errorf("test: %q is not a pattern for go test -run", m.Test))
	}
	if !filepath.IsLocal(m.File) || !strings.HasSuffix(m.File, ".go") || strings.HasSuffix(m.File, "_test.go") {
		errs = append(errs, fmt.Errorf("file: %q is not a source file of the module", m.File))
	}
	if m.Old == m.New {
		errs = append(errs, errors.New("new: the same text as old"))
	}
	if strings.TrimSpace(m.Old) == "" {
		errs = append(errs, errors.New("old: empty"))
	}
	return errors.Join(errs...)
}

// Mutate returns the source file below root with the bug in it.
func (m *Mutant) Mutate(root string) ([]byte, error) {
	src, err := os.ReadFile(filepath.Join(root, m.File))
	if err != nil {
		return nil, err
	}
	if n := strings.Count(string(src), m.Old); n != 1 {
		return nil, fmt.Errorf("old: its text occurs %d times in %s, want exactly once", n, m.File)
	}
	return []byte(strings.Replace(string(src), m.Old, m.New, 1)), nil
}

// Load reads every mutant in a folder, sorted by name. An error joins every problem
// of every file.
func Load(dir string) ([]Mutant, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	var all []Mutant
	var errs []error
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		m, err := Parse(strings.TrimSuffix(filepath.Base(p), ".txt"), string(text))
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p, err))
			continue
		}
		all = append(all, m)
	}
	return all, errors.Join(errs...)
}
