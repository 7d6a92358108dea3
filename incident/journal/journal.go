package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/internal/atomicfile"
	"github.com/gofrs/flock"
)

// Journal is an open journal. Open makes one. It is safe for concurrent use.
type Journal struct {
	path string
	lock *flock.Flock
	torn int64

	// queueMu guards who writes next; fileMu is held while the file is written,
	// and is never taken inside queueMu.
	queueMu sync.Mutex
	queue   []*waiter
	leading bool // one of the writers is at work, or was told to be

	fileMu sync.Mutex
	f      *os.File
	closed atomic.Bool // set with fileMu held
	buf    []byte
	dirty  bool // the file may hold bytes behind the last durable record

	extentMu sync.RWMutex // guards extent alone, so that readers wait for no disk
	extent   extent
}

// Open opens the journal at path, and makes one where there is none; its directory
// has to be there. It reads all of it and checks the chain.
//
// A tail that was cut short is dropped, and an event of kind incident.Recovered
// says so. Other damage is a *DamagedError and changes nothing. ErrInUse says that
// another process has it; path with ".lock" after it is what they agree by.
func Open(path string) (*Journal, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return nil, &DamagedError{Path: path, Why: "it is not a regular file"}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("journal: %w", err)
	}
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	switch ok, err := lock.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("journal: lock: %w", err)
	case !ok:
		return nil, fmt.Errorf("%w: %s", ErrInUse, path)
	}
	j := &Journal{path: path, lock: lock}
	if err := j.load(); err != nil {
		if j.f != nil {
			err = errors.Join(err, j.f.Close())
		}
		return nil, errors.Join(err, lock.Close())
	}
	return j, nil
}

// load reads the file and cuts off a torn tail.
func (j *Journal) load() error {
	var err error
	if j.f, err = os.OpenFile(j.path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if err := atomicfile.SyncDir(filepath.Dir(j.path)); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if j.extent, err = scan(j.f, func(Tip) error { return nil }); err != nil {
		return named(j.path, err)
	}
	if len(j.extent.torn) == 0 {
		return nil
	}
	j.torn, j.extent.torn = int64(len(j.extent.torn)), nil
	j.dirty = true // the first append cuts it off
	_, err = j.Append(context.Background(), incident.Any, incident.Event{
		At: time.Now(), Kind: incident.Recovered, By: "andon/journal",
		What: fmt.Sprintf("a tail of %d bytes after record %d was dropped", j.torn, j.extent.tip.Seq),
		Why:  "the process or the machine stopped while it was being written; it was never acknowledged",
	})
	return err
}

// named puts the path into a *DamagedError.
func named(path string, err error) error {
	if d, ok := errors.AsType[*DamagedError](err); ok {
		d.Path = path
		return d
	}
	return fmt.Errorf("journal: %s: %w", path, err)
}

// Path returns where the journal lies, as an absolute path.
func (j *Journal) Path() string { return j.path }

// Torn returns how many bytes of a torn tail Open dropped, usually 0.
func (j *Journal) Torn() int64 { return j.torn }

// Tip returns the newest durable record.
func (j *Journal) Tip() Tip {
	j.extentMu.RLock()
	defer j.extentMu.RUnlock()
	return j.extent.tip
}

// Close waits for the append that is being written, and gives the file free.
// Appends that wait, and later ones, get ErrClosed. It may be called twice.
func (j *Journal) Close() error {
	j.fileMu.Lock()
	defer j.fileMu.Unlock()
	if j.closed.Swap(true) {
		return nil
	}
	return errors.Join(j.f.Close(), j.lock.Close())
}
