package pgbackup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/attribute"

	"github.com/andon-go/andon/recovery"
)

// Restored is what a restore did.
type Restored struct {
	Plan string
	Rows int64 // restored

	// Kept are the schemas with the rows that were replaced; DropKept drops them.
	Kept []string

	// Unchanged says that the plan had been applied before, and nothing was done.
	Unchanged bool

	// Notes name what was put right on the way, such as a sequence that stood
	// behind its column already in the backup.
	Notes []string

	Load, Index, Check, Swap time.Duration // how long each part took
}

// Restore applies a plan. It builds the tables in schemas of its own while the live
// ones are in use, compares them with the backup, and swaps them in one transaction,
// while Config.Idle says that nobody writes. Until that is committed nothing that was
// there has changed. A plan whose facts have moved is ErrMoved; one that was applied
// already changes nothing. After a crash apply the plan again.
func (s *Store) Restore(ctx context.Context, p Plan, who, why string, now time.Time) (_ Restored, err error) {
	ctx, span := s.tracer.Start(ctx, "pgbackup.Restore")
	defer func() { endSpan(span, err) }()
	span.SetAttributes(attribute.String("andon.backup", p.Backup), attribute.String("andon.plan", p.short()))
	r, err := s.restore(ctx, p, who, why, now)
	if err != nil {
		return Restored{}, fmt.Errorf("restoring %s: %w", p.Backup, err)
	}
	return r, nil
}

func (s *Store) restore(ctx context.Context, p Plan, who, why string, now time.Time) (done Restored, err error) {
	began := time.Now()
	if err := p.check(); err != nil {
		return done, err
	}
	if who == "" || why == "" {
		return done, errors.New("a restore needs a person and a reason")
	}
	src, err := s.counts(ctx, p.Backup)
	if err != nil {
		return done, err
	}
	if src.sum != p.Manifest {
		return done, fmt.Errorf("the backup is another one: %w", ErrMoved)
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return done, err
	}
	defer release(ctx, conn)
	if err := exclude(ctx, conn, restoreLock); err != nil {
		return done, err
	}
	r, err := s.newRestoration(p, src)
	if err != nil {
		return done, err
	}
	if applied, err := r.applied(ctx, conn); applied || err != nil {
		return r.done, err
	}
	if err := r.mayBegin(ctx, conn); err != nil {
		return done, err
	}
	if err := s.record(ctx, now, who, "restore of "+p.Backup+", plan "+p.short(), why); err != nil {
		return done, err
	}
	err = r.build(ctx, conn)
	if err == nil {
		err = r.swapIn(ctx, conn)
	}
	if err != nil {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if !conn.IsClosed() { // else the next try clears it away
			err = errors.Join(err, r.dropScratch(clean, conn))
		}
		return done, err
	}
	took := time.Since(began)
	err = s.record(ctx, now.Add(took), who, fmt.Sprintf("restored %s, plan %s: %d rows", p.Backup, p.short(), r.done.Rows), why)
	if err == nil {
		err = s.cfg.Repository.Restored(ctx, p.Backup, now.Add(took), took)
	}
	if err != nil { // it is done, and is said to be
		s.cfg.Logger.ErrorContext(ctx, "the restore is done, and that could not be kept", "plan", p.short(), "error", err)
		r.done.Notes = append(r.done.Notes, "that it was done could not be kept: "+err.Error())
	}
	return r.done, nil
}

// record puts something on the timeline, or is recovery.ErrNotRecorded.
func (s *Store) record(ctx context.Context, at time.Time, who, what, why string) error {
	if s.cfg.Recorder == nil {
		return fmt.Errorf("there is no Recorder: %w", recovery.ErrNotRecorded)
	}
	if err := s.cfg.Recorder.Record(ctx, at, who, what, why); err != nil {
		return errors.Join(recovery.ErrNotRecorded, err)
	}
	return nil
}

// restoration is a plan that is being applied.
type restoration struct {
	s       *Store
	p       Plan
	from    source
	m       *Details
	tables  []*Table
	l       *layout
	schemas []string // of the tables
	done    Restored

	mu     sync.Mutex
	loaded map[string]*rowsDigest // of what was read from the backup, by table
}

func (s *Store) newRestoration(p Plan, from source) (*restoration, error) {
	m := &from.d
	r := &restoration{s: s, p: p, from: from, m: m, loaded: map[string]*rowsDigest{}}
	r.l = &layout{schema: &m.Schema, restore: map[string]bool{}, scratch: map[string]string{}}
	r.done.Plan = p.ID
	for _, t := range p.Tables {
		table := m.Schema.table(t.Table)
		if table == nil {
			return nil, fmt.Errorf("%s is not in the backup: %w", t.Table, ErrMoved)
		}
		r.tables = append(r.tables, table)
		r.l.restore[t.Table] = true
		if r.l.scratch[table.Schema] == "" {
			r.schemas = append(r.schemas, table.Schema)
			r.l.scratch[table.Schema] = scratchPrefix + p.short() + "_" + table.Schema
		}
		if len(r.l.scratch[table.Schema]) > 63 {
			return nil, &UnsupportedError{t.Table, []string{"the long name of its schema"}, "rename the schema"}
		}
	}
	for _, t := range p.Gone {
		schema, _, _ := strings.Cut(t.Table, ".")
		if !slices.Contains(r.schemas, schema) {
			r.schemas = append(r.schemas, schema)
			r.l.scratch[schema] = scratchPrefix + p.short() + "_" + schema
		}
	}
	return r, nil
}

// applied reports whether the plan was applied before. Its mark is made in the
// transaction that swaps the tables.
func (r *restoration) applied(ctx context.Context, conn *pgx.Conn) (bool, error) {
	var names []string
	for _, schema := range r.schemas {
		names = append(names, r.p.Kept(schema))
	}
	rows, err := conn.Query(ctx, `SELECT nspname FROM pg_namespace WHERE nspname = ANY ($1::text[]) AND obj_description(oid, 'pg_namespace') LIKE $2 ORDER BY 1`,
		names, "%"+r.p.ID+"%")
	if err != nil {
		return false, err
	}
	kept, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(kept) == 0 {
		return false, err
	}
	r.done.Kept, r.done.Unchanged = kept, true
	return true, nil
}

// mayBegin refuses what could not be swapped in the end.
func (r *restoration) mayBegin(ctx context.Context, conn *pgx.Conn) error {
	if err := r.idle(ctx); err != nil {
		return err
	}
	var id, database string
	id, _, _, _, err := readSystem(ctx, conn)
	if err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, "SELECT current_database()").Scan(&database); err != nil {
		return err
	}
	if id != r.p.SystemID || database != r.p.Database {
		return fmt.Errorf("the plan is for database %s of cluster %s: %w", r.p.Database, r.p.SystemID, ErrMoved)
	}
	_, err = r.unmoved(ctx, conn)
	return err
}

// idle is nil when nothing is live, or when nobody writes to what is.
func (r *restoration) idle(ctx context.Context) error {
	if !slices.ContainsFunc(r.p.Tables, func(t TablePlan) bool { return t.Live != nil }) {
		return nil
	}
	return r.s.idle(ctx)
}

func (s *Store) idle(ctx context.Context) error {
	if s.cfg.Idle == nil {
		return fmt.Errorf("%w: nothing shows that writes are held (Config.Idle)", ErrLive)
	}
	if err := s.cfg.Idle(ctx); err != nil {
		return errors.Join(ErrLive, err)
	}
	return nil
}

// unmoved compares the live tables with the facts of the plan.
func (r *restoration) unmoved(ctx context.Context, conn *pgx.Conn) (*liveTables, error) {
	l, err := readLive(ctx, conn, r.tables)
	if err != nil {
		return nil, err
	}
	known := len(r.p.Gone)
	for _, t := range slices.Concat(r.p.Tables, r.p.Gone) {
		live, err := l.look(ctx, conn, t.Table)
		if err != nil {
			return nil, err
		}
		switch {
		case live == nil && t.Live == nil:
			continue
		case live == nil || t.Live == nil || *live != *t.Live:
			return nil, fmt.Errorf("%s is not as it was: %w", t.Table, ErrMoved)
		}
	}
	for _, t := range r.p.Tables {
		if t.Live != nil {
			known++
		}
	}
	if len(l.schema.Tables) != known {
		return nil, fmt.Errorf("there is a partition that the plan does not know: %w", ErrMoved)
	}
	return l, l.refuse(ctx, conn)
}

// build makes the new tables in the scratch schemas and compares them with the backup.
func (r *restoration) build(ctx context.Context, conn *pgx.Conn) error {
	if err := r.dropScratch(ctx, conn); err != nil { // of an interrupted try
		return err
	}
	if err := r.create(ctx, conn); err != nil {
		return err
	}
	at := time.Now()
	lap := func(d *time.Duration) {
		*d = time.Since(at)
		at = time.Now()
	}
	if err := r.load(ctx); err != nil {
		return err
	}
	lap(&r.done.Load)
	if err := r.finish(ctx, conn); err != nil {
		return err
	}
	lap(&r.done.Index)
	if err := r.compare(ctx, conn); err != nil {
		return err
	}
	lap(&r.done.Check)
	return nil
}

func (r *restoration) dropScratch(ctx context.Context, conn *pgx.Conn) error {
	for _, schema := range r.schemas {
		if _, err := conn.Exec(ctx, "DROP SCHEMA IF EXISTS "+ident(r.l.scratch[schema])+" CASCADE"); err != nil {
			return err
		}
	}
	return nil
}

// run runs statements in order, each by itself; an error names its statement.
func run(ctx context.Context, conn *pgx.Conn, statements []string) error {
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// create makes what the tables stand on, where it is missing, and the empty tables.
func (r *restoration) create(ctx context.Context, conn *pgx.Conn) error {
	for _, schema := range r.schemas {
		if err := run(ctx, conn, []string{
			"CREATE SCHEMA IF NOT EXISTS " + ident(schema),
			"CREATE SCHEMA " + ident(r.l.scratch[schema]),
			"COMMENT ON SCHEMA " + ident(r.l.scratch[schema]) + " IS 'tables that andon restores: they are dropped or swapped in when it is done'",
		}); err != nil {
			return err
		}
	}
	for _, e := range r.m.Schema.Enums {
		if err := e.ensure(ctx, conn); err != nil {
			return err
		}
	}
	for i := range r.m.Schema.Sequences {
		q := &r.m.Schema.Sequences[i]
		if r.l.restore[q.Table] || !r.uses(q) {
			continue
		}
		if err := q.ensure(ctx, conn); err != nil {
			return err
		}
	}
	for _, t := range r.tables {
		sql, err := r.l.create(t)
		if err != nil {
			return err
		}
		if err := run(ctx, conn, sql); err != nil {
			return err
		}
	}
	return nil
}

// uses reports whether a restored table draws from a sequence that is not its own.
func (r *restoration) uses(q *Sequence) bool {
	return slices.ContainsFunc(r.tables, func(t *Table) bool {
		return slices.ContainsFunc(t.Columns, func(c Column) bool { return c.Sequence == q.String() })
	})
}

// ensure makes the type where it is missing. One that lacks a label that rows may have
// is an error.
func (e Enum) ensure(ctx context.Context, conn *pgx.Conn) error {
	var labels []string
	if err := conn.QueryRow(ctx, `SELECT coalesce(array_agg(l.enumlabel::text ORDER BY l.enumsortorder), '{}') FROM pg_enum l JOIN pg_type t ON t.oid = l.enumtypid
		JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = $1 AND t.typname = $2`, e.Schema, e.Name).Scan(&labels); err != nil {
		return err
	}
	if len(labels) > 0 {
		for _, label := range e.Labels {
			if !slices.Contains(labels, label) {
				return fmt.Errorf("type %s.%s has no label %q, which the backup has: %w", e.Schema, e.Name, label, ErrSchema)
			}
		}
		return nil
	}
	quoted := make([]string, len(e.Labels))
	for i, label := range e.Labels {
		quoted[i] = literal(label)
	}
	return run(ctx, conn, []string{
		"CREATE SCHEMA IF NOT EXISTS " + ident(e.Schema),
		fmt.Sprintf("CREATE TYPE %s AS ENUM (%s)", ident(e.Schema, e.Name), strings.Join(quoted, ", ")),
	})
}

// ensure makes a sequence that stands by itself, where it is missing.
func (s *Sequence) ensure(ctx context.Context, conn *pgx.Conn) error {
	return run(ctx, conn, append([]string{
		"CREATE SCHEMA IF NOT EXISTS " + ident(s.Schema),
		fmt.Sprintf("CREATE SEQUENCE IF NOT EXISTS %s AS %s %s", ident(s.Schema, s.Name), s.Type, s.options()),
	}, rights("SEQUENCE", ident(s.Schema, s.Name), "", s.Grants)...))
}

// workers shares work among sessions that are set for it, the largest first.
func (r *restoration) workers(ctx context.Context, tasks []task) error {
	slices.SortStableFunc(tasks, func(a, b task) int { return cmp.Compare(b.cost, a.cost) })
	queue := make(chan task, len(tasks))
	for _, t := range tasks {
		queue <- t
	}
	close(queue)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for range min(r.s.cfg.Workers, len(tasks)) {
		wg.Go(func() {
			if err := r.work(ctx, queue); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (r *restoration) work(ctx context.Context, queue <-chan task) (err error) {
	conn, err := r.s.connect(ctx)
	if err != nil {
		return err
	}
	defer disconnect(ctx, conn)
	// What is lost with the server is built again; the swap is flushed, and all before it.
	// Nobody else uses the scratch tables: whom these sessions wait for is each other,
	// and that may take as long as an index.
	if _, err := conn.Exec(ctx, "SET synchronous_commit = off; SET maintenance_work_mem = '256MB'; SET lock_timeout = 0"); err != nil {
		return err
	}
	for t := range queue {
		if err := t.do(ctx, conn); err != nil {
			return err
		}
	}
	return nil
}

// load copies the rows into the empty tables.
func (r *restoration) load(ctx context.Context) error {
	var tasks []task
	for _, t := range r.tables {
		d, ok := r.m.data(t.String())
		if !ok {
			continue
		}
		sql := fmt.Sprintf("COPY %s (%s) FROM STDIN (FORMAT binary)", r.l.place(t.Schema, t.Name), columnList(d.Columns))
		if len(d.Columns) == 0 {
			sql = fmt.Sprintf("COPY %s FROM STDIN (FORMAT binary)", r.l.place(t.Schema, t.Name))
		}
		r.loaded[t.String()] = &rowsDigest{}
		for _, piece := range d.Pieces {
			tasks = append(tasks, task{piece.Bytes, func(ctx context.Context, conn *pgx.Conn) error {
				got, err := loadPiece(ctx, conn, r.from, t, piece, sql)
				if err != nil {
					return fmt.Errorf("%v: %w", t, err)
				}
				r.mu.Lock()
				defer r.mu.Unlock()
				r.loaded[t.String()].merge(got)
				return nil
			}})
		}
		r.done.Rows += d.Rows
	}
	return r.workers(ctx, tasks)
}

// loadPiece copies the rows of one part, and returns their digest.
func loadPiece(ctx context.Context, conn *pgx.Conn, from source, t *Table, piece Piece, sql string) (d rowsDigest, err error) {
	part, err := from.Open(ctx, piece.Part)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, part.Close()) }()
	rows, err := newCheckedRows(part, t)
	if err != nil {
		return d, err
	}
	given := &supply{from: rows}
	tag, err := conn.PgConn().CopyFrom(ctx, given, sql)
	if failed := given.end(); failed != nil {
		return d, failed // the server only repeats it
	}
	if err != nil {
		return d, err
	}
	if d = rows.digest.rowsDigest; d.rows != piece.Rows || tag.RowsAffected() != piece.Rows {
		return d, fmt.Errorf("part %q holds %d rows instead of %d, and the server took %d: %w", piece.Part, d.rows, piece.Rows, tag.RowsAffected(), ErrDiffers)
	}
	return d, nil
}

// finish adds keys and indexes, then what stands on them, and collects statistics.
func (r *restoration) finish(ctx context.Context, conn *pgx.Conn) error {
	var indexes, keys, analyze []task
	var dress []string
	for _, t := range r.tables {
		d, _ := r.m.data(t.String())
		add := func(to *[]task, sql ...string) {
			*to = append(*to, task{d.Bytes, func(ctx context.Context, conn *pgx.Conn) error { return run(ctx, conn, sql) }})
		}
		for _, sql := range r.l.indexes(t) {
			add(&indexes, sql)
		}
		if sql := r.l.keys(t); len(sql) > 0 {
			add(&keys, sql...)
		}
		if t.PartitionKey == "" {
			add(&analyze, "ANALYZE "+r.l.place(t.Schema, t.Name))
		}
		dress = append(dress, r.l.dress(t)...)
	}
	if err := r.workers(ctx, indexes); err != nil {
		return err
	}
	// Of an empty partitioned table no key can be made before those of its parts are
	// there to be attached; each is made by itself, so that the order is free.
	if err := r.workers(ctx, keys); err != nil {
		return err
	}
	if err := run(ctx, conn, dress); err != nil {
		return err
	}
	return r.workers(ctx, analyze)
}

// foreignKeys adds them, which proves that they hold.
func (r *restoration) foreignKeys(ctx context.Context, conn *pgx.Conn) error {
	for _, t := range r.tables {
		sql, err := r.l.foreignKeys(t)
		if err != nil {
			return err
		}
		if err := run(ctx, conn, sql); err != nil {
			return fmt.Errorf("a foreign key of the backup does not hold: %w", err)
		}
	}
	return nil
}

// commit commits, or says that it is not known whether it did.
func commit(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "COMMIT")
	if err == nil {
		return nil
	}
	if _, refused := errors.AsType[*pgconn.PgError](err); refused && !conn.IsClosed() {
		return err
	}
	return errors.Join(ErrOutcomeUnknown, err)
}
