package pgbackup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// RepairRequest says which rows are to be repaired.
type RepairRequest struct {
	// Backup is the name of the backup. Defaults to the newest verified one.
	Backup string

	// Table is the table, or the partition, as in Config.Tables. It must have a
	// primary key, and its columns must be those of the backup. Required.
	Table string

	// MaxRows is how many rows may differ; more are ErrTooMany. Defaults to 10,000.
	MaxRows int
}

// RepairPlan is a repair that can be printed, reviewed, sent as JSON and refused: each
// row that differs from the backup, as it is and as it will be. Rows that were rightly
// written since the backup are among them; Without leaves rows out.
type RepairPlan struct {
	ID       string    `json:"id"` // SHA-256 of all the rest
	At       time.Time `json:"at"`
	Backup   string    `json:"backup"`
	Manifest string    `json:"manifest"`
	SystemID string    `json:"system_id"`
	Database string    `json:"database"`
	Table    string    `json:"table"`
	OID      int64     `json:"oid"`
	Shape    string    `json:"shape"` // differs whenever the table was altered
	Columns  []string  `json:"columns"`
	Key      []string  `json:"key"` // the columns of the primary key

	// Triggers are those that a change of a row would fire.
	Triggers []string    `json:"triggers,omitempty"`
	Changes  []RowChange `json:"changes,omitempty"`
}

// RowChange is what a repair does to one row. Values are texts as the server prints
// them, in the order of the columns; nil is NULL.
type RowChange struct {
	// Before is the row as it is; nil: it is missing, and is inserted.
	Before []*string `json:"before,omitempty"`

	// After is the row as it was backed up; nil: it is not in the backup, and is
	// deleted.
	After []*string `json:"after,omitempty"`
}

// NothingToDo reports whether no row differs.
func (p RepairPlan) NothingToDo() bool { return len(p.Changes) == 0 }

// Without returns the plan without the changes that drop says: a plan of its own, with
// its own ID. Values by column are those of Before, or, of a missing row, of After.
func (p RepairPlan) Without(drop func(c RowChange, value func(column string) *string) bool) (RepairPlan, error) {
	var left []RowChange
	for _, c := range p.Changes {
		row := c.Before
		if row == nil {
			row = c.After
		}
		if !drop(c, func(column string) *string { return row[slices.Index(p.Columns, column)] }) {
			left = append(left, c)
		}
	}
	p.Changes = left
	var err error
	p.ID, err = p.id()
	return p, err
}

// Kept returns the schema with the rows that the repair replaces.
func (p RepairPlan) Kept() string {
	schema, _, _ := strings.Cut(p.Table, ".")
	return keptPrefix + p.ID[:min(len(p.ID), 12)] + "_" + schema
}

// String returns the plan for people, a line for each row.
func (p RepairPlan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan %s: repair %d rows of %s from %s in database %s of cluster %s\n", p.ID[:min(len(p.ID), 12)], len(p.Changes), p.Table, p.Backup, p.Database, p.SystemID)
	for _, t := range p.Triggers {
		fmt.Fprintf(&b, "  trigger %s fires\n", t)
	}
	for _, c := range p.Changes {
		switch {
		case c.Before == nil:
			fmt.Fprintf(&b, "  insert %s\n", p.row(c.After))
		case c.After == nil:
			fmt.Fprintf(&b, "  delete %s\n", p.row(c.Before))
		default:
			fmt.Fprintf(&b, "  update %s:", p.keyOf(c.Before))
			for i, column := range p.Columns {
				if show(c.Before[i]) != show(c.After[i]) {
					fmt.Fprintf(&b, " %s %s becomes %s", column, show(c.Before[i]), show(c.After[i]))
				}
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func show(v *string) string {
	if v == nil {
		return "NULL"
	}
	return fmt.Sprintf("%q", *v)
}

func (p RepairPlan) row(values []*string) string {
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = p.Columns[i] + " " + show(v)
	}
	return strings.Join(parts, ", ")
}

// keyOf names a row by its primary key.
func (p RepairPlan) keyOf(values []*string) string {
	var parts []string
	for _, k := range p.Key {
		parts = append(parts, k+" "+show(values[slices.Index(p.Columns, k)]))
	}
	return strings.Join(parts, ", ")
}

func (p RepairPlan) id() (string, error) {
	p.ID = ""
	text, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	return digest(text), nil
}

// PlanRepair compares a table with a backup that counts, row by row, and returns what
// differs. It changes nothing and keeps nobody from reading or writing. Its memory is
// bounded by the rows that differ, not by the table.
func (s *Store) PlanRepair(ctx context.Context, req RepairRequest, now time.Time) (_ RepairPlan, err error) {
	ctx, span := s.tracer.Start(ctx, "pgbackup.PlanRepair")
	defer func() { endSpan(span, err) }()
	p, err := s.planRepair(ctx, req, now)
	if err != nil {
		return RepairPlan{}, fmt.Errorf("planning a repair of %s: %w", req.Table, err)
	}
	return p, nil
}

func (s *Store) planRepair(ctx context.Context, req RepairRequest, now time.Time) (p RepairPlan, err error) {
	if req.MaxRows == 0 {
		req.MaxRows = 10_000
	}
	src, err := s.counts(ctx, req.Backup)
	if err != nil {
		return p, err
	}
	table := src.d.Schema.table(qualified(req.Table))
	data, ok := src.d.data(qualified(req.Table))
	if table == nil || !ok {
		return p, fmt.Errorf("%s has no rows of its own in %s", qualified(req.Table), src.m.Name)
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return p, err
	}
	defer disconnect(ctx, conn)
	if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return p, err
	}
	p = RepairPlan{At: now.UTC(), Backup: src.m.Name, Manifest: src.sum, Table: table.String(), Columns: data.Columns}
	live, err := p.look(ctx, conn)
	if err != nil {
		return p, err
	}
	if err := sameColumns(table, live); err != nil {
		return p, err
	}
	if p.Key, err = keyColumns(ctx, conn, p.OID); err != nil {
		return p, err
	}
	for _, t := range live.Triggers {
		p.Triggers = append(p.Triggers, t.Name)
	}
	d := newRowDiff(src, table, data, p.Key, conn, req.MaxRows)
	missing, extra, err := d.find(ctx)
	if err != nil {
		return p, err
	}
	if _, err := conn.Exec(ctx, "COMMIT"); err != nil {
		return p, err
	}
	if p.Changes, err = d.changes(ctx, missing, extra); err != nil {
		return p, err
	}
	p.ID, err = p.id()
	return p, err
}

// look reads what the table is.
func (p *RepairPlan) look(ctx context.Context, conn *pgx.Conn) (*Table, error) {
	id, _, _, _, err := readSystem(ctx, conn)
	if err != nil {
		return nil, err
	}
	p.SystemID = id
	schema, name, _ := strings.Cut(p.Table, ".")
	err = conn.QueryRow(ctx, `SELECT current_database(), coalesce((SELECT c.oid::int8 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'r'), 0)`, schema, name).Scan(&p.Database, &p.OID)
	if err != nil {
		return nil, err
	}
	if p.OID == 0 {
		return nil, fmt.Errorf("there is no such table now: restore it: %w", ErrMoved)
	}
	r := &reader{conn: conn, oids: []int64{p.OID}, at: map[int64]*Table{}, rels: map[string]relation{}}
	for _, read := range []func(context.Context) error{r.tables, r.columns, r.constraints, r.triggers, r.sequences} {
		if err := read(ctx); err != nil {
			return nil, err
		}
	}
	p.Shape = r.schema.Tables[0].shape()
	return &r.schema.Tables[0], nil
}

// sameColumns is nil when rows of the backup are rows of the table.
func sameColumns(backup, live *Table) error {
	var differences []string
	of := func(t *Table) (lines []string) {
		for _, c := range t.Columns {
			if !c.Generated {
				lines = append(lines, fmt.Sprintf("column %s %s", c.Name, c.Type))
			}
		}
		return lines
	}
	had, has := of(backup), of(live)
	if slices.Equal(had, has) {
		return nil
	}
	for _, line := range had {
		if !slices.Contains(has, line) {
			differences = append(differences, "only in the backup: "+line)
		}
	}
	for _, line := range has {
		if !slices.Contains(had, line) {
			differences = append(differences, "only in the live table: "+line)
		}
	}
	if len(differences) == 0 {
		differences = []string{"the order of the columns"}
	}
	return &SchemaError{differences}
}

// keyColumns returns the columns of the primary key.
func keyColumns(ctx context.Context, conn *pgx.Conn, oid int64) ([]string, error) {
	var key []string
	err := conn.QueryRow(ctx, `SELECT coalesce(array_agg(a.attname::text ORDER BY a.attnum), '{}') FROM pg_index x
		JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey::int2[]) AND a.attgenerated = ''
		WHERE x.indrelid::int8 = $1 AND x.indisprimary AND x.indisvalid`, oid).Scan(&key)
	if err == nil && len(key) == 0 {
		err = fmt.Errorf("without a primary key it cannot be told which row is which: %w", ErrUnsupported)
	}
	return key, err
}

// rowDiff finds the rows in which a table and its backup differ, in two passes over
// both. In the first the rows fall into buckets by their key, of which only a sum of
// hashes is kept; in the second only rows of buckets that differ are looked at.
type rowDiff struct {
	src     source
	table   *Table
	data    TableData
	key     []int // places of the key's columns
	conn    *pgx.Conn
	maxRows int
	seeds   [3]maphash.Seed
	buckets [2][]bucket // of the backup, of the table
}

type bucket struct {
	rows int64
	sum  [2]uint64
}

const (
	bucketCount = 1 << 17
	maxHeld     = 32 << 20 // bytes of rows that may have to be held
)

func newRowDiff(src source, table *Table, data TableData, key []string, conn *pgx.Conn, maxRows int) *rowDiff {
	d := &rowDiff{src: src, table: table, data: data, conn: conn, maxRows: maxRows}
	for _, k := range key {
		d.key = append(d.key, slices.Index(data.Columns, k))
	}
	for i := range d.seeds {
		d.seeds[i] = maphash.MakeSeed()
	}
	for i := range d.buckets {
		d.buckets[i] = make([]bucket, bucketCount)
	}
	return d
}

// each calls f for the rows of the backup, or of the table, with their buckets. Rows are
// without what is another database's affair, see digester, and valid during the call.
func (d *rowDiff) each(ctx context.Context, side int, f func(row []byte, n uint64) error) error {
	normal := newDigester(d.table)
	var key []byte
	use := func(row []byte) error {
		row, err := normal.normal(row)
		if err != nil {
			return err
		}
		if key, err = keyOf(key[:0], row, d.key); err != nil {
			return err
		}
		return f(row, maphash.Bytes(d.seeds[0], key)%bucketCount)
	}
	if side == 1 {
		return copyRows(ctx, d.conn, copyRange(quoted([]string{d.data.Table})[0], d.data.Columns, 0, -1), len(d.data.Columns), use)
	}
	for _, piece := range d.data.Pieces {
		if err := d.eachOf(ctx, piece, use); err != nil {
			return err
		}
	}
	return nil
}

func (d *rowDiff) eachOf(ctx context.Context, piece Piece, use func(row []byte) error) (err error) {
	part, err := d.src.Open(ctx, piece.Part)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, part.Close()) }()
	return eachRow(part, len(d.data.Columns), use)
}

// keyOf appends the fields of a row at these places.
func keyOf(key, row []byte, places []int) ([]byte, error) {
	at, field := 2, 0
	for _, place := range places {
		for ; ; field++ {
			n, err := fieldSize(row[at:])
			if err != nil {
				return nil, err
			}
			end := at + 4 + n
			if field == place {
				key = append(key, row[at:end]...)
				break
			}
			at = end
		}
	}
	return key, nil
}

// both runs f for the backup and for the table at once.
func both(ctx context.Context, f func(ctx context.Context, side int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for side := range 2 {
		wg.Go(func() {
			if err := f(ctx, side); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// find returns the rows that only the backup has, and those that only the table has,
// by key. A row that differs is in both.
func (d *rowDiff) find(ctx context.Context) (missing, extra map[string][]byte, err error) {
	err = both(ctx, func(ctx context.Context, side int) error {
		buckets := d.buckets[side]
		return d.each(ctx, side, func(row []byte, n uint64) error {
			buckets[n].rows++
			buckets[n].sum[0] += maphash.Bytes(d.seeds[1], row)
			buckets[n].sum[1] += maphash.Bytes(d.seeds[2], row)
			return nil
		})
	})
	if err != nil {
		return nil, nil, err
	}
	differ := make([]bool, bucketCount)
	count := 0
	for i := range differ {
		differ[i] = d.buckets[0][i] != d.buckets[1][i]
		if differ[i] {
			count++
		}
	}
	d.buckets = [2][]bucket{}
	if count == 0 {
		return nil, nil, nil
	}
	if count > d.maxRows {
		return nil, nil, fmt.Errorf("more than %d: %w: restore the table instead", d.maxRows, ErrTooMany)
	}
	return d.hold(ctx, differ)
}

// hold is the second pass. What only the backup has is held until the table turns out
// to have it too.
func (d *rowDiff) hold(ctx context.Context, differ []bool) (missing, extra map[string][]byte, err error) {
	held := 0
	missing, extra = map[string][]byte{}, map[string][]byte{}
	keep := func(rows map[string][]byte, row []byte) error {
		key, err := keyOf(nil, row, d.key)
		if err != nil {
			return err
		}
		if held += len(key) + len(row); held > maxHeld {
			return fmt.Errorf("more than fits in memory: %w: restore the table instead", ErrTooMany)
		}
		rows[string(key)] = slices.Clone(row)
		return nil
	}
	if err := d.each(ctx, 0, func(row []byte, n uint64) error {
		if !differ[n] {
			return nil
		}
		return keep(missing, row)
	}); err != nil {
		return nil, nil, err
	}
	if err := d.each(ctx, 1, func(row []byte, n uint64) error {
		if !differ[n] {
			return nil
		}
		key, err := keyOf(nil, row, d.key)
		if err != nil {
			return err
		}
		if string(missing[string(key)]) == string(row) {
			held -= len(key) + len(row)
			delete(missing, string(key))
			return nil
		}
		return keep(extra, row)
	}); err != nil {
		return nil, nil, err
	}
	return missing, extra, nil
}

// changes reads the rows that differ as texts, in the order of their keys.
func (d *rowDiff) changes(ctx context.Context, missing, extra map[string][]byte) ([]RowChange, error) {
	if len(missing)+len(extra) == 0 {
		return nil, nil
	}
	after, err := d.texts(ctx, missing)
	if err != nil {
		return nil, err
	}
	before, err := d.texts(ctx, extra)
	if err != nil {
		return nil, err
	}
	var all []RowChange
	for key, row := range before {
		all = append(all, RowChange{Before: row, After: after[key]})
	}
	for key, row := range after {
		if before[key] == nil {
			all = append(all, RowChange{After: row})
		}
	}
	if len(all) > d.maxRows {
		return nil, fmt.Errorf("%d: %w: restore the table instead", len(all), ErrTooMany)
	}
	slices.SortFunc(all, func(a, b RowChange) int { return compareKeys(d.keyTexts(a), d.keyTexts(b)) })
	return all, nil
}

func (d *rowDiff) keyTexts(c RowChange) []string {
	row := c.Before
	if row == nil {
		row = c.After
	}
	var key []string
	for _, place := range d.key {
		key = append(key, show(row[place]))
	}
	return key
}

// compareKeys puts shorter texts first, so that numbers come in their order.
func compareKeys(a, b []string) int {
	for i := range a {
		if len(a[i]) != len(b[i]) {
			return len(a[i]) - len(b[i])
		}
		if c := strings.Compare(a[i], b[i]); c != 0 {
			return c
		}
	}
	return 0
}

// texts has the server print rows, through a temporary table of the session.
func (d *rowDiff) texts(ctx context.Context, rows map[string][]byte) (map[string][]*string, error) {
	var columns, texts []string
	for _, c := range d.table.Columns {
		if !c.Generated {
			columns = append(columns, ident(c.Name)+" "+c.Type)
			texts = append(texts, ident(c.Name)+"::text")
		}
	}
	if err := run(ctx, d.conn, []string{"CREATE TEMP TABLE andon_rows (" + strings.Join(columns, ", ") + `, "andon key" bytea)`}); err != nil {
		return nil, err
	}
	from := withKeys(rows)
	_, err := d.conn.PgConn().CopyFrom(ctx, from, "COPY andon_rows FROM STDIN (FORMAT binary)")
	if err := errors.Join(err, from.Close()); err != nil { // closed, the writer ends too
		return nil, err
	}
	found, err := d.conn.Query(ctx, `SELECT "andon key", ARRAY[`+strings.Join(texts, ", ")+`]::text[] FROM andon_rows`)
	if err != nil {
		return nil, err
	}
	all := map[string][]*string{}
	var key []byte
	var values []*string
	if _, err := pgx.ForEachRow(found, []any{&key, &values}, func() error {
		all[string(key)] = slices.Clone(values)
		return nil
	}); err != nil {
		return nil, err
	}
	return all, run(ctx, d.conn, []string{"DROP TABLE pg_temp.andon_rows"})
}

// withKeys gives rows in COPY's binary format, each with its key as one more field.
func withKeys(rows map[string][]byte) io.ReadCloser {
	read, write := io.Pipe()
	go func() {
		_, err := io.WriteString(write, copySignature)
		for key, row := range rows {
			if err != nil {
				break
			}
			n := int(row[0])<<8 + int(row[1]) + 1
			b := append([]byte{byte(n >> 8), byte(n)}, row[2:]...)
			b = append(b, byte(len(key)>>24), byte(len(key)>>16), byte(len(key)>>8), byte(len(key)))
			_, err = write.Write(append(b, key...))
		}
		if err == nil {
			_, err = write.Write([]byte{0xff, 0xff})
		}
		_ = write.CloseWithError(err) // always nil
	}()
	return read
}
