package pgbook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

// ErrNotStored says that a row cannot lie in the bot's table exactly as it is, so that
// nothing was changed.
var ErrNotStored = errors.New("cannot be stored exactly")

// Apply implements reconcile.Book: one transaction for the whole plan. It holds off
// other writers of the tables that it changes, reads the rows again, changes them in
// place, and reads them back before it commits: a row that came back other than it was
// written, because a column rounds or a trigger interferes, is ErrNotStored. Closing out
// a position sets its status where there is one; it deletes no history. Who approved the
// plan, and every edit, lie in the book's own schema when it returns nil.
//
// A connection that breaks before the commit is tried again. One that breaks during it
// is asked about on a new one; only when that is not possible either is the error
// andon.ErrOutcomeUnknown. Apply of the same transaction again settles it. A row under an
// id that another order has already is reconcile.ErrConflict.
func (b *Book) Apply(ctx context.Context, tx reconcile.Transaction) error {
	if tx.ID == "" {
		return errors.New("pgbook: transaction has no id")
	}
	seen := map[reconcile.Key]bool{}
	for _, e := range tx.Edits {
		if err := e.Validate(); err != nil {
			return fmt.Errorf("pgbook: transaction %s: %w", tx.ID, err)
		}
		if seen[e.Key] {
			return fmt.Errorf("pgbook: transaction %s: %v is edited twice", tx.ID, e.Key)
		}
		seen[e.Key] = true
	}
	settle := func(ctx context.Context) (bool, error) { return b.committed(ctx, tx.ID) }
	if err := b.writing(ctx, settle, func(db pgx.Tx) error { return b.apply(ctx, db, tx) }); err != nil {
		return fmt.Errorf("pgbook: transaction %s: %w", tx.ID, err)
	}
	return nil
}

func (b *Book) apply(ctx context.Context, db pgx.Tx, tx reconcile.Transaction) error {
	// First, so that a second process with the same plan waits here and then sees it.
	tag, err := db.Exec(ctx, "INSERT INTO "+b.own("applied")+` (id, approved_at, approved_by, note)
		VALUES ($1, $2::text::timestamptz, $3, $4) ON CONFLICT (id) DO NOTHING`, pgx.QueryExecModeExec,
		tx.ID, tx.At.UTC().Format(time.RFC3339Nano), tx.By, tx.Note)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return reconcile.ErrApplied
	}
	// Always in this order, so that two of us never wait for each other.
	for _, change := range []func(context.Context, pgx.Tx, []reconcile.Edit) error{
		b.positions.change, b.orders.change, b.fills.change, b.balances.change,
	} {
		if err := change(ctx, db, tx.Edits); err != nil {
			return err
		}
	}
	var keys, edits []string
	for _, e := range tx.Edits {
		edit, err := json.Marshal(e)
		if err != nil {
			return err
		}
		keys, edits = append(keys, e.Key.String()), append(edits, string(edit))
	}
	_, err = db.Exec(ctx, "INSERT INTO "+b.own("repairs")+` (applied, n, key, edit)
		SELECT $1::text, n, key, edit::jsonb FROM unnest($2::text::text[], $3::text::text[]) WITH ORDINALITY AS x (key, edit, n)`,
		pgx.QueryExecModeExec, tx.ID, string(textArray(keys)), string(textArray(edits)))
	return err
}

// uniqueViolation is the server's code for a second row under a key that has one.
const uniqueViolation = "23505"

// stored is a row and where it lies.
type stored[T any] struct {
	row   T
	table string // the partition's oid
	ctid  string
}

// change makes the edits of this table's subject.
func (t *table[T]) change(ctx context.Context, db pgx.Tx, edits []reconcile.Edit) error {
	var ours []reconcile.Edit
	for _, e := range edits {
		if t.rows(e) != nil {
			ours = append(ours, e)
		}
	}
	if len(ours) == 0 {
		return nil
	}
	if err := t.lock(ctx, db); err != nil {
		return err
	}
	have, err := t.find(ctx, db, ours)
	if err != nil {
		return err
	}
	if err := t.checkBefore(have, ours); err != nil {
		return err
	}
	want := make([]reconcile.Edit, len(ours)) // what must be there afterwards, as Before
	for i, e := range ours {
		after, err := t.storable(e.Key, t.rows(e).After)
		if err != nil {
			return err
		}
		if err := t.write(ctx, db, have[e.Key], after); err != nil {
			if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == uniqueViolation {
				err = fmt.Errorf("%w: %w", reconcile.ErrConflict, err)
			}
			return fmt.Errorf("%v: %w", e.Key, err)
		}
		want[i] = t.expecting(e, after)
	}
	if have, err = t.find(ctx, db, ours); err != nil {
		return err
	}
	if err := t.checkBefore(have, want); err != nil {
		return fmt.Errorf("%w: what was written into %s reads otherwise: %w", ErrNotStored, t.sql(), err)
	}
	return nil
}

// lock lets nobody else write into the table until the transaction ends. Locked rows
// alone would not keep another row of the same key from being inserted.
func (t *table[T]) lock(ctx context.Context, db pgx.Tx) error {
	_, err := db.Exec(ctx, "LOCK TABLE "+t.sql()+" IN SHARE ROW EXCLUSIVE MODE", pgx.QueryExecModeExec)
	return err
}

// checkBefore is a *reconcile.MovedError for each key that has other rows than its edit
// expects.
func (t *table[T]) checkBefore(have map[reconcile.Key][]stored[T], edits []reconcile.Edit) error {
	var errs []error
	for _, e := range edits {
		var rows []T
		for _, s := range have[e.Key] {
			rows = append(rows, s.row)
		}
		_, err := t.records(rows).Edit([]reconcile.Edit{e})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// expecting is the edit that fits where the rows of this one are made.
func (t *table[T]) expecting(e reconcile.Edit, after []T) reconcile.Edit {
	next := reconcile.Edit{Key: e.Key}
	rows := &reconcile.Rows[T]{Before: after}
	switch rows := any(rows).(type) {
	case *reconcile.Rows[andon.Position]:
		next.Positions = rows
	case *reconcile.Rows[andon.Order]:
		next.Orders = rows
	case *reconcile.Rows[andon.Fill]:
		next.Fills = rows
	case *reconcile.Rows[andon.Balance]:
		next.Balances = rows
	}
	return next
}

// find returns the rows of the edits' keys and where they lie.
func (t *table[T]) find(ctx context.Context, db pgx.Tx, edits []reconcile.Edit) (map[reconcile.Key][]stored[T], error) {
	condition, ids := t.among(edits)
	where, params := t.where("")
	joint := " WHERE "
	if where != "" {
		joint = " AND "
	}
	where += joint + strings.ReplaceAll(condition, "$ids", fmt.Sprintf("$%d::text[]", len(params)+1))
	params = append(params, textArray(ids))
	found, texts := map[reconcile.Key][]stored[T]{}, new(arena)
	err := query(ctx, db, t.selection("tableoid::text, ctid::text, ")+where, params, t.headAfter(2), func(values [][]byte) error {
		s := stored[T]{t.blank, string(values[0]), string(values[1])}
		if err := t.load(&s.row, values[2:], texts); err != nil {
			return err
		}
		found[t.key(s.row)] = append(found[t.key(s.row)], s)
		return nil
	})
	return found, err
}

// among is a condition for all rows of these keys, and perhaps a few more, with $ids for
// the list of ids that it needs.
func (t *table[T]) among(edits []reconcile.Edit) (condition string, ids []string) {
	fields := map[reconcile.Subject][]string{
		reconcile.Positions:  {"symbol"},
		reconcile.LiveOrders: {"client_id", "venue_id"},
		reconcile.Executions: {"order_id", "client_id"},
		reconcile.Balances:   {"currency"},
	}[edits[0].Key.Subject]
	for _, e := range edits {
		ids = append(ids, e.Key.Symbol+e.Key.Order+e.Key.Currency) // one of them is set
	}
	for _, f := range fields {
		c := t.of(f)
		if c == nil {
			continue
		}
		if condition != "" {
			condition += " OR "
		}
		expr := quoted(c.name)
		if !isText(c.typ) {
			expr += "::text"
		}
		condition += expr + " = ANY ($ids)"
		if f != fields[len(fields)-1] && t.emptyIsAnId(edits) {
			condition += " OR " + expr + " = '' OR " + expr + " IS NULL"
		}
	}
	return "(" + condition + ")", ids
}

// emptyIsAnId reports whether an edit is of rows that have no id at all.
func (t *table[T]) emptyIsAnId(edits []reconcile.Edit) bool {
	for _, e := range edits {
		if e.Key.Order == "" && e.Key.Symbol == "" && e.Key.Currency == "" {
			return true
		}
	}
	return false
}

// storable returns the rows as the table can keep them, or says what it has no column
// for.
func (t *table[T]) storable(key reconcile.Key, rows []T) ([]T, error) {
	out := make([]T, len(rows))
	for i, row := range rows {
		for _, f := range t.unmapped {
			if f.evidence {
				f.clear(&row)
				continue
			}
			value, err := f.store(&row)
			if err == nil && value != f.fixed {
				err = fmt.Errorf("%s is %q and table %s has no column for it: map one", f.field, value, t.sql())
			}
			if err != nil {
				return nil, fmt.Errorf("%v: %w: %w", key, ErrNotStored, err)
			}
		}
		for _, f := range t.fields {
			if f.keep != nil {
				f.keep(&row)
			}
		}
		out[i] = row
	}
	return out, nil
}

// write makes the rows of one key what they are to be: rows that are the same already
// stay, then rows are changed in place as far as they go, and keep what else the bot
// noted in them; then rows are inserted or taken away.
func (t *table[T]) write(ctx context.Context, db pgx.Tx, have []stored[T], after []T) error {
	have, after = t.withoutSame(have, after)
	for i, row := range after {
		assign, err := t.assignments(row)
		if err != nil {
			return err
		}
		if i < len(have) {
			err = t.update(ctx, db, have[i], assign)
		} else {
			err = t.insert(ctx, db, assign)
		}
		if err != nil {
			return err
		}
	}
	for _, s := range have[min(len(after), len(have)):] {
		if err := t.remove(ctx, db, s); err != nil {
			return err
		}
	}
	return nil
}

// withoutSame takes out what is there already, and puts rows with the same id at the
// same place.
func (t *table[T]) withoutSame(have []stored[T], after []T) ([]stored[T], []T) {
	var left []T
	rest := append([]stored[T]{}, have...)
	for _, row := range after {
		same := -1
		for i, s := range rest {
			if t.text(s.row) == t.text(row) {
				same = i
			}
		}
		if same < 0 {
			left = append(left, row)
			continue
		}
		rest = append(rest[:same], rest[same+1:]...)
	}
	for i := range left { // a fill keeps its row
		for j := i; j < len(rest); j++ {
			if id := idOf(left[i]); id != "" && id == idOf(rest[j].row) {
				rest[i], rest[j] = rest[j], rest[i]
			}
		}
	}
	return rest, left
}

func idOf(row any) string {
	if f, ok := row.(andon.Fill); ok {
		return f.ID
	}
	return ""
}

// text is all that the table keeps of a row.
func (t *table[T]) text(row T) string {
	var b strings.Builder
	for _, f := range t.fields {
		v, err := f.store(&row)
		fmt.Fprintf(&b, "%q %v ", v, err)
	}
	return b.String()
}

// assignment is a value for one column.
type assignment struct {
	column string
	expr   func(n int) string // given the number of the parameter
	value  string
	null   bool
}

// assignments is what is written for a row.
func (t *table[T]) assignments(row T) ([]assignment, error) {
	var all []assignment
	for i := range t.fields {
		f := &t.fields[i]
		value, err := f.store(&row)
		if err == nil && f.legal != nil {
			value, err = f.table(value)
		}
		a := assignment{column: f.name, expr: f.written, value: value}
		if err == nil && value == "" && f.need != required {
			a, err = f.nothing(a)
		}
		if err == nil {
			all, err = assign(all, a)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", f.field, ErrNotStored, err)
		}
	}
	return all, nil
}

// nothing writes an absent value: NULL where the column takes it.
func (c *column) nothing(a assignment) (assignment, error) {
	switch {
	case !c.notNull:
		a.null = true
	case c.need == optional && c.kind == amount:
		a.value = "0"
	case c.need == optional && c.kind == text:
	default:
		return a, fmt.Errorf("there is no value, and column %s takes no NULL", quoted(c.name))
	}
	return a, nil
}

// assign adds a value. Two fields may share a column when they agree.
func assign(all []assignment, a assignment) ([]assignment, error) {
	for _, b := range all {
		if b.column != a.column {
			continue
		}
		if b.value != a.value || b.null != a.null {
			return nil, fmt.Errorf("column %s would be both %q and %q", quoted(a.column), b.value, a.value)
		}
		return all, nil
	}
	return append(all, a), nil
}

func (t *table[T]) update(ctx context.Context, db pgx.Tx, s stored[T], assign []assignment) error {
	var sets []string
	var params []any
	for _, a := range assign {
		params = append(params, a.param())
		sets = append(sets, quoted(a.column)+" = "+a.expr(len(params)))
	}
	return t.one(ctx, db, "UPDATE "+t.sql()+" SET "+strings.Join(sets, ", "), s, params)
}

func (t *table[T]) remove(ctx context.Context, db pgx.Tx, s stored[T]) error {
	if t.held == nil {
		return t.one(ctx, db, "DELETE FROM "+t.sql(), s, nil)
	}
	status := t.of("status")
	return t.one(ctx, db, "UPDATE "+t.sql()+" SET "+quoted(status.name)+" = "+status.written(1), s, []any{t.held.closed[0]})
}

// one runs a statement on exactly the stored row.
func (t *table[T]) one(ctx context.Context, db pgx.Tx, sql string, s stored[T], params []any) error {
	n := len(params)
	sql += fmt.Sprintf(" WHERE tableoid = $%d::text::oid AND ctid = $%d::text::tid", n+1, n+2)
	tag, err := db.Exec(ctx, sql, append([]any{pgx.QueryExecModeExec}, append(params, s.table, s.ctid)...)...)
	if err != nil {
		return err
	}
	if n := tag.RowsAffected(); n != 1 {
		return fmt.Errorf("%w: a statement on one row of %s changed %d: a trigger or a rule took it", ErrNotStored, t.sql(), n)
	}
	return nil
}

func (t *table[T]) insert(ctx context.Context, db pgx.Tx, assign []assignment) error {
	n, err := t.insertOr(ctx, db, assign, "")
	if err == nil && n != 1 {
		err = fmt.Errorf("%w: inserting one row into %s made %d: a trigger or a rule took it", ErrNotStored, t.sql(), n)
	}
	return err
}

// put inserts a row, or does what onConflict says, and returns how many rows that was.
func (t *table[T]) put(ctx context.Context, db pgx.Tx, row T, onConflict string) (int, error) {
	assign, err := t.assignments(row)
	if err != nil {
		return 0, err
	}
	return t.insertOr(ctx, db, assign, onConflict)
}

// replaced sets every column to what was to be inserted.
func (t *table[T]) replaced() string {
	var sets []string
	for _, c := range t.columns {
		sets = append(sets, quoted(c.name)+" = EXCLUDED."+quoted(c.name))
	}
	return strings.Join(sets, ", ")
}

func (t *table[T]) insertOr(ctx context.Context, db pgx.Tx, assign []assignment, onConflict string) (int, error) {
	var columns, values []string
	params := []any{pgx.QueryExecModeExec}
	add := func(name, expr string, value any) {
		params = append(params, value)
		columns, values = append(columns, quoted(name)), append(values, expr)
	}
	for _, a := range assign {
		add(a.column, a.expr(len(params)), a.param())
	}
	for name, value := range t.fixed {
		add(name, fmt.Sprintf("$%d", len(params)), value) // an untyped text, which the column reads
	}
	sql := "INSERT INTO " + t.sql() + " (" + strings.Join(columns, ", ") + ") VALUES (" + strings.Join(values, ", ") + ") " + onConflict
	tag, err := db.Exec(ctx, sql, params...)
	return int(tag.RowsAffected()), err
}

func (a assignment) param() any {
	if a.null {
		return nil
	}
	return a.value
}
