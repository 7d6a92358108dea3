package pgstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Append is incident.Store's. It takes at most Config.AnswerWithin.
func (s *Store) Append(ctx context.Context, expected uint64, events ...incident.Event) ([]incident.Event, error) {
	if err := errors.Join(ctx.Err(), s.open()); err != nil {
		return nil, s.failed("append", err)
	}
	bodies := make([]incident.Body, len(events))
	for i := range events {
		var err error
		if bodies[i], err = events[i].Encode(); err != nil {
			return nil, fmt.Errorf("pgstore: append: %w", err)
		}
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	select {
	case <-s.turn:
		defer func() { s.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, s.failed("append: waiting for another append", ctx.Err())
	}
	for {
		if err := s.look(ctx, expected); err != nil {
			return nil, err
		}
		b := seal(s.tip, events, bodies)
		switch put, err := s.put(ctx, b); {
		case err != nil:
			s.known = false
			return nil, s.failed("append", err)
		case put:
			s.tip = b.end
			return b.events, nil
		}
		s.known = false // somebody else was first
	}
}

func (s *Store) open() error {
	if s.closed.Err() != nil {
		return ErrClosed
	}
	return nil
}

// look makes tip the end that the append goes behind, or says that it cannot.
func (s *Store) look(ctx context.Context, expected uint64) error {
	if s.known && (expected == incident.Any || expected == s.tip.Seq) {
		return nil
	}
	tip, err := s.Tip(ctx)
	if err != nil {
		return err
	}
	s.tip, s.known = tip, true
	if expected != incident.Any && expected != tip.Seq {
		return &incident.ConflictError{Expected: expected, Last: tip.Seq}
	}
	return nil
}

// batch is what one append puts behind after.
type batch struct {
	after, end incident.Tip
	events     []incident.Event
	seqs       []int64
	numbers    []string
	lines      []string
}

func seal(after incident.Tip, events []incident.Event, bodies []incident.Body) *batch {
	b := &batch{after: after, end: after, events: append([]incident.Event(nil), events...)}
	for i, body := range bodies {
		e := &b.events[i]
		e.Seq, e.Prev = b.end.Seq+1, b.end.Hash
		var line []byte
		line, e.Hash = body.Seal(nil, e.Seq, e.Prev)
		b.end = e.Tip()
		b.seqs, b.numbers, b.lines = append(b.seqs, int64(e.Seq)), append(b.numbers, number(e.Incident)), append(b.lines, string(line))
	}
	return b
}

// number is an incident's number as it stands in a line: PostgreSQL stores no text with
// a zero byte in it.
func number(s string) string {
	var buf strings.Builder
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(string([]rune(s))); err != nil {
		panic(err) // a string of runes always has a form
	}
	text := buf.String()
	return text[1 : len(text)-2]
}

// put inserts a batch and finds out what became of it. False means that it is not there
// and never will be, since the end has moved.
func (s *Store) put(ctx context.Context, b *batch) (bool, error) {
	if len(b.events) == 0 {
		return true, nil
	}
	for sent := false; ; {
		put, err := s.insert(ctx, b)
		if err == nil && put {
			return true, nil
		}
		if err == nil && !sent {
			return false, nil // it was not sent before, so nothing of it is there
		}
		if refused(err) {
			return false, err
		}
		if err != nil && !sent && unsent(err) {
			if !again(ctx) {
				return false, err
			}
			continue
		}
		// It was sent, and the answer was lost, now or before. In its place stands
		// ours, or another's, or nothing yet; then it is sent there again.
		sent = true
		there, err2 := s.lineAt(ctx, b.after.Seq+1)
		switch {
		case err2 == nil && there == b.lines[0]:
			return true, nil
		case err2 == nil && there != "":
			return false, nil
		}
		if !again(ctx) {
			return false, fmt.Errorf("%w: %w", incident.ErrRecordUnknown, errors.Join(err, err2, ctx.Err()))
		}
	}
}

// again waits a little. False means that there is no time left.
func again(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(20 * time.Millisecond):
		return true
	}
}

// refused reports whether the server itself said no, having done nothing.
func refused(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	// 57P: the server is going down, or comes up. What it did before it said so is open.
	return ok && !strings.HasPrefix(pg.Code, "57P")
}

// isCode reports whether the server answered with an error of this SQLSTATE.
func isCode(err error, code string) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == code
}

// errAcquire says that there was no connection to send anything on.
var errAcquire = errors.New("no connection")

// unsent reports whether an insert surely never reached the server.
func unsent(err error) bool { return errors.Is(err, errAcquire) || pgconn.SafeToRetry(err) }

// insert sends a batch. False without an error means that the end is another.
func (s *Store) insert(ctx context.Context, b *batch) (bool, error) {
	conn, err := s.acquire(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Release()
	var n int
	err = conn.QueryRow(ctx, `WITH put AS (
		INSERT INTO `+s.table("events")+` (seq, incident, line)
		SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])
		WHERE $4 = 0 OR EXISTS (SELECT FROM `+s.table("events")+` WHERE seq = $4 AND right(line, 66) = $5)
		RETURNING seq
	), told AS (SELECT pg_notify('`+s.channel()+`', max(seq)::text) FROM put)
	SELECT (SELECT count(*) FROM put) FROM told`,
		b.seqs, b.numbers, b.lines, int64(b.after.Seq), b.after.Hash.String()+`"}`).Scan(&n)
	if isCode(err, "23505") || isCode(err, "40001") {
		return false, nil
	}
	return n == len(b.events), err
}

func (s *Store) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAcquire, err)
	}
	return conn, nil
}

// lineAt returns the line of an event; empty where there is none.
func (s *Store) lineAt(ctx context.Context, seq uint64) (string, error) {
	conn, err := s.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Release()
	var line string
	err = conn.QueryRow(ctx, "SELECT line FROM "+s.table("events")+" WHERE seq = $1", int64(seq)).Scan(&line)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return line, err
}
