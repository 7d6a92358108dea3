package pgbackup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// StreamConfig says which tables are backed up continuously, and where to.
type StreamConfig struct {
	// Conn is how to connect to the database: the role needs REPLICATION, and the
	// server wal_level=logical. Required.
	Conn *pgx.ConnConfig

	// Dir is the directory of the log, and of nothing else; it is made when it is not
	// there. Required.
	Dir string

	// Tables are those whose changes are kept, as in Config.Tables. Each must have a
	// replica identity: ErrNoIdentity else, since publishing one without would make
	// the bot's own UPDATE and DELETE fail. Required.
	Tables []string

	// Name is that of the publication and of the replication slot, which Run makes.
	// Defaults to andon_pgbackup.
	Name string

	// MaxRetained is how many bytes of WAL the server may hold back for the stream
	// before OnAlarm is told. Defaults to 256 MiB.
	MaxRetained int64

	// Unbounded lets Run begin though the server's max_slot_wal_keep_size sets no bound.
	// Defaults to false: ErrUnbounded, since a bot that is stopped would fill the
	// database's disk.
	Unbounded bool

	// SegmentBytes is when a new segment is begun. Defaults to 64 MiB.
	SegmentBytes int64

	// Linger is how long a transaction that came alone is kept waiting for others
	// before it is synced to disk. Defaults to 2 ms.
	Linger time.Duration

	// Every is how often the slot and the definitions of the tables are looked at, and
	// the sequences while nothing is committed. Defaults to 5 s.
	Every time.Duration

	// OnAlarm, if set, is told what a person must know: too much WAL is retained
	// (ErrRetained), or changes were lost (ErrGap) or a table altered (ErrAltered) and a
	// new base backup is due. It must not block.
	OnAlarm func(error)

	// Logger gets what happens to the connection. Defaults to slog.Default().
	Logger *slog.Logger

	// MeterProvider makes the instruments, which the package's doc lists. Defaults to the
	// global one.
	MeterProvider metric.MeterProvider
}

func (c StreamConfig) withDefaults() StreamConfig {
	if c.Name == "" {
		c.Name = "andon_pgbackup"
	}
	if c.MaxRetained == 0 {
		c.MaxRetained = 256 << 20
	}
	if c.SegmentBytes == 0 {
		c.SegmentBytes = 64 << 20
	}
	if c.Linger == 0 {
		c.Linger = 2 * time.Millisecond
	}
	if c.Every == 0 {
		c.Every = 5 * time.Second
	}
	if c.OnAlarm == nil {
		c.OnAlarm = func(error) {}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	c.Tables = slices.Clone(c.Tables)
	for i, name := range c.Tables {
		c.Tables[i] = qualified(name)
	}
	slices.Sort(c.Tables)
	return c
}

func (c StreamConfig) validate() error {
	var errs []error
	if c.Conn == nil {
		errs = append(errs, errors.New("Conn: is nil"))
	}
	if c.Dir == "" {
		errs = append(errs, errors.New("Dir: is empty"))
	}
	if len(c.Tables) == 0 {
		errs = append(errs, errors.New("Tables: there are none"))
	}
	if strings.Trim(c.Name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || len(c.Name) > 63 {
		errs = append(errs, fmt.Errorf("Name: %q may have small letters, digits and _", c.Name))
	}
	if c.MaxRetained < 0 || c.SegmentBytes < 4096 || c.Linger < 0 || c.Every < 0 {
		errs = append(errs, errors.New("MaxRetained, SegmentBytes, Linger, Every: one is too small"))
	}
	return errors.Join(errs...)
}

var (
	// ErrNoIdentity says that a table has no replica identity.
	ErrNoIdentity = errors.New("no replica identity")

	// ErrUnbounded says that nothing bounds the WAL that the server would retain.
	ErrUnbounded = errors.New("the WAL that is retained has no bound")

	// ErrRetained says that the server retains more WAL than it should.
	ErrRetained = errors.New("too much WAL is retained")

	// ErrGap says that changes were lost: the slot was dropped or invalidated, or the
	// log lacks what it had acknowledged. The promise of the RPO is broken until a new
	// base backup was taken.
	ErrGap = errors.New("changes were lost: take a new base backup")
)

// StreamStatus is how a stream is. It is a value.
type StreamStatus struct {
	Connected bool

	// Durable is the position before which every change is in the log, on disk, and
	// DurableAt the server's time of it: what was committed before is safe.
	Durable   pglogrepl.LSN
	DurableAt time.Time

	Transactions int64 // that came since Run began
	Retained     int64 // bytes of WAL that the server holds back, as of the last look
	Gaps         int   // since Run began

	// BaseDue is the last position where changes were lost (ErrGap) or a table was
	// altered (ErrAltered): a base backup of an earlier one does not reach over it. 0
	// is none in this log.
	BaseDue pglogrepl.LSN

	Err error // why the last connection ended
}

// Stream keeps every committed change of some tables, by logical replication. What is
// acknowledged to the server is on disk. It is safe for concurrent use.
type Stream struct {
	cfg    StreamConfig
	meters *streamMeters

	mu     sync.Mutex
	status StreamStatus
}

// NewStream returns a stream, or every problem of the configuration, joined. It does
// not connect.
func NewStream(cfg StreamConfig) (*Stream, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	meters, err := newStreamMeters(cfg.MeterProvider, cfg.Name)
	if err != nil {
		return nil, err
	}
	cfg.Conn = cfg.Conn.Copy()
	return &Stream{cfg: cfg, meters: meters}, nil
}

// Status returns how the stream is.
func (s *Stream) Status() StreamStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

func (s *Stream) note(f func(*StreamStatus)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.status)
}

// Run streams until ctx ends, and then returns nil. It connects again whenever the
// connection is lost. It returns an error when it could go on only by losing changes
// unseen: the log is damaged or cannot be written, a table has no replica identity,
// the retained WAL has no bound.
func (s *Stream) Run(ctx context.Context) error {
	wait := backoff.NewExponentialBackOff(backoff.WithInitialInterval(50*time.Millisecond), backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
	for {
		err := s.session(ctx, wait.Reset)
		s.note(func(st *StreamStatus) { st.Connected, st.Err = false, err })
		s.meters.isConnected(ctx, false)
		if ctx.Err() != nil {
			return nil
		}
		if final, ok := errors.AsType[*finalError](err); ok {
			return final.err
		}
		s.cfg.Logger.WarnContext(ctx, "stream: the connection ended", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait.NextBackOff()):
		}
	}
}

// finalError ends Run.
type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }
func (e *finalError) Unwrap() error { return e.err }

func final(err error) error {
	if err == nil {
		return nil
	}
	return &finalError{err}
}

// session is one connection, from its beginning to its end.
func (s *Stream) session(ctx context.Context, connected func()) (err error) {
	log, err := openLog(ctx, s.cfg.Dir, s.cfg.SegmentBytes)
	if err != nil {
		return final(err)
	}
	defer func() { err = errors.Join(err, log.close()) }()
	watch, err := s.connect(ctx, false)
	if err != nil {
		return err
	}
	defer disconnect(ctx, watch)
	s.note(func(st *StreamStatus) { st.BaseDue = max(st.BaseDue, log.baseDue) })
	first := log.tables == nil
	if err := s.prepare(ctx, watch, log); err != nil {
		return err
	}
	look, err := newLookout(ctx, s, watch, log)
	if err != nil {
		return err
	}
	if first { // before anybody takes a base
		for _, f := range look.box.take(1<<64 - 1) {
			log.add(f)
		}
		if err := log.sync(); err != nil {
			return final(err)
		}
	}
	repl, err := s.connect(ctx, true)
	if err != nil {
		return err
	}
	defer disconnect(ctx, repl)
	if err := pglogrepl.StartReplication(ctx, repl.PgConn(), s.cfg.Name, 0, pglogrepl.StartReplicationOptions{
		PluginArgs: []string{"proto_version '1'", "publication_names '" + s.cfg.Name + "'"},
	}); err != nil {
		return fmt.Errorf("starting the replication: %w", err)
	}
	connected()
	s.note(func(st *StreamStatus) { st.Connected, st.Err = true, nil })
	s.meters.isConnected(ctx, true)
	within, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { cancel(look.run(within)) })
	r := &receiver{s: s, log: log, box: &look.box, conn: repl.PgConn(), acked: log.durable}
	err = r.run(within)
	cancel(err)
	wg.Wait()
	if _, broken := errors.AsType[*finalError](err); broken || ctx.Err() == nil {
		return err
	}
	// A stream that is ended in peace knows where the sequences stood.
	if late := look.last(ctx); late != nil {
		s.cfg.Logger.WarnContext(ctx, "stream: where the sequences stand at the end is not known", "error", late)
	}
	r.adopt()
	return errors.Join(err, final(log.sync()))
}

func (s *Stream) connect(ctx context.Context, replication bool) (*pgx.Conn, error) {
	cfg := s.cfg.Conn.Copy()
	maps.Copy(cfg.RuntimeParams, session)
	cfg.RuntimeParams["application_name"] = "andon pgbackup stream"
	cfg.RuntimeParams["lock_timeout"] = "1000" // a look waits for nobody's DDL for long
	if replication {
		cfg.RuntimeParams["replication"] = "database"
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return conn, nil
}

// prepare makes the publication and the slot, where they are missing, and finds out
// whether changes were lost.
func (s *Stream) prepare(ctx context.Context, conn *pgx.Conn, log *walLog) error {
	var level, keep string
	if err := conn.QueryRow(ctx, "SELECT current_setting('wal_level'), current_setting('max_slot_wal_keep_size')").Scan(&level, &keep); err != nil {
		return err
	}
	if level != "logical" {
		return final(fmt.Errorf("wal_level is %s: set it to logical and restart the server: %w", level, ErrUnsupported))
	}
	if keep == "-1" && !s.cfg.Unbounded {
		return final(fmt.Errorf("%w: set max_slot_wal_keep_size, such as to 2GB", ErrUnbounded))
	}
	if err := s.publish(ctx, conn); err != nil {
		return err
	}
	var lost, isThere bool
	var confirmed string
	if err := conn.QueryRow(ctx, `SELECT count(*) > 0, coalesce(bool_or(wal_status = 'lost'), false), coalesce(max(confirmed_flush_lsn)::text, '0/0')
		FROM pg_replication_slots WHERE slot_name = $1`, s.cfg.Name).Scan(&isThere, &lost, &confirmed); err != nil {
		return err
	}
	at, err := pglogrepl.ParseLSN(confirmed)
	if err != nil {
		return err
	}
	why := ""
	switch {
	case !isThere && log.durable > 0:
		why = "the replication slot is gone"
	case lost:
		why = "the server has dropped the WAL that the slot needed (max_slot_wal_keep_size)"
	case isThere && at > log.durable:
		why = fmt.Sprintf("the log ends at %v and the slot was acknowledged up to %v", log.durable, at)
	}
	if isThere && !lost {
		return s.gap(ctx, log, at, why)
	}
	if lost {
		if _, err := conn.Exec(ctx, "SELECT pg_drop_replication_slot($1)", s.cfg.Name); err != nil {
			return err
		}
	}
	var from string
	if err := conn.QueryRow(ctx, "SELECT lsn::text FROM pg_create_logical_replication_slot($1, 'pgoutput')", s.cfg.Name).Scan(&from); err != nil {
		return fmt.Errorf("making the slot: %w", err)
	}
	if at, err = pglogrepl.ParseLSN(from); err != nil {
		return err
	}
	if why == "" {
		why = "the stream begins"
		return s.mark(log, walFrame{at, append([]byte{gapMessage}, why...)})
	}
	return s.gap(ctx, log, at, why)
}

// gap writes into the log that changes before a position are missing, and says so.
func (s *Stream) gap(ctx context.Context, log *walLog, at pglogrepl.LSN, why string) error {
	if why == "" {
		return nil
	}
	if err := s.mark(log, walFrame{at, append([]byte{gapMessage}, why...)}); err != nil {
		return err
	}
	s.note(func(st *StreamStatus) { st.Gaps, st.BaseDue = st.Gaps+1, max(st.BaseDue, at) })
	s.alarm(ctx, ErrGap, fmt.Errorf("%w: %s", ErrGap, why))
	return nil
}

// mark writes a message of the log's own, and that everything before it is there.
func (s *Stream) mark(log *walLog, f walFrame) error {
	log.add(f)
	log.add(walFrame{f.lsn, []byte{markMessage}})
	if err := log.sync(); err != nil {
		return final(err)
	}
	log.durable = max(log.durable, f.lsn)
	return nil
}

// publish makes the publication of the chosen tables, once each of them may be in one.
func (s *Stream) publish(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `SELECT n.nspname || '.' || c.relname, c.relreplident IN ('f', 'i') OR (c.relreplident = 'd'
			AND EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisprimary))
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND n.nspname || '.' || c.relname = ANY ($1::text[]) ORDER BY 1`, s.cfg.Tables)
	if err != nil {
		return err
	}
	var name string
	var identity bool
	var found, without []string
	if _, err := pgx.ForEachRow(rows, []any{&name, &identity}, func() error {
		found = append(found, name)
		if !identity {
			without = append(without, name)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, name := range s.cfg.Tables {
		if !slices.Contains(found, name) {
			return final(fmt.Errorf("there is no table %q", name))
		}
	}
	if len(without) > 0 {
		return final(fmt.Errorf("%q: %w: add a primary key, or ALTER TABLE %s REPLICA IDENTITY FULL", without, ErrNoIdentity, quoted(without)[0]))
	}
	tables := strings.Join(quoted(s.cfg.Tables), ", ")
	var is bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_publication WHERE pubname = $1)", s.cfg.Name).Scan(&is); err != nil {
		return err
	}
	if is {
		return run(ctx, conn, []string{"ALTER PUBLICATION " + ident(s.cfg.Name) + " SET TABLE " + tables})
	}
	return run(ctx, conn, []string{"CREATE PUBLICATION " + ident(s.cfg.Name) + " FOR TABLE " + tables})
}

// receiver takes the messages of one connection.
type receiver struct {
	s    *Stream
	log  *walLog
	box  *box
	conn *pgconn.PgConn

	open    bool          // within a transaction
	skip    bool          // the transaction is in the log already
	drawn   bool          // a transaction came since sequences were asked for
	came    int64         // transactions that are not synced
	dirty   time.Time     // when the first message came that is not synced; zero: none
	upTo    pglogrepl.LSN // what will be durable with the next sync
	said    pglogrepl.LSN // up to where the log says that it is complete
	upToAt  time.Time     // the server's time of it
	marked  time.Time     // when the last mark was written
	acked   pglogrepl.LSN
	replyBy time.Time
}

// unsynced is how much may come before it is synced, in bytes.
const unsynced = 1 << 20

func (r *receiver) run(ctx context.Context) error {
	r.replyBy = time.Now().Add(r.s.cfg.Every)
	for {
		deadline := r.replyBy
		if !r.dirty.IsZero() {
			deadline = r.dirty.Add(r.s.cfg.Linger)
		}
		if soon := time.Now().Add(glance); r.box.waiting() && soon.Before(deadline) {
			deadline = soon
		}
		wait, cancel := context.WithDeadline(ctx, deadline)
		msg, err := r.conn.ReceiveMessage(wait)
		cancel()
		if err != nil && (!pgconn.Timeout(err) || ctx.Err() != nil) {
			return errors.Join(err, context.Cause(ctx))
		}
		if err == nil {
			if err := r.take(msg); err != nil {
				return err
			}
		}
		r.adopt()
		now := time.Now()
		due := !r.dirty.IsZero() && (now.Sub(r.dirty) >= r.s.cfg.Linger || len(r.log.buf) >= unsynced)
		if due || now.After(r.replyBy) {
			if err := r.acknowledge(ctx, now); err != nil {
				return err
			}
		}
	}
}

// adopt puts into the log what the lookout found.
func (r *receiver) adopt() {
	for _, f := range r.box.take(r.upTo) {
		r.log.add(f)
		if r.dirty.IsZero() {
			r.dirty = time.Now()
		}
	}
}

// take puts one message into the log.
func (r *receiver) take(msg pgproto3.BackendMessage) error {
	data, ok := msg.(*pgproto3.CopyData)
	if !ok {
		if refused, is := msg.(*pgproto3.ErrorResponse); is {
			return pgconn.ErrorResponseToPgError(refused)
		}
		return fmt.Errorf("unexpected message %T", msg)
	}
	switch data.Data[0] {
	case pglogrepl.PrimaryKeepaliveMessageByteID:
		k, err := pglogrepl.ParsePrimaryKeepaliveMessage(data.Data[1:])
		if err != nil {
			return err
		}
		if !r.open { // everything before it has come
			r.upTo, r.upToAt = max(r.upTo, k.ServerWALEnd), k.ServerTime
		}
		if k.ReplyRequested {
			r.replyBy = time.Time{}
		}
		return nil
	case pglogrepl.XLogDataByteID:
		x, err := pglogrepl.ParseXLogData(data.Data[1:])
		if err != nil {
			return err
		}
		return r.change(x)
	}
	return fmt.Errorf("unexpected replication message %q", data.Data[0])
}

func (r *receiver) change(x pglogrepl.XLogData) error {
	kind := pglogrepl.MessageType(x.WALData[0])
	switch kind {
	case pglogrepl.MessageTypeBegin:
		var b pglogrepl.BeginMessage
		if err := b.Decode(x.WALData[1:]); err != nil {
			return err
		}
		// What was synced and not acknowledged before the connection broke comes again.
		r.open, r.skip = true, b.FinalLSN <= r.log.commit
	case pglogrepl.MessageTypeCommit:
		var c pglogrepl.CommitMessage
		if err := c.Decode(x.WALData[1:]); err != nil {
			return err
		}
		r.open = false
		r.upTo, r.upToAt = max(r.upTo, c.TransactionEndLSN), c.CommitTime
		if !r.skip {
			r.log.commit, r.said, r.drawn = c.CommitLSN, c.TransactionEndLSN, true
			r.came++
			r.s.note(func(st *StreamStatus) { st.Transactions++ })
		}
	}
	if r.skip && kind != pglogrepl.MessageTypeRelation {
		r.skip = r.skip && kind != pglogrepl.MessageTypeCommit
		return nil
	}
	r.log.add(walFrame{x.WALStart, x.WALData})
	if r.dirty.IsZero() {
		r.dirty = time.Now()
	}
	if r.open && len(r.log.buf) >= unsynced { // a long transaction is not held in memory
		return final(r.log.write())
	}
	return nil
}

// acknowledge syncs what has come and tells the server.
func (r *receiver) acknowledge(ctx context.Context, now time.Time) error {
	r.replyBy = now.Add(r.s.cfg.Every)
	if r.dirty.IsZero() && r.upTo > r.log.durable && now.Sub(r.marked) >= r.s.cfg.Every {
		// Nothing of ours happened, and the server need not hold back what did.
		r.marked, r.dirty = now, now
	}
	if !r.dirty.IsZero() && r.upTo > r.said { // what is acknowledged the log must say itself
		r.log.add(walFrame{r.upTo, []byte{markMessage}})
		r.said = r.upTo
	}
	if !r.dirty.IsZero() {
		began := time.Now()
		if err := r.log.sync(); err != nil {
			return final(fmt.Errorf("the log: %w", err))
		}
		r.dirty = time.Time{}
		r.s.meters.synced(ctx, time.Since(began), r.log.written, r.came)
		r.came, r.log.written = 0, 0
		r.log.durable = max(r.log.durable, r.upTo)
		r.s.note(func(st *StreamStatus) { st.Durable, st.DurableAt = r.log.durable, r.upToAt })
		if r.drawn {
			r.drawn = false
			r.box.ask()
		}
	}
	if r.log.durable == 0 {
		return nil
	}
	r.acked = r.log.durable
	// All three, each of them what is on disk: a flush position of 0 would be taken for
	// the write position.
	return pglogrepl.SendStandbyStatusUpdate(ctx, r.conn, pglogrepl.StandbyStatusUpdate{
		WALWritePosition: r.acked, WALFlushPosition: r.acked, WALApplyPosition: r.acked,
	})
}

func bufioReader(r io.Reader) io.Reader { return bufio.NewReaderSize(r, 256<<10) }
