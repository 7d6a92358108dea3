package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Watch calls woken whenever the list has grown, by whichever process, and at once when
// it begins. It hears by LISTEN on a connection of its own, and looks every
// Config.PollEvery in case it does not. It returns only when ctx ends or the store is
// closed, with that error.
func (s *Store) Watch(ctx context.Context, woken func()) error {
	ctx, end, err := s.begin(ctx)
	if err != nil {
		return s.failed("watch", err)
	}
	defer end()
	var conn *pgx.Conn
	defer func() { hangUp(conn) }()
	for last, first := uint64(0), true; ctx.Err() == nil; {
		if tip, err := s.Tip(ctx); err == nil && (first || tip.Seq != last) {
			last, first = tip.Seq, false
			woken()
		}
		if conn == nil {
			conn = s.dial(ctx)
			if conn != nil {
				continue // look once more: what came before LISTEN was not heard
			}
		}
		conn = s.hear(ctx, conn)
	}
	return s.failed("watch", ctx.Err())
}

// dial returns a connection that listens, or nil.
func (s *Store) dial(ctx context.Context) *pgx.Conn {
	bounded, cancel := s.bounded(ctx)
	defer cancel()
	conn, err := pgx.ConnectConfig(bounded, s.listen.Copy())
	if err != nil {
		return nil
	}
	if _, err := conn.Exec(bounded, "LISTEN "+s.channel()); err != nil {
		hangUp(conn)
		return nil
	}
	return conn
}

// hear waits for a notification, and at most for PollEvery. It returns the connection
// if it is still good.
func (s *Store) hear(ctx context.Context, conn *pgx.Conn) *pgx.Conn {
	quiet, cancel := context.WithTimeout(ctx, s.cfg.PollEvery)
	defer cancel()
	if conn == nil {
		<-quiet.Done()
		return nil
	}
	_, err := conn.WaitForNotification(quiet)
	if err != nil && !pgconn.Timeout(err) || ctx.Err() != nil {
		hangUp(conn)
		return nil
	}
	return conn
}

// hangUp closes a connection politely, but not for long: the server may be frozen.
func hangUp(conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_ = conn.Close(ctx)
}
