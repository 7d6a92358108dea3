package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/internal/boottime"
	"github.com/jackc/pgx/v5"
)

// lease is the row of the responder.
type lease struct {
	holder     string
	term, beat int64
}

// Lead waits until this process is the responder, puts an event of kind
// incident.Responder on the list, and calls lead. The context of lead ends with the
// lease; Lead waits until lead has returned, so it must not go on for long then. who
// names the process for people.
//
// It returns what lead returned, ctx's error, ErrUnreachable once the database has not
// answered for longer than the lease, or once it has not let go of a lease that nobody
// renews, or what the database said where it refused. Call it again to become the
// responder again.
func (s *Store) Lead(ctx context.Context, who string, lead func(ctx context.Context) error) error {
	if who == "" {
		return errors.New("pgstore: lead: the process has no name")
	}
	clock, err := boottime.New()
	if err != nil {
		return fmt.Errorf("pgstore: lead: %w", err)
	}
	ctx, end, err := s.begin(ctx)
	if err != nil {
		return s.failed("lead", err)
	}
	defer end()
	c := candidate{s: s, who: who, now: clock.Now}
	c.heard = c.now()
	for {
		won, err := c.try(ctx)
		switch {
		case err != nil:
			return s.failed("lead", err)
		case won:
			return c.serve(ctx, lead)
		}
		select {
		case <-ctx.Done():
			return s.failed("lead", ctx.Err())
		case <-time.After(s.cfg.LeaseFor / 5):
		}
	}
}

// candidate is a process that is, or wants to be, the responder. All its times are
// readings of its own CLOCK_BOOTTIME.
type candidate struct {
	s   *Store
	who string
	now func() time.Duration

	heard   time.Duration // when the database answered last
	seen    lease         // what it said
	since   time.Duration // since when it has been saying the same
	term    int64         // ours, while we are the responder
	expires time.Duration // when we no longer are
}

// patience is how long a holder is waited for: longer than it may think that it holds.
func (c *candidate) patience() time.Duration { return c.s.cfg.LeaseFor * 5 / 4 }

// try looks at the lease, and takes it where it is free or has not moved for long.
func (c *candidate) try(ctx context.Context) (bool, error) {
	row, err := c.row(ctx, "SELECT holder, term, beat FROM "+c.s.table("responder"))
	if err != nil {
		if refused(err) || ctx.Err() != nil {
			return false, err
		}
		if c.now()-c.heard > c.patience() {
			return false, fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		return false, nil
	}
	if c.heard = c.now(); row != c.seen || c.since == 0 {
		c.seen, c.since = row, c.heard
	}
	if row.holder != "" && c.now()-c.since < c.patience() {
		return false, nil
	}
	asked := c.now() // before the server can have done it
	won, err := c.row(ctx, "UPDATE "+c.s.table("responder")+" SET holder = $1, term = term + 1, beat = beat + 1 WHERE term = $2 AND beat = $3 RETURNING holder, term, beat", c.who, row.term, row.beat)
	switch {
	case errors.Is(err, pgx.ErrNoRows), isCode(err, "40001"):
		return false, nil // another was faster
	case refused(err):
		return false, err
	case err != nil && c.now()-c.since > 2*c.patience():
		return false, fmt.Errorf("%w: the lease is nobody's and cannot be taken: %w", ErrUnreachable, err)
	case err != nil:
		return false, nil // the answer was lost: then our own lease is waited for
	}
	c.term, c.expires = won.term, asked+c.s.cfg.LeaseFor
	return true, nil
}

// row runs one statement that gives one lease.
func (c *candidate) row(ctx context.Context, sql string, args ...any) (l lease, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.s.cfg.LeaseFor/2)
	defer cancel()
	err = c.s.pool.QueryRow(ctx, sql, args...).Scan(&l.holder, &l.term, &l.beat)
	return l, err
}

// serve calls lead, and renews the lease until lead ends or the lease does.
func (c *candidate) serve(ctx context.Context, lead func(ctx context.Context) error) error {
	leading, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- c.lead(leading, lead) }()
	var lost error
	for lost == nil {
		select {
		case err := <-ended:
			c.release()
			return err
		case <-ctx.Done():
			lost = ctx.Err()
		case <-time.After(min(c.s.cfg.LeaseFor/5, c.expires-c.now())): // not later than it ends
			lost = c.renew(ctx)
		}
	}
	stop()
	err := <-ended
	if ctx.Err() != nil {
		c.release()
	}
	return c.s.failed("lead", errors.Join(lost, err))
}

// lead announces the term and leads. What an earlier responder appends after the event
// conflicts with it.
func (c *candidate) lead(ctx context.Context, lead func(ctx context.Context) error) error {
	why := "nobody was"
	if c.seen.holder != "" {
		why = c.seen.holder + " has not renewed its lease"
	}
	if err := c.announce(ctx, why); err != nil {
		return err
	}
	return lead(ctx)
}

// announce puts the event on the list that fences it.
func (c *candidate) announce(ctx context.Context, why string) error {
	_, err := c.s.Append(ctx, incident.Any, incident.Event{
		At: time.Now(), Kind: incident.Responder, By: c.who, What: fmt.Sprintf("is the responder, the %d. in turn", c.term), Why: why,
	})
	return err
}

// renew lengthens the lease. An error means that it is lost.
func (c *candidate) renew(ctx context.Context) error {
	asked := c.now()
	bounded, cancel := context.WithTimeout(ctx, c.expires-asked)
	defer cancel()
	_, err := c.row(bounded, "UPDATE "+c.s.table("responder")+" SET beat = beat + 1 WHERE term = $1 RETURNING holder, term, beat", c.term)
	switch {
	case err == nil:
		c.expires = asked + c.s.cfg.LeaseFor
	case errors.Is(err, pgx.ErrNoRows):
		return errors.New("another process has become the responder")
	case c.now() >= c.expires:
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return nil
}

// release lets another process take over at once.
func (c *candidate) release() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	// Where that does not succeed the others wait for the lease to end.
	_, _ = c.row(ctx, "UPDATE "+c.s.table("responder")+" SET holder = '', beat = beat + 1 WHERE term = $1 RETURNING holder, term, beat", c.term)
}
