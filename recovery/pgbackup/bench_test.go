package pgbackup_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/internal/pgtest"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/pgbackup"
)

// trades is how many rows the benchmarks have: ANDON_TRADES, or enough to see that they
// work. 5,000,000 are about 1 GB.
func trades(b *testing.B) int {
	n := 100_000
	if text := os.Getenv("ANDON_TRADES"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		require.NoError(b, err)
	}
	return n
}

const tradesTable = `CREATE TABLE trades (id bigserial PRIMARY KEY, at timestamptz NOT NULL, symbol text NOT NULL, side text NOT NULL, quantity numeric(20, 8) NOT NULL,
	price numeric(20, 8) NOT NULL, fee numeric(20, 8), client_order_id text NOT NULL, venue_order_id bigint, strategy text, leverage int, note text)`

const tradesRows = `INSERT INTO trades (at, symbol, side, quantity, price, fee, client_order_id, venue_order_id, strategy, leverage, note)
	SELECT '2026-01-01Z'::timestamptz + i * interval '1 second', (ARRAY['BTC-USD', 'ETH-USD', 'SOL-USD', 'SUI-USD'])[1 + i %% 4], CASE i %% 2 WHEN 0 THEN 'buy' ELSE 'sell' END,
		(random() * 10)::numeric(20, 8), (20000 + random() * 50000)::numeric(20, 8), (random() * 3)::numeric(20, 8), 'andon-' || md5(i::text), 100000000 + i,
		(ARRAY['momentum', 'mean reversion', 'breakout'])[1 + i %% 3], 1 + i %% 10, CASE WHEN i %% 5 = 0 THEN 'filled in ' || i %% 7 || ' parts' END
	FROM generate_series(1, %d) i`

// arena is a server and a table of trades that all benchmarks share.
var arena struct {
	sync.Mutex
	cluster *pgtest.Cluster
}

func bench(b *testing.B) *pgtest.Cluster {
	arena.Lock()
	defer arena.Unlock()
	if arena.cluster == nil {
		arena.cluster = pgtest.Start(keeper{b}, "wal_level=logical", "shared_buffers=256MB", "max_wal_size=4GB", "maintenance_work_mem=256MB", "max_connections=60", "autovacuum=off")
		for _, sql := range []string{
			tradesTable, fmt.Sprintf(tradesRows, trades(b)), "CREATE INDEX trades_symbol_at ON trades (symbol, at)",
			"CREATE UNIQUE INDEX trades_client ON trades (client_order_id)", "VACUUM ANALYZE trades",
		} {
			once(b, arena.cluster.ConnString(), sql) // longer than pgtest has patience
		}
		arena.cluster.Psql("CHECKPOINT")
	}
	return arena.cluster
}

// program runs one of PostgreSQL's programs and returns how long it took.
func program(b *testing.B, name string, args ...string) time.Duration {
	b.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		needs.Missing(b, "%s: %v", name, err)
	}
	began := time.Now()
	out, err := exec.Command(path, args...).CombinedOutput()
	require.NoError(b, err, string(out))
	return time.Since(began)
}

// size returns how many bytes the files below a directory have.
func size(b *testing.B, dir string) (n int64) {
	b.Helper()
	require.NoError(b, filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		n += info.Size()
		return err
	}))
	return n
}

// peak returns how much memory the process had at most since it was called, in MB.
func peak(b *testing.B) func() float64 {
	b.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600); err != nil {
		return func() float64 { return 0 }
	}
	return func() float64 {
		text, err := os.ReadFile("/proc/self/status")
		require.NoError(b, err)
		for line := range strings.Lines(string(text)) {
			if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
				n, err := strconv.ParseFloat(strings.Fields(kb)[0], 64)
				require.NoError(b, err)
				return n / 1000
			}
		}
		return 0
	}
}

func seconds(d time.Duration) float64 { return d.Seconds() }

// BenchmarkSnapshot takes a backup and verifies it, beside pg_dump.
func BenchmarkSnapshot(b *testing.B) {
	cluster := bench(b)
	for b.Loop() {
		dump := filepath.Join(b.TempDir(), "dump")
		theirs := program(b, "pg_dump", "-Fd", "-j2", "-Z1", "-f", dump, "-d", cluster.ConnString())
		dir := b.TempDir()
		store, err := openStore(cluster.ConnString(), dir, func(c *pgbackup.Config) { c.PgDump = "pg_dump" })
		require.NoError(b, err)
		memory := peak(b)
		began := time.Now()
		backup, err := store.Backup(b.Context(), noon)
		require.NoError(b, err)
		ours := time.Since(began)
		began = time.Now()
		_, err = store.Verify(b.Context(), backup.Name, noon)
		require.NoError(b, err)
		verify := time.Since(began)
		b.ReportMetric(memory(), "MB-peak")
		b.ReportMetric(seconds(ours), "s")
		b.ReportMetric(seconds(theirs), "s-pg_dump")
		b.ReportMetric(seconds(ours)/seconds(theirs), "of-pg_dump")
		b.ReportMetric(float64(size(b, dir))/1e6, "MB")
		b.ReportMetric(float64(size(b, dump))/1e6, "MB-pg_dump")
		b.ReportMetric(float64(backup.Bytes)/1e6/seconds(verify), "MB/s-verify")
	}
}

// BenchmarkRestore restores into an empty database, beside pg_restore.
func BenchmarkRestore(b *testing.B) {
	cluster := bench(b)
	dump := filepath.Join(b.TempDir(), "dump")
	program(b, "pg_dump", "-Fd", "-j2", "-Z1", "-f", dump, "-d", cluster.ConnString())
	dir := b.TempDir()
	store, err := openStore(cluster.ConnString(), dir)
	require.NoError(b, err)
	backup, err := store.Backup(b.Context(), noon)
	require.NoError(b, err)
	_, err = store.Verify(b.Context(), backup.Name, noon)
	require.NoError(b, err)
	fresh := func() string {
		cluster.Psql("DROP DATABASE IF EXISTS fresh")
		cluster.Psql("CREATE DATABASE fresh")
		cluster.Psql("CHECKPOINT")
		return cluster.ConnString() + " dbname=fresh"
	}
	for b.Loop() {
		theirs := time.Duration(1 << 62)
		for _, jobs := range []string{"-j1", "-j2"} {
			conn := fresh()
			took := program(b, "pg_restore", jobs, "-d", conn, dump) + program(b, "psql", "-XAtq", "-d", conn, "-c", "ANALYZE")
			b.ReportMetric(seconds(took), "s-pg_restore"+jobs)
			theirs = min(theirs, took)
		}
		target, err := openStore(fresh(), dir)
		require.NoError(b, err)
		memory := peak(b)
		began := time.Now()
		p, err := target.PlanRestore(b.Context(), pgbackup.Request{}, noon)
		require.NoError(b, err)
		r, err := target.Restore(b.Context(), p, "bench", "bench", noon)
		require.NoError(b, err)
		ours := time.Since(began)
		b.ReportMetric(memory(), "MB-peak")
		b.ReportMetric(seconds(ours), "s")
		b.ReportMetric(seconds(ours-r.Check), "s-unchecked")
		b.ReportMetric(seconds(r.Load), "s-load")
		b.ReportMetric(seconds(r.Index), "s-index")
		b.ReportMetric(seconds(r.Check), "s-check")
		b.ReportMetric(seconds(r.Swap), "s-swap")
		b.ReportMetric(seconds(ours-r.Check)/seconds(theirs), "of-pg_restore")
		b.ReportMetric(seconds(ours)/seconds(theirs), "of-pg_restore-checked")
	}
	cluster.Psql("DROP DATABASE fresh")
}

// BenchmarkWriters measures what a throttled backup costs those who write meanwhile.
func BenchmarkWriters(b *testing.B) {
	cluster := bench(b)
	for b.Loop() {
		idle := p99(b, cluster.ConnString(), func(stop context.Context) { <-stop.Done() })
		store, err := openStore(cluster.ConnString(), b.TempDir(), func(c *pgbackup.Config) { c.Rate = 30 << 20 })
		require.NoError(b, err)
		busy := p99(b, cluster.ConnString(), func(stop context.Context) {
			for i := 0; stop.Err() == nil; i++ {
				_, err := store.Backup(stop, noon.Add(time.Duration(i)*time.Second))
				if stop.Err() == nil {
					require.NoError(b, err)
				}
			}
		})
		b.ReportMetric(float64(idle.Microseconds())/1000, "ms-p99-idle")
		b.ReportMetric(float64(busy.Microseconds())/1000, "ms-p99-backup")
		b.ReportMetric(float64(busy)/float64(idle), "of-idle")
	}
}

// p99 returns how long the slowest hundredth of 200 inserts a second takes, for ten
// seconds of something else.
func p99(b *testing.B, conn string, meanwhile func(context.Context)) time.Duration {
	b.Helper()
	stop, cancel := context.WithTimeout(b.Context(), 10*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { meanwhile(stop) })
	c, err := pgx.Connect(b.Context(), conn)
	require.NoError(b, err)
	defer func() { require.NoError(b, c.Close(context.Background())) }()
	var took []time.Duration
	for tick := time.NewTicker(5 * time.Millisecond); stop.Err() == nil; <-tick.C {
		began := time.Now()
		_, err := c.Exec(b.Context(), `INSERT INTO trades (at, symbol, side, quantity, price, client_order_id) VALUES (now(), 'BTC-USD', 'buy', 1, 1, gen_random_uuid()::text)`)
		require.NoError(b, err)
		took = append(took, time.Since(began))
	}
	wg.Wait()
	slices.Sort(took)
	return took[len(took)*99/100]
}

var _ recovery.Target = (*pgbackup.Store)(nil)

// BenchmarkRepair repairs a hundred ruined rows of the table, while it is in use.
func BenchmarkRepair(b *testing.B) {
	cluster := bench(b)
	store, err := openStore(cluster.ConnString(), b.TempDir())
	require.NoError(b, err)
	backup, err := store.Backup(b.Context(), noon)
	require.NoError(b, err)
	_, err = store.Verify(b.Context(), backup.Name, noon)
	require.NoError(b, err)
	for b.Loop() {
		cluster.Psql("UPDATE trades SET quantity = 0, note = 'ruined' WHERE id % (SELECT max(id) / 100 FROM trades) = 0")
		memory := peak(b)
		began := time.Now()
		p, err := store.PlanRepair(b.Context(), pgbackup.RepairRequest{Table: "trades"}, noon)
		require.NoError(b, err)
		r, err := store.Repair(b.Context(), p, "bench", "bench", noon)
		require.NoError(b, err)
		b.ReportMetric(seconds(time.Since(began)), "s")
		b.ReportMetric(float64(r.Updated), "rows")
		b.ReportMetric(memory(), "MB-peak")
	}
}

// BenchmarkStream measures how long after its commit a row is durable in the log, at
// 500 transactions a second, and undoes one transaction among all that came later.
func BenchmarkStream(b *testing.B) {
	cluster := bench(b)
	cluster.Psql("CREATE TABLE IF NOT EXISTS streamed (id bigserial PRIMARY KEY, v text); TRUNCATE streamed")
	later := trades(b) / 5
	dir := filepath.Join(b.TempDir(), "log")
	s := stream(b, cluster.ConnString(), dir, func(c *pgbackup.StreamConfig) { c.Tables = []string{"streamed"} })
	s.connected(b)
	defer func() {
		s.stop(b)
		for range 100 { // until the server has let go of it
			if cluster.Psql("SELECT count(*) FROM pg_replication_slots WHERE active") == "0" {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		cluster.Psql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
	}()
	store, err := openStore(cluster.ConnString(), b.TempDir(), func(c *pgbackup.Config) { c.Tables = []string{"streamed"} })
	require.NoError(b, err)
	c, err := pgx.Connect(b.Context(), cluster.ConnString())
	require.NoError(b, err)
	defer func() { require.NoError(b, c.Close(context.Background())) }()
	for b.Loop() {
		var took []time.Duration
		ticks := time.NewTicker(2 * time.Millisecond)
		for range 5000 {
			<-ticks.C
			var before string
			_, err := c.Exec(b.Context(), "INSERT INTO streamed (v) VALUES ('x')")
			began := time.Now()
			require.NoError(b, err)
			require.NoError(b, c.QueryRow(b.Context(), "SELECT pg_current_wal_insert_lsn()::text").Scan(&before))
			at, err := pglogrepl.ParseLSN(before)
			require.NoError(b, err)
			for s.Status().Durable < at {
				time.Sleep(50 * time.Microsecond)
				if time.Since(began) > time.Second { // what others write moves the position
					break
				}
			}
			took = append(took, time.Since(began))
		}
		ticks.Stop()
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")

		backup, err := store.Backup(b.Context(), noon.Add(time.Duration(b.N)*time.Second))
		require.NoError(b, err)
		_, err = store.Verify(b.Context(), backup.Name, noon)
		require.NoError(b, err)
		xid, err := strconv.ParseUint(cluster.Psql("WITH x AS (UPDATE streamed SET v = 'ruined' WHERE id % 50 = 0 RETURNING 1) SELECT pg_current_xact_id() FROM x LIMIT 1"), 10, 32)
		require.NoError(b, err)
		cluster.Psql(fmt.Sprintf("INSERT INTO streamed (v) SELECT 'later' FROM generate_series(1, %d)", later))
		require.Eventually(b, func() bool {
			return cluster.Psql(fmt.Sprintf("SELECT pg_current_wal_insert_lsn() - '%v'::pg_lsn < 8192", s.Status().Durable)) == "t"
		}, 2*time.Minute, 10*time.Millisecond)
		began := time.Now()
		p, err := store.PlanUndo(b.Context(), pgbackup.UndoRequest{Log: dir, XID: uint32(xid)}, noon)
		require.NoError(b, err)
		_, err = store.Undo(b.Context(), p, "bench", "bench", noon)
		require.NoError(b, err)
		b.ReportMetric(seconds(time.Since(began)), "s-undo")
		b.ReportMetric(float64(later), "rows-later")
	}
}
