package safety

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Flag is a file that anybody with a shell can place to stop trading. It is a hold
// that is latched: deleting the file does not lift it.
//
// What lies there is judged without following it: a regular file, a directory, a
// symbolic link, dangling or not, are all present. What cannot be looked at counts
// as present too, and so does a flag whose directory has vanished, since nobody
// could place it there any more.
type Flag struct {
	Path  string       // absolute and clean
	State TradingState // Halted or Reducing
	Write bool         // closes the write gate too
}

// DefaultFlags are the playbook's: /tmp/EMERGENCY_STOP halts, /tmp/READONLY_MODE
// holds writes and leaves only exits.
func DefaultFlags() []Flag { return FlagsIn("/tmp") }

// FlagsIn returns the playbook's flags in another directory.
func FlagsIn(dir string) []Flag {
	return []Flag{
		{Path: filepath.Join(dir, "EMERGENCY_STOP"), State: Halted},
		{Path: filepath.Join(dir, "READONLY_MODE"), State: Reducing, Write: true},
	}
}

// FlagStatus is a flag as it was last seen. Resolved, Device and MountNamespace say
// which place is really watched: a private /tmp or a container made anew means that
// a flag placed elsewhere is never heard.
type FlagStatus struct {
	Flag
	Resolved       string // the path with the links of its directory followed
	Device         uint64 // of the directory; 0 where the system does not say
	MountNamespace string // of this process, as in "mnt:[4026531841]"; empty where there is none
	Present        bool
	Detail         string // what lies there
	Err            error  // why it could not be looked at
	Looked         time.Time
}

// what says in a few words why the flag holds.
func (f FlagStatus) what() string {
	switch {
	case f.Err != nil:
		return f.Path + " cannot be looked at: " + f.Err.Error()
	case f.Present:
		return f.Path + " is present: " + f.Detail
	}
	return f.Path + " is absent"
}

func describeFlag(f Flag) FlagStatus {
	st := FlagStatus{Flag: f, Resolved: f.Path}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(f.Path)); err == nil {
		st.Resolved = filepath.Join(dir, filepath.Base(f.Path))
		if info, err := os.Stat(dir); err == nil {
			st.Device = deviceOf(info)
		}
	}
	if ns, err := os.Readlink("/proc/self/ns/mnt"); err == nil {
		st.MountNamespace = ns
	}
	return st
}

// look looks at what lies at the flag's path. It may hang as long as the file
// system does, so never below mu: the stop must not wait for it.
func (f FlagStatus) look() FlagStatus {
	f.Present, f.Detail, f.Err = false, "", nil
	info, err := os.Lstat(f.Path)
	switch {
	case err == nil:
		f.Present = true
		f.Detail = fmt.Sprintf("%v, modified %s%s", info.Mode(), info.ModTime().UTC().Format(time.RFC3339), ownerOf(info))
	case errors.Is(err, fs.ErrNotExist):
		dir := filepath.Dir(f.Path)
		if info, dirErr := os.Stat(dir); dirErr != nil {
			f.Err = fmt.Errorf("its directory: %w", dirErr)
		} else if !info.IsDir() {
			f.Err = fmt.Errorf("%s is no directory", dir)
		}
	default:
		f.Err = err
	}
	f.Looked = time.Now()
	return f
}

// lookAll looks at every flag, notes what it saw and places the holds that follow.
func (s *Switch) lookAll() {
	s.mu.Lock()
	flags := slices.Clone(s.flags)
	s.mu.Unlock()
	for i := range flags {
		flags[i] = flags[i].look()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range flags {
		was := s.flags[i]
		s.flags[i] = f
		if f.Present || f.Err != nil {
			s.latch(i, f.what(), f.Present && !was.Present && !was.Looked.IsZero())
		}
	}
}

// latch places the hold of flag i unless it has one; a flag that was placed again
// takes the place of its hold, so that nobody lifts it who has not seen it. Called
// with mu held.
func (s *Switch) latch(i int, reason string, again bool) {
	f := s.flags[i].Flag
	has := func(h Hold) bool { return s.flagOf(h) == i && !h.Passing }
	if slices.ContainsFunc(s.holds, has) && !again {
		return
	}
	s.holds = slices.DeleteFunc(slices.Clone(s.holds), has) // place puts the gate right
	s.place(Hold{State: f.State, Write: f.Write, By: byFlag + " " + f.Path, Reason: reason})
}

// flagOf returns the index of the flag that placed a hold, or -1.
func (s *Switch) flagOf(h Hold) int {
	for i := range s.flags {
		if h.By == byFlag+" "+s.flags[i].Path {
			return i
		}
	}
	return -1
}
