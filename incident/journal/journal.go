package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
	path         string
	segmentBytes int64
	lock         *flock.Flock
	torn         int64

	// queueMu guards who writes next; fileMu is held while the file is written,
	// and is never taken inside queueMu.
	queueMu sync.Mutex
	queue   []*waiter
	waiters sync.Pool // of *waiter
	leading bool      // one of the writers is at work, or was told to be

	// come and batch belong to the one who is at work, as found and buf do.
	come, batch []*waiter

	fileMu sync.Mutex
	closed atomic.Bool // set with fileMu held
	buf    []byte
	found  []found
	dirty  bool // the file may hold bytes behind the last durable record

	extentMu sync.RWMutex // guards what readers look at, so that they wait for no disk
	extent   extent
	index    index
}

// Open opens the journal at path with the defaults of Config.
func Open(path string) (*Journal, error) { return New(context.Background(), Config{Path: path}) }

// New opens a journal, and makes one where there is none; its directory has to be
// there. It reads all of it, several files at a time, checks the whole chain, and
// trusts nothing but the hash.
//
// A tail that was cut short is dropped, and an event of kind incident.Recovered says
// so. Other damage is a *DamagedError and changes nothing; so is a tip of the Anchor
// that is not in the journal. An anchor that cannot be read does not keep the journal
// shut, since nothing that pages may depend on it: an event of kind
// incident.AnchorUnread says so, and Verify is to be run by hand. ErrInUse says that
// another process has the journal; path with ".lock" after it is what they agree by.
func New(ctx context.Context, cfg Config) (*Journal, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if err := stat(path); err != nil {
		return nil, err
	}
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	switch ok, err := lock.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("journal: lock: %w", err)
	case !ok:
		return nil, fmt.Errorf("%w: %s", ErrInUse, path)
	}
	j := &Journal{path: path, segmentBytes: cfg.SegmentBytes, lock: lock}
	if err := j.load(ctx, cfg.Anchor); err != nil {
		return nil, errors.Join(err, closeAll(j.extent.segments), lock.Close())
	}
	return j, nil
}

// load reads the files and cuts off a torn tail.
func (j *Journal) load(ctx context.Context, anchor incident.Anchor) error {
	var news []incident.Event
	published, unread := []Tip(nil), error(nil)
	if anchor != nil {
		published, unread = anchor.Published(ctx)
	}
	segments, err := openAll(j.path, os.O_RDWR)
	if err != nil {
		return named(j.path, err)
	}
	j.extent.segments = segments // closed by New on failure
	if err := atomicfile.SyncDir(filepath.Dir(j.path)); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	x, idx, torn, err := check(segments, published)
	if err != nil {
		return named(j.path, err)
	}
	if len(x.segments) == 0 {
		first, err := begin(j.path, 1, 0)
		if err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		x.segments = []segment{first}
	}
	j.extent, j.index = x, idx
	if j.torn = int64(len(torn)); j.torn > 0 {
		j.dirty = true // the first append cuts it off
		news = append(news, incident.Event{
			At: time.Now(), Kind: incident.Recovered, By: "andon/journal",
			What: fmt.Sprintf("a tail of %d bytes after record %d was dropped", j.torn, x.tip.Seq),
			Why:  "the process or the machine stopped while it was being written; it was never acknowledged",
		})
	}
	if unread != nil {
		news = append(news, incident.Event{
			At: time.Now(), Kind: incident.AnchorUnread, By: "andon/journal",
			What: "the journal was opened without looking at the tips that were published; verify it", Why: unread.Error(),
		})
	}
	if len(news) == 0 {
		return nil
	}
	_, err = j.Append(context.WithoutCancel(ctx), incident.Any, news...)
	return err
}

// named puts the path into a *DamagedError.
func named(path string, err error) error {
	if d, ok := errors.AsType[*DamagedError](err); ok {
		d.Path = cmp.Or(d.Path, path)
		return d
	}
	return fmt.Errorf("journal: %s: %w", path, err)
}

// Path returns where the journal's first file lies, as an absolute path.
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
	return errors.Join(closeAll(j.extent.segments), j.lock.Close())
}
