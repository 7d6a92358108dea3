package safety

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// CheckWrite returns nil while the bot may write to its own data, and a
// *DeniedError while a write hold is in force, such as the one that
// /tmp/READONLY_MODE places. It is one atomic load. Fills of exits that happen
// meanwhile belong on the timeline, and into the data once the hold is lifted.
func (s *Switch) CheckWrite() error {
	if w := s.write.Load(); w != nil {
		return w
	}
	return nil
}

// WriteToken lets one named piece of work write while writes are held: a restore or
// a repair. The zero value lets nothing through.
type WriteToken struct {
	live *atomic.Bool
	by   string
	work string
}

// AllowWrite gives a token to a named person or component for a named piece of
// work. The decision is recorded first; the token is refused when it cannot be.
// Release ends it.
func (s *Switch) AllowWrite(ctx context.Context, by, work string) (WriteToken, error) {
	if strings.TrimSpace(by) == "" || strings.TrimSpace(work) == "" {
		return WriteToken{}, fmt.Errorf("write token: it takes a name and a piece of work, given were %q and %q: %w", by, work, ErrDenied)
	}
	if err := s.recordNow(ctx, by, "write token given", work); err != nil {
		return WriteToken{}, fmt.Errorf("write token for %s: the decision cannot be recorded: %w: %w", by, ErrDenied, err)
	}
	t := WriteToken{live: new(atomic.Bool), by: by, work: work}
	t.live.Store(true)
	return t, nil
}

// CheckWriteWith is CheckWrite for the holder of a token.
func (s *Switch) CheckWriteWith(t WriteToken) error {
	if t.live != nil && t.live.Load() {
		return nil
	}
	return s.CheckWrite()
}

// Release takes a token back. It may be called twice.
func (s *Switch) Release(t WriteToken) {
	if t.live == nil || !t.live.CompareAndSwap(true, false) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.record(record{time.Now(), t.by, "write token released", t.work})
}
