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

	"github.com/andon-go/andon/recovery"
)

// UndoRequest says which transaction is to be undone.
type UndoRequest struct {
	// Log is the directory of a Stream's log. Required.
	Log string

	// XID is the transaction. Required.
	XID uint32

	// Backup is a backup from before it. Defaults to the newest verified one that is.
	Backup string

	// MaxRows is how many rows it may have changed. Defaults to 10,000.
	MaxRows int
}

// UndoPlan is the undoing of one transaction: a plan that can be printed, reviewed,
// sent as JSON and refused. What was committed later stays.
type UndoPlan struct {
	ID  string    `json:"id"` // SHA-256 of all the rest
	XID uint32    `json:"xid"`
	At  time.Time `json:"at"` // when it was committed

	// Repairs say what becomes of its rows, a table after those that it refers to.
	Repairs []RepairPlan `json:"repairs,omitempty"`

	// Conflicts are its rows that were changed since: they stay as they are.
	Conflicts []Conflict `json:"conflicts,omitempty"`
}

// Conflict is a row that cannot be undone.
type Conflict struct {
	Table string   `json:"table"`
	Key   string   `json:"key"`
	By    []uint32 `json:"by,omitempty"` // the transactions that changed it later, as far as the log knows
}

// String returns the plan for people, a line for each row.
func (p UndoPlan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan %s: undo transaction %d of %s, with %d conflicts\n", p.ID[:min(len(p.ID), 12)], p.XID, p.At.Format(time.RFC3339Nano), len(p.Conflicts))
	for _, r := range p.Repairs {
		b.WriteString(r.String())
	}
	for _, c := range p.Conflicts {
		fmt.Fprintf(&b, "  conflict: %s %s was changed since, by %v: it stays\n", c.Table, c.Key, c.By)
	}
	return b.String()
}

func (p UndoPlan) id() (string, error) {
	p.ID = ""
	text, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	return digest(text), nil
}

// PlanUndo finds out what a transaction changed, how its rows were before, and which of
// them were changed since. It changes nothing. Each of its tables must have a primary
// key; one that it truncated is ErrUnsupported: restore that.
func (s *Store) PlanUndo(ctx context.Context, req UndoRequest, now time.Time) (_ UndoPlan, err error) {
	ctx, span := s.tracer.Start(ctx, "pgbackup.PlanUndo")
	defer func() { endSpan(span, err) }()
	p, err := s.planUndo(ctx, req, now)
	if err != nil {
		return UndoPlan{}, fmt.Errorf("planning to undo transaction %d: %w", req.XID, err)
	}
	return p, nil
}

// undone is a table of the transaction.
type undone struct {
	plan  RepairPlan
	table *Table
	data  TableData
	key   []int // places of the key's columns
	rows  map[string]*undoneRow
}

// undoneRow is a row that the transaction touched.
type undoneRow struct {
	now  []*string // as the log goes on; nil: there is none
	was  []*string // before the transaction
	left []*string // after it
	by   []uint32
}

func (s *Store) planUndo(ctx context.Context, req UndoRequest, now time.Time) (p UndoPlan, err error) {
	if req.MaxRows == 0 {
		req.MaxRows = 10_000
	}
	src, err := s.before(ctx, req)
	if err != nil {
		return p, err
	}
	bounds := Request{Log: req.Log, BeforeXID: req.XID}
	conn, err := s.connect(ctx)
	if err != nil {
		return p, err
	}
	defer disconnect(ctx, conn)
	if _, err := planReplay(ctx, conn, bounds, &src.d, pointers(src.d.Schema.Tables), false); err != nil {
		return p, err
	}
	tables, at, err := s.touched(ctx, conn, req, src, now)
	if err != nil {
		return p, err
	}
	for _, t := range tables {
		if err := t.fromBackup(ctx, conn, src); err != nil {
			return p, err
		}
	}
	if err := follow(ctx, req, &src.d, tables); err != nil {
		return p, err
	}
	p.XID, p.At = req.XID, at
	for _, t := range inOrder(tables) {
		conflicts, err := t.finish(ctx, conn)
		if err != nil {
			return p, err
		}
		p.Conflicts = append(p.Conflicts, conflicts...)
		if !t.plan.NothingToDo() {
			p.Repairs = append(p.Repairs, t.plan)
		}
	}
	p.ID, err = p.id()
	return p, err
}

func pointers(tables []Table) []*Table {
	all := make([]*Table, len(tables))
	for i := range tables {
		all[i] = &tables[i]
	}
	return all
}

// before opens the newest backup that does not hold the transaction.
func (s *Store) before(ctx context.Context, req UndoRequest) (src source, err error) {
	names := []string{req.Backup}
	if req.Backup == "" {
		backups, err := s.Backups(ctx)
		if err != nil {
			return src, err
		}
		names = nil
		for _, b := range backups {
			if b.Good() {
				names = append(names, b.Name)
			}
		}
	}
	for _, name := range names {
		if src, err = s.counts(ctx, name); err != nil {
			return src, err
		}
		seen, err := parseSnapshot(src.d.Source.Snapshot)
		if err != nil {
			return src, err
		}
		if !seen.sees(req.XID) {
			return src, nil
		}
	}
	return src, fmt.Errorf("no backup that counts is from before it: %w", recovery.ErrNoBackup)
}

// touched reads which rows the transaction touched.
func (s *Store) touched(ctx context.Context, conn *pgx.Conn, req UndoRequest, src source, now time.Time) (map[string]*undone, time.Time, error) {
	tables := map[string]*undone{}
	var at time.Time
	rows := 0
	mine := func(x *Transaction) bool { return x.XID == req.XID }
	_, err := replayed(ctx, req.Log, &src.d, nil, mine, func(x Transaction) error {
		at = x.At
		for i := range x.Changes {
			c := &x.Changes[i]
			if c.Kind == "truncate" {
				return &UnsupportedError{c.Table, []string{"TRUNCATE"}, "restore the table to before the transaction"}
			}
			t, err := s.undone(ctx, conn, tables, c.Table, src, now)
			if err != nil {
				return err
			}
			for _, key := range t.keysOf(c) {
				if t.rows[key] == nil {
					t.rows[key] = &undoneRow{}
					rows++
				}
			}
			if rows > req.MaxRows {
				return fmt.Errorf("it changed more than %d: %w: restore to before it", req.MaxRows, ErrTooMany)
			}
		}
		return nil
	})
	return tables, at, err
}

// undone returns the table of a change, looked at when it is the first.
func (s *Store) undone(ctx context.Context, conn *pgx.Conn, tables map[string]*undone, name string, src source, now time.Time) (*undone, error) {
	if t := tables[name]; t != nil {
		return t, nil
	}
	table := src.d.Schema.table(name)
	data, ok := src.d.data(name)
	if table == nil || !ok {
		return nil, fmt.Errorf("%s is not in the backup %s: %w", name, src.m.Name, recovery.ErrNotFound)
	}
	t := &undone{table: table, data: data, rows: map[string]*undoneRow{}}
	t.plan = RepairPlan{At: now.UTC(), Backup: src.m.Name, Manifest: src.sum, Table: name, Columns: data.Columns}
	live, err := t.plan.look(ctx, conn)
	if err != nil {
		return nil, err
	}
	if err := sameColumns(table, live); err != nil {
		return nil, err
	}
	if t.plan.Key, err = keyColumns(ctx, conn, t.plan.OID); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, k := range t.plan.Key {
		t.key = append(t.key, slices.Index(data.Columns, k))
	}
	for _, g := range live.Triggers {
		t.plan.Triggers = append(t.plan.Triggers, g.Name)
	}
	tables[name] = t
	return t, nil
}

// keyText is the key of a row as the log prints it, in JSON.
func (t *undone) keyText(row []Value) string {
	key := make([]*string, len(t.key))
	for i, place := range t.key {
		key[i] = row[place].Text
	}
	text, err := json.Marshal(key)
	if err != nil {
		panic(err) // texts always marshal
	}
	return string(text)
}

// keysOf returns the keys of the rows that a change touches: two, where it changes one.
func (t *undone) keysOf(c *Change) []string {
	var keys []string
	if c.Old != nil {
		keys = append(keys, t.keyText(c.Old))
	}
	if c.New != nil {
		if key := t.keyText(c.New); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// fromBackup reads the touched rows as they were backed up.
func (t *undone) fromBackup(ctx context.Context, conn *pgx.Conn, src source) error {
	keys, err := t.binaryKeys(ctx, conn)
	if err != nil {
		return err
	}
	d := newRowDiff(src, t.table, t.data, t.plan.Key, conn, 0)
	found := map[string][]byte{}
	if err := d.each(ctx, 0, func(row []byte, _ uint64) error {
		key, err := keyOf(nil, row, d.key)
		if err == nil && keys[string(key)] != "" {
			found[string(key)] = slices.Clone(row)
		}
		return err
	}); err != nil || len(found) == 0 {
		return err
	}
	texts, err := d.texts(ctx, found)
	for key, row := range texts {
		t.rows[keys[key]].now = row
	}
	return err
}

// binaryKeys has the server write the touched keys as a backup has them.
func (t *undone) binaryKeys(ctx context.Context, conn *pgx.Conn) (map[string]string, error) {
	var types, columns []string
	for i, k := range t.plan.Key {
		for _, c := range t.table.Columns {
			if c.Name == k {
				types = append(types, fmt.Sprintf("v[%d]::%s", i+1, c.Type))
				columns = append(columns, fmt.Sprintf("k%d", i))
			}
		}
	}
	if err := run(ctx, conn, []string{"CREATE TEMP TABLE andon_keys (v text[], k text)"}); err != nil {
		return nil, err
	}
	var rows [][]any
	for key := range t.rows {
		var values []*string
		if err := json.Unmarshal([]byte(key), &values); err != nil {
			return nil, err
		}
		rows = append(rows, []any{values, key})
	}
	if _, err := conn.CopyFrom(ctx, pgx.Identifier{"pg_temp", "andon_keys"}, []string{"v", "k"}, pgx.CopyFromRows(rows)); err != nil {
		return nil, err
	}
	keys := map[string]string{}
	places := make([]int, len(columns))
	for i := range places {
		places[i] = i
	}
	sql := fmt.Sprintf("COPY (SELECT %s, k FROM pg_temp.andon_keys) TO STDOUT (FORMAT binary)", strings.Join(types, ", "))
	err := copyRows(ctx, conn, sql, len(columns)+1, func(row []byte) error {
		key, err := keyOf(nil, row, places)
		if err == nil {
			keys[string(key)] = string(row[2+len(key)+4:])
		}
		return err
	})
	return keys, errors.Join(err, run(ctx, conn, []string{"DROP TABLE pg_temp.andon_keys"}))
}

// follow goes through the log: what becomes of the touched rows before the transaction,
// in it, and later.
func follow(ctx context.Context, req UndoRequest, d *Details, tables map[string]*undone) error {
	past := false
	all := func(*Transaction) bool { return true }
	_, err := replayed(ctx, req.Log, d, nil, all, func(x Transaction) error {
		mine := x.XID == req.XID
		if mine {
			for _, t := range tables {
				for _, row := range t.rows {
					row.was = row.now
				}
			}
		}
		for i := range x.Changes {
			if t := tables[x.Changes[i].Table]; t != nil {
				t.follow(&x.Changes[i], x.XID, past)
			}
		}
		if mine {
			past = true
			for _, t := range tables {
				for _, row := range t.rows {
					row.left = row.now
				}
			}
		}
		return nil
	})
	return err
}

func (t *undone) follow(c *Change, xid uint32, past bool) {
	if c.Kind == "truncate" {
		for _, row := range t.rows {
			row.change(nil, xid, past)
		}
		return
	}
	keys := t.keysOf(c)
	var old []*string
	if row := t.rows[keys[0]]; row != nil {
		old = row.now
		row.change(nil, xid, past)
	}
	if c.New == nil {
		return
	}
	if row := t.rows[keys[len(keys)-1]]; row != nil {
		row.change(merged(c, old), xid, past)
	}
}

// change notes what a row becomes, and who did it later.
func (r *undoneRow) change(to []*string, xid uint32, past bool) {
	r.now = to
	if past && !slices.Contains(r.by, xid) {
		r.by = append(r.by, xid)
	}
}

// merged is the new row, with what was not changed taken from the old one.
func merged(c *Change, old []*string) []*string {
	row := make([]*string, len(c.New))
	for i, v := range c.New {
		switch {
		case !v.Same:
			row[i] = v.Text
		case old != nil:
			row[i] = old[i]
		}
	}
	return row
}

// finish makes the plan of the table: each row becomes what it was, unless it was
// changed since, by what the log or the table says.
func (t *undone) finish(ctx context.Context, conn *pgx.Conn) (conflicts []Conflict, err error) {
	m := &mending{p: t.plan, table: t.table}
	for _, row := range t.rows {
		was, err := m.printed(ctx, conn, row.was)
		if err != nil {
			return nil, err
		}
		left, err := m.printed(ctx, conn, row.left)
		if err != nil {
			return nil, err
		}
		c := RowChange{Before: left, After: was}
		if was == nil && left == nil || was != nil && left != nil && t.plan.row(was) == t.plan.row(left) {
			continue
		}
		is, err := m.isStill(ctx, conn, c)
		if err != nil {
			return nil, err
		}
		if len(row.by) > 0 || !is {
			of := left
			if of == nil {
				of = was
			}
			conflicts = append(conflicts, Conflict{t.plan.Table, t.plan.keyOf(of), row.by})
			continue
		}
		t.plan.Changes = append(t.plan.Changes, c)
	}
	d := &rowDiff{key: t.key}
	slices.SortFunc(t.plan.Changes, func(a, b RowChange) int { return compareKeys(d.keyTexts(a), d.keyTexts(b)) })
	slices.SortFunc(conflicts, func(a, b Conflict) int { return compareKeys([]string{a.Key}, []string{b.Key}) })
	t.plan.ID, err = t.plan.id()
	return conflicts, err
}

// printed returns a row as a cast prints its values: the log prints some otherwise.
func (m *mending) printed(ctx context.Context, conn *pgx.Conn, row []*string) (out []*string, err error) {
	if row == nil {
		return nil, nil
	}
	var texts []string
	var args []any
	for i, column := range m.p.Columns {
		args = append(args, row[i])
		texts = append(texts, fmt.Sprintf("$%d::text::%s::text", i+1, m.typeOf(column)))
	}
	err = conn.QueryRow(ctx, "SELECT ARRAY["+strings.Join(texts, ", ")+"]::text[]", args...).Scan(&out)
	return out, err
}

// isStill reports whether the table has the row as the transaction left it.
func (m *mending) isStill(ctx context.Context, conn *pgx.Conn, c RowChange) (is bool, err error) {
	table := quoted([]string{m.p.Table})[0]
	if c.Before != nil {
		where, args := m.is(c.Before, nil)
		err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM ONLY "+table+" WHERE "+where+")", args...).Scan(&is)
		return is, err
	}
	var parts []string
	var args []any
	for i, column := range m.p.Columns {
		if slices.Contains(m.p.Key, column) {
			args = append(args, c.After[i])
			parts = append(parts, fmt.Sprintf("%s = $%d::text::%s", ident(column), len(args), m.typeOf(column)))
		}
	}
	err = conn.QueryRow(ctx, "SELECT NOT EXISTS (SELECT FROM ONLY "+table+" WHERE "+strings.Join(parts, " AND ")+")", args...).Scan(&is)
	return is, err
}

// inOrder puts a table after those that it refers to.
func inOrder(tables map[string]*undone) []*undone {
	var all []*undone
	placed := map[string]bool{}
	var place func(name string)
	place = func(name string) {
		t := tables[name]
		if t == nil || placed[name] {
			return
		}
		placed[name] = true
		for _, k := range t.table.Constraints {
			if k.Kind == "foreign key" {
				place(k.References)
			}
		}
		all = append(all, t)
	}
	names := make([]string, 0, len(tables))
	for name := range tables {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		place(name)
	}
	return all
}

// Undo applies a plan, in one transaction over all its tables. A row that is not as the
// plan says is ErrMoved, and then none is changed; a plan that was applied already
// changes nothing. The rows as they were are kept, see Repaired.
func (s *Store) Undo(ctx context.Context, p UndoPlan, who, why string, now time.Time) (_ []Repaired, err error) {
	ctx, span := s.tracer.Start(ctx, "pgbackup.Undo")
	defer func() { endSpan(span, err) }()
	done, err := s.undo(ctx, p, who, why, now)
	if err != nil {
		return nil, fmt.Errorf("undoing transaction %d: %w", p.XID, err)
	}
	return done, nil
}

func (s *Store) undo(ctx context.Context, p UndoPlan, who, why string, now time.Time) ([]Repaired, error) {
	id, err := p.id()
	switch {
	case err != nil:
		return nil, err
	case id != p.ID || len(p.Repairs) == 0:
		return nil, fmt.Errorf("the plan holds nothing, or was edited: %w", ErrMoved)
	case who == "" || why == "":
		return nil, errors.New("undoing needs a person and a reason")
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer release(ctx, conn)
	if err := exclude(ctx, conn, restoreLock); err != nil {
		return nil, err
	}
	var all []*mending
	for _, r := range p.Repairs {
		all = append(all, &mending{p: r, done: Repaired{Plan: r.ID, Kept: r.Kept()}})
	}
	results := func() (done []Repaired) {
		for _, m := range all {
			done = append(done, m.done)
		}
		return done
	}
	applied := func(ctx context.Context, conn *pgx.Conn) (bool, error) { // all or none
		for _, m := range all {
			if is, err := m.applied(ctx, conn); !is || err != nil {
				return false, err
			}
		}
		return true, nil
	}
	if is, err := applied(ctx, conn); is || err != nil {
		return results(), err
	}
	if err := s.record(ctx, now, who, fmt.Sprintf("undo of transaction %d, plan %s", p.XID, p.ID[:12]), why); err != nil {
		return nil, err
	}
	err = applyAll(ctx, conn, all...)
	if errors.Is(err, ErrOutcomeUnknown) {
		err = s.settle(ctx, err, applied)
	}
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		m.done.Unchanged = false
	}
	if err := s.record(ctx, now, who, fmt.Sprintf("undone transaction %d, plan %s", p.XID, p.ID[:12]), why); err != nil { // it is done, and is said to be
		s.cfg.Logger.ErrorContext(ctx, "the transaction is undone, and that could not be recorded", "plan", p.ID[:12], "error", err)
	}
	return results(), nil
}
