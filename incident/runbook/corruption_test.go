package runbook_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/internal/pgtest"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/reconcile/pgbook"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/pgbackup"
)

const database = "ANDON_RUNBOOK_DATABASE"

var (
	_ runbook.Restore = (*pgbackup.Rescue)(nil)
	_ runbook.Backups = (*pgbackup.Store)(nil)
)

const botTables = `
	CREATE TABLE positions (symbol text PRIMARY KEY, quantity numeric, entry_price numeric, current_price numeric, status text);
	CREATE TABLE trades (id bigserial PRIMARY KEY, status text, created_at timestamptz, size numeric, leverage numeric, ip_address text);
	INSERT INTO positions VALUES ('BTC-USD', 1.5, 100, 100, 'open'), ('ETH-USD', 0, 50, 50, 'closed');
	INSERT INTO trades (status, created_at, size, leverage, ip_address) VALUES ('closed', now(), 1.5, 1, '192.0.2.1')`

// dump says what stands in a database.
const dump = `SELECT concat_ws(E'\n',
	(SELECT string_agg(concat_ws(' ', symbol, quantity, entry_price, current_price, status), ', ' ORDER BY symbol) FROM positions),
	(SELECT count(*) FROM trades), (SELECT count(*) FROM andon.applied), (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'andon\_%'))`

func query(t *testing.T, conn, sql string) (out string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), conn)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close(context.Background())) }()
	require.NoError(t, c.QueryRow(t.Context(), sql).Scan(&out))
	return out
}

func execute(t *testing.T, conn, sql string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), conn)
	require.NoError(t, err)
	_, err = c.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, errors.Join(err, c.Close(context.Background())))
}

// store is where the backups of a drill's database lie.
func store(t *testing.T, dir, conn string, rec recovery.Recorder, idle func(context.Context) error) *pgbackup.Store {
	t.Helper()
	parsed, err := pgx.ParseConfig(conn)
	require.NoError(t, err)
	storage, err := recovery.NewDirStorage(filepath.Join(dir, "backups"))
	require.NoError(t, err)
	repository, err := recovery.NewRepository(recovery.RepositoryConfig{Component: recovery.PositionDatabase, Storage: storage})
	require.NoError(t, err)
	s, err := pgbackup.New(pgbackup.Config{
		Conn: parsed, Repository: repository, LockTimeout: 30 * time.Second, Recorder: rec, Idle: idle, PgDump: "no-pg_dump", Logger: quiet,
		Sums: []pgbackup.Sum{{Table: "positions", By: "symbol", Of: "quantity"}},
	})
	require.NoError(t, err)
	return s
}

// pool connects a process of the bot to its database.
func pool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	p, err := pgxpool.New(t.Context(), os.Getenv(database))
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

// stopAt puts a stop on the whole position of a drill.
func stopAt(v *andontest.Venue) {
	v.SetOrder(andon.Order{
		ClientID: "stop", VenueID: "stop", Venue: "coinbase", Symbol: symbol, Side: andon.Sell, Kind: andon.StopMarket,
		Quantity: andon.MustDecimal("2"), Trigger: andon.MustDecimal("95"), ReduceOnly: true, Status: andon.Live, At: time.Now(),
	})
}

// The position table is ruined: writes are held, the ruin is kept, the table is brought
// back from the backup that was taken before it, and put right by what the exchange holds,
// which has moved on since.
func TestDataCorruptionOnARealPostgreSQL(t *testing.T) {
	var conn string
	drill{
		runbook: "Data Corruption", finds: []string{"impact", "integrity"},
		fault: func(t *testing.T, dir string, v *andontest.Venue) []string {
			conn = pgtest.Start(t).ConnString()
			execute(t, conn, botTables)
			p, err := pgxpool.New(t.Context(), conn)
			require.NoError(t, err)
			defer p.Close()
			require.NoError(t, pgbook.Migrate(t.Context(), p, ""))
			s := store(t, dir, conn, nobody{}, nil)
			b, err := s.Backup(t.Context(), time.Now())
			require.NoError(t, err)
			_, err = s.Verify(t.Context(), b.Name, time.Now())
			require.NoError(t, err)
			execute(t, conn, `UPDATE positions SET quantity = 9000, current_price = NULL; INSERT INTO positions VALUES ('GHOST', 1, NULL, NULL, 'open'); UPDATE trades SET status = 'flying'`)
			stopAt(v)
			time.Sleep(time.Until(b.At.Add(1100 * time.Millisecond))) // a backup's name has seconds
			return []string{database + "=" + conn}
		},
		deps: func(t *testing.T, dir string, b *bot) {
			p := pool(t)
			s := store(t, dir, os.Getenv(database), b.manager, func(context.Context) error {
				if b.sw.CheckWrite() == nil {
					return errors.New("writes are not held")
				}
				return nil
			})
			b.Backups = s
			b.Restore = &pgbackup.Rescue{Store: s, Request: pgbackup.Request{Tables: []string{"positions", "trades"}}, Dir: filepath.Join(dir, "plans")}
			mayWrite := func() error {
				token, err := b.sw.AllowWrite(context.Background(), "Ada", "reconciliation")
				if err != nil {
					return err
				}
				defer b.sw.Release(token)
				return b.sw.CheckWriteWith(token)
			}
			book, err := pgbook.Open(t.Context(), pgbook.Config{DB: p, Venue: "coinbase", CheckWrite: mayWrite,
				Skip: []string{"trades-leverage", "trades-address", "positions-orphan", "positions-future", "trades-orphan"}})
			require.NoError(t, err)
			b.Database.Integrity = func(ctx context.Context) (string, error) {
				i, err := book.CheckIntegrity(ctx, time.Now())
				if err == nil && !i.Clean() {
					err = errors.New("the data is not sound")
				}
				return i.String(), err
			}
			b.Database.Totals = func(ctx context.Context) (string, error) {
				i, err := book.CheckIntegrity(ctx, time.Now())
				if err != nil {
					return "", err
				}
				return fmt.Sprint(i.Totals), nil
			}
			b.Database.Export = func(ctx context.Context, path string) (string, error) {
				i, err := book.CheckIntegrity(ctx, time.Now())
				if err != nil {
					return "", err
				}
				if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
					return "", err
				}
				return path, i.Export(path)
			}
			r, err := reconcile.New(reconcile.Config{Venue: "coinbase", Account: b.Venues["coinbase"], Book: book, CheckWrite: mayWrite, Recorder: b.manager, Log: quiet, InFlight: time.Millisecond})
			require.NoError(t, err)
			b.Books = map[string]runbook.Reconciler{"coinbase": r}
			b.proofs.StakeholdersNotified = nil
			b.proofs.ServicesRunning = func(ctx context.Context) (string, error) { return "the database answers", p.Ping(ctx) }
			b.proofs.NoErrorLogs = func(context.Context, time.Duration) (string, error) { return "no line", nil }
			b.proofs.PositionsAccounted = func(ctx context.Context) (string, error) {
				c, err := r.Compare(ctx, time.Now())
				if err != nil {
					return "", err
				}
				return "book and venue agree", c.Err()
			}
		},
		end: func(t *testing.T, dir string) string {
			good := 0
			all, err := store(t, dir, conn, nobody{}, nil).Backups(t.Context())
			require.NoError(t, err)
			for _, b := range all {
				if b.Good() {
					good++
				}
			}
			_, flag := os.Lstat(filepath.Join(dir, "READONLY_MODE"))
			_, exported := os.Lstat(filepath.Join(dir, "corrupted_data.json"))
			return fmt.Sprintf("%s\n%d good backups, read-only %v, exported %v", query(t, conn, dump), good, flag == nil, exported == nil)
		},
		want: func(t *testing.T, _ string, end string) {
			require.Contains(t, end, "BTC-USD 2 100 100 open, ETH-USD 0 50 50 closed\n1\n1\n1\n2 good backups, read-only true, exported true")
		},
	}.run(t)
}
