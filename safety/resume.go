package safety

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Resume opens the gate again. It takes a named person, a note, and the holds that
// the person has seen, as Status gives them; it lifts those and no others.
//
// It is refused with a *ResumeError, and lifts nothing, when the name or the note is
// empty, when a hold is in force that is not among seen, when a flag is still
// present or cannot be looked at, when BeforeResume says no, when the decision
// cannot be recorded, and when it cannot be made durable. Nil means that all the
// holds are lifted, on disk too. Passing holds are not lifted and not asked for:
// while their cause lasts, trading stays narrowed by them.
func (s *Switch) Resume(ctx context.Context, by, note string, seen []Hold) error {
	if strings.TrimSpace(by) == "" || strings.TrimSpace(note) == "" {
		return &ResumeError{Why: fmt.Sprintf("it takes a named person and a note, given were %q and %q", by, note)}
	}
	var lift map[uint64]bool
	s.lookAll()
	err := s.locked(func() error {
		lift = s.recognise(seen)
		return s.mayResume(lift)
	})
	if err != nil {
		return err
	}
	if s.cfg.BeforeResume != nil {
		if err := calm("BeforeResume", func() error { return s.cfg.BeforeResume(ctx) }); err != nil {
			return &ResumeError{Why: "the check before resuming did not pass", Err: err}
		}
	}
	r := Resumption{By: by, Note: note, At: time.Now()}
	return s.lift(ctx, by, note, "resume", lift, r, func() error { return s.mayResume(lift) })
}

// recognise returns the ids of the lasting holds that are among seen. The id alone
// is not enough: after the state was deleted it counts from the beginning again.
// Called with mu held.
func (s *Switch) recognise(seen []Hold) map[uint64]bool {
	lift := map[uint64]bool{}
	for _, h := range s.holds {
		lift[h.ID] = !h.Passing && slices.ContainsFunc(seen, h.is)
	}
	return lift
}

func (s *Switch) locked(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f()
}

// Lift takes one hold away and leaves the others. It takes a named person or
// component and a note. A hold that halts is only lifted by Resume.
func (s *Switch) Lift(ctx context.Context, by, note string, h Hold) error {
	if strings.TrimSpace(by) == "" || strings.TrimSpace(note) == "" {
		return &ResumeError{Why: fmt.Sprintf("it takes a name and a note, given were %q and %q", by, note)}
	}
	return s.lift(ctx, by, note, fmt.Sprintf("lift hold #%d", h.ID), map[uint64]bool{h.ID: true}, Resumption{}, func() error { return s.mayLift(h) })
}

// Relax undoes Reduce: it lifts the hold that was placed by this component with exactly
// this reason, as Lift does, and no other. Nil when it is not in force any more. It is
// for whoever narrows trading by words that it remembers, across a restart too.
func (s *Switch) Relax(ctx context.Context, by, reason, note string) error {
	by, reason = named(by, reason)
	h, ok := s.reducing(Hold{State: Reducing, By: by, Reason: bounded(reason)})
	if !ok {
		return nil
	}
	return s.Lift(ctx, by, note, h)
}

func (s *Switch) reducing(want Hold) (Hold, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.holds, want.same); i >= 0 {
		return s.holds[i], true
	}
	return Hold{}, false
}

// mayLift says what stands against lifting one hold now. Called with mu held.
func (s *Switch) mayLift(seen Hold) error {
	if s.ctx.Err() != nil {
		return &ResumeError{Why: "this switch is closed", Err: ErrClosed}
	}
	i := slices.IndexFunc(s.holds, seen.is)
	if i < 0 {
		return &ResumeError{Why: fmt.Sprintf("hold #%d is not in force as it was given", seen.ID)}
	}
	h := s.holds[i]
	if f := s.flagOf(h); f >= 0 && (s.flags[f].Present || s.flags[f].Err != nil) {
		return &ResumeError{Why: "its flag " + s.flags[f].what() + ": remove the file first"}
	}
	switch {
	case h.Passing:
		return &ResumeError{Why: "it goes when its cause does", Holds: []Hold{h}}
	case h.State == Halted:
		return &ResumeError{Why: "only Resume lifts a halt", Holds: []Hold{h}}
	}
	return nil
}

// mayResume says what stands against lifting just these holds now. Called with mu
// held.
func (s *Switch) mayResume(lift map[uint64]bool) error {
	if s.ctx.Err() != nil {
		return &ResumeError{Why: "this switch is closed", Err: ErrClosed}
	}
	for _, f := range s.flags {
		if f.Present || f.Err != nil {
			return &ResumeError{Why: "the flag " + f.what() + ": remove the file first"}
		}
	}
	var unseen []Hold
	for _, h := range s.holds {
		if !h.Passing && !lift[h.ID] {
			unseen = append(unseen, h)
		}
	}
	if len(unseen) > 0 {
		return &ResumeError{Why: "there are holds that you have not seen: look at them, then resume again", Holds: unseen}
	}
	return nil
}

// lift records, saves, and only then takes the holds away, if nothing has come up
// meanwhile. Where something has, the disk may already say that they are lifted: it
// is put right at once, and only a crash before that, with the new hold not durable
// yet either, would leave it so.
func (s *Switch) lift(ctx context.Context, by, note, what string, lift map[uint64]bool, r Resumption, may func() error) error {
	s.lookAll()
	if err := s.locked(may); err != nil {
		return err
	}
	if err := s.recordNow(ctx, by, what, note); err != nil {
		return &ResumeError{Why: "the decision cannot be recorded", Err: err}
	}
	// One save and what it says belong together: a saver that came between them
	// would write the lifted holds to disk again.
	s.storeMu.Lock()
	defer s.storeMu.Unlock()
	err := s.locked(func() error {
		err := may()
		if err != nil { // a newer hold, or closed meanwhile
			s.record(record{time.Now(), by, what + " refused", err.Error()})
		}
		return err
	})
	if err != nil {
		return err
	}
	saved := s.saveStored(ctx, lift, r)
	return s.locked(func() error { return s.decide(by, note, what, lift, r, saved, may) })
}

// decide takes the holds away or says why not. Called with mu held.
func (s *Switch) decide(by, note, what string, lift map[uint64]bool, r Resumption, saved error, may func() error) error {
	refused := may()
	if saved != nil {
		refused = &ResumeError{Why: "it cannot be made durable", Err: saved}
	}
	if refused != nil {
		s.save()
		s.record(record{time.Now(), by, what + " refused", refused.Error()})
		return refused
	}
	s.holds = slices.DeleteFunc(slices.Clone(s.holds), func(h Hold) bool { return lift[h.ID] })
	if r != (Resumption{}) {
		s.resumed = r
	}
	s.changed()
	s.note(slog.LevelWarn, "safety: "+what, "by", by, "note", note, "state", s.gate.Load().state)
	return nil
}
