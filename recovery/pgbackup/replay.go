package pgbackup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"github.com/andon-go/andon/recovery"
)

// Replay is what a restore applies to the tables after they are as in the backup.
type Replay struct {
	Log          string        `json:"log"`
	Transactions int64         `json:"transactions"`
	Changes      int64         `json:"changes"` // of the restored tables
	Last         pglogrepl.LSN `json:"last"`    // the commit of the last transaction; 0: none
	LastAt       time.Time     `json:"last_at"`

	// Sequences are those that stood further than in the backup. They never go back, not
	// even with the rows: a value that was drawn is not drawn again.
	Sequences []SequenceAt `json:"sequences,omitempty"`
}

// seenBy tells which transactions a snapshot sees.
type seenBy struct {
	min, max uint64
	running  []uint64
}

// parseSnapshot reads what pg_current_snapshot printed.
func parseSnapshot(text string) (s seenBy, err error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return s, fmt.Errorf("%q is no snapshot", text)
	}
	var err1, err2 error
	s.min, err1 = strconv.ParseUint(parts[0], 10, 64)
	s.max, err2 = strconv.ParseUint(parts[1], 10, 64)
	if err := errors.Join(err1, err2); err != nil || parts[2] == "" {
		return s, err
	}
	for x := range strings.SplitSeq(parts[2], ",") {
		id, err := strconv.ParseUint(x, 10, 64)
		if err != nil {
			return s, err
		}
		s.running = append(s.running, id)
	}
	return s, nil
}

// sees reports whether a committed transaction is in the snapshot. Its number is the
// lower half of the whole one, which is the nearest to the snapshot.
func (s seenBy) sees(xid uint32) bool {
	whole := s.max&^0xffffffff | uint64(xid)
	switch {
	case whole > s.max+1<<31 && whole >= 1<<32:
		whole -= 1 << 32
	case whole+1<<31 < s.max:
		whole += 1 << 32
	}
	return whole < s.min || whole < s.max && !slices.Contains(s.running, whole)
}

// replayed calls f for each transaction of the log that the backup does not hold and
// that want, see readLog, asks for.
func replayed(ctx context.Context, dir string, d *Details, aside func(walFrame) error, want func(*Transaction) bool, f func(Transaction) error) (LogSpan, error) {
	seen, err := parseSnapshot(d.Source.Snapshot)
	if err != nil {
		return LogSpan{}, err
	}
	return readLog(ctx, dir, aside, func(x *Transaction) bool { return !seen.sees(x.XID) && want(x) }, f)
}

// planReplay finds out how far the log goes and whether it fits the backup. If whole, it
// must hold the changes of each chosen table.
func planReplay(ctx context.Context, conn *pgx.Conn, req Request, d *Details, chosen []*Table, whole bool) (*Replay, error) {
	base, err := pglogrepl.ParseLSN(d.Source.LSN)
	if err != nil {
		return nil, fmt.Errorf("the position of the backup is not known: %w", err)
	}
	r := &Replay{Log: req.Log}
	tables := map[string]*Table{}
	for _, t := range chosen {
		tables[t.String()] = t
	}
	types := map[columnType]string{}
	stopped, found := false, false
	want := func(x *Transaction) bool {
		found = found || x.XID == req.BeforeXID
		stopped = stopped || req.BeforeXID != 0 && found || req.UntilLSN != 0 && x.Commit >= req.UntilLSN || !req.UntilTime.IsZero() && x.At.After(req.UntilTime)
		return !stopped
	}
	facts := &judge{base: base, d: d, chosen: chosen, whole: whole}
	stand := Schema{Sequences: slices.Clone(d.Schema.Sequences)}
	moved := map[string]SequenceAt{}
	aside := func(f walFrame) error {
		all, err := stand.advance(f)
		for _, at := range all {
			moved[at.Sequence] = at
		}
		if err != nil || stopped {
			return err
		}
		return facts.look(f)
	}
	span, err := replayed(ctx, req.Log, d, aside, want, func(x Transaction) error {
		n := int64(0)
		for _, c := range x.Changes {
			t := tables[c.Table]
			if t == nil {
				continue
			}
			if err := c.fits(ctx, conn, t, types); err != nil {
				return fmt.Errorf("the transaction %d, committed at %v: %w", x.XID, x.Commit, err)
			}
			n++
		}
		if n > 0 {
			r.Transactions, r.Changes, r.Last, r.LastAt = r.Transactions+1, r.Changes+n, x.Commit, x.At
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("the log: %w", err)
	}
	switch {
	case span.From > base:
		return nil, fmt.Errorf("the log holds what happened after %v, and the backup is of %v: %w", span.From, base, ErrGap)
	case span.Until < base:
		return nil, fmt.Errorf("the log ends at %v, before the backup, which is of %v: %w", span.Until, base, ErrGap)
	case req.UntilLSN > span.Until:
		return nil, &recovery.UnprovenError{What: "the log", Err: fmt.Errorf("it is complete up to %v only, not to %v", span.Until, req.UntilLSN)}
	case req.BeforeXID != 0 && !found:
		return nil, &recovery.UnprovenError{What: "the log", Err: fmt.Errorf("it has no transaction %d after the backup", req.BeforeXID)}
	case !req.UntilTime.IsZero() && !stopped:
		return nil, &recovery.UnprovenError{What: "the log", Err: fmt.Errorf("nothing in it is after %v, so that it is not known whether it is complete up to then: leave the time out, for all that it holds", req.UntilTime)}
	}
	if err := facts.verdict(); err != nil {
		return nil, fmt.Errorf("the log: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(moved)) {
		r.Sequences = append(r.Sequences, moved[name])
	}
	return r, nil
}

// fits is nil when the change is one of the table as it was backed up.
func (c *Change) fits(ctx context.Context, conn *pgx.Conn, t *Table, types map[columnType]string) error {
	if !slices.Equal(c.Columns, t.stored()) {
		return &SchemaError{[]string{fmt.Sprintf("%v has the columns %q in the backup and %q then", t, t.stored(), c.Columns)}}
	}
	i := 0
	for _, column := range t.Columns {
		if column.Generated {
			continue
		}
		typ := c.types[i]
		i++
		if typ.oid >= 16384 { // numbered otherwise in another database
			continue
		}
		if types[typ] == "" {
			var text string
			if err := conn.QueryRow(ctx, "SELECT format_type($1::int8::oid, $2)", int64(typ.oid), typ.mod).Scan(&text); err != nil {
				return err
			}
			types[typ] = text
		}
		if types[typ] != column.Type {
			return &SchemaError{[]string{fmt.Sprintf("%v.%s is %s in the backup and %s then", t, column.Name, column.Type, types[typ])}}
		}
	}
	return nil
}

// batchSize is how many changes are sent before their answers are read.
const batchSize = 500

// replay applies the log to the tables that are built, in one transaction.
func (r *restoration) replay(ctx context.Context, conn *pgx.Conn) error {
	// An identity that is always generated refuses the values of the log.
	begin, end := []string{"BEGIN", "SET CONSTRAINTS ALL DEFERRED"}, []string{}
	for _, t := range r.tables {
		for _, c := range t.Columns {
			if c.Identity == "ALWAYS" {
				column := fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET GENERATED ", r.l.place(t.Schema, t.Name), ident(c.Name))
				begin, end = append(begin, column+"BY DEFAULT"), append(end, column+"ALWAYS")
			}
		}
	}
	if err := run(ctx, conn, begin); err != nil {
		return err
	}
	a := &applier{r: r, conn: conn}
	done := Replay{Log: r.p.Replay.Log}
	want := func(x *Transaction) bool { return x.Commit <= r.p.Replay.Last }
	aside := func(f walFrame) error {
		_, err := r.m.Schema.advance(f)
		return err
	}
	_, err := replayed(ctx, r.p.Replay.Log, r.m, aside, want, func(x Transaction) error {
		n := int64(0)
		for i, c := range x.Changes {
			if !r.l.restore[c.Table] {
				continue
			}
			n++
			if err := a.apply(ctx, x, i); err != nil {
				return err
			}
		}
		if n > 0 {
			done.Transactions, done.Changes, done.Last, done.LastAt = done.Transactions+1, done.Changes+n, x.Commit, x.At
		}
		return nil
	})
	if err == nil {
		err = a.flush(ctx)
	}
	if p := r.p.Replay; err == nil && (done.Transactions != p.Transactions || done.Changes != p.Changes || done.Last != p.Last) {
		err = fmt.Errorf("the log gives %+v, and the plan has %+v: %w", done, *r.p.Replay, ErrMoved)
	}
	if err != nil {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
		defer cancel()
		if !conn.IsClosed() {
			_, rollback := conn.Exec(clean, "ROLLBACK")
			err = errors.Join(err, rollback)
		}
		return err
	}
	// Deferred foreign keys are looked at first: a table with checks that are still to
	// be made cannot be altered.
	return run(ctx, conn, append(append([]string{"SET CONSTRAINTS ALL IMMEDIATE"}, end...), "COMMIT"))
}

// applier sends changes in batches.
type applier struct {
	r     *restoration
	conn  *pgx.Conn
	batch pgx.Batch
	what  []string // of each change, for its error
}

func (a *applier) apply(ctx context.Context, x Transaction, i int) error {
	c := &x.Changes[i]
	t := a.r.m.Schema.table(c.Table)
	if c.Kind == "truncate" {
		return a.truncate(ctx, x, i)
	}
	s := &statement{table: t}
	sql, err := s.of(c, a.r.l.place(t.Schema, t.Name))
	if err != nil {
		return fmt.Errorf("transaction %d at %v: %w", x.XID, x.Commit, err)
	}
	a.batch.Queue(sql, s.args...)
	a.what = append(a.what, fmt.Sprintf("%s of a row of %s by transaction %d at %v", c.Kind, c.Table, x.XID, x.Commit))
	if len(a.what) >= batchSize {
		return a.flush(ctx)
	}
	return nil
}

// truncate empties all tables that the transaction empties at this place, at once: they
// may refer to each other.
func (a *applier) truncate(ctx context.Context, x Transaction, i int) error {
	if i > 0 && x.Changes[i-1].Kind == "truncate" && a.r.l.restore[x.Changes[i-1].Table] {
		return nil // with the one before
	}
	var names []string
	for _, c := range x.Changes[i:] {
		if c.Kind != "truncate" {
			break
		}
		if a.r.l.restore[c.Table] {
			names = append(names, a.r.l.table(c.Table))
		}
	}
	if err := a.flush(ctx); err != nil {
		return err
	}
	return run(ctx, a.conn, []string{"TRUNCATE " + strings.Join(names, ", ")})
}

func (a *applier) flush(ctx context.Context) (err error) {
	if len(a.what) == 0 {
		return nil
	}
	results := a.conn.SendBatch(ctx, &a.batch)
	defer func() {
		err = errors.Join(err, results.Close())
		a.batch, a.what = pgx.Batch{}, nil
	}()
	for _, what := range a.what {
		tag, err := results.Exec()
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if tag.RowsAffected() != 1 {
			return fmt.Errorf("%s: %w: it changes %d rows", what, ErrDiffers, tag.RowsAffected())
		}
	}
	return nil
}

// statement is a change as SQL.
type statement struct {
	table *Table
	args  []any
}

// value adds a value and returns its place, read as the type of its column.
func (s *statement) value(column string, v Value) string {
	s.args = append(s.args, v.Text)
	for _, c := range s.table.Columns {
		if c.Name == column {
			return fmt.Sprintf("$%d::text::%s", len(s.args), c.Type)
		}
	}
	return fmt.Sprintf("$%d::text", len(s.args))
}

func (s *statement) of(c *Change, table string) (string, error) {
	switch c.Kind {
	case "insert":
		var values []string
		for i, column := range c.Columns {
			values = append(values, s.value(column, c.New[i]))
		}
		return fmt.Sprintf("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s)", table, columnList(c.Columns), strings.Join(values, ", ")), nil
	case "update":
		var sets []string
		for i, column := range c.Columns {
			if !c.New[i].Same {
				sets = append(sets, ident(column)+" = "+s.value(column, c.New[i]))
			}
		}
		where, err := s.where(c, table)
		return fmt.Sprintf("UPDATE ONLY %s SET %s WHERE %s", table, strings.Join(sets, ", "), where), err
	}
	where, err := s.where(c, table)
	return fmt.Sprintf("DELETE FROM ONLY %s WHERE %s", table, where), err
}

// where finds the row: by its key, or, where all columns tell rows apart, one of those
// that are equal.
func (s *statement) where(c *Change, table string) (string, error) {
	row := c.Old
	if row == nil {
		row = c.New
	}
	full := len(c.Key) == len(c.Columns) && c.Old != nil
	var parts []string
	for i, column := range c.Columns {
		if !slices.Contains(c.Key, column) || full && row[i].Same {
			continue
		}
		switch v := row[i]; {
		case v.Same:
			return "", fmt.Errorf("%s: the log does not have the key of a row", c.Table)
		case full:
			// As texts, since not every type can be compared; through its type, since the
			// log prints a value otherwise than a cast does.
			parts = append(parts, fmt.Sprintf("%s::text IS NOT DISTINCT FROM (%s)::text", ident(column), s.value(column, v)))
		default:
			parts = append(parts, ident(column)+" = "+s.value(column, v))
		}
	}
	if len(parts) == 0 {
		return "", fmt.Errorf("%s: the log does not have the key of a row", c.Table)
	}
	where := strings.Join(parts, " AND ")
	if full {
		where = fmt.Sprintf("ctid = (SELECT ctid FROM ONLY %s WHERE %s LIMIT 1)", table, where)
	}
	return where, nil
}
