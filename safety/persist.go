package safety

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// The saver's patience after an attempt that failed.
const (
	saveAgainFirst = 50 * time.Millisecond
	saveAgainMost  = 2 * time.Second
)

// save has the holds saved, beside whatever the caller does next. Called with mu
// held.
func (s *Switch) save() {
	s.dirty++
	if s.saving || s.ctx.Err() != nil {
		return
	}
	s.saving = true
	s.bg.Go(s.saver)
}

// saver saves until the disk has everything, and ends.
func (s *Switch) saver() {
	again := saveAgainFirst
	for {
		s.storeMu.Lock()
		err := s.saveStored(s.ctx, nil, Resumption{})
		s.storeMu.Unlock()
		s.mu.Lock()
		if s.clean == s.dirty || s.ctx.Err() != nil {
			s.saving = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if err == nil {
			again = saveAgainFirst
			continue
		}
		select {
		case <-time.After(again):
			again = min(2*again, saveAgainMost)
		case <-s.ctx.Done():
		}
	}
}

// saveStored saves the holds but for those in lift, whose going the resumption
// explains. It notes a state that cannot be saved as a passing hold, and its end.
// Called with storeMu held.
func (s *Switch) saveStored(ctx context.Context, lift map[uint64]bool, by Resumption) error {
	s.mu.Lock()
	dirty, trips, windows := s.dirty, s.trips, s.windows
	s.mu.Unlock()
	if trips != nil { // outside mu, which trips take inside their own
		windows = trips.snapshot()
	}
	s.mu.Lock()
	s.seq++
	st := State{Name: s.cfg.Name, Seq: s.seq, LastHold: s.last, Resumed: s.resumed, SavedAt: time.Now(), Holds: []Hold{}, Trips: windows}
	if by != (Resumption{}) {
		st.Resumed = by
	}
	for _, h := range s.holds {
		if !h.Passing && !lift[h.ID] {
			st.Holds = append(st.Holds, h)
		}
	}
	s.mu.Unlock()
	err := calm("the store", func() error { return s.cfg.Store.Save(ctx, st) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saveErr = err
	if err == nil {
		s.clean = max(s.clean, dirty)
		s.drop(byState, "")
	} else {
		s.note(slog.LevelError, "safety: the state cannot be saved", "err", err)
		reason := bounded(fmt.Sprintf("the state cannot be saved, so a halt would not outlive the process: %v", err))
		s.place(Hold{State: Reducing, By: byState, Reason: reason, Passing: true})
		s.drop(byState, reason) // after it, so that the gate is never open in between
	}
	close(s.saved)
	s.saved = make(chan struct{})
	return err
}

// a note is one line on its way to the log. A log that blocks must not hold up the
// stop, so nothing is logged with mu held.
type note struct {
	level slog.Level
	text  string
	args  []any
}

// note hands a line to the log. Called with mu held.
func (s *Switch) note(level slog.Level, text string, args ...any) {
	if len(s.notes) == maxRecords {
		s.notes = slices.Delete(s.notes, 0, 1)
	}
	s.notes = append(s.notes, note{level, text, args})
	if !s.noting {
		s.noting = true
		go s.logger()
	}
}

// logger logs what waits, in its order, and ends.
func (s *Switch) logger() {
	for {
		s.mu.Lock()
		if len(s.notes) == 0 {
			s.noting = false
			s.mu.Unlock()
			return
		}
		n := s.notes[0]
		s.notes = slices.Delete(s.notes, 0, 1)
		s.mu.Unlock()
		// A log that panics must not take the stop with it; there is nowhere to say so.
		_ = calm("the log", func() error { s.cfg.Log.Log(context.Background(), n.level, n.text, n.args...); return nil })
	}
}

// a record is one decision on its way to the Recorder.
type record struct {
	at             time.Time
	who, what, why string
}

// maxRecords bounds what waits for a Recorder that does not take it.
const maxRecords = 1024

// record hands a decision to the Recorder beside whatever the caller does next.
// Called with mu held.
func (s *Switch) record(r record) {
	if s.cfg.Recorder == nil || s.ctx.Err() != nil {
		return
	}
	if len(s.records) == maxRecords {
		s.note(slog.LevelError, "safety: the recorder takes nothing, a decision is dropped from its queue", "what", s.records[0].what, "who", s.records[0].who)
		s.records = slices.Delete(s.records, 0, 1)
	}
	s.records = append(s.records, r)
	if !s.recording {
		s.recording = true
		s.bg.Go(s.recorder)
	}
}

// recorder hands over what waits, in its order, again and again until it is taken.
func (s *Switch) recorder() {
	again := saveAgainFirst
	for {
		s.mu.Lock()
		if len(s.records) == 0 || s.ctx.Err() != nil {
			s.recording = false
			s.mu.Unlock()
			return
		}
		r := s.records[0]
		s.mu.Unlock()
		if err := calm("the recorder", func() error { return s.cfg.Recorder.Record(s.ctx, r.at, r.who, r.what, r.why) }); err != nil {
			s.mu.Lock()
			s.note(slog.LevelError, "safety: a decision is not recorded yet", "what", r.what, "who", r.who, "err", err)
			s.mu.Unlock()
			select {
			case <-time.After(again):
				again = min(2*again, saveAgainMost)
			case <-s.ctx.Done():
			}
			continue
		}
		again = saveAgainFirst
		s.mu.Lock()
		if len(s.records) > 0 && s.records[0] == r {
			s.records = slices.Delete(s.records, 0, 1)
		}
		s.mu.Unlock()
	}
}

// recordNow records a decision that may not be made unrecorded.
func (s *Switch) recordNow(ctx context.Context, who, what, why string) error {
	s.mu.Lock()
	s.note(slog.LevelInfo, "safety: "+what, "who", who, "why", why)
	s.mu.Unlock()
	if s.cfg.Recorder == nil {
		return nil
	}
	return calm("the recorder", func() error { return s.cfg.Recorder.Record(ctx, time.Now(), who, what, why) })
}

// calm calls what the caller gave, and makes a panic of it an error. A panic on one of
// the switch's own goroutines would end the process, perhaps before the hold that it
// was about is on disk, and the next start would know nothing of it.
func calm(what string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s panicked: %v", what, p)
		}
	}()
	return f()
}
