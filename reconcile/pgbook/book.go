package pgbook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

// Book is a reconcile.Book in PostgreSQL. It is safe for concurrent use, by several
// processes too. It keeps nothing in memory but the layout of the tables; a column
// that was changed since is an error when it is read.
type Book struct {
	config    Config
	positions *table[andon.Position]
	orders    *table[andon.Order]
	fills     *table[andon.Fill]
	balances  *table[andon.Balance]
	trades    *layout // nil without a table
	whitelist *layout // nil without a table
}

var _ reconcile.Book = (*Book)(nil)

// Open looks at the database and returns the book. Errors are every problem of the
// Config, joined; ErrSchema where Migrate has not been run; ErrMapping with everything
// in which the mapping and the tables differ. It changes nothing and starts nothing.
func Open(ctx context.Context, c Config) (*Book, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("pgbook: %w", err)
	}
	m := c.Mapping
	b := &Book{
		config:    c,
		positions: m.positions(c.Venue),
		orders:    m.orders(c.Schema, c.Venue),
		fills:     m.fills(c.Schema, c.Venue),
		balances:  ownBalances(c.Schema),
	}
	layouts := []*layout{&b.positions.layout, &b.orders.layout, &b.fills.layout, &b.balances.layout}
	if l := m.trades(); l.name != "" {
		b.trades, layouts = l, append(layouts, l)
	}
	if l := m.whitelist(); l.name != "" {
		b.whitelist, layouts = l, append(layouts, l)
	}
	if err := b.checkSkip(); err != nil {
		return nil, fmt.Errorf("pgbook: %w", err)
	}
	err := b.reading(ctx, func(tx pgx.Tx) error {
		if err := checkSchema(ctx, tx, c.Schema); err != nil {
			return err
		}
		var errs []error
		for _, l := range layouts {
			if err := l.resolve(ctx, tx); err != nil {
				errs = append(errs, err)
			}
		}
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("%w: %w", ErrMapping, err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("pgbook: %w", err)
	}
	b.resolveFields()
	return b, nil
}

// resolveFields hands on to the fields what the catalog said of their columns.
func (b *Book) resolveFields() {
	takeColumns(b.positions)
	takeColumns(b.orders)
	takeColumns(b.fills)
	takeColumns(b.balances)
}

func takeColumns[T any](t *table[T]) {
	for i := range t.fields {
		t.fields[i].column = t.columns[i]
	}
}

// begin starts a transaction that depends on no setting of the connection.
// Row-level security is an error rather than a filter: rows that a policy hides would
// look like rows that are not there.
func (b *Book) begin(ctx context.Context, o pgx.TxOptions) (pgx.Tx, error) {
	tx, err := b.config.DB.BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, `SELECT set_config('lock_timeout', $1::text, true), set_config('statement_timeout', $2::text, true),
		set_config('row_security', 'off', true), set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO', true),
		set_config('IntervalStyle', 'postgres', true), set_config('bytea_output', 'hex', true), set_config('extra_float_digits', '1', true)`,
		pgx.QueryExecModeExec, milliseconds(b.config.LockTimeout), milliseconds(b.config.StatementTimeout))
	if err != nil {
		return nil, errors.Join(err, rollback(ctx, tx))
	}
	return tx, nil
}

// rollback ends a transaction that failed. Where no answer comes pgx closes the
// connection, and with it the transaction is over; the connection is not looked at, for
// it may be another's by now.
func rollback(ctx context.Context, tx pgx.Tx) error {
	err := tx.Rollback(context.WithoutCancel(ctx))
	if refused, answered := errors.AsType[*pgconn.PgError](err); answered && !fatal(refused) {
		return err
	}
	return nil
}

// fatal reports whether the server closed the connection with this answer.
func fatal(e *pgconn.PgError) bool { return e.SeverityUnlocalized != "ERROR" }

// reading runs do on one moment of the database, which it cannot change.
func (b *Book) reading(ctx context.Context, do func(pgx.Tx) error) error {
	tx, err := b.begin(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	return errors.Join(do(tx), rollback(ctx, tx))
}

// Read implements reconcile.Book. All tables are read as they were at one moment. A
// value that cannot be right, such as NULL for a quantity, NaN or an unknown status, is
// an error that names table, row and column: CheckIntegrity finds all of them.
func (b *Book) Read(ctx context.Context) (reconcile.Records, error) {
	var r reconcile.Records
	err := b.reading(ctx, func(tx pgx.Tx) (err error) {
		if r.Positions, err = b.positions.all(ctx, tx); err != nil {
			return err
		}
		if r.Orders, err = b.orders.all(ctx, tx); err != nil {
			return err
		}
		if r.Fills, err = b.fills.all(ctx, tx); err != nil {
			return err
		}
		r.Balances, err = b.balances.all(ctx, tx)
		return err
	})
	if err != nil {
		return reconcile.Records{}, fmt.Errorf("pgbook: read: %w", err)
	}
	return r, nil
}

// Positions reads the positions that are held, one by one, as they were at one moment,
// for a caller that does not want all of them in memory twice. An error of yield ends
// the reading and is returned.
func (b *Book) Positions(ctx context.Context, yield func(andon.Position) error) error {
	err := b.reading(ctx, func(tx pgx.Tx) error { return b.positions.each(ctx, tx, yield) })
	if err != nil {
		return fmt.Errorf("pgbook: read: %w", err)
	}
	return nil
}

// Applied implements reconcile.Book.
func (b *Book) Applied(ctx context.Context, id string) (bool, error) {
	var done bool
	err := b.reading(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+b.own("applied")+" WHERE id = $1)", pgx.QueryExecModeExec, id).Scan(&done)
	})
	if err != nil {
		return false, fmt.Errorf("pgbook: applied %s: %w", id, err)
	}
	return done, nil
}

// own is the quoted name of one of the book's own tables.
func (b *Book) own(name string) string { return pgx.Identifier{b.config.Schema, name}.Sanitize() }

// selection is the query of the table's rows without its end.
func (t *table[T]) selection(before string) string {
	var sql strings.Builder
	sql.WriteString("SELECT " + before)
	for i := range t.fields {
		if i > 0 {
			sql.WriteString(", ")
		}
		sql.WriteString(t.fields[i].selected())
	}
	return sql.String() + " FROM " + t.sql()
}

// where limits a query to rows that are held and to the condition, if there is one.
// The statuses of history are its first parameter.
func (t *table[T]) where(condition string) (sql string, params [][]byte) {
	var conditions []string
	if t.held != nil {
		status := quoted(t.held.status)
		conditions = append(conditions, "("+status+" IS NULL OR "+status+"::text <> ALL ($1::text[]))")
		params = append(params, textArray(t.held.closed))
	}
	if condition != "" {
		conditions = append(conditions, condition)
	}
	for i, c := range conditions {
		sql += []string{" WHERE ", " AND "}[min(i, 1)] + c
	}
	return sql, params
}

func (t *table[T]) all(ctx context.Context, tx pgx.Tx) ([]T, error) {
	var all []T
	err := t.each(ctx, tx, func(row T) error {
		all = append(all, row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func (t *table[T]) each(ctx context.Context, tx pgx.Tx, yield func(T) error) error {
	where, params := t.where("")
	row, texts := new(T), new(arena)
	return query(ctx, tx, t.selection("")+where, params, t.head, func(values [][]byte) error {
		*row = t.blank
		if err := t.load(row, values, texts); err != nil {
			return err
		}
		return yield(*row)
	})
}

// query runs one statement whose result comes in binary form, whatever the pool's own
// settings. Parameters are texts.
func query(ctx context.Context, tx pgx.Tx, sql string, params [][]byte, head func(*pgconn.ResultReader) error, each func([][]byte) error) error {
	rr := tx.Conn().PgConn().ExecParams(ctx, sql, params, nil, nil, []int16{pgx.BinaryFormatCode})
	var err error
	if head != nil && rr.FieldDescriptions() != nil {
		err = head(rr)
	}
	for err == nil && rr.NextRow() {
		err = each(rr.Values())
	}
	_, closed := rr.Close()
	return firstOf(closed, err)
}

// firstOf prefers the server's error: what was made of a result that broke off is only
// its consequence.
func firstOf(server, ours error) error {
	if server != nil {
		return server
	}
	return ours
}

// The types in which columns arrive, as pg_type numbers them.
const (
	oidBool = 16
	oidText = 25

	oidTimestamptz = 1184
	oidNumeric     = 1700
)

// checkResult refuses a result whose types are not those that the book was opened on.
func (t *table[T]) checkResult(got []pgconn.FieldDescription, skip int) error {
	if len(got) != skip+len(t.fields) {
		return fmt.Errorf("%s: %d columns for %d fields", t.sql(), len(got)-skip, len(t.fields))
	}
	for i := range t.fields {
		want := []uint32{oidText}
		switch f := &t.fields[i]; {
		case f.exact:
			want = []uint32{oidNumeric}
		case f.kind == moment:
			want = []uint32{oidTimestamptz}
		case f.kind == flag:
			want = []uint32{oidBool}
		}
		if d := got[skip+i]; !slices.Contains(want, d.DataTypeOID) || d.Format != pgx.BinaryFormatCode {
			return fmt.Errorf("column %s.%s has another type than when the book was opened: open it again", t.sql(), quoted(t.fields[i].name))
		}
	}
	return nil
}

func (t *table[T]) head(rr *pgconn.ResultReader) error { return t.headAfter(0)(rr) }

func (t *table[T]) headAfter(skip int) func(*pgconn.ResultReader) error {
	return func(rr *pgconn.ResultReader) error { return t.checkResult(rr.FieldDescriptions(), skip) }
}

// load reads a row. The values are only valid until the next one.
func (t *table[T]) load(row *T, values [][]byte, texts *arena) error {
	for i := range t.fields {
		f, v := &t.fields[i], values[i]
		var err error
		switch {
		case v == nil && f.need == required:
			err = errors.New("is NULL")
		case v == nil:
			continue
		case f.text != nil:
			*f.text(row) = texts.keep(v)
		case f.legal != nil:
			if v, err = f.library(v); err == nil {
				err = f.load(row, v, f.exact)
			}
		default:
			err = f.load(row, v, f.exact)
		}
		if err != nil {
			return &RowError{Table: t.sql(), Row: t.describe(values), Column: f.name, Err: err}
		}
	}
	return nil
}

// describe names a row by what is text in it.
func (t *table[T]) describe(values [][]byte) string {
	named := ""
	for i := range t.fields {
		if f := &t.fields[i]; f.kind == text && values[i] != nil {
			if named != "" {
				named += ", "
			}
			named += fmt.Sprintf("%s %q", f.name, values[i])
		}
	}
	return named
}

// RowError is a row that cannot be read. What the book holds is not known then.
type RowError struct {
	Table  string
	Row    string // what identifies it
	Column string
	Err    error
}

// Error names the row and the column.
func (e *RowError) Error() string {
	return fmt.Sprintf("table %s, row with %s: %s %v: run CheckIntegrity, it finds all such rows", e.Table, e.Row, e.Column, e.Err)
}

// Unwrap gives the cause.
func (e *RowError) Unwrap() error { return e.Err }
