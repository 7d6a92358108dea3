package safety

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Run listens until ctx ends: to the flags, by file notification and by looking,
// and to whether the state can still be saved. Trading can be active only while it
// runs, so a stop that nobody would hear is not possible. It returns nil once ctx
// ends, and ErrRunning or ErrClosed at once where it cannot listen.
func (s *Switch) Run(ctx context.Context) error {
	s.mu.Lock()
	switch {
	case s.ctx.Err() != nil:
		s.mu.Unlock()
		return ErrClosed
	case s.running:
		s.mu.Unlock()
		return ErrRunning
	}
	s.running = true
	s.mu.Unlock()

	w := s.newWatch()
	defer w.close()
	s.listen()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running = false
		s.place(Hold{State: Halted, By: byWatch, Reason: "Run has ended, so nobody listens to the flags", Passing: true, Write: true})
	}()

	poll := time.NewTicker(s.cfg.FlagPoll)
	defer poll.Stop()
	probe := time.NewTicker(s.cfg.ProbeEvery)
	defer probe.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.ctx.Done():
			return ErrClosed
		case e := <-w.events():
			s.heard(e)
		case err := <-w.errors():
			// An overflow or worse: something may have been missed.
			s.cfg.Log.Warn("safety: file notification", "err", err)
			s.listen()
		case <-poll.C:
			w.again()
			s.listen()
		case <-probe.C:
			s.mu.Lock()
			s.save()
			s.mu.Unlock()
		}
	}
}

// listen looks at every flag, and halts when that hangs: nobody would hear them.
func (s *Switch) listen() {
	hanging := time.AfterFunc(max(lookWithin, 2*s.cfg.FlagPoll), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.place(Hold{State: Halted, By: byWatch, Reason: "looking at the flags hangs", Passing: true, Write: true})
	})
	s.lookAll()
	hanging.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(byWatch, "")
}

// lookWithin is how long a look at the flags may take.
const lookWithin = time.Second

// heard takes a notification. That a flag was created is enough to latch it, gone
// again or not; anything else is a reason to look.
func (s *Switch) heard(e fsnotify.Event) {
	s.mu.Lock()
	concerned := false
	for i, f := range s.flags {
		switch e.Name {
		case f.Resolved:
			concerned = true
			if e.Has(fsnotify.Create) {
				s.latch(i, f.Path+" was placed", true)
				s.flags[i].Present = true // until it is looked at, so that it is placed once
			}
		case filepath.Dir(f.Resolved):
			concerned = true
		}
	}
	s.mu.Unlock()
	if concerned {
		s.listen()
	}
}

// watch is file notification on the directories of the flags. Where it cannot be
// had, polling is what is left.
type watch struct {
	s    *Switch
	fs   *fsnotify.Watcher
	dirs map[string]string // what the last attempt to watch it said
}

func (s *Switch) newWatch() *watch {
	w := &watch{s: s, dirs: map[string]string{}}
	if s.cfg.PollOnly || len(s.cfg.Flags) == 0 {
		return w
	}
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		s.cfg.Log.Warn("safety: no file notification, polling only", "err", err, "every", s.cfg.FlagPoll)
		return w
	}
	w.fs = fs
	for _, f := range s.Status().Flags {
		w.dirs[filepath.Dir(f.Resolved)] = ""
	}
	w.again()
	return w
}

// again watches what is not watched yet, or no more: a directory that vanished and
// came back.
func (w *watch) again() {
	if w.fs == nil {
		return
	}
	watched := w.fs.WatchList()
	for dir, said := range w.dirs {
		if slices.Contains(watched, dir) {
			continue
		}
		now := ""
		if err := w.fs.Add(dir); err != nil {
			now = err.Error()
		}
		if now != "" && now != said {
			w.s.cfg.Log.Warn("safety: directory is not watched, polling only", "dir", dir, "err", now)
		}
		w.dirs[dir] = now
	}
}

func (w *watch) events() <-chan fsnotify.Event {
	if w.fs == nil {
		return nil
	}
	return w.fs.Events
}

func (w *watch) errors() <-chan error {
	if w.fs == nil {
		return nil
	}
	return w.fs.Errors
}

func (w *watch) close() {
	if w.fs == nil {
		return
	}
	if err := w.fs.Close(); err != nil {
		w.s.cfg.Log.Warn("safety: close file notification", "err", err)
	}
}
