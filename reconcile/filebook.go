package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/atomicfile"
)

// FileBook is a Book in one text file: one row a line, with a checksum. Every change
// replaces the whole file and is on disk when the call returns; a crash leaves the
// old file or the new one. That is fit for a bot with thousands of rows, not with
// millions.
//
// It is safe for concurrent use, by several processes too: changes take the lock file
// beside it (the path with ".lock" added). Nothing is kept in memory, so that a file
// which was damaged or restored meanwhile is seen by the next call.
type FileBook struct {
	path string
	mu   sync.Mutex // one change at a time in this process
}

// NewFileBook returns the book at path. It does not look at the file.
func NewFileBook(path string) *FileBook { return &FileBook{path: path} }

// Path returns where the book lies.
func (b *FileBook) Path() string { return b.path }

// Create writes an empty book. It is fs.ErrExist when there is a file: an empty book
// says that nothing is held, so it is never made by accident.
func (b *FileBook) Create(ctx context.Context) error {
	return b.locked(ctx, func() error {
		if _, err := os.Lstat(b.path); err == nil {
			return &fs.PathError{Op: "create book", Path: b.path, Err: fs.ErrExist}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return b.write(bookFile{})
	})
}

// Read implements Book. A file that is missing is fs.ErrNotExist, never an empty
// book; one that is torn, foreign or damaged is a *CorruptError.
func (b *FileBook) Read(ctx context.Context) (Records, error) {
	if err := ctx.Err(); err != nil {
		return Records{}, err
	}
	f, err := b.read()
	if err != nil {
		return Records{}, err
	}
	return f.records, nil
}

// Applied implements Book.
func (b *FileBook) Applied(ctx context.Context, id string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	f, err := b.read()
	if err != nil {
		return false, err
	}
	return f.has(id), nil
}

// Apply implements Book.
func (b *FileBook) Apply(ctx context.Context, tx Transaction) error {
	if tx.ID == "" {
		return errors.New("transaction has no id")
	}
	return b.change(ctx, func(f *bookFile) error {
		if f.has(tx.ID) {
			return fmt.Errorf("transaction %s: %w", tx.ID, ErrApplied)
		}
		next, err := f.records.Edit(tx.Edits)
		if err != nil {
			return err
		}
		f.records = next
		f.applied = append(f.applied, appliedRow{tx.ID, tx.At, tx.By, tx.Note})
		return nil
	})
}

// Update changes the records in one transaction: change gets them as they are, and
// what it leaves is written. When it gives an error nothing is.
func (b *FileBook) Update(ctx context.Context, change func(*Records) error) error {
	return b.change(ctx, func(f *bookFile) error { return change(&f.records) })
}

// RecordFills books fills and moves the positions of their legs by AddFill, in one
// transaction. It returns how many were new: a fill that is booked already counts for
// nothing, one with the same id and other content is ErrConflict and nothing is booked.
func (b *FileBook) RecordFills(ctx context.Context, fills ...andon.Fill) (added int, err error) {
	err = b.Update(ctx, func(r *Records) error {
		added, err = r.addFills(fills)
		return err
	})
	if err != nil {
		return 0, err
	}
	return added, nil
}

// PutOrder books an order, or what became of it, in place of what was booked under its
// id.
func (b *FileBook) PutOrder(ctx context.Context, o andon.Order) error {
	if err := o.Validate(); err != nil {
		return err
	}
	return b.Update(ctx, func(r *Records) error {
		r.Orders = slices.DeleteFunc(r.Orders, func(old andon.Order) bool { return OrderKey(old) == OrderKey(o) })
		r.Orders = append(r.Orders, o)
		return nil
	})
}

func (r *Records) addFills(fills []andon.Fill) (added int, err error) {
	booked := make(map[fillID]andon.Fill, len(r.Fills))
	for _, f := range r.Fills {
		booked[fillID{f.Venue, f.ID}] = f
	}
	for _, f := range fills {
		if err := f.Validate(); err != nil {
			return 0, err
		}
		if have, ok := booked[fillID{f.Venue, f.ID}]; ok {
			if !sameFill(have, f) {
				return 0, &ConflictError{ID: f.ID, Have: fillSays(have), Got: fillSays(f)}
			}
			continue
		}
		if err := r.movePosition(f); err != nil {
			return 0, err
		}
		booked[fillID{f.Venue, f.ID}] = f
		r.Fills = append(r.Fills, f)
		added++
	}
	return added, nil
}

func (r *Records) movePosition(f andon.Fill) error {
	i := slices.IndexFunc(r.Positions, func(p andon.Position) bool { return p.Key() == f.Key() })
	if i < 0 {
		i = len(r.Positions)
		r.Positions = append(r.Positions, andon.Position{Venue: f.Venue, Symbol: f.Symbol, Leg: f.Leg})
	}
	next, _, err := AddFill(r.Positions[i], f)
	if err != nil {
		return err
	}
	r.Positions[i] = next
	if next.Quantity.IsZero() {
		r.Positions = slices.Delete(r.Positions, i, i+1)
	}
	return nil
}

// lockRetry is how often a lock that another process holds is tried again.
const lockRetry = 5 * time.Millisecond

func (b *FileBook) locked(ctx context.Context, do func() error) (err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	lock := flock.New(b.path+".lock", flock.SetPermissions(bookPerm))
	if _, err := lock.TryLockContext(ctx, lockRetry); err != nil {
		return fmt.Errorf("lock of book %s: %w", b.path, err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	return do()
}

func (b *FileBook) change(ctx context.Context, change func(*bookFile) error) error {
	return b.locked(ctx, func() error {
		f, err := b.read()
		if err != nil {
			return err
		}
		if err := change(&f); err != nil {
			return err
		}
		return b.write(f)
	})
}

// bookPerm lets the bot's own user read and write what it holds, and nobody else.
const bookPerm = 0o600

func (b *FileBook) read() (bookFile, error) {
	data, err := os.ReadFile(b.path)
	if err != nil {
		return bookFile{}, err
	}
	f, err := decodeBook(data)
	if err != nil {
		if corrupt, ok := errors.AsType[*CorruptError](err); ok {
			corrupt.Path = b.path
		}
		return bookFile{}, err
	}
	return f, nil
}

func (b *FileBook) write(f bookFile) error {
	data, err := encodeBook(f)
	if err != nil {
		return fmt.Errorf("book %s: %w", b.path, err)
	}
	return atomicfile.Write(b.path, data, bookPerm)
}
