// Package pgbackup backs up the bot's tables in PostgreSQL and brings them back: whole,
// or the rows of one table, each time as a plan. It needs no external program.
//
// # Promise
//
//   - A backup is of one moment, while everybody goes on writing. It is listed as good
//     only once every byte of it was read back (law 8).
//   - A backup never makes others wait: it takes the weakest lock, waits for it no longer
//     than Config.LockTimeout, and gives way to DDL that waits behind it.
//   - What could not be brought back is refused by name when it is backed up, and what
//     hangs on a live table and would be lost is refused by name when a restore is planned.
//   - A restore builds the tables beside the live ones, with keys, indexes, foreign keys,
//     sequences and defaults, compares every row with the backup, tries an insert, and then
//     swaps all of them in one transaction: what is there is the old tables or the new
//     ones. What was replaced is kept until a person drops it (law 9).
//   - What a stream has acknowledged to the server is on disk. Changes that were lost are
//     said to be, and no restore goes over the gap.
//   - A live table is replaced only while Config.Idle says that nobody writes, and only if
//     nobody wrote since the plan was made.
//
// # Usage
//
//	conn, err := pgx.ParseConfig(url)
//	storage, err := recovery.NewDirStorage("/backups/postgres")
//	repository, err := recovery.NewRepository(recovery.RepositoryConfig{Component: recovery.PositionDatabase, Storage: storage})
//	store, err := pgbackup.New(pgbackup.Config{
//		Conn:       conn,
//		Repository: repository,
//		Recorder:   timeline,
//		Idle:       writesAreHeld, // such as: safety.Switch.CheckWrite gives an error
//		Sums:       []pgbackup.Sum{{Table: "positions", By: "symbol", Of: "quantity"}},
//	})
//	b, err := store.Backup(ctx, time.Now())
//	b, err = store.Verify(ctx, b.Name, time.Now())
//
//	plan, err := store.PlanRestore(ctx, pgbackup.Request{Tables: []string{"positions"}}, time.Now())
//	fmt.Print(plan)                                      // a person reads it
//	done, err := store.Restore(ctx, plan, "alice", "INC-7: rows ruined", time.Now())
//	err = store.DropKept(ctx, done.Kept[0], "alice", "INC-7 is closed", time.Now())
//
// A Store is a recovery.Target, so that a recovery.Catalog schedules it and judges it.
// A restore into another database or server is one of a second Store over the same
// Repository. A database that lacks the functions and types on which the tables stand
// gets them first, from SchemaSQL; the empty tables that this makes are then replaced.
//
// A [Stream] keeps every change that is committed between backups in a log on disk; with
// it a restore goes to any moment: to the newest, to a time, to a position of the WAL, or
// to just before a named transaction.
//
//	stream, err := pgbackup.NewStream(pgbackup.StreamConfig{Conn: conn, Dir: "/backups/wal", Tables: []string{"positions", "trades"}, OnAlarm: page})
//	go func() { ended <- stream.Run(ctx) }()
//	plan, err := store.PlanRestore(ctx, pgbackup.Request{Log: "/backups/wal", BeforeXID: 4711}, time.Now())
//
// The log grows until Store.PruneLog removes what no verified backup needs any more.
//
// A few rows are repaired in a table that is in use: PlanRepair compares it with a backup,
// and Repair changes the rows that differ, in one transaction. PlanUndo and Undo do so with
// the rows of one transaction, by a backup and the log, and leave what came later; rows
// that were changed since are listed as conflicts and stay.
//
// # What is in a backup
//
//	rows              of ordinary tables and partitions, as COPY's binary format
//	definitions       columns, defaults, identity, generated columns, checks, keys, exclusions, foreign
//	                  keys, indexes, triggers, partitions, storage, comments, owners and grants
//	enums, sequences  and where each of them stands
//	schema.sql        everything else, as text, where pg_dump is there
//
// A stream has the rows of the tables, and where their sequences stand: as of a moment
// after each commit, as of at most StreamConfig.Every ago where nothing is committed, and as
// of its end. A restore sets a sequence past all that was ever drawn, as far as the log has
// it, and past its column. Definitions are not in a stream: a table that is altered,
// replaced, added as a partition or dropped is noticed within StreamConfig.Every, OnAlarm is
// told (ErrAltered), and a restore goes no further than there until a new base was taken.
// Large objects are not in a backup, and the manifest says so. Tables with policies, rules,
// extended statistics or plain inheritance are refused. PostgreSQL 14 is the oldest that
// is supported.
//
// # Failure
//
//	Backup       ErrBlocked: gave way to a lock; ErrBusy; ErrUnsupported; ErrNothing. Nothing is left
//	             of it; after a kill it is listed as Writing and never counts
//	PlanRestore  recovery.ErrNotVerified, ErrSchema: tables were altered since; ErrUnsupported
//	             with a Log: ErrGap, ErrAltered, recovery.ErrUnproven: the log does not show what was asked for
//	Restore      ErrLive, ErrMoved, ErrDiffers, recovery.ErrDamaged, recovery.ErrNotRecorded: nothing was
//	             changed. ErrOutcomeUnknown: apply the same plan again, which settles it
//
//	Repair       ErrMoved, ErrTooMany, ErrUnsupported: no primary key
//	Run          of a Stream: ErrNoIdentity, ErrUnbounded, a log that cannot be written. It goes on over
//	             a gap, and tells OnAlarm: ErrGap, ErrAltered: a new base backup is due; ErrRetained
//
// After a kill, a cut connection or a stopped server apply the plan again: what was left
// half built is built anew, and a plan that was applied changes nothing.
//
// # Telemetry
//
// Each call of a Store that reads or changes the database is a span: pgbackup.Backup, Verify,
// PlanRestore, Restore, PlanRepair, Repair, PlanUndo, Undo, PruneLog. How long backups and
// drills take and how old they are is measured by recovery.Catalog. A Stream has, with the
// attribute stream:
//
//	andon.pgbackup.stream.age            s   of the newest moment that is durable
//	andon.pgbackup.stream.sync.duration  s   of a batch
//	andon.pgbackup.stream.bytes          By  written to the log
//	andon.pgbackup.stream.transactions       durable in the log
//	andon.pgbackup.stream.retained       By  of WAL that the server holds back
//	andon.pgbackup.stream.connected          1 or 0
//	andon.pgbackup.stream.alarms             by kind: gap, altered, retained
//
// # Testing
//
// The tests run on a real PostgreSQL: schemas made by rapid are backed up under writers and
// restored, and compared row by row and with pg_dump; the process is killed and the
// connection cut at every step.
package pgbackup
