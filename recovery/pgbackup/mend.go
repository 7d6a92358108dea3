package pgbackup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/attribute"
)

// Repaired is what a repair did.
type Repaired struct {
	Plan                       string
	Inserted, Updated, Deleted int

	// Kept is the schema with the rows as they were, in its table repaired_rows;
	// DropKept drops it.
	Kept string

	// Unchanged says that the plan had been applied before, and nothing was done.
	Unchanged bool
}

// Repair applies a plan in one transaction, while the table is in use. A row that is
// not as the plan says is ErrMoved, and then none is changed; a plan that was applied
// already changes nothing. Triggers fire, foreign keys and checks hold.
func (s *Store) Repair(ctx context.Context, p RepairPlan, who, why string, now time.Time) (_ Repaired, err error) {
	ctx, span := s.tracer.Start(ctx, "pgbackup.Repair")
	defer func() { endSpan(span, err) }()
	span.SetAttributes(attribute.String("andon.backup", p.Backup), attribute.String("andon.table", p.Table))
	r, err := s.repair(ctx, p, who, why, now)
	if err != nil {
		return Repaired{}, fmt.Errorf("repairing %s: %w", p.Table, err)
	}
	return r, nil
}

func (s *Store) repair(ctx context.Context, p RepairPlan, who, why string, now time.Time) (done Repaired, err error) {
	id, err := p.id()
	switch {
	case err != nil:
		return done, err
	case id != p.ID || p.NothingToDo():
		return done, fmt.Errorf("the plan holds nothing, or was edited: %w", ErrMoved)
	case who == "" || why == "":
		return done, errors.New("a repair needs a person and a reason")
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return done, err
	}
	defer release(ctx, conn)
	if err := exclude(ctx, conn, restoreLock); err != nil {
		return done, err
	}
	m := &mending{p: p, done: Repaired{Plan: p.ID, Kept: p.Kept()}}
	if applied, err := m.applied(ctx, conn); applied || err != nil {
		return m.done, err
	}
	if err := s.record(ctx, now, who, fmt.Sprintf("repair of %d rows of %s from %s, plan %s", len(p.Changes), p.Table, p.Backup, p.ID[:12]), why); err != nil {
		return done, err
	}
	err = m.apply(ctx, conn)
	if errors.Is(err, ErrOutcomeUnknown) {
		err = s.settle(ctx, err, m.applied)
		m.done.Unchanged = false
	}
	if err != nil {
		return done, err
	}
	if err := s.record(ctx, now, who, fmt.Sprintf("repaired %s, plan %s", p.Table, p.ID[:12]), why); err != nil { // it is done, and is said to be
		s.cfg.Logger.ErrorContext(ctx, "the repair is done, and that could not be recorded", "plan", p.ID[:12], "error", err)
	}
	return m.done, nil
}

// mending is a plan that is being applied.
type mending struct {
	p     RepairPlan
	table *Table
	done  Repaired
}

func (m *mending) applied(ctx context.Context, conn *pgx.Conn) (bool, error) {
	err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1 AND obj_description(oid, 'pg_namespace') LIKE $2)`,
		m.p.Kept(), "%"+m.p.ID+"%").Scan(&m.done.Unchanged)
	return m.done.Unchanged, err
}

func (m *mending) apply(ctx context.Context, conn *pgx.Conn) error { return applyAll(ctx, conn, m) }

// applyAll applies plans of several tables in one transaction. A table comes after
// those that it refers to.
func applyAll(ctx context.Context, conn *pgx.Conn, all ...*mending) error {
	if _, err := conn.Exec(ctx, "BEGIN"); err != nil {
		return err
	}
	if err := change(ctx, conn, all); err != nil {
		if !conn.IsClosed() {
			clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
			defer cancel()
			_, rollback := conn.Exec(clean, "ROLLBACK")
			err = errors.Join(err, rollback)
		}
		return err
	}
	return commit(ctx, conn)
}

// change deletes, children first, then updates, and then inserts, parents first.
func change(ctx context.Context, conn *pgx.Conn, all []*mending) error {
	for _, m := range all {
		if err := m.begin(ctx, conn); err != nil {
			return err
		}
	}
	for _, m := range slices.Backward(all) {
		if err := m.each(ctx, conn, m.remove); err != nil {
			return err
		}
	}
	for _, do := range []func(*mending) func(context.Context, *pgx.Conn, RowChange) error{
		func(m *mending) func(context.Context, *pgx.Conn, RowChange) error { return m.update },
		func(m *mending) func(context.Context, *pgx.Conn, RowChange) error { return m.insert },
	} {
		for _, m := range all {
			if err := m.each(ctx, conn, do(m)); err != nil {
				return err
			}
		}
	}
	for _, m := range all {
		if err := m.advance(ctx, conn); err != nil {
			return err
		}
	}
	return nil
}

func (m *mending) each(ctx context.Context, conn *pgx.Conn, do func(context.Context, *pgx.Conn, RowChange) error) error {
	for _, c := range m.p.Changes {
		if err := do(ctx, conn, c); err != nil {
			return err
		}
	}
	return nil
}

// begin locks the table against DDL, compares it with the plan, and keeps the rows as
// they are.
func (m *mending) begin(ctx context.Context, conn *pgx.Conn) (err error) {
	// Against DDL, not against those who read and write.
	if err := run(ctx, conn, []string{"LOCK TABLE ONLY " + quoted([]string{m.p.Table})[0] + " IN ROW EXCLUSIVE MODE", "SET CONSTRAINTS ALL DEFERRED"}); err != nil {
		if lockTimedOut(err) {
			return &BlockedError{Table: m.p.Table, Err: err}
		}
		return err
	}
	now := m.p
	if m.table, err = now.look(ctx, conn); err != nil {
		return err
	}
	if now.OID != m.p.OID || now.Shape != m.p.Shape || now.SystemID != m.p.SystemID || now.Database != m.p.Database {
		return fmt.Errorf("the table is another one, or was altered: %w", ErrMoved)
	}
	return m.keep(ctx, conn)
}

// keep stores the rows as they are, beside the plan's mark.
func (m *mending) keep(ctx context.Context, conn *pgx.Conn) error {
	mark, err := json.Marshal(keptMark{m.p.ID, m.p.Backup, m.p.At})
	if err != nil {
		return err
	}
	kept := ident(m.p.Kept())
	if err := run(ctx, conn, []string{
		"CREATE SCHEMA " + kept, "COMMENT ON SCHEMA " + kept + " IS " + literal(string(mark)),
		"CREATE TABLE " + kept + ".repaired_rows (source text, columns text[], before text[], after text[])",
	}); err != nil {
		return err
	}
	_, err = conn.CopyFrom(ctx, pgx.Identifier{m.p.Kept(), "repaired_rows"}, []string{"source", "columns", "before", "after"},
		pgx.CopyFromSlice(len(m.p.Changes), func(i int) ([]any, error) {
			return []any{m.p.Table, m.p.Columns, m.p.Changes[i].Before, m.p.Changes[i].After}, nil
		}))
	return err
}

// typeOf returns how to write a value of a column: a text that the server reads.
func (m *mending) typeOf(column string) string {
	for _, c := range m.table.Columns {
		if c.Name == column {
			return c.Type
		}
	}
	return "text" // the shape is that of the plan: there is such a column
}

// is is the condition that a row is the one that the plan saw, in each of its columns.
func (m *mending) is(row []*string, args []any) (string, []any) {
	var parts []string
	for i, column := range m.p.Columns {
		if slices.Contains(m.p.Key, column) { // as itself, for the index
			args = append(args, row[i])
			parts = append(parts, fmt.Sprintf("%s = $%d::text::%s", ident(column), len(args), m.typeOf(column)))
		}
	}
	for i, column := range m.p.Columns {
		args = append(args, row[i])
		parts = append(parts, fmt.Sprintf("%s::text IS NOT DISTINCT FROM $%d::text", ident(column), len(args)))
	}
	return strings.Join(parts, " AND "), args
}

func (m *mending) remove(ctx context.Context, conn *pgx.Conn, c RowChange) error {
	if c.After != nil {
		return nil
	}
	where, args := m.is(c.Before, nil)
	tag, err := conn.Exec(ctx, "DELETE FROM ONLY "+quoted([]string{m.p.Table})[0]+" WHERE "+where, args...)
	m.done.Deleted++
	return m.one(tag.RowsAffected(), err, c.Before)
}

// one is nil when one row was changed.
func (m *mending) one(rows int64, err error, row []*string) error {
	if err == nil && rows != 1 {
		err = fmt.Errorf("it is not as it was: %w", ErrMoved)
	}
	if err != nil {
		return fmt.Errorf("row %s: %w", m.p.keyOf(row), err)
	}
	return nil
}

func (m *mending) update(ctx context.Context, conn *pgx.Conn, c RowChange) error {
	if c.Before == nil || c.After == nil {
		return nil
	}
	var sets []string
	var args []any
	for i, column := range m.p.Columns {
		if show(c.Before[i]) != show(c.After[i]) {
			args = append(args, c.After[i])
			sets = append(sets, fmt.Sprintf("%s = $%d::text::%s", ident(column), len(args), m.typeOf(column)))
		}
	}
	if len(sets) == 0 {
		return fmt.Errorf("row %s differs in nothing that can be printed: %w", m.p.keyOf(c.Before), ErrUnsupported)
	}
	where, args := m.is(c.Before, args)
	return m.written(ctx, conn, "UPDATE ONLY "+quoted([]string{m.p.Table})[0]+" SET "+strings.Join(sets, ", ")+" WHERE "+where, args, c, &m.done.Updated)
}

func (m *mending) insert(ctx context.Context, conn *pgx.Conn, c RowChange) error {
	if c.Before != nil {
		return nil
	}
	var values []string
	var args []any
	for i, column := range m.p.Columns {
		args = append(args, c.After[i])
		values = append(values, fmt.Sprintf("$%d::text::%s", i+1, m.typeOf(column)))
	}
	return m.written(ctx, conn, fmt.Sprintf("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s)", quoted([]string{m.p.Table})[0], columnList(m.p.Columns),
		strings.Join(values, ", ")), args, c, &m.done.Inserted)
}

// written runs a statement that writes one row, and compares what is there then with
// the plan: a trigger may have had its own mind.
func (m *mending) written(ctx context.Context, conn *pgx.Conn, sql string, args []any, c RowChange, count *int) error {
	texts := make([]string, len(m.p.Columns))
	for i, column := range m.p.Columns {
		texts[i] = ident(column) + "::text"
	}
	rows, err := conn.Query(ctx, sql+" RETURNING ARRAY["+strings.Join(texts, ", ")+"]::text[]", args...)
	if err != nil {
		return m.one(0, err, c.After)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[[]*string])
	if err := m.one(int64(len(got)), err, c.After); err != nil {
		return err
	}
	if want, got := m.p.row(c.After), m.p.row(got[0]); want != got {
		return &DiffersError{m.p.Table, "a repaired row", want, got}
	}
	*count++
	return nil
}

// advance moves the table's sequences past the rows that were inserted.
func (m *mending) advance(ctx context.Context, conn *pgx.Conn) error {
	if m.done.Inserted == 0 {
		return nil
	}
	for _, c := range m.table.Columns {
		if c.Sequence == "" || !slices.Contains(m.p.Key, c.Name) {
			continue
		}
		seq := quoted([]string{c.Sequence})[0]
		if _, err := conn.Exec(ctx, fmt.Sprintf(`SELECT setval(%s, t.at) FROM (SELECT max(%s)::int8 AS at FROM %s) t, %s q, pg_sequence d
			WHERE d.seqrelid = %[1]s::regclass AND d.seqincrement > 0 AND (t.at > q.last_value OR t.at = q.last_value AND NOT q.is_called)`,
			literal(seq), ident(c.Name), quoted([]string{m.p.Table})[0], seq)); err != nil {
			return err
		}
	}
	return nil
}
