package evidence

import (
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// Manifest is the last file of an archive, manifest.json: what was collected, from where,
// when and by whom.
type Manifest struct {
	Version  int       `json:"version"` // 1
	Incident string    `json:"incident,omitempty"`
	Handler  string    `json:"handler"`
	Why      string    `json:"why"`
	Host     string    `json:"host"`
	Place    string    `json:"place"`
	Began    time.Time `json:"began"` // with its zone, as all times here
	Ended    time.Time `json:"ended"`
	Entries  []Entry   `json:"entries"`
	Problems []Problem `json:"problems,omitempty"`
}

// Entry is one file of an archive.
type Entry struct {
	Path      string      `json:"path"`             // in the archive
	Source    string      `json:"source,omitempty"` // the file that it was, or empty for what an item made
	Size      int64       `json:"size"`             // bytes in the archive
	SHA256    string      `json:"sha256"`           // of those
	Mode      fs.FileMode `json:"mode,omitempty"`
	Modified  time.Time   `json:"modified,omitzero"`
	Collected time.Time   `json:"collected"`

	// After is the SHA-256 of as many bytes of the source, read again once they were in
	// the archive. Where it differs from SHA256, Note says so.
	After string `json:"after,omitempty"`

	Note string `json:"note,omitempty"`
}

// Problem is something that could not be had.
type Problem struct {
	Item   string `json:"item"`
	Source string `json:"source,omitempty"`
	Error  string `json:"error"`
}

// manifestName is the last entry's.
const manifestName = "manifest.json"

// ErrDamaged says that an archive or its chain of custody is not what it was.
var ErrDamaged = errors.New("evidence is not what it was")

// DamagedError says what differs.
type DamagedError struct {
	Archive  string // its path
	File     string // the first file of the archive that differs, or that lies there; empty where that is not known
	From, To int64  // the first bytes of the sealed archive that differ; both zero where only a file is known
	Why      string
}

// Error names the archive, the place and the reason.
func (e *DamagedError) Error() string {
	s := fmt.Sprintf("%s: %v", e.Archive, ErrDamaged)
	if e.To > 0 {
		s += fmt.Sprintf(": bytes %d to %d", e.From, e.To)
	}
	if e.File != "" {
		s += fmt.Sprintf(": file %q", e.File)
	}
	return s + ": " + e.Why
}

// Unwrap returns ErrDamaged.
func (e *DamagedError) Unwrap() error { return ErrDamaged }
