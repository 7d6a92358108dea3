package pgbackup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// compare reads the new tables back and compares them with the backup: every row and
// every total. It brings them forward where that was asked for, adds the foreign keys,
// and tries an insert.
func (r *restoration) compare(ctx context.Context, conn *pgx.Conn) error {
	if err := r.rows(ctx); err != nil {
		return err
	}
	if err := r.totals(ctx, conn); err != nil {
		return err
	}
	if r.p.Replay != nil {
		if err := r.replay(ctx, conn); err != nil {
			return fmt.Errorf("bringing the tables forward: %w", err)
		}
	}
	// Not before: what a foreign key deletes in turn is in the log too.
	if err := r.foreignKeys(ctx, conn); err != nil {
		return err
	}
	for _, t := range r.tables {
		if err := r.tryInsert(ctx, conn, t); err != nil {
			return err
		}
	}
	return r.position(ctx, conn)
}

// rows compares the rows of each table with those that were read from the backup.
func (r *restoration) rows(ctx context.Context) error {
	var (
		tasks []task
		mu    sync.Mutex
		got   = map[string]*rowsDigest{}
	)
	for _, t := range r.tables {
		d, ok := r.m.data(t.String())
		if !ok {
			continue
		}
		got[t.String()] = &rowsDigest{}
		for _, c := range d.Pieces { // its pages are about as many as they were
			tasks = append(tasks, task{c.Bytes, func(ctx context.Context, conn *pgx.Conn) error {
				part := newDigester(t)
				err := copyRows(ctx, conn, copyRange(r.l.place(t.Schema, t.Name), d.Columns, c.From, c.Until), len(d.Columns), part.add)
				mu.Lock()
				defer mu.Unlock()
				got[t.String()].merge(part.rowsDigest)
				return err
			}})
		}
	}
	if err := r.workers(ctx, tasks); err != nil {
		return err
	}
	for name, d := range got {
		if data, _ := r.m.data(name); d.rows != data.Rows {
			return &DiffersError{name, "rows", fmt.Sprint(data.Rows), fmt.Sprint(d.rows)}
		}
		if want := r.loaded[name]; *d != *want {
			return &DiffersError{name, "digest of its rows", want.String(), d.String()}
		}
	}
	return nil
}

// copyRows calls f for each row that a COPY ... TO STDOUT (FORMAT binary) gives.
func copyRows(ctx context.Context, conn *pgx.Conn, sql string, fields int, f func(row []byte) error) error {
	read, written := io.Pipe()
	var wg sync.WaitGroup
	var copied error
	wg.Go(func() {
		b := &batched{to: written, buf: make([]byte, 0, 128<<10)}
		_, copied = conn.PgConn().CopyTo(ctx, b, sql)
		if copied == nil {
			copied = b.flush()
		}
		_ = written.CloseWithError(copied) // always nil
	})
	err := eachRow(read, fields, f)
	_ = read.CloseWithError(errors.Join(errStopped, err)) // always nil; ends a writer that goes on
	wg.Wait()
	if errors.Is(copied, errStopped) {
		copied = nil
	}
	if copied != nil {
		return copied
	}
	return err
}

var errStopped = errors.New("the reader stopped")

func eachRow(from io.Reader, fields int, f func(row []byte) error) error {
	rows, err := newRowReader(from, fields)
	if err != nil {
		return err
	}
	for {
		row, err := rows.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = f(row)
		}
		if err != nil {
			return err
		}
	}
}

// totals compares Config.Sums as they were then.
func (r *restoration) totals(ctx context.Context, conn *pgx.Conn) error {
	var sums []Sum
	for _, t := range r.m.Sums {
		if r.l.restore[t.Table] && !slices.Contains(sums, t.Sum) {
			sums = append(sums, t.Sum)
		}
	}
	for _, sum := range sums {
		got, err := readTotals(ctx, conn, sum, r.l.table(sum.Table))
		if err != nil {
			return err
		}
		var want []Total
		for _, t := range r.m.Sums {
			if t.Sum == sum {
				want = append(want, t)
			}
		}
		if !slices.Equal(got, want) {
			return &DiffersError{sum.Table, "sum of " + sum.Of + " by " + sum.By, fmt.Sprint(want), fmt.Sprint(got)}
		}
	}
	return nil
}

// tryInsert inserts a copy of one row, with new values for what has a sequence of its
// own, and rolls it back. It proves that defaults, sequences and checks are there: what
// pg_restore -t loses. A key without a sequence must refuse the copy.
func (r *restoration) tryInsert(ctx context.Context, conn *pgx.Conn, t *Table) error {
	d, ok := r.m.data(t.String())
	if !ok || d.Rows == 0 {
		return r.positionOf(ctx, conn, t)
	}
	if err := r.positionOf(ctx, conn, t); err != nil {
		return err
	}
	var copied, drawn []string
	for _, c := range t.Columns {
		switch q := r.l.sequence(&c); {
		case q != nil && r.l.restore[q.Table]:
			drawn = append(drawn, c.Name)
		case !c.Generated:
			copied = append(copied, c.Name)
		}
	}
	table := r.l.place(t.Schema, t.Name)
	sql := fmt.Sprintf("INSERT INTO %s (%s) SELECT %[2]s FROM %[1]s LIMIT 1", table, columnList(copied))
	if len(copied) == 0 {
		sql = "INSERT INTO " + table + " DEFAULT VALUES"
	}
	_, err := conn.Exec(ctx, "BEGIN; SET CONSTRAINTS ALL IMMEDIATE; "+sql)
	if _, rollback := conn.Exec(ctx, "ROLLBACK"); rollback != nil {
		return errors.Join(err, rollback)
	}
	pgErr, refused := errors.AsType[*pgconn.PgError](err)
	switch {
	case err == nil:
		if natural := t.natural(drawn); natural != "" {
			return &DiffersError{t.String(), "a test insert", "to be refused by " + natural, "it was accepted"}
		}
		return nil
	case refused && (pgErr.Code == "23505" || pgErr.Code == "23P01") && !r.draws(ctx, conn, t, pgErr.ConstraintName, drawn):
		return nil // a key without a sequence, and it holds
	}
	return fmt.Errorf("%v: %w: a test insert: %w", t, ErrDiffers, err)
}

// natural returns a key that the copy of a row cannot pass: one on plain columns none
// of which was drawn anew. Empty when there is none.
func (t *Table) natural(drawn []string) string {
	for _, k := range t.Constraints {
		if k.Kind != "primary key" {
			continue
		}
		if !slices.ContainsFunc(drawn, func(c string) bool { return strings.Contains(k.Definition, c) }) {
			return k.Name
		}
	}
	return ""
}

// draws reports whether an index has one of the columns; true when that is not known.
func (r *restoration) draws(ctx context.Context, conn *pgx.Conn, t *Table, index string, drawn []string) bool {
	var columns []string
	err := conn.QueryRow(ctx, `SELECT array_agg(a.attname::text) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_index x ON x.indexrelid = c.oid JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey::int2[])
		WHERE n.nspname = $1 AND c.relname = $2`, r.l.scratch[t.Schema], index).Scan(&columns)
	return err != nil || len(columns) == 0 || slices.ContainsFunc(columns, func(c string) bool { return slices.Contains(drawn, c) })
}

// position sets the sequences of the new tables to where they stood.
func (r *restoration) position(ctx context.Context, conn *pgx.Conn) error {
	for _, t := range r.tables {
		if err := r.positionOf(ctx, conn, t); err != nil {
			return err
		}
	}
	return nil
}

// positionOf sets a table's sequences to where they stood, or, if a row is further,
// past that.
func (r *restoration) positionOf(ctx context.Context, conn *pgx.Conn, t *Table) error {
	for _, q := range r.l.owned(t) {
		last, called := q.Last, q.Called
		furthest := "max"
		if q.Increment < 0 {
			furthest = "min"
		}
		var at *int64
		if err := conn.QueryRow(ctx, fmt.Sprintf("SELECT %s(%s) FROM %s", furthest, ident(q.Column), r.l.place(t.Schema, t.Name))).Scan(&at); err != nil {
			return err
		}
		if at != nil && q.behind(*at) && *at >= q.Min && *at <= q.Max {
			note := fmt.Sprintf("sequence %v stood at %d, behind %s.%s: it was moved past %d", q, q.Last, t, q.Column, *at)
			if !slices.Contains(r.done.Notes, note) {
				r.done.Notes = append(r.done.Notes, note)
			}
			last, called = *at, true
		}
		if _, err := conn.Exec(ctx, "SELECT setval($1::text::regclass, $2, $3)", r.l.place(q.Schema, q.Name), last, called); err != nil {
			return fmt.Errorf("sequence %v: %w", q, err)
		}
	}
	return nil
}

// behind reports whether the sequence would draw a value again.
func (s *Sequence) behind(at int64) bool {
	switch {
	case s.Increment > 0 && s.Called:
		return at > s.Last
	case s.Increment > 0:
		return at >= s.Last
	case s.Called:
		return at < s.Last
	}
	return at <= s.Last
}
