package pgbackup_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/internal/pgtest"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/pgbackup"
	"github.com/andon-go/andon/recovery/recoverytest"
)

// Two tables with a foreign key between them: what is left of a restore is the old ones
// or the new ones, and nothing between.
const (
	pair = `CREATE TABLE accounts (id serial PRIMARY KEY, name text); CREATE TABLE positions (id int PRIMARY KEY, account int REFERENCES accounts, v text);
		INSERT INTO accounts (name) VALUES ('a'), ('b'); INSERT INTO positions VALUES (1, 1, 'good'), (2, 2, 'good')`
	ruinPair  = `UPDATE positions SET v = 'ruined'; INSERT INTO accounts (name) VALUES ('intruder')`
	pairState = `SELECT concat_ws(' ', (SELECT count(*) FROM accounts), (SELECT string_agg(DISTINCT v, ',') FROM positions))`
	ruined    = "3 ruined"
	restored  = "2 good"
)

func TestLaw8_AKilledBackupNeverCountsUnlessItIsWhole(t *testing.T) {
	var conn string
	was := map[recovery.State]int{}
	crashtest.Run(t, crashtest.Config{
		MaxSteps: steps(25), Timeout: 2 * time.Minute,
		Setup: func(dir string) error { // runs in the test's process only
			if conn == "" {
				conn = newDatabase(t, pair)
			}
			return os.WriteFile(filepath.Join(dir, "conn"), []byte(conn), 0o600)
		},
	}, func(dir string) error {
		store, err := storeOf(dir, func(c *pgbackup.Config) { c.Workers = 1 }) // the order of steps is one
		if err != nil {
			return err
		}
		b, err := store.Backup(context.Background(), noon)
		if err != nil {
			return err
		}
		fmt.Println("complete")
		if _, err := store.Verify(context.Background(), b.Name, noon); err != nil {
			return err
		}
		fmt.Println("verified")
		return nil
	}, func(t *testing.T, dir string, at crashtest.Step) {
		store, err := storeOf(dir)
		require.NoError(t, err)
		backups, err := store.Backups(t.Context())
		require.NoError(t, err)
		for _, b := range backups {
			was[b.State]++
			require.NotEqual(t, recovery.Damaged, b.State, b)
			_, err := store.PlanRestore(t.Context(), pgbackup.Request{Backup: b.Name}, noon)
			if !b.Good() {
				require.ErrorIs(t, err, recovery.ErrNotVerified)
			} else {
				require.NoError(t, err)
			}
		}
		if slices.Contains(at.Lines, "verified") {
			require.True(t, backups[0].Good())
		}
		// Run again, it finishes, once the server has seen that the other is gone.
		require.Eventually(t, func() bool {
			_, err = store.Backup(t.Context(), noon.Add(time.Minute))
			return !errors.Is(err, pgbackup.ErrBusy)
		}, time.Minute, 5*time.Millisecond)
		require.NoError(t, err)
	})
	require.NotZero(t, was[recovery.Writing])
	require.NotZero(t, was[recovery.Complete])
	require.NotZero(t, was[recovery.Verified])
}

// storeOf opens the store of a child's directory.
func storeOf(dir string, change ...func(*pgbackup.Config)) (*pgbackup.Store, error) {
	conn, err := os.ReadFile(filepath.Join(dir, "conn"))
	if err != nil {
		return nil, err
	}
	return openStore(string(conn), filepath.Join(dir, "backups"), change...)
}

// messenger sees the messages that go to the server, over all connections.
type messenger struct {
	mu      sync.Mutex
	step    func() error // called before each message
	after   func() error // called after each
	left    int          // how many messages until the cut; 0 is none
	sent    bool         // cut after the message was sent, else before
	reached bool
}

type wire struct {
	net.Conn
	m     *messenger
	begun bool
}

var errCut = errors.New("cut by the test")

func (w *wire) Write(b []byte) (int, error) {
	w.m.mu.Lock()
	cut, sent := false, w.m.sent
	var err error
	if w.begun { // not the message that opens the session
		if w.m.step != nil {
			err = w.m.step()
		}
		if w.m.left > 0 {
			w.m.left--
			cut = w.m.left == 0
			w.m.reached = w.m.reached || cut
		}
	}
	after := w.m.after
	if !w.begun {
		after = nil
	}
	w.begun = true
	w.m.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if cut && !sent {
		return 0, errors.Join(errCut, w.Close())
	}
	n, err := w.Conn.Write(b)
	if after != nil && err == nil {
		w.m.mu.Lock()
		defer w.m.mu.Unlock()
		return n, after()
	}
	if cut {
		return n, errors.Join(errCut, err, w.Close())
	}
	return n, err
}

// through makes a store's connections go past the messenger.
func (m *messenger) through(c *pgbackup.Config) {
	c.Workers = 1 // the order of messages is one
	c.Conn.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return &wire{Conn: conn, m: m}, err
	}
}

// prepare ruins the pair of a database, of which dir has or gets a backup, and plans
// to restore it. It may be called again for the same database.
func prepare(t *testing.T, dir, conn string) error {
	if err := os.WriteFile(filepath.Join(dir, "conn"), []byte(conn), 0o600); err != nil {
		return err
	}
	once(t, conn, `DROP TABLE IF EXISTS positions, accounts; DO $$ DECLARE s text; BEGIN
		FOR s IN SELECT nspname FROM pg_namespace WHERE nspname LIKE 'andon\_%' LOOP EXECUTE format('DROP SCHEMA %I CASCADE', s); END LOOP; END $$;`+pair)
	store, err := storeOf(dir)
	if err != nil {
		return err
	}
	b, err := store.Backup(t.Context(), noon)
	if err != nil {
		return err
	}
	if _, err := store.Verify(t.Context(), b.Name, noon); err != nil {
		return err
	}
	once(t, conn, ruinPair)
	p, err := store.PlanRestore(t.Context(), pgbackup.Request{Backup: b.Name}, noon)
	if err != nil {
		return err
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "plan"), text, 0o600)
}

func planOf(dir string) (p pgbackup.Plan, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "plan"))
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(text, &p)
}

func TestLaw9_AKilledRestoreLeavesTheOldTablesOrTheNewAndFinishesWhenAppliedAgain(t *testing.T) {
	var conn string
	var pool *pgxpool.Pool
	was := map[string]int{}
	crashtest.Run(t, crashtest.Config{
		MaxSteps: steps(30), Timeout: 2 * time.Minute,
		Setup: func(dir string) error { // runs in the test's process only
			if conn == "" {
				conn = newDatabase(t, "")
				pool = connect(t, conn)
			}
			return prepare(t, dir, conn)
		},
	}, func(dir string) error {
		steps, err := os.OpenFile(filepath.Join(dir, "messages"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		m := &messenger{step: func() error {
			_, err := steps.Write([]byte("."))
			return err
		}}
		store, err := storeOf(dir, m.through)
		if err != nil {
			return err
		}
		p, err := planOf(dir)
		if err != nil {
			return err
		}
		if _, err := store.Restore(context.Background(), p, "alice", "why", noon); err != nil {
			return err
		}
		fmt.Println("restored")
		return steps.Close()
	}, func(t *testing.T, dir string, at crashtest.Step) {
		now := value(t, pool, pairState)
		require.Contains(t, []string{ruined, restored}, now, "a mixture")
		if slices.Contains(at.Lines, "restored") {
			require.Equal(t, restored, now)
		}
		was[now]++
		finish(t, dir, pool)
	})
	require.NotZero(t, was[ruined])
	require.NotZero(t, was[restored])
}

// finish applies the plan again, twice.
func finish(t *testing.T, dir string, pool *pgxpool.Pool) {
	t.Helper()
	store, err := storeOf(dir)
	require.NoError(t, err)
	p, err := planOf(dir)
	require.NoError(t, err)
	require.Eventually(t, func() bool { // until the server has seen that the other is gone
		_, err = store.Restore(t.Context(), p, "bob", "again", noon)
		return !errors.Is(err, pgbackup.ErrBusy)
	}, time.Minute, 5*time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, restored, value(t, pool, pairState))
	r, err := store.Restore(t.Context(), p, "bob", "once more", noon)
	require.NoError(t, err)
	require.True(t, r.Unchanged)
	require.Equal(t, "0", value(t, pool, `SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'andon\_scratch%'`), "nothing half built is left")
	kept := value(t, pool, `SELECT nspname FROM pg_namespace WHERE nspname LIKE 'andon\_kept%'`)
	require.Equal(t, "ruined", value(t, pool, fmt.Sprintf("SELECT DISTINCT v FROM %q.positions", kept)), "what was replaced is kept")
}

// The connection breaks at each message, before it is sent, and after it was and before
// its answer. The call tells the truth: what it says was restored is.
func TestLaw6_ACutAtAnyMessageOfARestoreIsSettled(t *testing.T) {
	restoredAnyway := 0
	conn := newDatabase(t, "")
	pool := connect(t, conn)
	for _, sent := range []bool{false, true} {
		for n := 1; ; n++ {
			dir := t.TempDir()
			require.NoError(t, prepare(t, dir, conn))
			m := &messenger{}
			store, err := storeOf(dir, m.through)
			require.NoError(t, err)
			p, err := planOf(dir)
			require.NoError(t, err)
			m.left, m.sent = n, sent
			_, err = store.Restore(t.Context(), p, "alice", "why", noon)
			reached := m.reached
			name := fmt.Sprintf("message %d, sent %v: %v", n, sent, err)
			require.Eventually(t, func() bool { // the server may not have noticed yet
				return value(t, pool, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'andon pgbackup' AND state <> 'idle'`) == "0"
			}, time.Minute, time.Millisecond)
			now := value(t, pool, pairState)
			switch {
			case err == nil:
				require.Equal(t, restored, now, name)
				if reached {
					restoredAnyway++
				}
			case errors.Is(err, pgbackup.ErrOutcomeUnknown):
				require.Contains(t, []string{ruined, restored}, now, name)
			default:
				require.Equal(t, ruined, now, name)
			}
			finish(t, dir, pool)
			if !reached {
				require.NoError(t, err)
				break
			}
		}
	}
	require.NotZero(t, restoredAnyway, "the commit went through and its answer was lost")
}

// PostgreSQL itself goes away while a backup is read and while a restore is built, and
// comes back.
func TestLaw8_AServerThatStopsMeanwhile(t *testing.T) {
	cluster := pgtest.Start(t)
	once(t, cluster.ConnString(), pair)
	var onList, onRecord func()
	call := func(f *func()) func() {
		return func() {
			if now := *f; now != nil {
				*f = nil // once
				now()
			}
		}
	}
	repository, err := recovery.NewRepository(recovery.RepositoryConfig{Component: recovery.PositionDatabase, Storage: &meddler{meddle: call(&onList)}})
	require.NoError(t, err)
	store, err := openStore(cluster.ConnString(), t.TempDir(), func(c *pgbackup.Config) {
		c.Recorder, c.Repository = recorder(call(&onRecord)), repository
	})
	require.NoError(t, err)
	onList = cluster.Restart
	_, err = store.Backup(t.Context(), noon)
	require.Error(t, err)
	b, err := store.Backup(t.Context(), noon)
	require.NoError(t, err)
	_, err = store.Verify(t.Context(), b.Name, noon)
	require.NoError(t, err)
	once(t, cluster.ConnString(), ruinPair)
	p, err := store.PlanRestore(t.Context(), pgbackup.Request{}, noon)
	require.NoError(t, err)
	onRecord = cluster.Restart
	_, err = store.Restore(t.Context(), p, "alice", "why", noon)
	require.Error(t, err)
	pool := connect(t, cluster.ConnString())
	require.Equal(t, ruined, value(t, pool, pairState))
	_, err = store.Restore(t.Context(), p, "alice", "why", noon)
	require.NoError(t, err)
	require.Equal(t, restored, value(t, pool, pairState))
}

// A storage that is full, or fails in another way, at its nth object.
func TestLaw8_AStorageThatFailsLeavesNoBackup(t *testing.T) {
	w := newWorld(t, botTables)
	failed := errors.New("no space left on device")
	for nth := 1; ; nth++ {
		storage := new(recoverytest.Storage)
		repository, err := recovery.NewRepository(recovery.RepositoryConfig{Component: recovery.PositionDatabase, Storage: storage})
		require.NoError(t, err)
		puts := 0
		storage.FailWhen(func(op, key string) error {
			if op == "put" {
				puts++
			}
			if op == "put" && puts == nth {
				return failed
			}
			return nil
		})
		store := w.open(t, w.conn, func(c *pgbackup.Config) { c.Repository = repository })
		b, err := store.Backup(t.Context(), noon)
		if puts < nth {
			require.NoError(t, err)
			require.Greater(t, nth, 6)
			require.Equal(t, recovery.Complete, b.State)
			return
		}
		require.ErrorIs(t, err, failed)
		backups, err := store.Backups(t.Context())
		require.NoError(t, err)
		require.Empty(t, backups)
		require.Empty(t, storage.Keys(), "nothing is left: "+strings.Join(storage.Keys(), " "))
	}
}
