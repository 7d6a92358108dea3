package incident

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
)

// Store keeps events: one list, that only grows, in one order. The default is
// package journal; incidenttest.TestStore is what every store has to pass.
// Implementations are safe for concurrent use.
type Store interface {
	// Append adds events at the end, all of them or none, and returns them with
	// Seq, Prev and Hash once they are durable. Only a crash may leave the first
	// few of them, so each has to make sense without those after it. expected is the Seq of the last
	// event that the caller knows, or 0 for an empty store; where the store has
	// gone on, nothing is added and the error is ErrConflict. Any adds them
	// wherever the end is.
	//
	// ErrEvent refuses events that can never be stored. ErrRecordUnknown says that
	// the store did not answer: the events are there, or may still come to be there,
	// but nowhere else than right behind expected. Append them again with the same
	// expected: they cannot be stored twice, and a conflict shows whether they were.
	// After any other error it is not known whether a later crash would bring the
	// events back, and within this process they are not there; the caller may
	// append them again.
	Append(ctx context.Context, expected uint64, events ...Event) ([]Event, error)

	// Read yields every event whose Seq is above after, in order, as far as the
	// store goes when Read begins. An error ends it, and is never the same as the
	// end.
	Read(ctx context.Context, after uint64) iter.Seq2[Event, error]

	// ReadIncident yields the events of one incident as Read would, and those that
	// belong to none for an empty number. A store of many incidents does not read
	// the others.
	ReadIncident(ctx context.Context, number string) iter.Seq2[Event, error]
}

// Provisional is a Store that goes on by itself while the list that it shares with
// others is out of reach. Package fallback has one.
type Provisional interface {
	// Provisional returns what tells this process apart while it goes on by itself, and
	// is empty otherwise. The numbers that the Manager gives meanwhile end in it, behind
	// a hyphen. Append refuses a declaration with another number meanwhile, by
	// ErrConflict: it was numbered before the store had found out.
	Provisional() string
}

// Any as the expected sequence number means: wherever the end is. It is for facts
// that no other event can make wrong.
const Any uint64 = math.MaxUint64

// ErrConflict says that a store has events that the caller has not seen. Read them,
// decide again, append again.
var ErrConflict = errors.New("the store has gone on")

// ConflictError is an ErrConflict with both sequence numbers.
type ConflictError struct {
	Expected uint64 // what the caller knew
	Last     uint64 // what the store has
}

// Error says how far the store is.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("%v: event %d was expected to be the last and %d is; read on and decide again", ErrConflict, e.Expected, e.Last)
}

// Is reports whether target is ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }
