package pgbackup

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
)

// Transaction is one committed transaction of a log.
type Transaction struct {
	XID    uint32
	Commit pglogrepl.LSN // of its commit
	End    pglogrepl.LSN // after it
	At     time.Time     // when it was committed, by the server's clock

	// Gaps is how often changes were lost before it, since the log began.
	Gaps    int
	Changes []Change
}

// Change is one row that a transaction changed, or a table that it emptied.
type Change struct {
	Kind    string   // insert, update, delete or truncate
	Table   string   // schema.table
	Columns []string // of the values
	Key     []string // the columns that tell its rows apart: all, where the replica identity is FULL

	types []columnType

	// Old is the row before: all of it where the replica identity is FULL, else its
	// key, and of an update only where that changed. New is the row after.
	Old, New []Value
}

// Value is a value as the server prints it.
type Value struct {
	Text *string // nil is NULL

	// Same says that the value is the one from before: a long one that was not
	// changed is not in the log.
	Same bool
}

// columnType is the type of a column as the server numbers it.
type columnType struct {
	oid uint32
	mod int32
}

// LogSpan is what a log holds: every change between two positions. Changes before
// From were lost, or happened before the log began.
type LogSpan struct {
	From, Until pglogrepl.LSN
}

// ReadLog calls f for each committed transaction of a log, in the order of their
// commits, and returns what the log holds without a gap up to its end. Everything is
// compared with what was written: *recovery.DamagedError names the segment that differs.
// A transaction is held in memory whole.
func ReadLog(ctx context.Context, dir string, f func(Transaction) error) (LogSpan, error) {
	return readLog(ctx, dir, nil, func(*Transaction) bool { return true }, f)
}

// readLog is ReadLog of the transactions that want, given them without their changes and
// End, asks for. Of the others nothing is decoded. The stream's own messages about tables
// and sequences are given to aside, if that is set.
func readLog(ctx context.Context, dir string, aside func(walFrame) error, want func(*Transaction) bool, f func(Transaction) error) (LogSpan, error) {
	names, err := segments(dir)
	if err != nil {
		return LogSpan{}, err
	}
	r := &logReader{aside: aside, want: want, use: f, relations: map[uint32]*pglogrepl.RelationMessage{}}
	_, err = scanLog(ctx, dir, names, r.message)
	return r.span, err
}

// logReader puts transactions together.
type logReader struct {
	aside     func(walFrame) error
	want      func(*Transaction) bool
	use       func(Transaction) error
	relations map[uint32]*pglogrepl.RelationMessage
	tx        Transaction
	open      bool
	skip      bool // the transaction is not wanted
	begun     bool // of the stream: its first mark is no gap
	gaps      int
	span      LogSpan
}

func (r *logReader) message(f walFrame) error {
	switch f.message[0] {
	case markMessage:
		r.span.Until = max(r.span.Until, f.lsn)
		return nil
	case gapMessage:
		if r.begun {
			r.gaps++
		}
		r.begun, r.open, r.span.From = true, false, f.lsn
		return nil
	case prunedMessage:
		return nil
	case tablesMessage, sequencesMessage:
		if r.aside != nil {
			return r.aside(f)
		}
		return nil
	}
	switch pglogrepl.MessageType(f.message[0]) {
	case pglogrepl.MessageTypeInsert, pglogrepl.MessageTypeUpdate, pglogrepl.MessageTypeDelete, pglogrepl.MessageTypeTruncate:
		if r.skip || !r.open {
			return nil
		}
	}
	m, err := pglogrepl.Parse(f.message)
	if err != nil {
		return fmt.Errorf("a message of the log at %v: %w", f.lsn, err)
	}
	switch m := m.(type) {
	case *pglogrepl.RelationMessage:
		r.relations[m.RelationID] = m
	case *pglogrepl.BeginMessage: // one that is open was cut off, and comes again
		r.tx, r.open = Transaction{XID: m.Xid, Commit: m.FinalLSN, At: m.CommitTime, Gaps: r.gaps}, true
		r.skip = !r.want(&r.tx)
	case *pglogrepl.CommitMessage:
		if !r.open {
			return nil
		}
		r.open = false
		r.tx.End = m.TransactionEndLSN
		r.span.Until = max(r.span.Until, m.TransactionEndLSN)
		if len(r.tx.Changes) == 0 {
			return nil
		}
		return r.use(r.tx)
	case *pglogrepl.InsertMessage:
		return r.change("insert", m.RelationID, nil, m.Tuple)
	case *pglogrepl.UpdateMessage:
		return r.change("update", m.RelationID, m.OldTuple, m.NewTuple)
	case *pglogrepl.DeleteMessage:
		return r.change("delete", m.RelationID, m.OldTuple, nil)
	case *pglogrepl.TruncateMessage:
		for _, id := range m.RelationIDs {
			if err := r.change("truncate", id, nil, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *logReader) change(kind string, relation uint32, before, after *pglogrepl.TupleData) error {
	rel := r.relations[relation]
	if rel == nil {
		return fmt.Errorf("the log does not say what table %d is", relation)
	}
	c := Change{Kind: kind, Table: rel.Namespace + "." + rel.RelationName}
	for _, column := range rel.Columns {
		c.Columns = append(c.Columns, column.Name)
		c.types = append(c.types, columnType{column.DataType, column.TypeModifier})
		if column.Flags&1 != 0 {
			c.Key = append(c.Key, column.Name)
		}
	}
	var err error
	if c.Old, err = values(before, len(c.Columns)); err != nil {
		return fmt.Errorf("%s: %w", c.Table, err)
	}
	if c.New, err = values(after, len(c.Columns)); err != nil {
		return fmt.Errorf("%s: %w", c.Table, err)
	}
	r.tx.Changes = append(r.tx.Changes, c)
	return nil
}

func values(t *pglogrepl.TupleData, columns int) ([]Value, error) {
	if t == nil {
		return nil, nil
	}
	if len(t.Columns) != columns {
		return nil, fmt.Errorf("a row has %d values and the table %d columns", len(t.Columns), columns)
	}
	all := make([]Value, len(t.Columns))
	for i, c := range t.Columns {
		switch c.DataType {
		case pglogrepl.TupleDataTypeNull:
		case pglogrepl.TupleDataTypeToast:
			all[i].Same = true
		case pglogrepl.TupleDataTypeText:
			text := string(c.Data)
			all[i].Text = &text
		default:
			return nil, fmt.Errorf("a value is of the unknown kind %q", c.DataType)
		}
	}
	return all, nil
}
