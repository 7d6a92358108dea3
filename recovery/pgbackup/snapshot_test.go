package pgbackup_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/pgbackup"
	"github.com/andon-go/andon/recovery/recoverytest"
)

func TestStoreConforms(t *testing.T) {
	recoverytest.TestTarget(t, func(t *testing.T) recoverytest.Subject {
		w := newWorld(t, botTables)
		return recoverytest.Subject{Target: w.store, Damage: func(name string) error {
			return flip(filepath.Join(w.dir, name, "data", "000001.000001"), 77)
		}}
	})
}

// flip changes one bit of a file.
func flip(path string, bit int) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[bit/8%len(data)] ^= 1 << (bit % 8)
	return os.WriteFile(path, data, 0o600)
}

func TestBackupSaysWhatItHoldsAndWhereItIsFrom(t *testing.T) {
	w := newWorld(t, botTables, func(c *pgbackup.Config) {
		c.Sums = []pgbackup.Sum{{Table: "trades", By: "symbol", Of: "quantity"}}
		c.PgDump = "pg_dump"
	})
	b := w.good(t, noon)
	m, err := w.store.Details(t.Context(), b.Name)
	require.NoError(t, err)
	require.Equal(t, value(t, w.pool, "SELECT system_identifier FROM pg_control_system()"), m.Source.SystemID)
	require.Equal(t, 1, m.Source.Timeline)
	require.Equal(t, value(t, w.pool, "current_setting('server_version_num')"), strconv.Itoa(m.Source.Number))
	require.Equal(t, "UTF8", m.Source.Encoding)
	require.NotEmpty(t, m.Source.LSN)
	require.Empty(t, m.Notes)
	sql, err := w.store.SchemaSQL(t.Context(), b.Name)
	require.NoError(t, err)
	require.Contains(t, sql, "CREATE VIEW public.open_positions")
	rows := map[string]int64{}
	for _, d := range m.Data {
		rows[d.Table] = d.Rows
	}
	require.Equal(t, map[string]int64{
		"public.accounts": 2, "public.positions": 40, "public.audit": 0, "public.trades_2025": 743, "public.trades_2026_btc": 419, "public.trades_2026_rest": 838,
	}, rows)
	require.Len(t, m.Sums, 2)
	require.Equal(t, "BTC", m.Sums[0].Group)
	require.Equal(t, value(t, w.pool, "SELECT sum(quantity) FROM trades WHERE symbol = 'BTC'"), m.Sums[0].Total)
	require.Equal(t, int64(666), m.Sums[0].Rows)
}

func TestChosenTablesOnly(t *testing.T) {
	w := newWorld(t, botTables, func(c *pgbackup.Config) { c.Tables = []string{"trades", "public.accounts"} })
	m, err := w.store.Details(t.Context(), w.good(t, noon).Name)
	require.NoError(t, err)
	var names []string
	for _, table := range m.Schema.Tables {
		names = append(names, table.String())
	}
	require.ElementsMatch(t, []string{"public.accounts", "public.trades", "public.trades_2025", "public.trades_2026", "public.trades_2026_btc", "public.trades_2026_rest"}, names)
	_, err = w.open(t, w.conn, func(c *pgbackup.Config) { c.Tables = []string{"trades", "treades"} }).Backup(t.Context(), noon)
	require.ErrorContains(t, err, `there is no table "public.treades"`)
	_, err = w.open(t, newDatabase(t, "")).Backup(t.Context(), noon)
	require.ErrorIs(t, err, pgbackup.ErrNothing, "a backup of nothing would prove nothing")
}

// What a restore could not bring back is no backup, and is said so.
func TestLaw1_WhatCannotBeBroughtBackIsNamed(t *testing.T) {
	for what, sql := range map[string]string{
		"policy only_mine":      "CREATE POLICY only_mine ON t; ALTER TABLE t ENABLE ROW LEVEL SECURITY",
		"inheritance from t":    "CREATE TABLE child () INHERITS (t)",
		"rule quiet":            "CREATE RULE quiet AS ON DELETE TO t DO INSTEAD NOTHING",
		"extended statistics s": "CREATE STATISTICS s ON a, b FROM t",
	} {
		w := newWorld(t, "CREATE TABLE t (a int, b int); "+sql)
		_, err := w.store.Backup(t.Context(), noon)
		require.ErrorIs(t, err, pgbackup.ErrUnsupported)
		require.ErrorContains(t, err, what)
		requireEmpty(t, w.dir)
	}
}

// requireEmpty fails when something of a backup is left.
func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			return fmt.Errorf("%s is left", p)
		}
		return err
	}))
}

// A backup under a role whose rows a policy hides is an error, not a row fewer.
func TestLaw1_AHiddenRowIsAnError(t *testing.T) {
	w := newWorld(t, `CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2);
		DO $$ BEGIN CREATE ROLE reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
		GRANT SELECT ON t TO reader`)
	asReader := w.open(t, w.conn+" user=reader")
	b, err := asReader.Backup(t.Context(), noon)
	require.NoError(t, err)
	m, err := asReader.Details(t.Context(), b.Name)
	require.NoError(t, err)
	require.Equal(t, int64(2), m.Data[0].Rows)
	execSQL(t, w.pool, "ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY half ON t USING (a = 1)")
	_, err = asReader.Backup(t.Context(), noon)
	require.Error(t, err)
}

// All tables of a backup are of one moment: money moves from one table to another in
// each transaction, and the sum stays.
func TestABackupIsOneMoment(t *testing.T) {
	w := newWorld(t, `CREATE TABLE a (v int); CREATE TABLE b (v int); INSERT INTO a SELECT 1 FROM generate_series(1, 1000)`,
		func(c *pgbackup.Config) {
			var dials atomic.Int64
			c.Conn.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
				n := dials.Add(1) % 3
				if n == 0 { // the second worker is late
					time.Sleep(60 * time.Millisecond)
				}
				conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
				if err != nil || n == 1 {
					return conn, err
				}
				return slowConn{conn}, nil // so that neither worker reads both tables
			}
		})
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if _, err := w.pool.Exec(context.Background(), "WITH moved AS (DELETE FROM a WHERE ctid = (SELECT ctid FROM a LIMIT 1) RETURNING v) INSERT INTO b SELECT v FROM moved"); err != nil {
				done <- err
				return
			}
		}
	}()
	for i := range 5 {
		m, err := w.store.Details(t.Context(), w.good(t, noon.Add(time.Duration(i)*time.Second)).Name)
		require.NoError(t, err)
		require.Equal(t, int64(1000), m.Data[0].Rows+m.Data[1].Rows)
	}
	close(stop)
	require.NoError(t, <-done)
}

// DDL that waits for the backup makes every reader wait behind it: the backup gives way.
func TestABackupGivesWayToDDL(t *testing.T) {
	w := newWorld(t, "CREATE TABLE t (a text); INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 2000)",
		func(c *pgbackup.Config) { c.Rate, c.LockTimeout = 1000, 100*time.Millisecond })
	altered := make(chan error, 1)
	go func() {
		for { // until a row is being read
			var n int
			if err := w.pool.QueryRow(context.Background(), `SELECT count(*) FROM pg_stat_activity
				WHERE datname = current_database() AND application_name = 'andon pgbackup' AND query LIKE 'COPY%'`).Scan(&n); err != nil || n > 0 {
				break
			}
		}
		_, err := w.pool.Exec(context.Background(), "ALTER TABLE t ADD b int")
		altered <- err
	}()
	_, err := w.store.Backup(t.Context(), noon)
	blocked, ok := errors.AsType[*pgbackup.BlockedError](err)
	require.True(t, ok, "%v", err)
	require.ErrorIs(t, err, pgbackup.ErrBlocked)
	require.Equal(t, "public.t", blocked.Table)
	require.NotZero(t, blocked.PID)
	require.NoError(t, <-altered, "the DDL went through")
	requireEmpty(t, w.dir)
}

func TestABackupDoesNotWaitForALockForEver(t *testing.T) {
	w := newWorld(t, "CREATE TABLE t (a int)", func(c *pgbackup.Config) { c.LockTimeout = 50 * time.Millisecond })
	tx, err := w.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE t")
	require.NoError(t, err)
	_, err = w.store.Backup(t.Context(), noon)
	require.ErrorIs(t, err, pgbackup.ErrBlocked)
	require.ErrorContains(t, err, "lock timeout")
	requireEmpty(t, w.dir)
	require.NoError(t, tx.Rollback(t.Context()))
	w.good(t, noon)
}

func TestTwoBackupsOfOneDatabaseAtOnceAreRefused(t *testing.T) {
	w := newWorld(t, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
	var inner error
	storage := &meddler{meddle: func() { _, inner = w.store.Backup(t.Context(), noon) }}
	repository, err := recovery.NewRepository(recovery.RepositoryConfig{Component: recovery.PositionDatabase, Storage: storage})
	require.NoError(t, err)
	_, err = w.open(t, w.conn, func(c *pgbackup.Config) { c.Repository = repository }).Backup(t.Context(), noon)
	require.NoError(t, err)
	require.ErrorIs(t, inner, pgbackup.ErrBusy)
}

// meddler does something whenever the storage is listed.
type meddler struct {
	recoverytest.Storage
	meddle func()
}

func (m *meddler) List(ctx context.Context, prefix string) ([]recovery.Object, error) {
	m.meddle()
	return m.Storage.List(ctx, prefix)
}

// slowConn takes its time for each read.
type slowConn struct{ net.Conn }

func (c slowConn) Read(b []byte) (int, error) {
	time.Sleep(100 * time.Millisecond)
	return c.Conn.Read(b)
}

// A huge table is cut into ranges of pages; every row is in exactly one.
func TestALargeTableIsSplit(t *testing.T) {
	w := newWorld(t, `CREATE TABLE t (id int, pad text); INSERT INTO t SELECT i, repeat('x', 300) FROM generate_series(1, 20000) i;
		DELETE FROM t WHERE id % 3 = 0; INSERT INTO t VALUES (0, repeat('y', 300000))`, func(c *pgbackup.Config) { c.PieceBytes, c.Workers = 1<<20, 3 })
	m, err := w.store.Details(t.Context(), w.good(t, noon).Name)
	require.NoError(t, err)
	require.Greater(t, len(m.Data[0].Pieces), 5)
	require.Equal(t, int64(20000-20000/3+1), m.Data[0].Rows)
}

// What cannot be written or read is never a backup.
func TestLaw8_AServerThatGoesAwayLeavesNoBackup(t *testing.T) {
	w := newWorld(t, "CREATE TABLE t (a text); INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 3000)",
		func(c *pgbackup.Config) { c.Rate = 100_000 })
	go func() {
		for { // as soon as a row is being read
			var n int
			if err := w.pool.QueryRow(context.Background(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
				WHERE datname = current_database() AND application_name = 'andon pgbackup' AND query LIKE 'COPY%'`).Scan(&n); err != nil || n > 0 {
				return
			}
		}
	}()
	_, err := w.store.Backup(t.Context(), noon)
	require.Error(t, err)
	requireEmpty(t, w.dir)
	backups, err := w.store.Backups(t.Context())
	require.NoError(t, err)
	require.Empty(t, backups)
}

func TestConfigNamesEveryProblem(t *testing.T) {
	_, err := pgbackup.New(pgbackup.Config{
		Workers: -1, PieceBytes: 5, Rate: -1, LockTimeout: -1, Tables: []string{"a", "public.a", "b."}, Sums: []pgbackup.Sum{{}},
	})
	for _, want := range []string{"Conn: ", "Repository: ", "Workers: -1", "PieceBytes: 5", "Rate: -1", "LockTimeout: -1ns", `"public.a"`, `"b."`, "Sums: "} {
		require.ErrorContains(t, err, want)
	}
	conn, err := pgx.ParseConfig("host=/nowhere")
	require.NoError(t, err)
	repository, err := recovery.NewRepository(recovery.RepositoryConfig{Component: recovery.PositionDatabase, Storage: new(recoverytest.Storage)})
	require.NoError(t, err)
	store, err := pgbackup.New(pgbackup.Config{Conn: conn, Repository: repository})
	require.NoError(t, err, "it does not connect")
	_, err = store.Backup(t.Context(), noon)
	require.ErrorContains(t, err, "connecting")
	require.True(t, strings.HasPrefix(err.Error(), "connecting"))
}

// Two sessions that are held to a rate wake together, and then the bot's statements
// have no processor: there are no more of them than the rate needs.
func TestABoundedRateTakesNoMoreSessionsThanItNeeds(t *testing.T) {
	w := newWorld(t, "CREATE TABLE t (a text); INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 30000)",
		func(c *pgbackup.Config) { c.Rate, c.Workers, c.PieceBytes = 100_000, 4, 1<<20 })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := w.store.Backup(ctx, noon)
		done <- err
	}()
	sessions := func(of string) string {
		return value(t, w.pool, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'andon pgbackup' AND query LIKE '"+of+"'")
	}
	require.Eventually(t, func() bool { return sessions("COPY%") != "0" }, time.Minute, time.Millisecond)
	require.Equal(t, "2", sessions("%"), "one looks out for who waits, one reads")
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	requireEmpty(t, w.dir)
}
