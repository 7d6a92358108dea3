package filebackup

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"strings"
	"time"

	"github.com/andon-go/andon/internal/frame"
	"github.com/andon-go/andon/recovery"
)

// What the files of a backup are called.
const (
	manifestFile = "MANIFEST"
	verdictFile  = "VERIFIED"
	restoredFile = "RESTORED"
	filesDir     = "files"
	lockFile     = "LOCK"
)

// Manifest is the commit record of a backup: what is in it and where it is from.
type Manifest struct {
	Name        string             `json:"name"`
	Component   recovery.Component `json:"component"`
	At          time.Time          `json:"at"`
	CompletedAt time.Time          `json:"completed_at"`
	Host        string             `json:"host"`
	Sources     []Path             `json:"sources"`
	Versions    map[string]string  `json:"versions,omitempty"`

	// Entries in the order of their paths, which are those of the sources without
	// the first slash. Each stands after the directory that holds it.
	Entries []Entry `json:"entries"`

	// NotKept is what the sources had and a restore does not bring back.
	NotKept []Loss `json:"not_kept,omitempty"`
}

// Loss is something of one file that a backup does not keep.
type Loss struct {
	Path Path   `json:"path"`
	What string `json:"what"`
}

// String returns the loss for people.
func (l Loss) String() string { return fmt.Sprintf("not kept of %v: %s", l.Path, l.What) }

func (m Manifest) validate() error {
	var errs []error
	if !recovery.IsBackupName(m.Name) {
		errs = append(errs, fmt.Errorf("name %q is not that of a backup", m.Name))
	}
	if m.Component == "" {
		errs = append(errs, errors.New("component is empty"))
	}
	if m.At.IsZero() || m.CompletedAt.IsZero() {
		errs = append(errs, errors.New("at or completed_at is missing"))
	}
	if len(m.Sources) == 0 {
		errs = append(errs, errors.New("sources: there are none"))
	}
	roots := map[Path]bool{}
	for _, source := range m.Sources {
		if !strings.HasPrefix(string(source), "/") || !source[1:].local() {
			errs = append(errs, fmt.Errorf("sources: \"%v\" is not an absolute path", source))
			continue
		}
		roots[source[1:]] = false
	}
	return errors.Join(errors.Join(errs...), m.validateEntries(roots))
}

// validateEntries checks that the entries are the trees of the sources and
// nothing else, so that no path of them can lead anywhere else.
func (m Manifest) validateEntries(roots map[Path]bool) error {
	roots = maps.Clone(roots)
	dirs, files := map[Path]bool{}, map[Path]Entry{}
	last := Path("")
	for _, e := range m.Entries {
		if err := e.validate(); err != nil {
			return err
		}
		if e.Path <= last {
			return fmt.Errorf("entry \"%v\" is not in its order", e.Path)
		}
		last = e.Path
		if _, root := roots[e.Path]; root {
			roots[e.Path] = true
			if e.Kind == Link {
				return fmt.Errorf("entry \"%v\": a source is a link", e.Path)
			}
		} else if !dirs[Path(path.Dir(string(e.Path)))] {
			return fmt.Errorf("entry \"%v\" is in no directory of the backup", e.Path)
		}
		switch e.Kind {
		case Dir:
			dirs[e.Path] = true
		case File:
			files[e.Path] = e
		}
		if e.Same == "" {
			continue
		}
		first := files[e.Same]
		first.Path, first.Same = e.Path, e.Same
		together := false
		for root := range roots {
			together = together || within(string(e.Path), string(root)) && within(string(e.Same), string(root))
		}
		if first != e || files[e.Same].Same != "" || !together {
			return fmt.Errorf("entry \"%v\" is not the same file as \"%v\"", e.Path, e.Same)
		}
	}
	for root, found := range roots {
		if !found {
			return fmt.Errorf("source \"/%v\" has no entry", root)
		}
	}
	return nil
}

// totals returns how many files there are and how many bytes they hold.
func totals(entries []Entry) (files int, bytes int64) {
	for _, e := range entries {
		if e.Kind == File {
			files++
			bytes += e.Size
		}
	}
	return files, bytes
}

// tree returns the entries of one source with paths that start at it, the source
// itself being ".".
func (m Manifest) tree(source string) []Entry {
	var entries []Entry
	for _, e := range m.Entries {
		var ok bool
		if e.Path, ok = below(e.Path, source[1:]); !ok {
			continue
		}
		if e.Same != "" {
			e.Same, _ = below(e.Same, source[1:]) // validateEntries has seen that it is
		}
		entries = append(entries, e)
	}
	return entries
}

// losses returns what is not kept of one source, with paths as tree has them.
func (m Manifest) losses(source string) []Loss {
	var losses []Loss
	for _, l := range m.NotKept {
		var ok bool
		if l.Path, ok = below(l.Path, source[1:]); ok {
			losses = append(losses, l)
		}
	}
	return losses
}

// below returns a path as it is from root, "." being root itself.
func below(p Path, root string) (Path, bool) {
	if string(p) == root {
		return ".", true
	}
	rel, ok := strings.CutPrefix(string(p), root+"/")
	return Path(rel), ok
}

// verdict is what the newest verification of a backup found.
type verdict struct {
	Manifest string    `json:"manifest"` // SHA-256 of the manifest that it is about
	At       time.Time `json:"at"`
	File     Path      `json:"file,omitempty"`   // the first damaged one
	Reason   string    `json:"reason,omitempty"` // what differs; empty when all is well
}

// measured is a restore of a backup that was timed.
type measured struct {
	Manifest string        `json:"manifest"`
	At       time.Time     `json:"at"`
	Took     time.Duration `json:"took"` // nanoseconds
	Into     Path          `json:"into"`
}

// decodeManifest reads a manifest, or says what is wrong with it.
func decodeManifest(data []byte) (Manifest, error) {
	var m Manifest
	if err := frame.Decode("manifest", data, &m); err != nil {
		return Manifest{}, err
	}
	if err := m.validate(); err != nil {
		return Manifest{}, err
	}
	return m, nil
}
