package pgbackup

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
)

// lookout looks, over a connection of its own, at what logical replication does not
// carry: the slot, the definitions of the tables, and where their sequences stand. What it
// finds lies in its box until the receiver puts it into the log.
type lookout struct {
	s         *Stream
	conn      *pgx.Conn
	tables    []definition
	sequences map[string]SequenceAt
	positions string // the statement that reads them
	box       box
}

// box holds messages for the log.
type box struct {
	batch chan struct{} // a commit is durable: its sequences are due

	mu     sync.Mutex
	frames []walFrame
	asked  bool // and not yet answered
}

func (b *box) put(f walFrame) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.frames = append(b.frames, f)
}

// ask has the sequences looked at soon.
func (b *box) ask() {
	b.mu.Lock()
	b.asked = true
	b.mu.Unlock()
	select {
	case b.batch <- struct{}{}:
	default:
	}
}

func (b *box) answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = false
}

func (b *box) waiting() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked || len(b.frames) > 0
}

// take returns what may be written when everything before a position is in the log: a
// definition is not put before rows that are older than it.
func (b *box) take(upTo pglogrepl.LSN) (out []walFrame) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.frames = slices.DeleteFunc(b.frames, func(f walFrame) bool {
		ready := f.message[0] != tablesMessage || f.lsn <= upTo
		if ready {
			out = append(out, f)
		}
		return ready
	})
	return out
}

const (
	// betweenLooks is how much time is left at least between two looks at sequences, so
	// that they cost a busy server next to nothing.
	betweenLooks = 50 * time.Millisecond

	// glance is how long the receiver waits for the box meanwhile.
	glance = 20 * time.Millisecond
)

// newLookout knows what the log says, and looks for the first time.
func newLookout(ctx context.Context, s *Stream, conn *pgx.Conn, log *walLog) (*lookout, error) {
	l := &lookout{s: s, conn: conn, tables: log.tables, sequences: log.sequences, box: box{batch: make(chan struct{}, 1)}}
	if err := l.lookAtTables(ctx); err != nil {
		return nil, err
	}
	return l, l.lookAtSequences(ctx)
}

func (l *lookout) run(ctx context.Context) error {
	alarmed := false
	tick := time.NewTicker(l.s.cfg.Every)
	defer tick.Stop()
	for {
		if err := l.lookAtSlot(ctx, &alarmed); err != nil {
			return fmt.Errorf("looking at the slot: %w", err)
		}
		if err := l.lookAtTables(ctx); err != nil && !unreadable(err) {
			return fmt.Errorf("looking at the tables: %w", err)
		}
		for again := true; again; {
			if err := l.lookAtSequences(ctx); err != nil && !unreadable(err) {
				return fmt.Errorf("looking at the sequences: %w", err)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(betweenLooks):
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-l.box.batch:
			case <-tick.C:
				again = false
			}
		}
	}
}

// lookAtSlot looks how much WAL the slot holds back, and whether it is still there.
func (l *lookout) lookAtSlot(ctx context.Context, alarmed *bool) error {
	cfg := &l.s.cfg
	var retained int64
	if err := l.conn.QueryRow(ctx, `SELECT coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::int8 FROM pg_replication_slots WHERE slot_name = $1`, cfg.Name).
		Scan(&retained); err != nil {
		return err
	}
	l.s.note(func(st *StreamStatus) { st.Retained = retained })
	l.s.meters.looked(ctx, l.s.Status(), time.Now())
	if retained > cfg.MaxRetained && !*alarmed {
		l.s.alarm(ctx, ErrRetained, fmt.Errorf("%w: %d bytes, at most %d should be", ErrRetained, retained, cfg.MaxRetained))
	}
	*alarmed = retained > cfg.MaxRetained
	return nil
}

// position is no later than what is looked at after it.
func (l *lookout) position(ctx context.Context) (pglogrepl.LSN, error) {
	var text string
	if err := l.conn.QueryRow(ctx, "SELECT pg_current_wal_insert_lsn()::text").Scan(&text); err != nil {
		return 0, err
	}
	return pglogrepl.ParseLSN(text)
}

// lookAtTables finds tables that are not what they were, and says so.
func (l *lookout) lookAtTables(ctx context.Context) error {
	at, err := l.position(ctx)
	if err != nil {
		return err
	}
	is, err := readDefinitions(ctx, l.conn, l.s.cfg.Tables)
	if err != nil {
		return err
	}
	positions, err := readPositions(ctx, l.conn, is)
	if err != nil {
		return err
	}
	l.positions = positions // not what was half read: the last look needs it
	if slices.EqualFunc(l.tables, is, definition.equal) {
		return nil
	}
	text, err := json.Marshal(is)
	if err != nil {
		return err
	}
	l.box.put(walFrame{at, append([]byte{tablesMessage}, text...)})
	if l.tables != nil {
		l.s.note(func(st *StreamStatus) { st.BaseDue = max(st.BaseDue, at) })
		l.s.alarm(ctx, ErrAltered, fmt.Errorf("%w: %s", ErrAltered, strings.Join(altered(l.tables, is), "; ")))
	}
	l.tables = is
	return nil
}

// lookAtSequences finds sequences that moved.
func (l *lookout) lookAtSequences(ctx context.Context) error {
	defer l.box.answered()
	if l.positions == "" {
		return nil
	}
	at, err := l.position(ctx)
	if err != nil {
		return err
	}
	rows, err := l.conn.Query(ctx, l.positions)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[SequenceAt])
	if err != nil {
		return err
	}
	moved := slices.DeleteFunc(all, func(s SequenceAt) bool { return l.sequences[s.Sequence] == s })
	if len(moved) == 0 {
		return nil
	}
	text, err := json.Marshal(moved)
	if err != nil {
		return err
	}
	for _, s := range moved {
		l.sequences[s.Sequence] = s
	}
	l.box.put(walFrame{at, append([]byte{sequencesMessage}, text...)})
	return nil
}

// last looks at the sequences once more when a stream is ended, over a new connection,
// since the end may have broken the other. It may take closing.
func (l *lookout) last(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	var err error
	if l.conn, err = l.s.connect(ctx, false); err != nil {
		return err
	}
	defer disconnect(ctx, l.conn)
	return l.lookAtSequences(ctx)
}
