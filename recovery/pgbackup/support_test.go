package pgbackup_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/andon-go/andon/internal/pgtest"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/pgbackup"
	"github.com/andon-go/andon/recovery/recoverytest"
)

var noon = time.Date(2026, 3, 4, 15, 4, 5, 0, time.UTC)

// shared is one server for all tests of the package; each gets a database of its own.
var shared struct {
	sync.Mutex
	cluster  *pgtest.Cluster
	cleanups []func()
}

var databases atomic.Int64

type main struct{ *testing.M }

func TestMain(m *testing.M) { goleak.VerifyTestMain(main{m}) }

// Run runs the tests and then ends the server.
func (m main) Run() int {
	code := m.M.Run()
	for i := len(shared.cleanups) - 1; i >= 0; i-- {
		shared.cleanups[i]()
	}
	return code
}

// keeper lets the server outlive the test that started it.
type keeper struct{ testing.TB }

func (keeper) Cleanup(f func()) { shared.cleanups = append(shared.cleanups, f) }

func server(t testing.TB) *pgtest.Cluster {
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil {
		shared.cluster = pgtest.Start(keeper{t}, "wal_level=logical", "max_connections=60")
	}
	return shared.cluster
}

// newDatabase makes a database with these tables and returns how to connect to it.
func newDatabase(t testing.TB, sql string) string {
	t.Helper()
	admin, err := pgx.Connect(t.Context(), server(t).ConnString())
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close(context.Background())) }()
	name := fmt.Sprintf("test%d", databases.Add(1))
	_, err = admin.Exec(t.Context(), "CREATE DATABASE "+name)
	require.NoError(t, err)
	conn := server(t).ConnString() + " dbname=" + name
	once(t, conn, sql)
	return conn
}

// once runs statements in a session of their own.
func once(t testing.TB, conn, sql string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), conn)
	require.NoError(t, err)
	_, err = c.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, errors.Join(err, c.Close(context.Background())))
}

// connect opens a pool that is closed with the test.
func connect(t testing.TB, conn string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), conn)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// execSQL runs statements.
func execSQL(t testing.TB, pool *pgxpool.Pool, sql string) {
	t.Helper()
	_, err := pool.Exec(context.Background(), sql, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
}

// value reads one text.
func value(t testing.TB, pool *pgxpool.Pool, sql string) string {
	t.Helper()
	var text *string
	require.NoError(t, pool.QueryRow(context.Background(), "SELECT ("+sql+")::text").Scan(&text))
	if text == nil {
		return "NULL"
	}
	return *text
}

// world is a database, its backups, and a timeline.
type world struct {
	conn     string
	pool     *pgxpool.Pool
	dir      string // of the backups
	recorder *recoverytest.Recorder
	store    *pgbackup.Store
}

var quiet = slog.New(slog.DiscardHandler)

// idle says that nobody writes.
func idle(context.Context) error { return nil }

func newWorld(t testing.TB, sql string, change ...func(*pgbackup.Config)) world {
	t.Helper()
	w := world{conn: newDatabase(t, sql), dir: filepath.Join(t.TempDir(), "backups"), recorder: new(recoverytest.Recorder)}
	w.pool = connect(t, w.conn)
	w.store = w.open(t, w.conn, change...)
	return w
}

// open opens the world's backups over a database.
func (w world) open(t testing.TB, conn string, change ...func(*pgbackup.Config)) *pgbackup.Store {
	t.Helper()
	store, err := openStore(conn, w.dir, func(c *pgbackup.Config) {
		c.Recorder = w.recorder
		for _, f := range change {
			f(c)
		}
	})
	require.NoError(t, err)
	return store
}

func openStore(conn, dir string, change ...func(*pgbackup.Config)) (*pgbackup.Store, error) {
	parsed, err := pgx.ParseConfig(conn)
	if err != nil {
		return nil, err
	}
	storage, err := recovery.NewDirStorage(dir)
	if err != nil {
		return nil, err
	}
	repository, err := recovery.NewRepository(recovery.RepositoryConfig{Component: recovery.PositionDatabase, Storage: storage})
	if err != nil {
		return nil, err
	}
	// Machines may be slow; the tests of locks ask for less.
	cfg := pgbackup.Config{Conn: parsed, Repository: repository, LockTimeout: 30 * time.Second, Recorder: new(recoverytest.Recorder), Idle: idle, PgDump: "no-pg_dump", Logger: quiet}
	for _, f := range change {
		f(&cfg)
	}
	return pgbackup.New(cfg)
}

// good takes a backup and verifies it.
func (w world) good(t testing.TB, now time.Time) recovery.Backup {
	t.Helper()
	b, err := w.store.Backup(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, recovery.Complete, b.State)
	b, err = w.store.Verify(t.Context(), b.Name, now)
	require.NoError(t, err)
	require.True(t, b.Good())
	return b
}

// steps is how many steps a test breaks off at: all with ANDON_ALL_STEPS=1.
func steps(n int) int {
	if os.Getenv("ANDON_ALL_STEPS") != "" {
		return 1 << 20
	}
	return n
}

// botTables are the playbook's tables as a bot may have them, with a little of
// everything that a restore can lose.
const botTables = `
	CREATE TYPE side AS ENUM ('buy', 'sell', 'it''s "odd"');
	CREATE TABLE accounts (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, "Odd ""Name""" text DEFAULT 'x');
	CREATE SEQUENCE numbers START 100 INCREMENT 5;
	CREATE TABLE positions (
		id bigserial PRIMARY KEY, account int NOT NULL REFERENCES accounts (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
		symbol varchar(20) NOT NULL, quantity numeric(30, 8) NOT NULL CHECK (quantity <> 'NaN'), entry numeric, side side DEFAULT 'buy',
		value numeric GENERATED ALWAYS AS (quantity * entry) STORED, tags text[] DEFAULT '{}', sides side[], info jsonb, raw json, at timestamptz DEFAULT now(),
		local timestamp, day date, span interval, ip inet, blob bytea, number bigint DEFAULT nextval('numbers'), note text COLLATE "C",
		EXCLUDE USING btree (number WITH =));
	CREATE UNIQUE INDEX positions_open ON positions (account, symbol) WHERE quantity <> 0;
	CREATE INDEX "by lower" ON positions (lower(symbol) DESC NULLS LAST, at) INCLUDE (entry) WITH (fillfactor = 70);
	CREATE TABLE trades (id bigserial, symbol text NOT NULL, quantity numeric, price double precision, at timestamptz NOT NULL, position bigint,
		PRIMARY KEY (id, at, symbol)) PARTITION BY RANGE (at);
	CREATE TABLE trades_2025 PARTITION OF trades FOR VALUES FROM ('2025-01-01Z') TO ('2026-01-01Z');
	CREATE TABLE trades_2026 PARTITION OF trades FOR VALUES FROM ('2026-01-01Z') TO ('2027-01-01Z') PARTITION BY LIST (symbol);
	CREATE TABLE trades_2026_btc PARTITION OF trades_2026 FOR VALUES IN ('BTC');
	CREATE TABLE trades_2026_rest PARTITION OF trades_2026 DEFAULT;
	CREATE INDEX trades_symbol ON trades (symbol, at);
	ALTER TABLE trades ADD FOREIGN KEY (position) REFERENCES positions (id) ON DELETE SET NULL;
	CREATE TABLE audit (said text, at timestamptz);
	CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.audit VALUES ('seen', now()); RETURN NEW; END $$;
	CREATE TRIGGER noted AFTER UPDATE ON positions FOR EACH ROW EXECUTE FUNCTION note();
	CREATE VIEW open_positions WITH (security_barrier) AS SELECT id, symbol, quantity FROM positions WHERE quantity <> 0;
	COMMENT ON TABLE positions IS 'what is held; it''s money';
	COMMENT ON COLUMN positions.quantity IS 'signed';
	ALTER TABLE positions REPLICA IDENTITY USING INDEX positions_pkey;

	INSERT INTO accounts (name) VALUES ('main'), ('spare');
	INSERT INTO positions (account, symbol, quantity, entry, side, tags, sides, info, raw, at, local, day, span, ip, blob, note)
		SELECT 1 + i % 2, 'S' || i, i * 1.00000001, CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN 'NaN' ELSE i / 7.0 END, CASE i % 3 WHEN 0 THEN 'it''s "odd"' ELSE 'sell' END::side,
			ARRAY['a', NULL, '{"', E'\n\t\\'], ARRAY['buy', NULL]::side[], jsonb_build_object('n', i, 'x', NULL, 'big', 1e30), '{"a" : 1,"a":2}',
			'2026-03-29 01:59:59.999999+01'::timestamptz + i * interval '1 hour', 'infinity', '0044-03-15 BC', '-1 mon 3 days 04:05:06.7', '::1', '\x00ff', E'ä\u2028\u0001'
		FROM generate_series(1, 40) i;
	INSERT INTO trades (symbol, quantity, price, at, position)
		SELECT CASE i % 3 WHEN 0 THEN 'BTC' ELSE 'ETH' END, i / 3.0, CASE i % 5 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity' ELSE 0.1 + i END,
			'2025-12-01Z'::timestamptz + i * interval '1 hour', 1 + i % 40 FROM generate_series(1, 2000) i;
	SELECT setval('positions_id_seq', 777, false);`
