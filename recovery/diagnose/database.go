package diagnose

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Database is a *pgxpool.Pool or a *pgx.Conn. With several looks at once it must be
// safe for concurrent use, as a pool is.
type Database interface {
	BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
}

// ask runs a query in a read-only transaction that waits for no lock.
func ask[T any](ctx context.Context, db Database, sql string, args ...any) (rows []T, err error) {
	tx, err := db.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, err
	}
	defer func() {
		// The connection is given back also when ctx has ended, and never waited for long.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if rerr := tx.Rollback(end); err == nil {
			err = rerr
		}
	}()
	limit := 5 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		limit = max(time.Millisecond, time.Until(deadline))
	}
	if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = '100ms'; SET LOCAL statement_timeout = '%dms'", limit.Milliseconds()+1)); err != nil {
		return nil, err
	}
	result, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(result, pgx.RowToStructByPos[T])
}

// Session is one connection to the database that does something.
type Session struct {
	PID     int32
	User    string
	App     string
	State   string        // "active", "idle in transaction"
	Wait    string        // what it waits for; empty when it works
	For     time.Duration // since its transaction, or its statement, began
	Query   string        // the first 200 characters
	Waiting []int32       // the sessions that it waits for
}

func (s Session) String() string {
	wait := ""
	if s.Wait != "" {
		wait = ", waits for " + s.Wait
	}
	return fmt.Sprintf("%d %s@%s %s for %v%s: %s", s.PID, s.User, s.App, s.State, s.For.Round(time.Millisecond), wait, s.Query)
}

// Sessions are those of pg_stat_activity, the longest first.
type Sessions []Session

func (s Sessions) lines() string {
	if len(s) == 0 {
		return "nobody does anything\n"
	}
	var b strings.Builder
	for _, session := range s {
		b.WriteString(session.String() + "\n")
	}
	return b.String()
}

const sessionColumns = `a.pid, coalesce(a.usename, ''), coalesce(a.application_name, ''), coalesce(a.state, ''),
	coalesce(a.wait_event_type || '/' || a.wait_event, ''),
	greatest(clock_timestamp() - coalesce(a.xact_start, a.query_start, a.backend_start), interval '0'),
	left(regexp_replace(a.query, '\s+', ' ', 'g'), 200), pg_blocking_pids(a.pid)`

// Activity returns what every session does that is not idle, the longest first;
// without this one.
func Activity(ctx context.Context, db Database) (Sessions, error) {
	return ask[Session](ctx, db, `SELECT `+sessionColumns+` FROM pg_stat_activity a
		WHERE a.backend_type = 'client backend' AND a.state <> 'idle' AND a.pid <> pg_backend_pid() ORDER BY 6 DESC LIMIT 100`)
}

// Blocker is a session for which others wait, and they in turn for it.
type Blocker struct {
	Session
	Blocks []*Blocker
}

// Blockers are the roots of the trees: sessions that wait for nobody.
type Blockers []*Blocker

func (bs Blockers) lines() string {
	if len(bs) == 0 {
		return "nobody waits for anybody\n"
	}
	var b strings.Builder
	var tell func(bs []*Blocker, depth int)
	tell = func(bs []*Blocker, depth int) {
		for _, blocker := range bs {
			b.WriteString(strings.Repeat("  ", depth) + blocker.String() + "\n")
			tell(blocker.Blocks, depth+1)
		}
	}
	tell(bs, 0)
	return b.String()
}

// Blocking returns who waits for whom, as trees: what hangs below a session waits for
// it. Sessions that wait for each other in a circle, which the server is about to
// break, hang below the one with the lowest number.
func Blocking(ctx context.Context, db Database) (Blockers, error) {
	sessions, err := ask[Session](ctx, db, `WITH waiting AS MATERIALIZED (SELECT pid, pg_blocking_pids(pid) AS by FROM pg_stat_activity WHERE wait_event_type = 'Lock')
		SELECT `+sessionColumns+` FROM pg_stat_activity a
		WHERE a.pid IN (SELECT pid FROM waiting WHERE by <> '{}') OR a.pid IN (SELECT unnest(by) FROM waiting) ORDER BY a.pid`)
	return blockers(sessions), err
}

func blockers(sessions []Session) Blockers {
	byPID := map[int32]*Blocker{}
	for _, s := range sessions {
		byPID[s.PID] = &Blocker{Session: s}
	}
	var roots Blockers
	placed := map[int32]bool{}
	var place func(b *Blocker)
	place = func(b *Blocker) {
		placed[b.PID] = true
		for _, s := range sessions {
			if slices.Contains(s.Waiting, b.PID) && !placed[s.PID] {
				b.Blocks = append(b.Blocks, byPID[s.PID])
				place(byPID[s.PID])
			}
		}
	}
	for _, circles := range []bool{false, true} {
		for _, s := range sessions {
			waits := slices.ContainsFunc(s.Waiting, func(pid int32) bool { return byPID[pid] != nil })
			if !placed[s.PID] && (circles || !waits) {
				roots = append(roots, byPID[s.PID])
				place(byPID[s.PID])
			}
		}
	}
	return roots
}

// Statement is a kind of statement that is slow.
type Statement struct {
	Query string
	Calls int64         // how often it ran; of samples, in how many it was seen
	Mean  time.Duration // of a call; of samples, 0: it is not known
	Max   time.Duration // of samples, the longest that one was seen to run
}

// Statements are the slow statements, the longest first.
type Statements struct {
	Source string // "pg_stat_statements", or "sampled" where that is not there
	Why    string // why it was sampled; empty else
	All    []Statement
}

func (s Statements) lines() string {
	var b strings.Builder
	fmt.Fprintf(&b, "source: %s %s\n", s.Source, s.Why)
	for _, st := range s.All {
		fmt.Fprintf(&b, "%d calls, mean %v, max %v: %s\n", st.Calls, st.Mean, st.Max, st.Query)
	}
	if len(s.All) == 0 {
		b.WriteString("none was seen\n")
	}
	return b.String()
}

// Slow returns the statements whose mean, or longest, time is at least threshold: by
// pg_stat_statements where it is installed, else by looking every 50 ms for a time at
// what runs.
func Slow(ctx context.Context, db Database, threshold, sampleFor time.Duration) (Statements, error) {
	ms := float64(threshold) / float64(time.Millisecond)
	all, err := ask[Statement](ctx, db, `SELECT left(regexp_replace(query, '\s+', ' ', 'g'), 200), calls,
		make_interval(secs => mean_exec_time / 1000), make_interval(secs => max_exec_time / 1000)
		FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND greatest(mean_exec_time, max_exec_time) >= $1 ORDER BY total_exec_time DESC LIMIT 50`, ms)
	if err == nil {
		return Statements{Source: "pg_stat_statements", All: all}, nil
	}
	// The server refused: it has no such view, or may not show it. Anything else is
	// an answer that did not come.
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return Statements{}, err
	}
	sampled, err := sample(ctx, db, threshold, sampleFor)
	return Statements{Source: "sampled", Why: "for lack of pg_stat_statements: " + refused.Message, All: sampled}, err
}

func sample(ctx context.Context, db Database, threshold, sampleFor time.Duration) ([]Statement, error) {
	type running struct {
		Query string
		For   time.Duration
	}
	seen := map[string]*Statement{}
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(sampleFor); ; {
		rows, err := ask[running](ctx, db, `SELECT left(regexp_replace(query, '\s+', ' ', 'g'), 200), clock_timestamp() - query_start
			FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND query_start IS NOT NULL`)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if r.For < threshold {
				continue
			}
			s := seen[r.Query]
			if s == nil {
				s = &Statement{Query: r.Query}
				seen[r.Query] = s
			}
			s.Calls++
			s.Max = max(s.Max, r.For)
		}
		if !time.Now().Before(end) {
			break
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	var all []Statement
	for _, s := range seen {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b Statement) int {
		if a.Max != b.Max {
			return int(b.Max - a.Max)
		}
		return strings.Compare(a.Query, b.Query)
	})
	return all, nil
}
