package runbook_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/internal/pgtest"
	"github.com/andon-go/andon/recovery/diagnose"
	"github.com/andon-go/andon/recovery/docker/dockertest"
)

// The bot is too slow: trading is narrowed, the settings are lowered, the profiles taken,
// the database is vacuumed, and the bot's container has more resources and a new start.
func TestPerformanceDegradationOnTheRealThings(t *testing.T) {
	var box *dockertest.Sandbox
	var conn string
	drill{
		runbook: "Performance Degradation",
		fault: func(t *testing.T, _ string, v *andontest.Venue) []string {
			conn = pgtest.Start(t, "autovacuum=off").ConnString()
			execute(t, conn, `CREATE TABLE ticks (n int); INSERT INTO ticks SELECT generate_series(1, 20000); DELETE FROM ticks WHERE n % 2 = 0`)
			stopAt(v)
			var env []string
			box, env = sandbox(t)
			return append(env, database+"="+conn)
		},
		deps: func(t *testing.T, dir string, b *bot) {
			s := stack(t, dir, b)
			b.Containers, b.Settings, b.Cache = s, variables(t, dir, b.manager), once(dir, "flush")
			b.Resources = runbook.Resources{Memory: "512m", CPUs: "1.5"}
			p := pool(t)
			db, say := diagnose.Database(p), func(v any, err error) (string, error) { return fmt.Sprint(v), err }
			b.Database = runbook.Database{
				Connections: func(ctx context.Context) (string, error) { v, err := diagnose.Connections(ctx, db); return say(v, err) },
				CacheRates:  func(ctx context.Context) (string, error) { v, err := diagnose.Cache(ctx, db); return say(v, err) },
				SlowQueries: func(ctx context.Context, atLeast time.Duration) (string, error) {
					v, err := diagnose.Slow(ctx, db, atLeast, 50*time.Millisecond)
					return say(v, err)
				},
				Vacuum: func(ctx context.Context) (string, error) {
					return "vacuumed and analyzed", diagnose.VacuumAnalyze(ctx, p)
				},
			}
			b.Bot.Profile = func(ctx context.Context) (string, error) {
				into, err := os.MkdirTemp(dir, "profiles-") // a profile replaces none
				if err != nil {
					return "", err
				}
				return into, diagnose.WriteProfiles(ctx, into, 20*time.Millisecond)
			}
			b.proofs.StakeholdersNotified = nil
		},
		end: func(t *testing.T, dir string) string {
			state, ok := box.State(box.Name("ai-trading-bot"))
			require.True(t, ok)
			world, err := os.ReadFile(filepath.Join(dir, "world"))
			if !os.IsNotExist(err) {
				require.NoError(t, err)
			}
			profiled, err := filepath.Glob(filepath.Join(dir, "profiles-*", diagnose.GoroutineFile))
			require.NoError(t, err)
			return fmt.Sprintf("memory %d, nano CPUs %d, started %d times; vacuumed %s; profiled %v; flushed %v; %s",
				state.HostConfig.Memory, state.HostConfig.NanoCpus, starts(t, box), query(t, conn, `SELECT (relallvisible > 0)::text FROM pg_class WHERE relname = 'ticks'`),
				len(profiled) > 0, strings.Fields(string(world)), set(t, dir))
		},
		want: func(t *testing.T, _ string, end string) {
			require.Contains(t, end, "memory 536870912, nano CPUs 1500000000, started 2 times; vacuumed true; profiled true; flushed [flush]; "+
				"DOCKER_CPUS=1.5 DOCKER_MEMORY=512m MCP_ENABLED=false MONITORING__DETAILED_METRICS=false RISK__MAX_POSITION_SIZE=0.1 TRADING__MIN_TIME_BETWEEN_TRADES=300")
			for _, want := range []string{`"websocket_buffer_size": 10000`, `"indicator_cache_ttl": 300`, `"batch_size": 100`, `"parallel_workers": 4`, `"db_connection_pool": 20`} {
				require.Contains(t, end, want)
			}
		},
	}.run(t)
}
