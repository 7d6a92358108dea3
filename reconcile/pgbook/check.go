package pgbook

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Check is a query of a user's own whose rows are those that fail it.
type Check struct {
	// Name is how the check is called in results and in Config.Skip. Required, and not
	// that of one of the library's checks.
	Name string

	// Table is the table that the rows are of, for people. Required.
	Table string

	// SQL is one query, such as SELECT or VALUES. It runs on the same moment as all
	// others, cannot write, and is bounded by Config.StatementTimeout and
	// Limits.MaxRows. It must name each of its columns, none of them twice.
	SQL string
}

// ErrNotRun says that a check could not run. What it would have found is not known.
var ErrNotRun = errors.New("check not run")

// CheckError is a check that could not run. It is ErrNotRun to errors.Is.
type CheckError struct {
	Check string
	Err   error
}

// Error names the check and the reason.
func (e *CheckError) Error() string { return fmt.Sprintf("check %s not run: %v", e.Check, e.Err) }

// Unwrap gives the reason.
func (e *CheckError) Unwrap() error { return e.Err }

// Is reports whether target is ErrNotRun.
func (e *CheckError) Is(target error) bool { return target == ErrNotRun }

// checkChecks is what can be wrong with a user's checks before they run.
func checkChecks(checks []Check) []error {
	var errs []error
	names := checkNames(Mapping{}.withDefaults())
	for i, c := range checks {
		add := func(field, format string, args ...any) {
			errs = append(errs, fmt.Errorf("Checks[%d].%s: "+format, append([]any{i, field}, args...)...))
		}
		switch {
		case strings.TrimSpace(c.Name) == "":
			add("Name", "is empty")
		case slices.Contains(names, c.Name):
			add("Name", "%q is the name of another check", c.Name)
		}
		if c.Table == "" {
			add("Table", "is empty, want the table whose rows are found")
		}
		if strings.TrimSpace(c.SQL) == "" || strings.ContainsRune(c.SQL, 0) {
			add("SQL", "is empty or has a zero byte, want one query")
		}
		names = append(names, c.Name)
	}
	return errs
}

// checkNames are the library's checks, whatever the mapping has columns for.
func checkNames(m Mapping) []string {
	b := &Book{
		config:    Config{Limits: Limits{}, Mapping: m},
		positions: m.positions("v"), orders: m.orders("s", "v"), fills: m.fills("s", "v"),
	}
	var all []string
	for _, c := range b.checks() {
		all = append(all, c.name)
	}
	return all
}

// Checks returns the names of all checks in the order in which they run: the library's
// and then the user's, those that are skipped too.
func (b *Book) Checks() []string {
	var all []string
	for _, c := range b.checks() {
		all = append(all, c.name)
	}
	for _, c := range b.config.Checks {
		all = append(all, c.Name)
	}
	return all
}

func (b *Book) checkSkip() error {
	var errs []error
	all := b.Checks()
	for i, name := range b.config.Skip {
		if !slices.Contains(all, name) {
			errs = append(errs, fmt.Errorf("Skip[%d]: there is no check %q, there are %q", i, name, all))
		}
	}
	return errors.Join(errs...)
}
