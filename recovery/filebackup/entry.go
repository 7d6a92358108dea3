package filebackup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/andon-go/andon/internal/frame"
)

// Kind is what an entry is: a file, a directory or a symbolic link.
type Kind string

// The kinds.
const (
	File Kind = "file"
	Dir  Kind = "dir"
	Link Kind = "link"
)

// Mode is permissions with the set-user-id, set-group-id and sticky bits. As text
// it is octal with at least four digits, such as "0640".
type Mode uint16

const maxMode = 0o7777

// MarshalText writes the octal digits.
func (m Mode) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%04o", uint16(m)), nil }

// UnmarshalText reads octal digits.
func (m *Mode) UnmarshalText(b []byte) error {
	v, err := strconv.ParseUint(string(b), 8, 16)
	if err != nil || v > maxMode {
		return fmt.Errorf("mode %q is not octal between 0000 and 7777", b)
	}
	*m = Mode(v)
	return nil
}

func modeOf(m fs.FileMode) Mode {
	mode := Mode(m.Perm())
	for _, b := range modeBits {
		if m&b.go_ != 0 {
			mode |= b.unix
		}
	}
	return mode
}

func (m Mode) fileMode() fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	for _, b := range modeBits {
		if m&b.unix != 0 {
			mode |= b.go_
		}
	}
	return mode
}

var modeBits = [...]struct {
	unix Mode
	go_  fs.FileMode
}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}}

// Entry is one file, directory or link. Entries are comparable.
type Entry struct {
	Path    Path      `json:"path"`
	Kind    Kind      `json:"kind"`
	Mode    Mode      `json:"mode"`              // 0 for a link
	UID     int       `json:"uid"`               // owner; -1 where the system has none
	GID     int       `json:"gid"`               // group; -1 where the system has none
	ModTime time.Time `json:"mod_time,omitzero"` // UTC; zero for a link
	Size    int64     `json:"size,omitempty"`    // bytes of a file
	SHA256  string    `json:"sha256,omitempty"`  // of a file, lower case
	Target  Path      `json:"target,omitempty"`  // of a link

	// Same is the entry, earlier in the order of its source, of which this one is a
	// second name: both are one file. Empty for the first name, and for all else.
	Same Path `json:"same,omitempty"`

	// Attributes are the extended attributes and access lists that are kept.
	Attributes Attributes `json:"attributes,omitempty"`
}

func (e Entry) validate() error {
	var errs []error
	add := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("entry \"%v\": "+format, append([]any{e.Path}, args...)...))
	}
	if !e.Path.local() {
		add("path leaves the backup")
	}
	if e.UID < -1 || e.GID < -1 {
		add("owner is %d, group is %d", e.UID, e.GID)
	}
	if e.ModTime.IsZero() != (e.Kind == Link) {
		add("mod_time of a %s is %v", e.Kind, e.ModTime)
	}
	sum, err := hex.DecodeString(e.SHA256)
	switch e.Kind {
	case File:
		if err != nil || len(sum) != sha256.Size {
			add("sha256 %q is not one", e.SHA256)
		}
		if e.Size < 0 {
			add("size is %d", e.Size)
		}
	case Dir, Link:
		if e.SHA256 != "" || e.Size != 0 {
			add("a %s has a size or a sha256", e.Kind)
		}
	default:
		add("kind %q is not file, dir or link", e.Kind)
	}
	if e.Same != "" && (e.Kind != File || !e.Same.local() || e.Same >= e.Path) {
		add("it cannot be another name of \"%v\"", e.Same)
	}
	if list, err := e.Attributes.list(); err != nil || e.Kind == Link && len(list) > 0 {
		errs = append(errs, fmt.Errorf("entry \"%v\": the attributes of a %s are %q: %w", e.Path, e.Kind, string(e.Attributes), errors.Join(errAttributes, err)))
	}
	if (e.Target == "") != (e.Kind != Link) {
		add("target of a %s is \"%v\"", e.Kind, e.Target)
	}
	return errors.Join(errs...)
}

// differs says in a few words in what two entries of one path differ.
func (e Entry) differs(f Entry) string {
	var what []string
	if e.Kind != f.Kind {
		what = append(what, fmt.Sprintf("%s becomes %s", e.Kind, f.Kind))
	}
	if e.SHA256 != f.SHA256 || e.Size != f.Size {
		what = append(what, "content")
	}
	if e.Target != f.Target {
		what = append(what, "target")
	}
	if e.Mode != f.Mode {
		what = append(what, fmt.Sprintf("mode %04o becomes %04o", uint16(e.Mode), uint16(f.Mode)))
	}
	if e.UID != f.UID || e.GID != f.GID {
		what = append(what, fmt.Sprintf("owner %d:%d becomes %d:%d", e.UID, e.GID, f.UID, f.GID))
	}
	switch {
	case e.Same == f.Same:
	case f.Same == "":
		what = append(what, fmt.Sprintf("no other name of %v any more", e.Same))
	default:
		what = append(what, fmt.Sprintf("another name of %v", f.Same))
	}
	if e.Attributes != f.Attributes {
		what = append(what, "attributes "+e.Attributes.differ(f.Attributes))
	}
	if !e.ModTime.Equal(f.ModTime) {
		what = append(what, "time")
	}
	return strings.Join(what, ", ")
}

// fingerprint returns one SHA-256 over all entries of a tree; it is empty for no
// tree at all.
func fingerprint(entries []Entry) (string, error) {
	if len(entries) == 0 {
		return "", nil
	}
	text, err := json.Marshal(entries)
	if err != nil {
		return "", err
	}
	return frame.Digest(text), nil
}
