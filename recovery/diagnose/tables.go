package diagnose

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// HitRate is how many blocks were found in the cache, of a table or of all.
type HitRate struct {
	Name string // of the table; "all tables" or "all indexes"
	Hits int64
	Read int64 // from the disk, or from the system's own cache
}

// Rate returns the part that was found, 0 to 1. It is false where nothing was asked
// for: no rate is not a bad rate.
func (h HitRate) Rate() (float64, bool) {
	if h.Hits+h.Read == 0 {
		return 0, false
	}
	return float64(h.Hits) / float64(h.Hits+h.Read), true
}

// HitRates are the totals, and then the tables that read most.
type HitRates []HitRate

func (hs HitRates) lines() string {
	var b strings.Builder
	for _, h := range hs {
		if rate, ok := h.Rate(); ok {
			fmt.Fprintf(&b, "%s: %.1f %% of %d blocks\n", h.Name, 100*rate, h.Hits+h.Read)
		} else {
			fmt.Fprintf(&b, "%s: nothing was asked for\n", h.Name)
		}
	}
	return b.String()
}

// Cache returns the hit rates since the server's statistics were last reset.
func Cache(ctx context.Context, db Database) (HitRates, error) {
	return ask[HitRate](ctx, db, `(SELECT 'all tables', coalesce(sum(heap_blks_hit), 0)::bigint, coalesce(sum(heap_blks_read), 0)::bigint FROM pg_statio_user_tables)
		UNION ALL (SELECT 'all indexes', coalesce(sum(idx_blks_hit), 0)::bigint, coalesce(sum(idx_blks_read), 0)::bigint FROM pg_statio_user_indexes)
		UNION ALL (SELECT format('%I.%I', schemaname, relname), heap_blks_hit, heap_blks_read FROM pg_statio_user_tables ORDER BY heap_blks_read DESC, 1 LIMIT 10)`)
}

// Table is how much of a table is thought to be dead weight.
type Table struct {
	Name     string
	Bytes    int64 // with its indexes
	Live     int64 // rows, as the server estimates them
	Dead     int64 // rows that VACUUM would free, as the server estimates them
	Vacuumed *time.Time
	Analyzed *time.Time // nil: never since the statistics were reset
}

// Tables are those with most dead rows first.
type Tables []Table

func (ts Tables) lines() string {
	var b strings.Builder
	for _, t := range ts {
		fmt.Fprintf(&b, "%s: about %d dead rows beside %d live ones, %d bytes, vacuumed %s, analyzed %s\n", t.Name, t.Dead, t.Live, t.Bytes, when(t.Vacuumed), when(t.Analyzed))
	}
	if len(ts) == 0 {
		b.WriteString("there are no tables\n")
	}
	return b.String()
}

func when(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// Bloat returns the 20 tables with most dead rows, by the server's own estimates: a
// guess that costs nothing.
func Bloat(ctx context.Context, db Database) (Tables, error) {
	// The size on the disk is asked by the pages that the catalog knows of: the
	// function that measures it takes a lock.
	return ask[Table](ctx, db, `SELECT format('%I.%I', s.schemaname, s.relname),
		(c.relpages + coalesce((SELECT sum(i.relpages) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid), 0))::bigint * current_setting('block_size')::bigint,
		s.n_live_tup, s.n_dead_tup, greatest(s.last_vacuum, s.last_autovacuum), greatest(s.last_analyze, s.last_autoanalyze)
		FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid ORDER BY s.n_dead_tup DESC, 1 LIMIT 20`)
}

// Usage says how many connections are taken.
type Usage struct {
	Used     int64 // by clients
	Max      int64
	Reserved int64 // of Max, for superusers
	Idle     int64 // in a transaction: they hold locks and do nothing
	Oldest   time.Duration
}

func (u Usage) lines() string {
	return fmt.Sprintf("%d of %d taken, %d more are for superusers; %d idle in a transaction, the oldest transaction is %v old\n",
		u.Used, u.Max-u.Reserved, u.Reserved, u.Idle, u.Oldest.Round(time.Millisecond))
}

// Connections returns how many connections of the server are taken, of all its
// databases.
func Connections(ctx context.Context, db Database) (Usage, error) {
	rows, err := ask[Usage](ctx, db, `SELECT count(*), current_setting('max_connections')::bigint, current_setting('superuser_reserved_connections')::bigint,
		count(*) FILTER (WHERE state LIKE 'idle in transaction%'), coalesce(max(clock_timestamp() - xact_start), interval '0')
		FROM pg_stat_activity WHERE backend_type = 'client backend'`)
	if err != nil {
		return Usage{}, err
	}
	if len(rows) != 1 {
		return Usage{}, errors.New("the server gave no row")
	}
	return rows[0], nil
}

// Executor is a *pgxpool.Pool or a *pgx.Conn.
type Executor interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// VacuumAnalyze frees dead rows and renews the statistics of tables, named with their
// schema or without, as vacuumdb -z does; of all of them when none is named. It skips
// tables that are locked instead of queueing behind a lock, and takes as long as it
// takes: the tables can be read and written meanwhile.
func VacuumAnalyze(ctx context.Context, db Executor, tables ...string) error {
	var sql strings.Builder
	sql.WriteString("VACUUM (ANALYZE, SKIP_LOCKED)")
	for i, table := range tables {
		parts := strings.Split(table, ".")
		if i > 0 {
			sql.WriteString(",")
		}
		sql.WriteString(" " + pgx.Identifier(parts).Sanitize())
	}
	_, err := db.Exec(ctx, sql.String())
	return err
}
