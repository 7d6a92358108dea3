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
	"go.opentelemetry.io/otel/codes"

	"github.com/andon-go/andon/recovery"
)

// Backup copies the tables as they are in one snapshot and writes the commit record
// last. What it returns is Complete; Verify makes it count. On an error it removes
// what it stored. It gives way with ErrBlocked to DDL that waits for one of the tables.
func (s *Store) Backup(ctx context.Context, now time.Time) (_ recovery.Backup, err error) {
	ctx, span := s.tracer.Start(ctx, "pgbackup.Backup")
	defer func() {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}()
	if err := ctx.Err(); err != nil {
		return recovery.Backup{}, err
	}
	leader, err := s.connect(ctx)
	if err != nil {
		return recovery.Backup{}, err
	}
	defer func() { err = errors.Join(err, release(ctx, leader)) }()
	if err := exclude(ctx, leader, backupLock); err != nil {
		return recovery.Backup{}, err
	}
	name, err := s.claim(ctx, now)
	if err != nil {
		return recovery.Backup{}, err
	}
	span.SetAttributes(attribute.String("andon.backup", name))
	b, err := s.snapshot(ctx, leader, name, now)
	if err != nil {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return recovery.Backup{}, errors.Join(fmt.Errorf("backup %s: %w", name, err), s.discard(clean, name))
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
func release(ctx context.Context, conn *pgx.Conn) error {
	if !conn.IsClosed() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
		defer cancel()
		// Where this fails the session is lost, and its locks go with it.
		_, _ = conn.Exec(ctx, "ROLLBACK; SELECT pg_advisory_unlock_all()")
	}
	return disconnect(ctx, conn)
}

// claim chooses a name that there is not and marks it as begun.
func (s *Store) claim(ctx context.Context, now time.Time) (string, error) {
	for nth := 1; ; nth++ {
		name := recovery.BackupName(now, nth)
		if !recovery.IsBackupName(name) {
			return "", fmt.Errorf("no backup can be named for %v", now)
		}
		names, err := s.cfg.Storage.List(ctx, name+"/")
		if err != nil {
			return "", err
		}
		if len(names) > 0 {
			continue
		}
		begun := begunRecord{Component: s.cfg.Component, At: now.UTC()}
		if err := putFrame(ctx, s.cfg.Storage, name+"/"+begunObject, begun); err != nil {
			return "", fmt.Errorf("a new backup: %w", err)
		}
		return name, nil
	}
}

// begunRecord is the first object of a backup.
type begunRecord struct {
	Component recovery.Component `json:"component"`
	At        time.Time          `json:"at"`
}

// discard removes a backup, its commit record first, so that a kill on the way leaves
// one that does not count.
func (s *Store) discard(ctx context.Context, name string) error {
	if err := s.cfg.Storage.Delete(ctx, name+"/"+manifestObject); err != nil {
		return err
	}
	names, err := s.cfg.Storage.List(ctx, name+"/")
	if err != nil {
		return err
	}
	slices.Reverse(names) // data before the mark that it was begun
	for _, object := range names {
		if err := s.cfg.Storage.Delete(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// snapshot is a backup that is being written.
type snapshot struct {
	s    *Store
	name string
	id   string // of the exported snapshot
	m    Manifest
	rels map[string]relation

	mu       sync.Mutex // guards what follows
	progress Progress
	told     int64 // bytes of rows at the last call of Config.Progress
	limit    limiter
}

func (s *Store) snapshot(ctx context.Context, leader *pgx.Conn, name string, now time.Time) (recovery.Backup, error) {
	began := time.Now()
	w := &snapshot{s: s, name: name, limit: limiter{rate: s.cfg.Rate}}
	w.m = Manifest{Name: name, Component: s.cfg.Component, At: now.UTC(), Versions: s.cfg.Versions}
	w.progress.Backup = name
	if err := w.open(ctx, leader); err != nil {
		return recovery.Backup{}, err
	}
	if err := w.run(ctx, leader); err != nil {
		return recovery.Backup{}, err
	}
	for _, note := range w.m.Notes {
		s.cfg.Logger.WarnContext(ctx, "backup: "+note, "backup", name)
	}
	w.m.CompletedAt = now.UTC().Add(time.Since(began))
	if err := w.m.validate(); err != nil {
		return recovery.Backup{}, fmt.Errorf("the commit record would make no sense: %w", err)
	}
	if err := putFrame(ctx, s.cfg.Storage, name+"/"+manifestObject, w.m); err != nil {
		return recovery.Backup{}, err
	}
	return s.describe(ctx, name)
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
	src, note := &w.m.Source, ""
	w.m.Notes = nil
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
	w.m.note(note)
	if w.m.Schema, w.rels, err = readSchema(ctx, leader, slices.Sorted(maps.Keys(tables))); err != nil {
		return err
	}
	var large int64
	if err := leader.QueryRow(ctx, "SELECT count(*) FROM pg_largeobject_metadata").Scan(&large); err != nil {
		return err
	}
	if large > 0 {
		w.m.note(fmt.Sprintf("%d large objects are in the database and not in the backup", large))
	}
	return nil
}

func (m *Manifest) note(text string) {
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
	for range min(w.s.cfg.Workers, len(tasks)) {
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

// work is one session in the exported snapshot.
func (w *snapshot) work(ctx context.Context, queue <-chan task) (err error) {
	conn, err := w.s.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, disconnect(ctx, conn)) }()
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

// tasks returns the work, and makes room in the manifest for what it gives.
func (w *snapshot) tasks() []task {
	var tasks []task
	w.m.Data = make([]TableData, 0, len(w.m.Schema.Tables))
	object := 0
	for i := range w.m.Schema.Tables {
		t := &w.m.Schema.Tables[i]
		if t.PartitionKey != "" {
			continue
		}
		rel := w.rels[t.String()]
		w.progress.Total += rel.bytes
		w.m.Data = append(w.m.Data, TableData{Table: t.String(), Columns: t.stored()})
		d := &w.m.Data[len(w.m.Data)-1]
		d.Chunks = w.split(rel)
		for j := range d.Chunks {
			object++
			c := &d.Chunks[j]
			c.Name = fmt.Sprintf("%s%06d.zst", dataPrefix, object)
			cost := min(rel.bytes-c.From*blockSize, w.s.cfg.ChunkBytes)
			tasks = append(tasks, task{cost, func(ctx context.Context, conn *pgx.Conn) error { return w.chunk(ctx, conn, d, c, cost) }})
		}
	}
	// Totals scan a table each, and pg_dump starts a process: among the first.
	tasks = append(tasks, task{w.s.cfg.ChunkBytes, w.dumpSchema})
	for _, sum := range w.s.cfg.Sums {
		tasks = append(tasks, task{w.s.cfg.ChunkBytes, func(ctx context.Context, conn *pgx.Conn) error { return w.sum(ctx, conn, sum) }})
	}
	return tasks
}

// blockSize is that of PostgreSQL's pages wherever it was not compiled otherwise. It
// decides only how large a chunk is.
const blockSize = 8192

// split cuts a table into ranges of pages. The last one has no end.
func (w *snapshot) split(rel relation) []Chunk {
	pages := max(rel.bytes/blockSize, 1)
	per := w.s.cfg.ChunkBytes / blockSize
	if !rel.heap { // no scan of a range of pages
		per = pages
	}
	var chunks []Chunk
	for from := int64(0); from < pages; from += per {
		chunks = append(chunks, Chunk{From: from, Until: from + per})
	}
	chunks[len(chunks)-1].Until = -1
	return chunks
}

// sum takes one of the totals of Config.Sums.
func (w *snapshot) sum(ctx context.Context, conn *pgx.Conn, sum Sum) error {
	totals, err := readTotals(ctx, conn, sum, quoted([]string{sum.Table})[0])
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.m.Sums = append(w.m.Sums, totals...)
	slices.SortStableFunc(w.m.Sums, func(a, b Total) int {
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
