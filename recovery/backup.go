package recovery

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// State is how far a backup got. The zero value is Writing, so that a backup of
// which nothing is known is one that does not count.
type State uint8

// The states of a backup. Only Verified counts.
const (
	Writing  State = iota // begun; still being written, or cut off
	Complete              // its commit record is on disk; not read back yet
	Verified              // every byte was read back and compared
	Damaged               // differs from what was written, or cannot be read
)

var stateNames = [...]string{"writing", "complete", "verified", "damaged"}

// String returns the state's name, or "State(n)".
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// MarshalText writes the state's name; a value that is none is an error.
func (s State) MarshalText() ([]byte, error) {
	if int(s) >= len(stateNames) {
		return nil, fmt.Errorf("backup state %d is not one of the known ones", uint8(s))
	}
	return []byte(s.String()), nil
}

// UnmarshalText reads a state's name.
func (s *State) UnmarshalText(b []byte) error {
	i := slices.Index(stateNames[:], string(b))
	if i < 0 {
		return fmt.Errorf("backup state %q is not one of %v", b, stateNames)
	}
	*s = State(i)
	return nil
}

// Backup is one backup as its target lists it. It is a value.
type Backup struct {
	Component Component
	Name      string // unique for its target, such as backup_20260304_150405
	Place     string // where it lies, for people
	State     State

	// At is the moment before which everything is in the backup: when reading
	// began. CompletedAt is when its commit record was written, VerifiedAt when it
	// was last read back with success; both are zero before that.
	At          time.Time
	CompletedAt time.Time
	VerifiedAt  time.Time

	// RestoredAt and RestoreTook are the newest restore of this backup that was
	// measured; zero when there was none.
	RestoredAt  time.Time
	RestoreTook time.Duration

	Files int   // how many files, tables or parts it holds
	Bytes int64 // how much they hold together
	Rows  int64 // how many rows, where there are rows

	// Problem says in words why the backup does not count; empty when it does.
	Problem string

	// Note says in words what the backup does not bring back although it was there,
	// as its target knows it; empty when there is nothing of that kind.
	Note string
}

// Good reports whether the backup counts.
func (b Backup) Good() bool { return b.State == Verified }

// String returns one line for people.
func (b Backup) String() string {
	s := fmt.Sprintf("%s %s: %d files, %d bytes", b.Name, b.State, b.Files, b.Bytes)
	if b.Problem != "" {
		s += ": " + b.Problem
	}
	return s
}

// Target is what can be backed up. Implementations are safe for concurrent use.
// recoverytest.TestTarget tests one.
type Target interface {
	// Backup writes a backup of what there is at now and returns it as Complete.
	// On an error nothing that was written is ever listed as Complete or Verified.
	// A now before a backup that is there is ErrClock.
	Backup(ctx context.Context, now time.Time) (Backup, error)

	// Verify reads a backup back, every byte, and returns it as Verified; from
	// then on it is listed so. *DamagedError names what differs, and then it is
	// listed as Damaged. ErrNotFound is for a name that there is not.
	Verify(ctx context.Context, name string, now time.Time) (Backup, error)

	// Backups lists all of them in any state, newest first. An error means that
	// the answer is not known, never that there are none.
	Backups(ctx context.Context) ([]Backup, error)

	// Delete removes a backup in any state, so that what a crash leaves of it on the
	// way does not count. The only one that counts is kept: ErrLastVerified.
	// ErrNotFound is for a name that there is not. Of two deletions at once each
	// may leave the other's backup as the last: one process at a time deletes.
	Delete(ctx context.Context, name string) error
}

const nameLayout = "20060102_150405"

var namePattern = regexp.MustCompile(`^backup_\d{8}_\d{6}(_[1-9]\d*)?$`)

// BackupName returns the playbook's name for a backup taken at a time, in UTC:
// backup_YYYYmmdd_HHMMSS. The nth of one second, from the second on, ends in _n.
func BackupName(at time.Time, nth int) string {
	name := "backup_" + at.UTC().Format(nameLayout)
	if nth > 1 {
		name += fmt.Sprintf("_%d", nth)
	}
	return name
}

// IsBackupName reports whether BackupName could have made a name.
func IsBackupName(name string) bool { return namePattern.MatchString(name) }

// SortBackups orders them newest first.
func SortBackups(backups []Backup) {
	slices.SortStableFunc(backups, func(a, b Backup) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.Name, a.Name))
	})
}

// CheckClock returns a *ClockError when a backup that was finished is dated after
// now: what a Target asks before it begins another.
func CheckClock(now time.Time, backups []Backup) error {
	for _, b := range backups {
		if b.State != Writing && b.At.After(now) {
			return &ClockError{now, b.Name, b.At}
		}
	}
	return nil
}

// CheckDelete returns ErrNotFound unless a backup is in the list, and
// ErrLastVerified when it is the only one that counts: what a Target asks before it
// deletes.
func CheckDelete(name string, backups []Backup) error {
	i := slices.IndexFunc(backups, func(b Backup) bool { return b.Name == name })
	if i < 0 {
		return fmt.Errorf("%q: %w", name, ErrNotFound)
	}
	another := func(b Backup) bool { return b.Good() && b.Name != name }
	if backups[i].Good() && !slices.ContainsFunc(backups, another) {
		return fmt.Errorf("%s: %w", name, ErrLastVerified)
	}
	return nil
}

func newestVerified(backups []Backup) (newest Backup, ok bool) {
	for _, b := range backups {
		if b.Good() && (!ok || b.At.After(newest.At)) {
			newest, ok = b, true
		}
	}
	return newest, ok
}
