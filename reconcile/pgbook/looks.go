package pgbook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Looks are looks at a book in plain types: what a runbook needs of it. Safe for concurrent
// use, as the book is.
type Looks struct{ Book *Book }

// Integrity runs every check. The error says how many rows fail one, and names the checks
// that could not run.
func (l Looks) Integrity(ctx context.Context) (string, error) {
	i, err := l.Book.CheckIntegrity(ctx, time.Now())
	if i == nil {
		return "", err
	}
	if err == nil && !i.Clean() {
		err = fmt.Errorf("pgbook: the data is not sound: %d rows fail a check", i.Found())
	}
	return i.String(), err
}

// Totals says what is held of each symbol. The error says of which symbols rows are left
// out, since their quantity or price is none.
func (l Looks) Totals(ctx context.Context) (string, error) {
	i, err := l.Book.CheckIntegrity(ctx, time.Now())
	if i == nil || i.Totals == nil {
		return "", errors.Join(errors.New("pgbook: the totals are not known"), err)
	}
	var out strings.Builder
	var errs []error
	for _, t := range i.Totals {
		fmt.Fprintf(&out, "%s: %v, worth %v, in %d rows\n", cell(t.Symbol), t.Quantity, t.Value, t.Rows)
		if t.Unknown > 0 {
			errs = append(errs, fmt.Errorf("pgbook: the total of %s leaves out %d rows without a quantity or a price", cell(t.Symbol), t.Unknown))
		}
	}
	if len(i.Totals) == 0 {
		out.WriteString("nothing is held\n")
	}
	return out.String(), errors.Join(errs...)
}

// Export writes the rows that fail a check into a file, whole or not at all. The error names
// the checks that could not run, which the file does too.
func (l Looks) Export(ctx context.Context, path string) (string, error) {
	i, err := l.Book.CheckIntegrity(ctx, time.Now())
	if i == nil {
		return "", err
	}
	if werr := i.Export(path); werr != nil {
		return "", errors.Join(werr, err)
	}
	return fmt.Sprintf("%d rows that fail a check are in %s", i.Found(), path), err
}

// suspicious are the checks of the playbook's query of suspicious trades.
var suspicious = []string{"trades-size", "trades-leverage", "trades-address"}

// Suspicious finds the trades of the last 24 hours that are too large, above the allowed
// leverage or from an address that is not on the list. The error says how many there are,
// and which of the three is not known, since it could not run or is skipped.
func (l Looks) Suspicious(ctx context.Context) (string, error) {
	i, err := l.Book.CheckIntegrity(ctx, time.Now())
	if i == nil {
		return "", err
	}
	var out strings.Builder
	var errs []error
	for _, name := range suspicious {
		switch r := i.Of(name); {
		case r == nil:
			errs = append(errs, fmt.Errorf("pgbook: %s is skipped: it is not known", name))
		case r.Err != nil:
			errs = append(errs, r.Err)
		case r.Found > 0:
			errs = append(errs, fmt.Errorf("pgbook: %s finds %d trades", name, r.Found))
			for _, row := range r.Rows {
				fmt.Fprintf(&out, "%s: %s\n", name, cell(row.String()))
			}
		default:
			fmt.Fprintf(&out, "%s finds none\n", name)
		}
	}
	return out.String(), errors.Join(errs...)
}
