package pgstore_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/incident/pgstore"
	"github.com/andon-go/andon/internal/pgtest"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func next(t *testing.T, p *process, want string) {
	t.Helper()
	select {
	case line := <-p.lines:
		require.True(t, strings.HasPrefix(line, want+" "), "want %s, have %s", want, line)
	case <-time.After(30 * time.Second):
		t.Fatalf("no %s", want)
	}
}

func silent(t *testing.T, p *process) {
	t.Helper()
	select {
	case line := <-p.lines:
		t.Fatalf("unexpected: %s", line)
	default:
	}
}

func TestOneProcessAtATimeIsTheResponder(t *testing.T) {
	pg := pgtest.Start(t)
	cfg := fresh(t, pg.ConnString())
	s := open(t, cfg)
	a := start(t, pg.ConnString(), "lead a "+cfg.Schema)
	next(t, a, "leads")
	b := start(t, pg.ConnString(), "lead b "+cfg.Schema)
	time.Sleep(3 * time.Second) // longer than a lease
	silent(t, a)
	silent(t, b)

	killed := time.Now()
	a.kill()
	next(t, b, "leads")
	t.Logf("taken over %v after the kill", time.Since(killed).Round(time.Millisecond))

	// A process that is frozen is followed too, and stops when it runs again. What it
	// decided before is refused.
	before, err := s.Tip(ctx)
	require.NoError(t, err)
	require.NoError(t, b.cmd.Process.Signal(syscall.SIGSTOP))
	c := start(t, pg.ConnString(), "lead c "+cfg.Schema)
	next(t, c, "leads")
	require.NoError(t, b.cmd.Process.Signal(syscall.SIGCONT))
	next(t, b, "ends")
	_, err = s.Append(ctx, before.Seq, incidenttest.Event(1))
	require.ErrorIs(t, err, incident.ErrConflict, "the successor's event fences the list")
	var who []string
	for _, e := range read(t, s) {
		require.Equal(t, incident.Responder, e.Kind)
		who = append(who, e.By)
	}
	require.Equal(t, []string{"a", "b", "c"}, who)
}

// A responder that ends lets another one begin without waiting, and two never lead at
// the same time, although the database goes and comes.
func TestTwoAreNeverTheResponderAtOnce(t *testing.T) {
	pg := pgtest.Start(t)
	cfg := fresh(t, pg.ConnString())
	cfg.LeaseFor = 500 * time.Millisecond
	running, stop := context.WithCancel(ctx)
	var leading, terms atomic.Int32
	var twice, hold atomic.Bool
	ended := make(chan struct{}, 3)
	for _, who := range []string{"a", "b", "c"} {
		s := open(t, cfg)
		go func() {
			defer func() { ended <- struct{}{} }()
			for running.Err() == nil {
				_ = s.Lead(running, who, func(ctx context.Context) error { // however it ends, it is tried again
					if leading.Add(1) != 1 {
						twice.Store(true)
					}
					defer leading.Add(-1)
					own := time.After(time.Duration(100+terms.Add(1)*37%400) * time.Millisecond)
					if hold.Load() {
						own = nil
					}
					select {
					case <-ctx.Done():
					case <-own:
					}
					return nil
				})
			}
		}()
	}
	more := func(n int32) {
		t.Helper()
		from := terms.Load()
		require.Eventually(t, func() bool { return terms.Load() >= from+n }, 60*time.Second, 10*time.Millisecond)
	}
	more(5)
	hold.Store(true)
	more(1)
	pg.Freeze()
	time.Sleep(time.Second)
	require.Zero(t, leading.Load(), "who cannot renew does not lead")
	hold.Store(false)
	pg.Thaw()
	more(3)
	pg.Stop()
	time.Sleep(time.Second)
	require.Zero(t, leading.Load())
	pg.Restart()
	more(3)
	stop()
	for range 3 {
		<-ended
	}
	require.False(t, twice.Load())
}

func TestLeadEndsWithWhatItLeads(t *testing.T) {
	pg := pgtest.Start(t)
	cfg := fresh(t, pg.ConnString())
	s := open(t, cfg)
	failed := errors.New("failed")
	require.ErrorIs(t, s.Lead(ctx, "a", func(context.Context) error { return failed }), failed)
	require.Empty(t, pg.Psql("SELECT holder FROM "+cfg.Schema+".responder"), "and is free at once")
	require.NoError(t, s.Lead(ctx, "a", func(context.Context) error { return nil }))
	require.ErrorContains(t, s.Lead(ctx, "", nil), "no name")
	pg.Psql("DROP TABLE " + cfg.Schema + ".responder")
	require.ErrorContains(t, s.Lead(ctx, "a", nil), "call Migrate first")
	ended := make(chan error, 1)
	cfg = fresh(t, pg.ConnString())
	s = open(t, cfg)
	leads := make(chan struct{})
	go func() {
		ended <- s.Lead(ctx, "a", func(ctx context.Context) error { close(leads); <-ctx.Done(); return nil })
	}()
	<-leads
	require.NoError(t, s.Close())
	require.ErrorIs(t, <-ended, pgstore.ErrClosed)
	require.ErrorIs(t, s.Lead(ctx, "a", nil), pgstore.ErrClosed)
	require.ErrorIs(t, s.Watch(ctx, nil), pgstore.ErrClosed)
}

// Who cannot take a lease that nobody holds says so, whatever keeps it from it: while
// Lead waits its caller believes that another process is the responder.
func TestLaw7_LeadDoesNotWaitForALeaseThatCannotBeTaken(t *testing.T) {
	pg := pgtest.Start(t)
	must := func(context.Context) error { return errors.New("it leads") }

	t.Run("a role that may only read", func(t *testing.T) {
		cfg := fresh(t, pg.ConnString())
		pg.Psql(strings.ReplaceAll("CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA s TO reader; GRANT SELECT ON s.events, s.responder TO reader", " s", " "+cfg.Schema))
		cfg.ConnString += " user=reader"
		bounded, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		err := open(t, cfg).Lead(bounded, "a", must)
		require.NoError(t, bounded.Err(), "it waited")
		require.ErrorContains(t, err, "permission denied")
		require.NotErrorIs(t, err, pgstore.ErrUnreachable, "it has answered")
	})
	t.Run("a row that somebody has locked", func(t *testing.T) {
		cfg := fresh(t, pg.ConnString())
		cfg.LeaseFor = 200 * time.Millisecond
		conn, err := pgx.Connect(ctx, pg.ConnString())
		require.NoError(t, err)
		defer func() { require.NoError(t, conn.Close(ctx)) }()
		tx, err := conn.Begin(ctx)
		require.NoError(t, err)
		_, err = tx.Exec(ctx, "SELECT * FROM "+cfg.Schema+".responder FOR UPDATE")
		require.NoError(t, err)
		bounded, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		s := open(t, cfg)
		err = s.Lead(bounded, "a", must)
		require.NoError(t, bounded.Err(), "it waited")
		require.ErrorIs(t, err, pgstore.ErrUnreachable)
		require.NoError(t, tx.Rollback(ctx))
		require.ErrorContains(t, s.Lead(ctx, "a", must), "it leads", "and then it can be")
	})
}
