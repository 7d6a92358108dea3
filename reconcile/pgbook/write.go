package pgbook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/andon-go/andon"
)

// writing runs do in a transaction that is tried again where that is safe. settle says
// on a new connection whether the transaction was committed after all; without it do
// changes nothing where it was done before.
func (b *Book) writing(ctx context.Context, settle func(context.Context) (bool, error), do func(pgx.Tx) error) error {
	lost := false // an attempt may have been committed, and do sees to that
	for attempt := 1; ; attempt++ {
		err := b.attempt(ctx, settle, do)
		lost = lost || errors.Is(err, errAnswer)
		if err != nil && lost {
			err = fmt.Errorf("%w: %w", andon.ErrOutcomeUnknown, err)
		}
		if err == nil || attempt >= b.config.Attempts || !passing(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(25 * time.Millisecond << min(attempt, 6)):
		}
	}
}

func (b *Book) attempt(ctx context.Context, settle func(context.Context) (bool, error), do func(pgx.Tx) error) error {
	if err := b.checkWrite(); err != nil {
		return err
	}
	tx, err := b.begin(ctx, pgx.TxOptions{})
	if err != nil {
		return fmt.Errorf("%w: %w", errNotBegun, err)
	}
	err = do(tx)
	if err == nil {
		err = b.checkWrite() // a hold that was placed meanwhile counts
	}
	if err != nil {
		if tx.Conn().IsClosed() {
			err = fmt.Errorf("%w: %w", errConnection, err)
		}
		return errors.Join(err, rollback(ctx, tx))
	}
	err = tx.Commit(ctx)
	if refused, answered := errors.AsType[*pgconn.PgError](err); err == nil || answered && !fatal(refused) || errors.Is(err, pgx.ErrTxCommitRollback) {
		return err
	}
	// The commit was sent, or part of it, and no answer came.
	if settle == nil {
		return fmt.Errorf("%w: %w", errAnswer, err)
	}
	done, settleErr := settle(context.WithoutCancel(ctx))
	switch {
	case settleErr != nil:
		return fmt.Errorf("%w: the connection broke during the commit and the database cannot be asked: %w",
			andon.ErrOutcomeUnknown, errors.Join(err, settleErr))
	case done:
		return nil
	}
	return fmt.Errorf("%w: %w", errConnection, err)
}

var (
	errConnection = errors.New("connection broke before the commit")
	errAnswer     = errors.New("connection broke during the commit")
	errNotBegun   = errors.New("no transaction")
)

// passing reports whether a failure may be gone at the next attempt, with nothing
// changed by this one.
func passing(err error) bool {
	if errors.Is(err, errConnection) || errors.Is(err, errAnswer) || errors.Is(err, errNotBegun) {
		return true
	}
	if errors.Is(err, andon.ErrOutcomeUnknown) { // and settle could not settle it
		return false
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains([]string{
		"40001", // serialization_failure
		"40P01", // deadlock_detected
		"55P03", // lock_not_available
	}, pg.Code)
}

func (b *Book) checkWrite() error {
	if b.config.CheckWrite == nil {
		return nil
	}
	if err := b.config.CheckWrite(); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	return nil
}

// committed says for certain whether a transaction was made. Its id is taken for a
// moment, which waits for a commit that is still under way on the server.
func (b *Book) committed(ctx context.Context, id string) (done bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, b.config.SettleTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		done, err = b.askCommitted(ctx, id)
		if err == nil {
			return done, nil
		}
		select {
		case <-ctx.Done():
			return false, err
		case <-time.After(25 * time.Millisecond << min(attempt, 5)):
		}
	}
}

func (b *Book) askCommitted(ctx context.Context, id string) (done bool, err error) {
	tx, err := b.begin(ctx, pgx.TxOptions{})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, rollback(ctx, tx)) }()
	tag, err := tx.Exec(ctx, "INSERT INTO "+b.own("applied")+` (id, approved_at, approved_by, note)
		VALUES ($1, now(), '', '') ON CONFLICT (id) DO NOTHING`, pgx.QueryExecModeExec, id)
	if err != nil {
		return false, err
	}
	return tag.RowsAffected() == 0, nil
}
