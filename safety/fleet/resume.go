package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon/safety"
)

// Resume lets the whole fleet trade again. It takes a named person, a note, and the holds
// that the person has seen, as Status gives them. It is refused with a *ResumeError, and
// lifts nothing, when a name or a note is missing, when a hold is in force that is not
// among seen, when somebody halts or resumes at the same time, and when the decision
// cannot be recorded. Holds of the bots' own switches stay.
//
// Any other error leaves open whether it took effect: look at Status.
func (f *Fleet) Resume(ctx context.Context, by, note string, seen []Hold) error {
	if strings.TrimSpace(by) == "" || strings.TrimSpace(note) == "" {
		return &ResumeError{Why: fmt.Sprintf("it takes a named person and a note, given were %q and %q", by, note)}
	}
	v, err := f.read(ctx)
	if err != nil {
		return &ResumeError{Why: "the fleet's records cannot be read", Err: err}
	}
	var unseen []Hold
	for _, h := range v.order.Holds {
		if !slices.ContainsFunc(seen, func(s Hold) bool { return s.ID == h.ID }) {
			unseen = append(unseen, h)
		}
	}
	if len(unseen) > 0 {
		return &ResumeError{Why: "there are holds that you have not seen: look at them, then resume again", Holds: unseen}
	}
	if err := f.record(ctx, by, "fleet resumed", note); err != nil {
		return &ResumeError{Why: "the decision cannot be recorded", Err: err}
	}
	o := order{
		Version: version, Generation: v.next(), Holds: []Hold{},
		Resumed: safety.Resumption{By: bounded(by), Note: bounded(note), At: time.Now().Round(0)},
	}
	_, err = f.cfg.Backend.Write(ctx, Record{Key: orderKey, Value: encode(o), Revision: v.orderRev}, false)
	if errors.Is(err, ErrConflict) {
		return &ResumeError{Why: "somebody halted or resumed the fleet at the same time: look at Status, then resume again"}
	}
	if err != nil {
		return fmt.Errorf("fleet: resume: it may have taken effect: %w", err)
	}
	return nil
}

// Forget takes a dead member out of the records, for good. It takes a named person, who
// has resolved that member's orders, and a note. It waits for a lease and its margin to
// see that the member is silent, and is refused where it is not. A member that was only
// slow joins anew, under another id.
func (f *Fleet) Forget(ctx context.Context, by, note, id string) error {
	if strings.TrimSpace(by) == "" || strings.TrimSpace(note) == "" {
		return fmt.Errorf("fleet: forget: it takes a named person and a note, given were %q and %q", by, note)
	}
	var s *seat
	for {
		v, err := f.read(ctx)
		if err != nil {
			return fmt.Errorf("fleet: forget: %w", err)
		}
		was := s
		if s = v.seat(id); s == nil {
			return fmt.Errorf("fleet: forget: there is no member %q", id)
		}
		if was != nil && was.beat != s.beat {
			return fmt.Errorf("fleet: forget: member %s is alive", s.title())
		}
		left := f.gone(s, v.at) - v.at
		if left <= 0 {
			break
		}
		select {
		case <-time.After(left):
		case <-ctx.Done():
			return fmt.Errorf("fleet: forget: member %s was silent too short a time: %w", s.title(), ctx.Err())
		}
	}
	if err := f.record(ctx, by, "fleet forgets member "+s.title(), note); err != nil {
		return fmt.Errorf("fleet: forget: the decision cannot be recorded: %w", err)
	}
	return f.remove(ctx, s)
}

// remove deletes the records of a member that has no lease. Its beat is taken from it
// first: from then on it cannot renew, and so cannot have a lease that its missing record
// would hide.
func (f *Fleet) remove(ctx context.Context, s *seat) error {
	taken, err := f.cfg.Backend.Write(ctx, Record{Key: beatPrefix + s.id, Value: []byte("forgotten"), Revision: s.beat}, true)
	if err == nil {
		_, err = f.cfg.Backend.Write(ctx, Record{Key: memberPrefix + s.id, Revision: s.rev}, false)
	}
	if err == nil {
		_, err = f.cfg.Backend.Write(ctx, Record{Key: beatPrefix + s.id, Revision: taken}, true)
	}
	if err != nil {
		return fmt.Errorf("fleet: remove member %s: %w", s.title(), err)
	}
	return nil
}
