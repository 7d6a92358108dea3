package pgstore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/andon-go/andon/incident"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Store is an incident.Store in PostgreSQL. Open makes one. It is safe for concurrent
// use.
type Store struct {
	cfg    Config
	pool   *pgxpool.Pool
	listen *pgx.ConnConfig
	closed context.Context
	close  context.CancelFunc
	callMu sync.Mutex     // no call begins while Close waits for them
	calls  sync.WaitGroup // Lead and Watch

	// turn has one token: appends of one process come one after another. Who has it
	// has the tip too.
	turn  chan struct{}
	tip   incident.Tip
	known bool // tip was the end when it was last looked at
}

// Open returns a store that is connected to nothing yet. Errors are those of the
// configuration, each beginning with its field.
func Open(cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("pgstore: %w", err)
	}
	pc, err := pgxpool.ParseConfig(cfg.ConnString)
	if err != nil {
		return nil, fmt.Errorf("pgstore: ConnString: %w", err)
	}
	pc.MaxConns, pc.MinConns = 4, 0
	pc.ConnConfig.ConnectTimeout = cfg.AnswerWithin
	pc.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	pc.ConnConfig.RuntimeParams["application_name"] = "andon incident"
	pool, err := pgxpool.NewWithConfig(context.Background(), pc)
	if err != nil {
		return nil, fmt.Errorf("pgstore: %w", err)
	}
	s := &Store{cfg: cfg, pool: pool, listen: pc.ConnConfig.Copy(), turn: make(chan struct{}, 1)}
	s.closed, s.close = context.WithCancel(context.Background())
	s.turn <- struct{}{}
	return s, nil
}

// Close ends Lead and Watch and closes the connections. Calls that are under way end
// with an error. It may be called twice; the error is always nil.
func (s *Store) Close() error {
	s.callMu.Lock()
	s.close()
	s.callMu.Unlock()
	s.calls.Wait()
	s.pool.Close()
	return nil
}

// begin notes a call that goes on for long. Its context ends with the store.
func (s *Store) begin(ctx context.Context) (_ context.Context, end func(), err error) {
	s.callMu.Lock()
	defer s.callMu.Unlock()
	if s.closed.Err() != nil {
		return nil, nil, ErrClosed
	}
	s.calls.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.closed, cancel)
	return ctx, func() { stop(); cancel(); s.calls.Done() }, nil
}

// bounded gives a call its time.
func (s *Store) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.AnswerWithin)
	stop := context.AfterFunc(s.closed, cancel)
	return ctx, func() { stop(); cancel() }
}

// failed says what a call was for; a call that was cut off by Close says so.
func (s *Store) failed(what string, err error) error {
	if s.closed.Err() != nil {
		err = errors.Join(ErrClosed, err)
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && (pg.Code == "42P01" || pg.Code == "3F000") {
		err = fmt.Errorf("%w; call Migrate first, by a role that may create", err)
	}
	return fmt.Errorf("pgstore: %s: %w", what, err)
}

// table returns the SQL name of one of the store's tables.
func (s *Store) table(name string) string { return s.cfg.Schema + "." + name }

// channel is what NOTIFY and LISTEN agree by.
func (s *Store) channel() string { return s.cfg.Schema + "_events" }
