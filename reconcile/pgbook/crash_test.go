package pgbook_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/internal/pgtest"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/reconcile/pgbook"
)

// The plan of these tests corrects a position, closes one out, adopts one, and inserts
// a fill. What it leaves is damaged or repaired, and nothing between.
const (
	damage = `CREATE TABLE positions (symbol text, quantity numeric, entry_price numeric, current_price numeric, status text);
		CREATE TABLE trades (status text, created_at timestamptz, size numeric, leverage numeric, ip_address text);
		INSERT INTO positions VALUES ('A', 1, 2, NULL, 'open'), ('B', 3, 4, NULL, 'open')`
	again = `DELETE FROM positions; DELETE FROM andon.repairs; DELETE FROM andon.applied; DELETE FROM andon.fills;
		INSERT INTO positions VALUES ('A', 1, 2, NULL, 'open'), ('B', 3, 4, NULL, 'open')`
	state = `SELECT concat_ws(' ', (SELECT string_agg(concat_ws('|', symbol, quantity, status), ',' ORDER BY symbol) FROM positions),
		(SELECT count(*) FROM andon.fills), (SELECT count(*) FROM andon.applied), (SELECT count(*) FROM andon.repairs))`
	damaged  = "A|1|open,B|3|open 0 0 0"
	repaired = "A|1.5|open,B|3|closed,C|-7|open 1 1 4"
)

func repair() reconcile.Transaction {
	return transaction("plan-1",
		positionEdit("A", rows(position("A", "1", "2")), rows(position("A", "1.5", "2"))),
		positionEdit("B", rows(position("B", "3", "4")), nil),
		positionEdit("C", nil, rows(position("C", "-7", "1"))),
		fillEdit("o", nil, rows(fill("andon-1", "o", andon.Buy, "1", "10", "0.1"))))
}

// messenger sees the messages that go to the server: each of them but the first of a
// connection, with which it begins or asks for another's end.
type messenger struct {
	mu      sync.Mutex
	step    func() error // if set, called before each message
	left    int          // how many messages until the cut; 0 is none
	sent    bool         // cut after the message was sent, else before
	forGood bool         // no connection any more from then on
	struck  bool

	refuse atomic.Bool
}

// cutAt cuts the connection at the nth message from now on. What it returns ends that
// and reports whether there was a cut.
func (m *messenger) cutAt(n int, sent, forGood bool) (end func() bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left, m.sent, m.forGood, m.struck = n, sent, forGood, false
	m.refuse.Store(false)
	return func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.left = 0
		return m.struck
	}
}

// watch makes step be called before each message, nil ends it.
func (m *messenger) watch(step func() error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.step = step
}

// wire is one connection. The messenger's lock guards its fields.
type wire struct {
	net.Conn
	m     *messenger
	begun bool
	cut   bool
}

var errCut = errors.New("cut by the test")

// message says what to do with the next message.
func (w *wire) message() (before, after bool, err error) {
	m := w.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if !w.begun || w.cut {
		w.begun = true
		return false, false, nil
	}
	if m.step != nil {
		err = m.step()
	}
	if m.left == 0 {
		return false, false, err
	}
	if m.left--; m.left > 0 {
		return false, false, err
	}
	m.struck, w.cut = true, true
	m.refuse.Store(m.forGood)
	return !m.sent, m.sent, err
}

func (w *wire) Write(b []byte) (int, error) {
	before, after, err := w.message()
	if before {
		return 0, errors.Join(errCut, w.Close())
	}
	if err != nil {
		return 0, err
	}
	n, err := w.Conn.Write(b)
	if after {
		return n, errors.Join(errCut, err, w.Close())
	}
	return n, err
}

// pool opens a pool of one connection whose messages m sees. The caller closes it.
func (m *messenger) pool(conn string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(conn)
	if err != nil {
		return nil, err
	}
	config.MaxConns = 1
	config.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if m.refuse.Load() {
			return nil, errors.New("connection refused by the test")
		}
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return &wire{Conn: c, m: m}, err
	}
	return pgxpool.NewWithConfig(context.Background(), config)
}

// TestLaw9_KilledAtEveryMessage kills the process before and after each message that
// Apply sends, and applies again.
func TestLaw9_KilledAtEveryMessage(t *testing.T) {
	var conn string
	var pool *pgxpool.Pool
	was := map[string]int{}
	crashtest.Run(t, crashtest.Config{
		Timeout: 2 * time.Minute,
		Setup: func(dir string) error { // runs in the test's process only
			if conn == "" {
				conn = newDatabase(t, damage)
				pool = connect(t, conn)
				if err := pgbook.Migrate(t.Context(), pool, ""); err != nil {
					return err
				}
			}
			exec(t, pool, again)
			return os.WriteFile(filepath.Join(dir, "conn"), []byte(conn), 0o600)
		},
	}, applyAndCount, func(t *testing.T, dir string, at crashtest.Step) {
		now := value(t, pool, state)
		require.Contains(t, []string{damaged, repaired}, now)
		if slices.Contains(at.Lines, "applied") {
			require.Equal(t, repaired, now)
		}
		was[now]++
		book, err := pgbook.Open(t.Context(), pgbook.Config{DB: pool, Venue: "v", LockTimeout: 30 * time.Second})
		require.NoError(t, err)
		if err := book.Apply(t.Context(), repair()); !errors.Is(err, reconcile.ErrApplied) {
			require.NoError(t, err)
		}
		require.Equal(t, repaired, value(t, pool, state))
		require.ErrorIs(t, book.Apply(t.Context(), repair()), reconcile.ErrApplied)
		require.Equal(t, repaired, value(t, pool, state))
	})
	require.NotZero(t, was[damaged])
	require.NotZero(t, was[repaired])
}

// applyAndCount is the child: it makes one durable step in dir for each message.
func applyAndCount(dir string) error {
	conn, err := os.ReadFile(filepath.Join(dir, "conn"))
	if err != nil {
		return err
	}
	steps, err := os.OpenFile(filepath.Join(dir, "messages"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	m := &messenger{}
	pool, err := m.pool(string(conn))
	if err != nil {
		return err
	}
	defer pool.Close()
	book, err := pgbook.Open(context.Background(), pgbook.Config{DB: pool, Venue: "v"})
	if err != nil {
		return err
	}
	m.watch(func() error {
		_, err := steps.Write([]byte("."))
		return err
	})
	err = book.Apply(context.Background(), repair())
	m.watch(nil)
	if err == nil {
		fmt.Println("applied")
	}
	return errors.Join(err, steps.Close())
}

// TestLaw6_ACutAtEveryMessageIsSettled cuts the connection at each message, before it is
// sent and after it was sent and before its answer, once and for good. Apply tells the
// truth each time: nil when the plan is in the book, ErrOutcomeUnknown when it cannot know.
func TestLaw6_ACutAtEveryMessageIsSettled(t *testing.T) {
	conn := newDatabase(t, damage)
	pool := connect(t, conn)
	require.NoError(t, pgbook.Migrate(t.Context(), pool, ""))
	settled, retried, unknown, unknownButDone := 0, 0, 0, 0
	m := &messenger{}
	through, err := m.pool(conn)
	require.NoError(t, err)
	defer through.Close()
	// cut applies with the connection cut at message n and reports whether there was one.
	cut := func(book *pgbook.Book, n int, sent, forGood bool, attempts int) (reached bool) {
		exec(t, pool, again)
		end := m.cutAt(n, sent, forGood)
		err := book.Apply(t.Context(), repair())
		reached = end()
		require.Eventually(t, func() bool { // the server may not have noticed yet
			return value(t, pool, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'`) == "0"
		}, time.Minute, time.Millisecond)
		now := value(t, pool, state)
		name := fmt.Sprintf("message %d, sent %v, for good %v, %d attempts: %v", n, sent, forGood, attempts, err)
		switch {
		case err == nil:
			require.Equal(t, repaired, now, name)
			if reached && attempts == 1 {
				settled++
			} else if reached {
				retried++
			}
		case errors.Is(err, andon.ErrOutcomeUnknown):
			require.Contains(t, []string{damaged, repaired}, now, name)
			unknown++
			if now == repaired {
				unknownButDone++
			}
		default:
			require.Equal(t, damaged, now, name)
			require.False(t, attempts > 1 && !forGood, name)
		}
		if !reached {
			require.NoError(t, err)
		}
		return reached
	}
	for _, test := range []struct {
		forGood  bool
		attempts int
		settle   time.Duration
	}{{false, 5, time.Minute}, {false, 1, time.Minute}, {true, 1, time.Millisecond}} {
		m.cutAt(0, false, false)
		book := open(t, through, func(c *pgbook.Config) { c.Attempts, c.SettleTimeout = test.attempts, test.settle })
		for _, sent := range []bool{false, true} {
			for n := 1; cut(book, n, sent, test.forGood, test.attempts); n++ {
			}
		}
	}
	require.NotZero(t, retried)
	require.NotZero(t, settled, "the commit went through and its answer was lost")
	require.NotZero(t, unknown)
	require.NotZero(t, unknownButDone)
}

// TestLaw9_AServerThatRestartsMeanwhile: PostgreSQL itself goes away before the plan and
// just before its commit, and comes back.
func TestLaw9_AServerThatRestartsMeanwhile(t *testing.T) {
	cluster := pgtest.Start(t)
	pool := connect(t, cluster.ConnString())
	asked, restartAt := 0, 0
	exec(t, pool, damage)
	book := open(t, pool, func(c *pgbook.Config) {
		c.CheckWrite = func() error {
			if asked++; asked == restartAt {
				cluster.Restart()
			}
			return nil
		}
	})
	for at := 1; at <= 2; at++ {
		exec(t, pool, again)
		asked, restartAt = 0, at
		require.NoError(t, book.Apply(t.Context(), repair()))
		require.GreaterOrEqual(t, asked, 2*restartAt, "what broke was tried again")
		require.Equal(t, repaired, value(t, pool, state))
		require.ErrorIs(t, book.Apply(t.Context(), repair()), reconcile.ErrApplied)
	}
	cluster.Stop()
	records, err := book.Read(t.Context())
	require.Error(t, err)
	require.Equal(t, reconcile.Records{}, records)
	require.Error(t, book.Apply(t.Context(), repair()))
	result, err := book.CheckIntegrity(t.Context(), noon)
	require.Error(t, err)
	require.Nil(t, result)
	require.False(t, result.Clean())
}
