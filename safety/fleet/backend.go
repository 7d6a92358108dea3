package fleet

import (
	"context"
	"errors"
)

// Record is one of the fleet's records.
type Record struct {
	Key   string // of letters, digits and any of -._@/
	Value []byte // at most 1 MiB

	// Revision says which write made it. It is above zero and never used again for any
	// record, not even after a deletion. In a Write, the revision that is to be replaced.
	Revision int64
}

// Backend keeps the records of one fleet. All calls by all processes form one order that
// respects real time: what a call that has returned wrote, every later call sees.
// fleettest.TestBackend checks an implementation. Safe for concurrent use; every call
// returns soon after ctx ends.
type Backend interface {
	// Read returns all records as they were at one instant during the call.
	Read(ctx context.Context) ([]Record, error)

	// Write replaces the record that has this key and revision, or makes it where
	// Revision is zero and there is none, or deletes it where Value is nil, and returns
	// the new revision. Otherwise nothing is written and the error is ErrConflict. After
	// any other error it may have been written, now or later. A quiet write need not
	// wake anybody.
	Write(ctx context.Context, r Record, quiet bool) (revision int64, err error)

	// Watch calls woken with the key of every record that is written and begins with
	// prefix, soon after and from one goroutine at a time, until ctx ends or it cannot
	// go on, and returns why. It calls woken with "" as soon as nothing can be missed
	// any more, and whenever something may have been. What it says may also be of a write
	// from before the watch began.
	Watch(ctx context.Context, prefix string, woken func(key string)) error
}

// ErrConflict says that a record is not, or no longer, the one that was to be replaced.
var ErrConflict = errors.New("the record has another revision")

// The records' keys.
const (
	orderKey     = "order"
	memberPrefix = "member/" // and the member's id
	beatPrefix   = "beat/"   // and the member's id
)
