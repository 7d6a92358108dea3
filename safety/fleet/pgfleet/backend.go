package pgfleet

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/andon-go/andon/safety/fleet"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Config says where the records are. ConnString and Fleet are required.
type Config struct {
	// ConnString is a URL or keywords and values, as pgx and libpq understand them. Name
	// all hosts of a cluster in it: the one that takes writes is chosen.
	ConnString string

	// Fleet is the name of the fleet. Fleets of different names share a table and
	// nothing else.
	Fleet string

	// Table is where the records are, with its schema or without.
	// Defaults to "andon_fleet".
	Table string

	// ConnectWithin bounds each attempt to connect. Defaults to 2 s.
	ConnectWithin time.Duration

	// PingEvery is how often the listening connection is tried when nothing comes, and
	// how long an answer may take. Defaults to 2 s.
	PingEvery time.Duration
}

func (c Config) withDefaults() Config {
	if c.Table == "" {
		c.Table = "andon_fleet"
	}
	if c.ConnectWithin == 0 {
		c.ConnectWithin = 2 * time.Second
	}
	if c.PingEvery == 0 {
		c.PingEvery = 2 * time.Second
	}
	return c
}

var tableForm = regexp.MustCompile(`^([a-z_][a-z0-9_]{0,50}\.)?[a-z_][a-z0-9_]{0,50}$`)

func (c Config) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.ConnString == "" {
		add("ConnString is empty")
	}
	if c.Fleet == "" || len(c.Fleet) > 200 || strings.ContainsRune(c.Fleet, 0) {
		add("Fleet %.300q: want 1 to 200 bytes without a zero", c.Fleet)
	}
	if !tableForm.MatchString(c.Table) {
		add("Table %q: want a name of lower-case letters, digits and _, after its schema and a dot or alone", c.Table)
	}
	if c.ConnectWithin < 0 {
		add("ConnectWithin %v is negative", c.ConnectWithin)
	}
	if c.PingEvery < 0 {
		add("PingEvery %v is negative", c.PingEvery)
	}
	return errors.Join(errs...)
}

// Backend is a fleet.Backend. Safe for concurrent use.
type Backend struct {
	cfg     Config
	channel string
	pool    *pgxpool.Pool
	dial    *pgx.ConnConfig // of the connection that listens
	closed  context.Context
	close   context.CancelFunc
	watches sync.WaitGroup

	mu        sync.Mutex // before listening.mu
	listening *listening // nil while nobody watches
}

// Open returns a backend, connected to nothing yet. Errors are those of the
// configuration. Close it.
func Open(cfg Config) (*Backend, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("pgfleet: %w", err)
	}
	pc, err := pgxpool.ParseConfig(cfg.ConnString)
	if err != nil {
		return nil, fmt.Errorf("pgfleet: ConnString: %w", err)
	}
	pc.MaxConns, pc.MinConns = 4, 0
	// A connection that is gone shows in the call, which is made again; asking before each
	// call whether it is would delay every halt.
	pc.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	pc.ConnConfig.ConnectTimeout = cfg.ConnectWithin
	pc.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	pc.ConnConfig.RuntimeParams["application_name"] = "andon fleet " + cfg.Fleet
	pc.AfterConnect = durable
	pool, err := pgxpool.NewWithConfig(context.Background(), pc)
	if err != nil {
		return nil, fmt.Errorf("pgfleet: %w", err)
	}
	b := &Backend{cfg: cfg, channel: strings.ReplaceAll(cfg.Table, ".", "_"), pool: pool, dial: pc.ConnConfig.Copy()}
	b.closed, b.close = context.WithCancel(context.Background())
	return b, nil
}

// durable has a commit wait for the disk where the role, the database or the server say
// that it need not: a halt that was confirmed is not to be lost. Stricter settings stay.
func durable(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')")
	return err
}

// Close ends the watches and closes the connections. It may be called twice. The error
// is always nil.
func (b *Backend) Close() error {
	b.close()
	b.watches.Wait()
	b.pool.Close()
	return nil
}

// Schema returns the SQL that makes the table, for those who keep their schema in
// migrations. A role needs SELECT, INSERT, UPDATE and DELETE on the table and USAGE on
// its sequence.
func (b *Backend) Schema() string {
	return `CREATE TABLE IF NOT EXISTS ` + b.cfg.Table + ` (
	fleet      text        NOT NULL,
	key        text        NOT NULL,
	value      text        NOT NULL,
	revision   bigserial   NOT NULL,
	changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (fleet, key)
)`
}

// Create makes the table where it is not there yet. Several may do so at once.
func (b *Backend) Create(ctx context.Context) error {
	// IF NOT EXISTS alone does not keep two from trying at the same time.
	lock := "SELECT pg_advisory_xact_lock(hashtextextended('andon fleet ' || $1, 0))"
	err := pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lock, b.cfg.Table); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, b.Schema())
		return err
	})
	if err != nil {
		return fmt.Errorf("pgfleet: create table %s: %w", b.cfg.Table, err)
	}
	return nil
}

// Read returns the fleet's rows, by one statement and so as of one instant.
func (b *Backend) Read(ctx context.Context) ([]fleet.Record, error) {
	rows, err := b.pool.Query(ctx, "SELECT key, value, revision FROM "+b.cfg.Table+" WHERE fleet = $1", b.cfg.Fleet)
	if err != nil {
		return nil, fmt.Errorf("pgfleet: read: %w", err)
	}
	rs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r fleet.Record, err error) {
		var value string
		err = row.Scan(&r.Key, &value, &r.Revision)
		r.Value = []byte(value)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("pgfleet: read: %w", err)
	}
	return rs, nil
}

// Write changes one row, if it has the revision, and notifies in the same transaction.
func (b *Backend) Write(ctx context.Context, r fleet.Record, quiet bool) (int64, error) {
	if r.Value == nil && r.Revision == 0 {
		return 0, fleet.ErrConflict
	}
	args := []any{b.cfg.Fleet, r.Key}
	var change string
	switch {
	case r.Value == nil:
		change = "DELETE FROM " + b.cfg.Table + " WHERE fleet = $1 AND key = $2 AND revision = $3 RETURNING nextval(pg_get_serial_sequence('" + b.cfg.Table + "', 'revision')) AS revision"
		args = append(args, r.Revision)
	case r.Revision == 0:
		change = "INSERT INTO " + b.cfg.Table + " (fleet, key, value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING revision"
		args = append(args, string(r.Value))
	default:
		change = "UPDATE " + b.cfg.Table + " SET value = $3, revision = DEFAULT, changed_at = clock_timestamp() WHERE fleet = $1 AND key = $2 AND revision = $4 RETURNING revision"
		args = append(args, string(r.Value), r.Revision)
	}
	if !quiet {
		change = fmt.Sprintf("WITH change AS (%s) SELECT revision FROM change, pg_notify('%s', $1 || E'\\n' || $2)", change, b.channel)
	}
	var now int64
	err := b.pool.QueryRow(ctx, change, args...).Scan(&now)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, fleet.ErrConflict
	}
	if err != nil {
		return 0, fmt.Errorf("pgfleet: write %s: %w", r.Key, err)
	}
	return now, nil
}
