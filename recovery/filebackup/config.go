package filebackup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/andon-go/andon/internal/atomicfile"
	"github.com/andon-go/andon/recovery"
)

// Config says what is backed up and where to.
type Config struct {
	// Component is what these files belong to. Required.
	Component recovery.Component

	// Dir is the directory of the backups of this component and of nothing else;
	// it is made when it is not there. Defaults to /backups/files.
	Dir string

	// Repository, if set, keeps the backups instead of Dir: compressed, where its Storage is,
	// and sealed with age where it has a Seal, names, links and attributes too. Its own
	// record says without a key when a backup was taken and how many files and bytes it
	// holds. It must be of the same Component. Dir then holds what is of this machine:
	// locks, drills, the copy of a database on its way, what a restore has still to note.
	Repository *recovery.Repository

	// Sources are the files and directories to back up. None may lie within
	// another, or within Dir, or be a symbolic link. Required.
	Sources []string

	// Versions is written into each manifest: of the bot, of its schema, of what
	// else a restore should know. Defaults to none.
	Versions map[string]string

	// Tries is how often a source that changes while it is read is gone through.
	// Defaults to 5.
	Tries int

	// Recorder puts a restore on the timeline before it begins. Without one
	// nothing can be restored.
	Recorder recovery.Recorder

	// Idle says whether nobody writes to a target: nil means that nobody does and
	// nobody will until Restore has returned, as when the write gate is held.
	// Without it no target that exists can be replaced.
	Idle func(ctx context.Context, target string) error

	// SQLite copies the SQLite database at from, which is open and written to, into
	// a new file at to, by VACUUM INTO. SQLite3 returns one that runs the program.
	// Without it a source that holds a database is refused with ErrDatabase.
	SQLite func(ctx context.Context, from, to string) error

	// IgnoreOwner restores files as those of the process. Defaults to false: their
	// owner is restored, and a restore that may not do so fails.
	IgnoreOwner bool

	// IgnoreAttributes restores files without extended attributes and access lists,
	// for a file system that has none. Defaults to false: they are restored, and a
	// restore that cannot do so fails.
	IgnoreAttributes bool
}

func (c Config) withDefaults() Config {
	if c.Dir == "" {
		c.Dir = "/backups/files"
	}
	if c.Tries == 0 {
		c.Tries = 5
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.Component == "" {
		errs = append(errs, errors.New("Component: is empty"))
	}
	if c.Repository != nil && c.Repository.Component() != c.Component {
		errs = append(errs, fmt.Errorf("Component: %q, and that of the Repository is %q", c.Component, c.Repository.Component()))
	}
	if c.Tries < 0 {
		errs = append(errs, fmt.Errorf("Tries: %d", c.Tries))
	}
	if len(c.Sources) == 0 {
		errs = append(errs, errors.New("Sources: there are none"))
	}
	for i, source := range c.Sources {
		if within(c.Dir, source) || within(source, c.Dir) {
			errs = append(errs, fmt.Errorf("Sources: %q and Dir, %q, lie within each other", source, c.Dir))
		}
		if source == "/" {
			errs = append(errs, errors.New("Sources: the root directory cannot be exchanged, so name what is in it"))
		}
		for _, other := range c.Sources[:i] {
			if within(source, other) || within(other, source) {
				errs = append(errs, fmt.Errorf("Sources: %q and %q lie within each other", other, source))
			}
		}
	}
	return errors.Join(errs...)
}

// absolute makes every path absolute and clean.
func (c Config) absolute() (Config, error) {
	paths := append([]string{c.Dir}, c.Sources...)
	for i, p := range paths {
		if p == "" {
			return c, errors.New("Sources: one of them is empty")
		}
		abs, err := filepath.Abs(p)
		if err != nil {
			return c, fmt.Errorf("%q: %w", p, err)
		}
		paths[i] = abs
	}
	c.Dir, c.Sources = paths[0], paths[1:]
	return c, nil
}

// within reports whether path is dir or lies in it. Both are absolute and clean.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// Store makes, lists, verifies and restores the backups of one component. It is
// safe for concurrent use, by several processes too.
type Store struct {
	cfg Config
	far *repository // nil: the backups lie in Dir
}

var _ recovery.Target = (*Store)(nil)

// New returns a store, or every problem of the configuration, joined. It makes the
// directory of the backups, for its owner alone.
func New(cfg Config) (*Store, error) {
	cfg, err := cfg.withDefaults().absolute()
	if err != nil {
		return nil, err
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.Versions = maps.Clone(cfg.Versions)
	cfg.Sources = slices.Clone(cfg.Sources)
	if err := atomicfile.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("the directory of the backups: %w", err)
	}
	s := &Store{cfg: cfg}
	if cfg.Repository != nil {
		s.far = &repository{s, cfg.Repository}
	}
	return s, nil
}
