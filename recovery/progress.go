package recovery

import (
	"fmt"
	"time"
)

// Progress is how far a backup in the making has come. It is a value.
type Progress struct {
	Component Component
	Backup    string
	Part      string // the one of which something was stored

	Bytes  int64 // as the target wrote them
	Rows   int64
	Stored int64 // bytes in the storage

	// WantBytes and WantRows are what the target expects in all; 0 when it did not say.
	WantBytes int64
	WantRows  int64

	Began time.Time
	At    time.Time
}

// Left estimates how long it will still take, by the speed so far. It is false
// when nothing can be said: nothing was expected, or nothing is done yet. An
// expectation that was too small gives zero.
func (p Progress) Left() (time.Duration, bool) {
	done, want := p.Bytes, p.WantBytes
	if want <= 0 {
		done, want = p.Rows, p.WantRows
	}
	if want <= 0 || done <= 0 {
		return 0, false
	}
	took := float64(p.At.Sub(p.Began))
	return time.Duration(max(0, took*float64(want-done)/float64(done))), true
}

// String returns one line for people.
func (p Progress) String() string {
	s := fmt.Sprintf("%s %s: %d bytes, %d rows, %d bytes stored", p.Component, p.Backup, p.Bytes, p.Rows, p.Stored)
	if left, ok := p.Left(); ok {
		s += fmt.Sprintf(", about %v left", left.Round(time.Second))
	}
	return s
}
