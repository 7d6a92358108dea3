package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/andon-go/andon"
)

// Book is where the bot's own records lie. Implementations are safe for concurrent
// use; reconciletest.TestBook checks one.
type Book interface {
	// Read returns all records as they were at one moment. An error means that
	// they are not known; it never comes with records.
	Read(ctx context.Context) (Records, error)

	// Applied reports whether a transaction with this id was ever made.
	Applied(ctx context.Context, id string) (bool, error)

	// Apply makes all edits in one transaction, or none, and remembers its id and who
	// approved it. It is ErrApplied when the id was used before, and a *MovedError when
	// the rows of a key are not exactly those that its edit expects. A book that keeps
	// no rows of a subject refuses an edit of one with errors.ErrUnsupported. An error
	// that is andon.ErrOutcomeUnknown says that it may have been made, as when a commit
	// has no answer; every other one says that nothing was changed.
	Apply(ctx context.Context, tx Transaction) error
}

// Records is what a book holds. It is a value that its reader owns.
type Records struct {
	Positions []andon.Position `json:"positions"`
	Orders    []andon.Order    `json:"orders"` // those that may be live
	Fills     []andon.Fill     `json:"fills"`

	// Balances is what the bot believes to have of each currency. A book that keeps
	// none leaves it empty, and they are compared only where Config.Balances says so.
	Balances []andon.Balance `json:"balances,omitempty"`
}

// Transaction is a set of edits that are made together.
type Transaction struct {
	ID    string    // unique: the id of a plan
	At    time.Time // when it was approved
	By    string    // the person who approved it
	Note  string    // why, in the person's own words
	Edits []Edit    // no two with the same key
}

// Edit replaces all rows of one key. Only the list that Key.Subject names is set.
type Edit struct {
	Key       Key                   `json:"key"`
	Positions *Rows[andon.Position] `json:"positions,omitempty"`
	Orders    *Rows[andon.Order]    `json:"orders,omitempty"`
	Fills     *Rows[andon.Fill]     `json:"fills,omitempty"`
	Balances  *Rows[andon.Balance]  `json:"balances,omitempty"`
}

// Rows are the rows of one key before and after an edit, in any order. Before is
// what must be there, exactly, or the edit is refused; nothing means no row.
type Rows[T any] struct {
	Before []T `json:"before"`
	After  []T `json:"after"`
}

// Recorder puts a decision on the timeline.
type Recorder interface {
	Record(ctx context.Context, at time.Time, who, what, why string) error
}

// History is what a venue says of orders that are done. Implementations are safe
// for concurrent use.
type History interface {
	// Reports returns the venue's word on done orders and the window in which the
	// list is complete. Overlapping pages may be left in. An error means that the
	// answer is not known; it never means that there is nothing.
	Reports(ctx context.Context) ([]OrderReport, Window, error)
}

var (
	// ErrUnanswered says that a side could not be asked, or gave an answer that
	// cannot be right. Nothing follows from it: neither flat, nor clean, nor missing.
	ErrUnanswered = errors.New("no answer")

	// ErrMoved says that a fact is not what it was when the plan was made.
	ErrMoved = errors.New("the facts have moved")

	// ErrApplied says that a transaction with this id was made before.
	ErrApplied = errors.New("already applied")

	// ErrConflict says that a row is there already under the same id with other
	// content.
	ErrConflict = errors.New("conflicting row")
)

// QueryError is a query that gave no answer. It is ErrUnanswered to errors.Is.
type QueryError struct {
	Side  Side
	Query string // "positions", "live orders", "done orders", "records"
	Err   error
}

// Error names the side, the query and the cause.
func (e *QueryError) Error() string {
	return fmt.Sprintf("%v: %s not known: %v", e.Side, e.Query, e.Err)
}

// Unwrap gives the cause.
func (e *QueryError) Unwrap() error { return e.Err }

// Is reports whether target is ErrUnanswered.
func (e *QueryError) Is(target error) bool { return target == ErrUnanswered }

// MovedError is a fact that has moved. It is ErrMoved to errors.Is.
type MovedError struct {
	Side Side
	Key  Key
	Was  string // what the plan rests on
	Now  string // what is there now
}

// Error names the fact, what it was and what it is.
func (e *MovedError) Error() string {
	return fmt.Sprintf("%v: %v was %s and is %s: compare again and make a new plan", e.Side, e.Key, e.Was, e.Now)
}

// Is reports whether target is ErrMoved.
func (e *MovedError) Is(target error) bool { return target == ErrMoved }

// ConflictError is a row that cannot be recorded beside the one that is there. It is
// ErrConflict to errors.Is.
type ConflictError struct {
	ID   string
	Have string // the row that is there
	Got  string // the row that was to be recorded
}

// Error names the id and both rows.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("fill %q is there as %s, not as %s", e.ID, e.Have, e.Got)
}

// Is reports whether target is ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }
