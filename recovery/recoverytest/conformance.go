package recoverytest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/andon-go/andon/recovery"
)

// Subject is a target under test.
type Subject struct {
	// Target has something to back up, and no backup yet.
	Target recovery.Target

	// Damage changes one bit of the data of a stored backup without telling the
	// target.
	Damage func(name string) error
}

// TestTarget tests that a target keeps the rules of recovery.Target. open is
// called once for each rule and returns a fresh one.
func TestTarget(t *testing.T, open func(t *testing.T) Subject) {
	now := time.Date(2026, 3, 4, 15, 4, 5, 0, time.UTC)
	for _, rule := range []struct {
		name string
		test func(t *testing.T, s Subject, now time.Time)
	}{
		{"a fresh target lists nothing and no error", ruleFresh},
		{"a backup is complete and listed, and counts only once it was verified", ruleVerified},
		{"two backups of one second are two backups", ruleTwoAtOnce},
		{"the newest is listed first", ruleNewestFirst},
		{"a damaged backup is found, named, and listed as damaged", ruleDamaged},
		{"damage after a verification is found by the next one", ruleDamagedLater},
		{"a name that there is not is ErrNotFound", ruleNotFound},
		{"a backup that was cancelled never counts", ruleCancelled},
		{"a backup dated before one that is there is ErrClock", ruleClock},
		{"a deleted backup is gone, and the last one that counts is kept", ruleDelete},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.test(t, open(t), now) })
	}
}

// TestRehearser tests that a target, which TestTarget has passed, also keeps the
// rules of recovery.Rehearser. open is called once for each rule and returns a fresh
// one.
func TestRehearser(t *testing.T, open func(t *testing.T) Subject) {
	now := time.Date(2026, 3, 4, 15, 4, 5, 0, time.UTC)
	for _, rule := range []struct {
		name string
		test func(t *testing.T, s Subject, r recovery.Rehearser, now time.Time)
	}{
		{"a verified backup is restored for practice, measured, and says what was seen", ruleRehearsed},
		{"a backup that does not count is ErrNotVerified", ruleUnverified},
		{"a backup that was damaged since it was verified does not pass", ruleRehearsedDamaged},
		{"a name that there is not is ErrNotFound", ruleRehearsedNotFound},
		{"nothing is practised after ctx has ended", ruleRehearsedEnded},
	} {
		t.Run(rule.name, func(t *testing.T) {
			s := open(t)
			r, ok := s.Target.(recovery.Rehearser)
			if !ok {
				t.Fatalf("%T is no Rehearser", s.Target)
			}
			rule.test(t, s, r, now)
		})
	}
}

func takeVerified(t *testing.T, s Subject, now time.Time) recovery.Backup {
	t.Helper()
	b := take(t, s, now)
	if _, err := s.Target.Verify(t.Context(), b.Name, now); err != nil {
		t.Fatalf("Verify of a sound backup: %v", err)
	}
	return b
}

func ruleRehearsed(t *testing.T, s Subject, r recovery.Rehearser, now time.Time) {
	b := takeVerified(t, s, now)
	for range 2 { // the second finds the place free again
		got, err := r.Rehearse(t.Context(), b.Name, now)
		if err != nil || got.Took <= 0 || got.Evidence == "" {
			t.Fatalf("Rehearse of a sound backup gives %+v, %v", got, err)
		}
	}
	wantState(t, s, b.Name, recovery.Verified)
}

func ruleUnverified(t *testing.T, s Subject, r recovery.Rehearser, now time.Time) {
	b := take(t, s, now)
	if _, err := r.Rehearse(t.Context(), b.Name, now); !errors.Is(err, recovery.ErrNotVerified) {
		t.Errorf("Rehearse of a backup that was not read back gives %v, want ErrNotVerified", err)
	}
}

func ruleRehearsedDamaged(t *testing.T, s Subject, r recovery.Rehearser, now time.Time) {
	b := takeVerified(t, s, now)
	damage(t, s, b.Name)
	if got, err := r.Rehearse(t.Context(), b.Name, now); err == nil {
		t.Errorf("Rehearse of a damaged backup gives %+v and no error", got)
	}
}

func ruleRehearsedNotFound(t *testing.T, s Subject, r recovery.Rehearser, now time.Time) {
	for _, name := range []string{recovery.BackupName(now, 1), "", "../x"} {
		if _, err := r.Rehearse(t.Context(), name, now); !errors.Is(err, recovery.ErrNotFound) {
			t.Errorf("Rehearse of %q, which there is not, gives %v", name, err)
		}
	}
}

func ruleRehearsedEnded(t *testing.T, s Subject, r recovery.Rehearser, now time.Time) {
	b := takeVerified(t, s, now)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Rehearse(ctx, b.Name, now); !errors.Is(err, context.Canceled) {
		t.Errorf("Rehearse with a cancelled context gives %v", err)
	}
}

func ruleFresh(t *testing.T, s Subject, _ time.Time) {
	if got := list(t, s); len(got) != 0 {
		t.Fatalf("Backups lists %v before there was one", got)
	}
}

func ruleVerified(t *testing.T, s Subject, now time.Time) {
	b := take(t, s, now)
	if !b.At.Equal(now) || b.Component == "" || b.Files <= 0 || b.Bytes <= 0 {
		t.Errorf("Backup at %v does not say what it holds: %+v", now, b)
	}
	wantState(t, s, b.Name, recovery.Complete)
	later := now.Add(time.Minute)
	v, err := s.Target.Verify(t.Context(), b.Name, later)
	if err != nil || v.State != recovery.Verified || !v.VerifiedAt.Equal(later) || v.Name != b.Name {
		t.Fatalf("Verify of a sound backup at %v gives %+v, %v", later, v, err)
	}
	wantState(t, s, b.Name, recovery.Verified)
}

func ruleTwoAtOnce(t *testing.T, s Subject, now time.Time) {
	if a, b := take(t, s, now), take(t, s, now); a.Name == b.Name {
		t.Fatalf("both backups are called %s: one of them is lost", a.Name)
	}
	if got := list(t, s); len(got) != 2 {
		t.Fatalf("Backups lists %d after two", len(got))
	}
}

func ruleNewestFirst(t *testing.T, s Subject, now time.Time) {
	take(t, s, now)
	take(t, s, now.Add(time.Second))
	newest := take(t, s, now.Add(2*time.Second))
	if got := list(t, s); got[0].Name != newest.Name {
		t.Fatalf("Backups lists %s first, the newest is %s", got[0].Name, newest.Name)
	}
}

func ruleDamaged(t *testing.T, s Subject, now time.Time) {
	b := take(t, s, now)
	damage(t, s, b.Name)
	wantDamaged(t, s, b.Name, now)
}

func ruleDamagedLater(t *testing.T, s Subject, now time.Time) {
	b := take(t, s, now)
	if _, err := s.Target.Verify(t.Context(), b.Name, now); err != nil {
		t.Fatalf("Verify of a sound backup: %v", err)
	}
	damage(t, s, b.Name)
	wantDamaged(t, s, b.Name, now)
}

func wantDamaged(t *testing.T, s Subject, name string, now time.Time) {
	t.Helper()
	b, err := s.Target.Verify(t.Context(), name, now)
	if !errors.Is(err, recovery.ErrDamaged) || b.Good() {
		t.Fatalf("Verify of a damaged backup gives %v, %v; want an error that is ErrDamaged", b.State, err)
	}
	if d, ok := errors.AsType[*recovery.DamagedError](err); !ok || d.File == "" || d.Backup != name {
		t.Errorf("the error does not name the backup and the file: %v", err)
	}
	wantState(t, s, name, recovery.Damaged)
}

func ruleNotFound(t *testing.T, s Subject, now time.Time) {
	for _, name := range []string{recovery.BackupName(now, 1), "", ".", "..", "../x", "/"} {
		if _, err := s.Target.Verify(t.Context(), name, now); !errors.Is(err, recovery.ErrNotFound) {
			t.Errorf("Verify of %q, which there is not, gives %v", name, err)
		}
	}
}

func ruleCancelled(t *testing.T, s Subject, now time.Time) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Target.Backup(ctx, now); err == nil {
		t.Error("Backup with a cancelled context gives no error")
	}
	if _, err := s.Target.Backups(ctx); err == nil {
		t.Error("Backups with a cancelled context gives no error")
	}
	for _, b := range list(t, s) {
		if b.State == recovery.Complete || b.State == recovery.Verified {
			t.Errorf("a cancelled backup is listed as %v", b.State)
		}
	}
}

func ruleClock(t *testing.T, s Subject, now time.Time) {
	b := take(t, s, now)
	_, err := s.Target.Backup(t.Context(), now.Add(-time.Second))
	if !errors.Is(err, recovery.ErrClock) {
		t.Fatalf("Backup at a time before %s gives %v, want ErrClock: the newest backup would not be the newest", b.Name, err)
	}
	if c, ok := errors.AsType[*recovery.ClockError](err); !ok || c.Backup != b.Name || !c.At.Equal(now) {
		t.Errorf("the error does not name the backup and its time: %v", err)
	}
	if got := list(t, s); len(got) != 1 {
		t.Errorf("Backups lists %d after one and a refused one", len(got))
	}
}

func ruleDelete(t *testing.T, s Subject, now time.Time) {
	names := []string{}
	for i := range 3 {
		b := take(t, s, now.Add(time.Duration(i)*time.Second))
		names = append(names, b.Name)
	}
	for _, name := range names[:2] {
		if _, err := s.Target.Verify(t.Context(), name, now); err != nil {
			t.Fatalf("Verify of a sound backup: %v", err)
		}
	}
	if err := s.Target.Delete(t.Context(), names[1]); err != nil {
		t.Fatalf("Delete of %s while %s counts: %v", names[1], names[0], err)
	}
	if err := s.Target.Delete(t.Context(), names[0]); !errors.Is(err, recovery.ErrLastVerified) {
		t.Errorf("Delete of the last backup that counts gives %v, want ErrLastVerified: a newer one is only complete", err)
	}
	wantState(t, s, names[0], recovery.Verified)
	if err := s.Target.Delete(t.Context(), names[2]); err != nil {
		t.Errorf("Delete of one that does not count: %v", err)
	}
	if got := list(t, s); len(got) != 1 {
		t.Errorf("Backups lists %d after two of three were deleted", len(got))
	}
	for _, name := range []string{names[1], "", "..", "../x"} {
		if err := s.Target.Delete(t.Context(), name); !errors.Is(err, recovery.ErrNotFound) {
			t.Errorf("Delete of %q, which there is not, gives %v", name, err)
		}
	}
}

func take(t *testing.T, s Subject, now time.Time) recovery.Backup {
	t.Helper()
	b, err := s.Target.Backup(t.Context(), now)
	if err != nil {
		t.Fatalf("Backup: %v", err)
	}
	if b.State != recovery.Complete {
		t.Fatalf("Backup returns it as %v, and only Verify may say more than complete", b.State)
	}
	return b
}

func damage(t *testing.T, s Subject, name string) {
	t.Helper()
	if err := s.Damage(name); err != nil {
		t.Fatalf("damaging %s: %v", name, err)
	}
}

func list(t *testing.T, s Subject) []recovery.Backup {
	t.Helper()
	backups, err := s.Target.Backups(t.Context())
	if err != nil {
		t.Fatalf("Backups: %v", err)
	}
	return backups
}

func wantState(t *testing.T, s Subject, name string, want recovery.State) {
	t.Helper()
	for _, b := range list(t, s) {
		if b.Name != name {
			continue
		}
		if b.State != want {
			t.Errorf("%s is listed as %v, want %v", name, b.State, want)
		}
		return
	}
	t.Errorf("%s is not listed, want it as %v", name, want)
}
