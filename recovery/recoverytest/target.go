package recoverytest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/andon-go/andon/recovery"
)

// Target is a recovery.Target whose data and backups lie in memory. It is safe for
// concurrent use.
type Target struct {
	component recovery.Component

	mu      sync.Mutex
	data    []byte
	backups []*stored
	err     error
	takes   time.Duration
	broken  error
}

type stored struct {
	recovery.Backup
	data []byte
	sum  [sha256.Size]byte
}

// NewTarget returns a target that backs data up.
func NewTarget(component recovery.Component, data []byte) *Target {
	return &Target{component: component, data: slices.Clone(data)}
}

// Set replaces the data that the next backup holds.
func (t *Target) Set(data []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = slices.Clone(data)
}

// Fail makes every method give err from now on; nil makes them work again.
func (t *Target) Fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = err
}

// Damage flips one bit of a stored backup, as a bad disk would: unseen.
func (t *Target) Damage(name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.find(name)
	if err != nil {
		return err
	}
	s.data[0] ^= 1
	return nil
}

// CutOff adds a backup that was begun and never finished.
func (t *Target) CutOff(now time.Time) recovery.Backup {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.add(now, recovery.Writing).Backup
}

// Restored notes a measured restore of a backup.
func (t *Target) Restored(name string, now time.Time, took time.Duration) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.find(name)
	if err != nil {
		return err
	}
	s.RestoredAt, s.RestoreTook = now, took
	return nil
}

// Rehearsals sets how long a practice restore takes, 1 ms if not set, and the error
// that it gives.
func (t *Target) Rehearsals(takes time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.takes, t.broken = takes, err
}

// Rehearse compares a backup with its checksum, after some time. No lock is held
// meanwhile.
func (t *Target) Rehearse(ctx context.Context, name string, _ time.Time) (recovery.Rehearsal, error) {
	began := time.Now()
	t.mu.Lock()
	takes, err := t.takes, t.broken
	t.mu.Unlock()
	timer := time.NewTimer(max(takes, time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return recovery.Rehearsal{}, ctx.Err()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		err = t.ready(ctx)
	}
	if err != nil {
		return recovery.Rehearsal{}, err
	}
	s, err := t.find(name)
	switch {
	case err != nil:
		return recovery.Rehearsal{}, err
	case s.State != recovery.Verified:
		return recovery.Rehearsal{}, fmt.Errorf("%s is %v: %w", name, s.State, recovery.ErrNotVerified)
	case sha256.Sum256(s.data) != s.sum:
		return recovery.Rehearsal{}, &recovery.DamagedError{Backup: name, File: "data", Reason: "its SHA-256 differs"}
	}
	return recovery.Rehearsal{Took: time.Since(began), Evidence: fmt.Sprintf("%d bytes with their SHA-256", len(s.data))}, nil
}

// Backup copies the data.
func (t *Target) Backup(ctx context.Context, now time.Time) (recovery.Backup, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.ready(ctx); err != nil {
		return recovery.Backup{}, err
	}
	if len(t.data) == 0 {
		return recovery.Backup{}, fmt.Errorf("%s: %w", t.component, recovery.ErrEmpty)
	}
	if err := recovery.CheckClock(now, t.list()); err != nil {
		return recovery.Backup{}, fmt.Errorf("%s: %w", t.component, err)
	}
	return t.add(now, recovery.Complete).Backup, nil
}

// Verify compares a backup with the checksum of what was copied.
func (t *Target) Verify(ctx context.Context, name string, now time.Time) (recovery.Backup, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.ready(ctx); err != nil {
		return recovery.Backup{}, err
	}
	s, err := t.find(name)
	if err != nil {
		return recovery.Backup{}, err
	}
	reason := ""
	switch {
	case s.State == recovery.Writing:
		reason = "it was never finished"
	case sha256.Sum256(s.data) != s.sum:
		reason = "its SHA-256 differs"
		s.State = recovery.Damaged
	}
	if s.Problem = reason; reason != "" {
		return s.Backup, &recovery.DamagedError{Backup: name, File: "data", Reason: reason}
	}
	s.State, s.VerifiedAt = recovery.Verified, now
	return s.Backup, nil
}

// Backups lists the backups, newest first.
func (t *Target) Backups(ctx context.Context) ([]recovery.Backup, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.ready(ctx); err != nil {
		return nil, err
	}
	return t.list(), nil
}

// Delete removes a backup.
func (t *Target) Delete(ctx context.Context, name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.ready(ctx); err != nil {
		return err
	}
	if err := recovery.CheckDelete(name, t.list()); err != nil {
		return fmt.Errorf("%s: %w", t.component, err)
	}
	t.backups = slices.DeleteFunc(t.backups, func(s *stored) bool { return s.Name == name })
	return nil
}

func (t *Target) list() []recovery.Backup {
	var backups []recovery.Backup
	for _, s := range t.backups {
		backups = append(backups, s.Backup)
	}
	recovery.SortBackups(backups)
	return backups
}

func (t *Target) ready(ctx context.Context) error {
	if t.err != nil {
		return t.err
	}
	return ctx.Err()
}

func (t *Target) add(now time.Time, state recovery.State) *stored {
	nth := 1
	for t.has(recovery.BackupName(now, nth)) {
		nth++
	}
	s := &stored{
		Backup: recovery.Backup{
			Component: t.component, Name: recovery.BackupName(now, nth), Place: "memory", State: state,
			At: now, Files: 1, Bytes: int64(len(t.data)),
		},
		data: slices.Clone(t.data), sum: sha256.Sum256(t.data),
	}
	if state == recovery.Complete {
		s.CompletedAt = now
	} else {
		s.Problem = "it was never finished"
	}
	t.backups = append(t.backups, s)
	return s
}

func (t *Target) has(name string) bool {
	_, err := t.find(name)
	return err == nil
}

func (t *Target) find(name string) (*stored, error) {
	for _, s := range t.backups {
		if s.Name == name {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%s: %q: %w", t.component, name, recovery.ErrNotFound)
}
