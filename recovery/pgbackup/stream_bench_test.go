package pgbackup_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/internal/pgtest"
	"github.com/andon-go/andon/recovery/pgbackup"
)

// BenchmarkStreamUnderLoad runs pgbench as fast as it can, in turn without a stream and
// with one of all its tables: how much slower the load is, and how long after its commit a
// row is durable in the log meanwhile. The server syncs its commits to disk.
func BenchmarkStreamUnderLoad(b *testing.B) {
	path, err := exec.LookPath("pgbench")
	if err != nil {
		needs.Missing(b, "pgbench: %v", err)
	}
	cluster := pgtest.Start(b, "wal_level=logical", "fsync=on", "shared_buffers=128MB", "max_wal_size=2GB", "max_connections=40")
	conn := cluster.ConnString()
	out, err := exec.Command(path, "-i", "-q", "-s", "10", conn).CombinedOutput()
	require.NoError(b, err, string(out))
	cluster.Psql("ALTER TABLE pgbench_history REPLICA IDENTITY FULL; CREATE TABLE probe (id bigserial PRIMARY KEY)")
	load := func() float64 {
		out, err := exec.Command(path, "-n", "-c", "4", "-j", "1", "-T", "8", conn).CombinedOutput()
		require.NoError(b, err, string(out))
		found := regexp.MustCompile(`tps = ([0-9.]+)`).FindSubmatch(out)
		require.NotNil(b, found, string(out))
		tps, err := strconv.ParseFloat(string(found[1]), 64)
		require.NoError(b, err)
		return tps
	}
	var without, with []float64
	var took []time.Duration
	for b.Loop() {
		for range 3 {
			without = append(without, load())
			s := stream(b, conn, filepath.Join(b.TempDir(), "log"), func(c *pgbackup.StreamConfig) {
				c.Tables = []string{"pgbench_accounts", "pgbench_branches", "pgbench_tellers", "pgbench_history", "probe"}
			})
			s.connected(b)
			ctx, cancel := context.WithCancel(b.Context())
			var wg sync.WaitGroup
			wg.Go(func() { took = append(took, probe(ctx, b, conn, s)...) })
			with = append(with, load())
			cancel()
			wg.Wait()
			s.stop(b)
			require.Equal(b, "[]", s.alarm())
			require.Eventually(b, func() bool { return cluster.Psql("SELECT count(*) FROM pg_replication_slots WHERE active") == "0" }, time.Minute, 10*time.Millisecond)
			cluster.Psql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
			cluster.Psql("DROP PUBLICATION s_postgres")
		}
	}
	slices.Sort(without)
	slices.Sort(with)
	slices.Sort(took)
	off, on := without[len(without)/2], with[len(with)/2]
	b.ReportMetric(off, "tps-without")
	b.ReportMetric(on, "tps-with")
	b.ReportMetric(100*(1-on/off), "%-slower")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
	b.ReportMetric(float64(len(took)), "rows")
}

// probe commits a row now and then and measures until it is durable in the log.
func probe(ctx context.Context, b *testing.B, conn string, s *streaming) (took []time.Duration) {
	c, err := pgx.Connect(context.Background(), conn)
	if err != nil {
		b.Error(err)
		return nil
	}
	defer func() { _ = c.Close(context.Background()) }()
	for ctx.Err() == nil {
		if _, err := c.Exec(context.Background(), "INSERT INTO probe DEFAULT VALUES"); err != nil {
			b.Error(err)
			return took
		}
		began := time.Now()
		var text string // behind the commit: what is waited for is a little more than it
		if err := c.QueryRow(context.Background(), "SELECT pg_current_wal_insert_lsn()::text").Scan(&text); err != nil {
			b.Error(err)
			return took
		}
		at, err := pglogrepl.ParseLSN(text)
		if err != nil {
			b.Error(err)
			return took
		}
		for s.Status().Durable < at && time.Since(began) < 10*time.Second {
			time.Sleep(100 * time.Microsecond)
		}
		took = append(took, time.Since(began))
		time.Sleep(10 * time.Millisecond)
	}
	return took
}
