package pgbook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/andon-go/andon"
)

// Integrity is what CheckIntegrity found.
type Integrity struct {
	At      time.Time
	Results []Result // in the order of Book.Checks, without those that were skipped
	Skipped []string // by Config.Skip

	// Totals is what is held of each symbol. It is nil when it could not be read.
	Totals []Total
}

// Result is what one check found.
type Result struct {
	Check string
	Table string
	Rows  []Row // ordered by their text, at most Limits.MaxRows
	Found int   // all rows that fail the check
	Err   error // the check could not run: nothing is known, and it is never a pass
}

// Row is a row of a table as PostgreSQL writes it in text, so that every number is
// exact. The first field of a whole row is its ctid, by which a row can be found that
// has no key.
type Row []Field

// Field is one column of a row.
type Field struct {
	Name  string
	Value string
	Null  bool
}

// Total is what is held of one symbol, by the playbook's query.
type Total struct {
	Symbol   string
	Quantity andon.Decimal // signed sum
	Value    andon.Decimal // sum of quantity × entry price
	Rows     int
	Unknown  int // rows whose quantity or price is missing or no number: the sums leave them out
}

// Clean reports whether every check that was not skipped ran and found nothing.
func (i *Integrity) Clean() bool {
	return i != nil && len(i.Results) > 0 && i.Totals != nil && i.Err() == nil && i.Found() == 0
}

// Found counts the rows that fail a check; a row that fails two counts twice.
func (i *Integrity) Found() int {
	n := 0
	for _, r := range i.Results {
		n += r.Found
	}
	return n
}

// Of returns what the check with this name found, or nil.
func (i *Integrity) Of(check string) *Result {
	at := slices.IndexFunc(i.Results, func(r Result) bool { return r.Check == check })
	if at < 0 {
		return nil
	}
	return &i.Results[at]
}

// Err returns the checks that could not run, joined, or nil.
func (i *Integrity) Err() error {
	var errs []error
	for _, r := range i.Results {
		if r.Err != nil {
			errs = append(errs, r.Err)
		}
	}
	return errors.Join(errs...)
}

// CheckIntegrity runs all checks on one moment of the database: the playbook's
// data_integrity_check. It changes nothing. The error is that of the checks that could
// not run, each a *CheckError; the others have run then, and their results stand beside
// it. Without any result the database could not be asked.
func (b *Book) CheckIntegrity(ctx context.Context, now time.Time) (*Integrity, error) {
	out := &Integrity{At: now.UTC(), Skipped: slices.Clone(b.config.Skip)}
	err := b.reading(ctx, func(tx pgx.Tx) error {
		for _, c := range b.checks() {
			if slices.Contains(b.config.Skip, c.name) {
				continue
			}
			result := Result{Check: c.name, Table: c.table.name}
			err := b.apart(ctx, tx, func(tx pgx.Tx) error {
				r := &run{ctx: ctx, tx: tx, book: b, now: now}
				sql, err := c.build(r)
				if err != nil {
					return err
				}
				return result.run(ctx, tx, sql, r.params, b.config.Limits.MaxRows)
			})
			if err := out.take(result, err, tx); err != nil {
				return err
			}
		}
		for _, c := range b.config.Checks {
			if slices.Contains(b.config.Skip, c.Name) {
				continue
			}
			result := Result{Check: c.Name, Table: c.Table}
			err := b.apart(ctx, tx, func(tx pgx.Tx) error {
				return result.run(ctx, tx, c.SQL, nil, b.config.Limits.MaxRows)
			})
			if err := out.take(result, err, tx); err != nil {
				return err
			}
		}
		return b.totals(ctx, tx, out)
	})
	if err != nil {
		return nil, fmt.Errorf("pgbook: integrity: %w", err)
	}
	if err := out.Err(); err != nil {
		return out, fmt.Errorf("pgbook: integrity: %w", err)
	}
	return out, nil
}

// apart keeps a failed check from ending the transaction that the others need.
func (b *Book) apart(ctx context.Context, tx pgx.Tx, do func(pgx.Tx) error) error {
	save, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(save), save.Rollback(ctx))
}

// take adds a result; the error says that the database is gone.
func (i *Integrity) take(r Result, err error, tx pgx.Tx) error {
	if err != nil && tx.Conn().IsClosed() {
		return err
	}
	if err != nil {
		r.Rows, r.Found, r.Err = nil, 0, &CheckError{r.Check, err}
	}
	i.Results = append(i.Results, r)
	return nil
}

// run runs a query of failing rows. It is wrapped, so that nothing but a query can run.
func (r *Result) run(ctx context.Context, tx pgx.Tx, sql string, params [][]byte, limit int) error {
	wrapped := "SELECT count(*) OVER ()::text, andon_row.* FROM (\n" + strings.TrimRight(strings.TrimSpace(sql), ";") +
		"\n) AS andon_row ORDER BY (andon_row.*)::text COLLATE \"C\" LIMIT " + strconv.Itoa(limit)
	rr := tx.Conn().PgConn().ExecParams(ctx, wrapped, params, nil, nil, nil) // in text form
	var err error
	var names []string
	for i, f := range rr.FieldDescriptions() {
		if i > 0 && slices.Contains(names, f.Name) {
			err = fmt.Errorf("two columns are called %q: name them apart", f.Name)
		}
		if i > 0 {
			names = append(names, f.Name)
		}
	}
	for err == nil && rr.NextRow() {
		values := rr.Values()
		if r.Found, err = strconv.Atoi(string(values[0])); err != nil {
			break
		}
		row := make(Row, len(names))
		for i, v := range values[1:] {
			row[i] = Field{names[i], string(v), v == nil}
		}
		r.Rows = append(r.Rows, row)
	}
	_, closed := rr.Close()
	return firstOf(closed, err)
}

// TotalsCheck is the name under which Results say that the totals could not be read.
const TotalsCheck = "positions-totals"

func (b *Book) totals(ctx context.Context, tx pgx.Tx, out *Integrity) error {
	totals := []Total{}
	err := b.apart(ctx, tx, func(tx pgx.Tx) error {
		r := &run{ctx: ctx, tx: tx, book: b, now: out.At}
		sql, err := b.totalsQuery(r)
		if err != nil {
			return err
		}
		return query(ctx, tx, sql, r.params, nil, func(v [][]byte) error {
			t := Total{Symbol: string(v[0])}
			errs := make([]error, 4)
			t.Quantity, errs[0] = andon.ParseDecimal(string(v[1]))
			t.Value, errs[1] = andon.ParseDecimal(string(v[2]))
			t.Rows, errs[2] = strconv.Atoi(string(v[3]))
			t.Unknown, errs[3] = strconv.Atoi(string(v[4]))
			totals = append(totals, t)
			return errors.Join(errs...)
		})
	})
	if err != nil {
		return out.take(Result{Check: TotalsCheck, Table: b.positions.name}, err, tx)
	}
	out.Totals = totals
	return nil
}

func (b *Book) totalsQuery(r *run) (string, error) {
	symbol, err := b.positions.need("symbol")
	if err != nil {
		return "", err
	}
	entry, err := b.positions.need("entry_price")
	if err != nil {
		return "", err
	}
	signed, err := b.signed(r)
	return `SELECT s, trim_scale(coalesce(sum(q), 0))::text, trim_scale(coalesce(sum(q * e), 0))::text, count(*)::text, (count(*) - count(q * e))::text
		FROM (SELECT coalesce(` + quoted(symbol.name) + "::text, '') AS s, " + signed + " AS q, " + entry.number() + " AS e FROM " +
		b.positions.sql() + " WHERE " + b.heldOnly(r) + ") x GROUP BY s ORDER BY s COLLATE \"C\"", err
}

// String returns the result as a table for people.
func (i *Integrity) String() string {
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "integrity at %s\n", i.At.Format(time.RFC3339))
	fmt.Fprintln(tw, "check\ttable\trows")
	for _, r := range i.Results {
		found := strconv.Itoa(r.Found)
		if r.Err != nil {
			found = "NOT RUN: " + cell(r.Err.Error())
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\n", cell(r.Check), cell(r.Table), found)
	}
	for _, name := range i.Skipped {
		fmt.Fprintf(tw, "%s\t\tskipped\n", cell(name))
	}
	if len(i.Totals) > 0 {
		fmt.Fprintln(tw, "symbol\tquantity\tvalue\trows\tunknown")
	}
	for _, t := range i.Totals {
		fmt.Fprintf(tw, "%s\t%v\t%v\t%d\t%d\n", cell(t.Symbol), t.Quantity, t.Value, t.Rows, t.Unknown)
	}
	for _, r := range i.Results {
		for _, row := range r.Rows {
			fmt.Fprintf(tw, "%s\t%s\t%s\n", cell(r.Check), cell(r.Table), cell(row.String()))
		}
	}
	if err := tw.Flush(); err != nil { // a strings.Builder takes everything
		return err.Error()
	}
	return b.String()
}

// String returns the row as "symbol=BTC-USD quantity=NULL".
func (r Row) String() string {
	var all []string
	for _, f := range r {
		value := f.Value
		if f.Null {
			value = "NULL"
		}
		all = append(all, f.Name+"="+value)
	}
	return strings.Join(all, " ")
}

// cell keeps what stands in a table of the bot's from breaking one for people.
func cell(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
