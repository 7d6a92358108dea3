package pgbackup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/attribute"

	"github.com/andon-go/andon/recovery"
)

// Backup copies the tables as they are in one snapshot and writes the commit record
// last. What it returns is Complete; Verify makes it count. On an error it removes
// what it stored. It gives way with ErrBlocked to DDL that waits for one of the tables.
func (s *Store) Backup(ctx context.Context, now time.Time) (_ recovery.Backup, err error) {
	ctx, span := s.tracer.Start(ctx, "pgbackup.Backup")
	defer func() { endSpan(span, err) }()
	if err := ctx.Err(); err != nil {
		return recovery.Backup{}, err
	}
	leader, err := s.connect(ctx)
	if err != nil {
		return recovery.Backup{}, err
	}
	defer release(ctx, leader)
	if err := exclude(ctx, leader, backupLock); err != nil {
		return recovery.Backup{}, err
	}
	draft, err := s.cfg.Repository.Begin(ctx, now)
	if err != nil {
		return recovery.Backup{}, err
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, draft.Discard(clean)) // nothing, once it is committed
	}()
	span.SetAttributes(attribute.String("andon.backup", draft.Name()))
	b, err := s.snapshot(ctx, leader, draft)
	if err != nil {
		return recovery.Backup{}, fmt.Errorf("backup %s: %w", draft.Name(), err)
	}
	return b, nil
}

// Advisory locks of the database: of backups, and of what changes tables.
const (
	backupLock  = 0x616e646f6e000001
	restoreLock = 0x616e646f6e000002
)

// exclude takes a lock for as long as the session lasts, or is ErrBusy.
func exclude(ctx context.Context, conn *pgx.Conn, key int64) error {
	var ok bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", key).Scan(&ok); err != nil {
		return err
	}
	if !ok {
		return ErrBusy
	}
	return nil
}

// release ends a session that may hold such a lock. It waits until the server has let
// go of it, so that the next call finds it free.
func release(ctx context.Context, conn *pgx.Conn) {
	if !conn.IsClosed() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
		defer cancel()
		// Where this fails the session is lost, and its locks go with it.
		_, _ = conn.Exec(ctx, "ROLLBACK; SELECT pg_advisory_unlock_all()")
	}
	disconnect(ctx, conn)
}

// snapshot is a backup that is being written.
type snapshot struct {
	s     *Store
	draft *recovery.Draft
	id    string // of the exported snapshot
	rels  map[string]relation
	limit limiter

	mu sync.Mutex // guards d while workers run
	d  Details
}

func (s *Store) snapshot(ctx context.Context, leader *pgx.Conn, draft *recovery.Draft) (recovery.Backup, error) {
	w := &snapshot{s: s, draft: draft, limit: limiter{rate: s.cfg.Rate}}
	if err := w.open(ctx, leader); err != nil {
		return recovery.Backup{}, err
	}
	if err := w.run(ctx, leader); err != nil {
		return recovery.Backup{}, err
	}
	for _, note := range w.d.Notes {
		s.cfg.Logger.WarnContext(ctx, "backup: "+note, "backup", draft.Name())
	}
	draft.Versions(map[string]string{"postgresql": w.d.Source.Version})
	return draft.Commit(ctx, w.d)
}

// open locks the tables, exports a snapshot of them as they are then, and reads what
// they are. From here on nobody can alter them.
func (w *snapshot) open(ctx context.Context, leader *pgx.Conn) error {
	for try := 0; ; try++ {
		err := w.tryOpen(ctx, leader)
		pgErr, isPg := errors.AsType[*pgconn.PgError](err)
		switch {
		case err == nil:
			return nil
		case lockTimedOut(err):
			return &BlockedError{Err: err}
		case try < 3 && (errors.Is(err, errTableGone) || isPg && (pgErr.Code == "42P01" || pgErr.Code == "3F000")):
			// A table that was listed was dropped before it was locked.
		default:
			return err
		}
		if _, err := leader.Exec(ctx, "ROLLBACK"); err != nil {
			return err
		}
	}
}

// lockTimedOut reports whether a lock was waited for as long as Config.LockTimeout.
func lockTimedOut(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == "55P03"
}

func (w *snapshot) tryOpen(ctx context.Context, leader *pgx.Conn) (err error) {
	src := &w.d.Source
	w.d.Notes = nil
	id, timeline, lsn, note, err := readSystem(ctx, leader)
	if err != nil {
		return err
	}
	tables, err := listTables(ctx, leader, w.s.cfg.Tables)
	if err != nil {
		return err
	}
	if len(tables) == 0 {
		return ErrNothing
	}
	if _, err := leader.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return err
	}
	// LOCK takes no snapshot: that is taken afterwards, when nobody can alter them.
	if _, err := leader.Exec(ctx, "LOCK TABLE ONLY "+strings.Join(quoted(slices.Collect(maps.Values(tables))), ", ONLY ")+" IN ACCESS SHARE MODE"); err != nil {
		return err
	}
	if err := leader.QueryRow(ctx, "SELECT pg_export_snapshot()").Scan(&w.id); err != nil {
		return err
	}
	if *src, err = readSource(ctx, leader); err != nil {
		return err
	}
	if src.Number < 140000 {
		return fmt.Errorf("PostgreSQL %s: %w: 14 is the oldest", src.Version, ErrUnsupported)
	}
	src.SystemID, src.Timeline, src.LSN = id, timeline, lsn
	w.d.note(note)
	if w.d.Schema, w.rels, err = readSchema(ctx, leader, slices.Sorted(maps.Keys(tables))); err != nil {
		return err
	}
	var large int64
	if err := leader.QueryRow(ctx, "SELECT count(*) FROM pg_largeobject_metadata").Scan(&large); err != nil {
		return err
	}
	if large > 0 {
		w.d.note(fmt.Sprintf("%d large objects are in the database and not in the backup", large))
	}
	return nil
}

func (m *Details) note(text string) {
	if text != "" {
		m.Notes = append(m.Notes, text)
	}
}

// quoted quotes names of the form schema.table.
func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		schema, table, _ := strings.Cut(name, ".")
		out[i] = ident(schema, table)
	}
	slices.Sort(out)
	return out
}

// task is one piece of work for a worker's session.
type task struct {
	cost int64
	do   func(ctx context.Context, conn *pgx.Conn) error
}

// run shares the work among the sessions, largest first, while the leader looks out
// for those that wait behind it.
func (w *snapshot) run(ctx context.Context, leader *pgx.Conn) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tasks := w.tasks()
	slices.SortStableFunc(tasks, func(a, b task) int { return cmp.Compare(b.cost, a.cost) })
	queue := make(chan task, len(tasks))
	for _, t := range tasks {
		queue <- t
	}
	close(queue)
	var wg sync.WaitGroup
	for range min(w.workers(), len(tasks)) {
		wg.Go(func() {
			if err := w.work(ctx, queue); err != nil {
				cancel(err)
			}
		})
	}
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		if err := w.giveWay(ctx, leader, done); err != nil {
			cancel(err)
		}
	})
	wg.Wait()
	close(done)
	watch.Wait()
	return context.Cause(ctx)
}

// keeps is a rate, in bytes per second, that one session keeps easily.
const keeps = 64 << 20

// workers returns how many sessions share the work. Where the rate is bounded there are
// no more than it needs: of two that sleep in turn each wakes to a burst, and two
// bursts at once leave the bot's statements, and its goroutines, no processor.
func (w *snapshot) workers() int {
	if w.s.cfg.Rate == 0 {
		return w.s.cfg.Workers
	}
	return int(min(int64(w.s.cfg.Workers), (w.s.cfg.Rate+keeps-1)/keeps))
}

// work is one session in the exported snapshot.
func (w *snapshot) work(ctx context.Context, queue <-chan task) (err error) {
	conn, err := w.s.connect(ctx)
	if err != nil {
		return err
	}
	defer disconnect(ctx, conn)
	if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "SET TRANSACTION SNAPSHOT '"+w.id+"'"); err != nil {
		return fmt.Errorf("sharing the snapshot: %w", err)
	}
	for t := range queue {
		err := t.do(ctx, conn)
		if lockTimedOut(err) { // behind DDL that waits for the leader's lock
			return &BlockedError{Err: err}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tasks returns the work, and makes room in the details for what it gives.
func (w *snapshot) tasks() []task {
	var tasks []task
	var rows int64
	w.d.Data = make([]TableData, 0, len(w.d.Schema.Tables))
	for i := range w.d.Schema.Tables {
		t := &w.d.Schema.Tables[i]
		if t.PartitionKey != "" {
			continue
		}
		rel := w.rels[t.String()]
		rows += rel.rows
		w.d.Data = append(w.d.Data, TableData{Table: t.String(), OID: w.rels[t.String()].oid, Columns: t.stored()})
		d := &w.d.Data[len(w.d.Data)-1]
		d.Pieces = w.split(t.String(), rel)
		for j := range d.Pieces {
			p := &d.Pieces[j]
			cost := rel.bytes - p.From*blockSize
			if p.Until >= 0 {
				cost = (p.Until - p.From) * blockSize
			}
			tasks = append(tasks, task{cost, func(ctx context.Context, conn *pgx.Conn) error { return w.piece(ctx, conn, d, p) }})
		}
	}
	w.draft.Expect(0, rows)
	// Totals scan a table each, and pg_dump starts a process: among the first.
	tasks = append(tasks, task{w.s.cfg.PieceBytes, w.dumpSchema})
	for _, sum := range w.s.cfg.Sums {
		tasks = append(tasks, task{w.s.cfg.PieceBytes, func(ctx context.Context, conn *pgx.Conn) error { return w.sum(ctx, conn, sum) }})
	}
	return tasks
}

// blockSize is that of PostgreSQL's pages wherever it was not compiled otherwise. It
// decides only how large a piece is.
const blockSize = 8192

// split cuts a table into ranges of pages. The last one has no end. Towards the end
// they become smaller, down to an eighth, so that the workers end together.
func (w *snapshot) split(table string, rel relation) []Piece {
	pages := max(rel.bytes/blockSize, 1)
	most := w.s.cfg.PieceBytes / blockSize
	if !rel.heap { // no scan of a range of pages
		most = pages
	}
	var pieces []Piece
	for from := int64(0); from < pages; {
		per := most
		if rel.heap {
			per = max(min(most, (pages-from)/int64(2*w.s.cfg.Workers)), most/8)
		}
		pieces = append(pieces, Piece{Part: fmt.Sprintf("%s/%06d", table, len(pieces)+1), From: from, Until: from + per})
		from += per
	}
	pieces[len(pieces)-1].Until = -1
	return pieces
}

// sum takes one of the totals of Config.Sums.
func (w *snapshot) sum(ctx context.Context, conn *pgx.Conn, sum Sum) error {
	totals, err := readTotals(ctx, conn, sum, quoted([]string{sum.Table})[0])
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.d.Sums = append(w.d.Sums, totals...)
	slices.SortStableFunc(w.d.Sums, func(a, b Total) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.By, b.By), cmp.Compare(a.Of, b.Of))
	})
	return nil
}

// readTotals reads a sum from a table, named as in SQL: the one of the sum or a copy.
func readTotals(ctx context.Context, conn *pgx.Conn, sum Sum, table string) ([]Total, error) {
	rows, err := conn.Query(ctx, fmt.Sprintf(`SELECT coalesce(%[1]s::text, ''), %[1]s IS NULL, count(*), coalesce(sum(%[2]s)::text, '') FROM %[3]s GROUP BY %[1]s ORDER BY 2, 1`,
		ident(sum.By), ident(sum.Of), table))
	if err != nil {
		return nil, fmt.Errorf("sum of %s by %s: %w", sum.Of, sum.By, err)
	}
	var totals []Total
	t := Total{Sum: sum}
	if _, err := pgx.ForEachRow(rows, []any{&t.Group, &t.Null, &t.Rows, &t.Total}, func() error {
		totals = append(totals, t)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("sum of %s by %s of %s: %w", sum.Of, sum.By, sum.Table, err)
	}
	return totals, nil
}

// giveWay ends the backup when somebody waits for a lock that the backup is in the way
// of: all readers queue behind such a one, and the bot's with them.
func (w *snapshot) giveWay(ctx context.Context, leader *pgx.Conn, done <-chan struct{}) error {
	patience := w.s.cfg.LockTimeout
	tick := time.NewTicker(max(patience/4, 20*time.Millisecond))
	defer tick.Stop()
	var oids []int64
	for _, rel := range w.rels {
		oids = append(oids, rel.oid)
	}
	since := map[int]time.Time{}
	for {
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return nil // somebody else's error
		case <-tick.C:
		}
		waiting, err := waiters(ctx, leader, oids)
		if err != nil {
			return fmt.Errorf("looking out for who waits: %w", err)
		}
		for pid := range since {
			if _, still := waiting[pid]; !still {
				delete(since, pid)
			}
		}
		for pid, table := range waiting {
			if first, known := since[pid]; !known {
				since[pid] = time.Now()
			} else if time.Since(first) >= patience {
				return &BlockedError{Table: table, PID: pid}
			}
		}
	}
}

// waiters returns who waits for a lock that no reader can hold beside.
func waiters(ctx context.Context, conn *pgx.Conn, oids []int64) (map[int]string, error) {
	rows, err := conn.Query(ctx, `SELECT l.pid, l.relation::regclass::text FROM pg_locks l
		WHERE NOT l.granted AND l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.relation::int8 = ANY ($1::int8[])
			AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`, oids)
	if err != nil {
		return nil, err
	}
	waiting := map[int]string{}
	var pid int
	var table string
	_, err = pgx.ForEachRow(rows, []any{&pid, &table}, func() error {
		waiting[pid] = table
		return nil
	})
	return waiting, err
}
