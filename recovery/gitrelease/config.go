package gitrelease

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon/internal/ledger"
	"github.com/andon-go/andon/recovery"
)

var (
	// ErrNoGit says that the git program is not there or does not run.
	ErrNoGit = errors.New("git is not there")

	// ErrNoRevision says that a name is no commit of the repository.
	ErrNoRevision = errors.New("no such revision")

	// ErrDamaged says that a checkout is not the commit that it should be.
	ErrDamaged = errors.New("the checkout is not the commit")

	// ErrBuild says that a version did not build. What runs is as it was.
	ErrBuild = errors.New("the version did not build, and what runs is as it was")

	// ErrMoved says that somebody has switched since.
	ErrMoved = errors.New("current was switched by somebody else since")

	// ErrKeyUsed says that a key stands for another deployment, or for one that was
	// taken back.
	ErrKeyUsed = errors.New("the key is used")

	// ErrUnknownKey says that nothing was done under a key.
	ErrUnknownKey = errors.New("nothing was done under this key")
)

// Shared is what every version uses and none has in its commit.
type Shared struct {
	Path string // within the checkout, such as ".env" or "data"
	From string // where it is, absolute; it has to be there
	Copy bool   // a copy of a regular file, with its mode; else a symbolic link
}

// Config says where the versions come from and where they go.
type Config struct {
	// Source is the bot's git repository on this machine, with a work tree or
	// bare. It is only read. Required.
	Source string

	// Root holds the checkouts and the link "current". It has to be outside Source. Required.
	Root string

	// Shared is linked or copied into each checkout.
	Shared []Shared

	// Build makes a checkout ready to run (docker-compose build, poetry install). It
	// is called with the checkout's directory, again where a crash cut it off. Nil means that
	// nothing has to be built.
	Build func(ctx context.Context, dir string) error

	// Keep is how many checkouts stay besides the current and the previous one.
	// Defaults to 3.
	Keep int

	// Git is the program. Defaults to git, as PATH finds it.
	Git string

	// Timeout bounds each call of git. Defaults to 2 minutes.
	Timeout time.Duration

	// Recorder puts deployments on the timeline before they begin. Without one only
	// looking is possible.
	Recorder recovery.Recorder
}

func (c Config) withDefaults() Config {
	if c.Keep == 0 {
		c.Keep = 3
	}
	if c.Git == "" {
		c.Git = "git"
	}
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Minute
	}
	c.Shared = slices.Clone(c.Shared)
	return c
}

func (c Config) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, p := range []struct{ name, path string }{{"Source", c.Source}, {"Root", c.Root}} {
		if !filepath.IsAbs(p.path) {
			add("%s: %q has to be an absolute path", p.name, p.path)
		}
	}
	if rel, err := filepath.Rel(c.Source, c.Root); err == nil && filepath.IsLocal(rel) {
		add("Root: %s is within Source, the running checkout", c.Root)
	}
	for i, s := range c.Shared {
		if !filepath.IsLocal(s.Path) || filepath.Clean(s.Path) != s.Path || s.Path == "." || strings.HasPrefix(s.Path+"/", ".git/") {
			add("Shared[%d]: Path %q has to stay within the checkout, outside .git", i, s.Path)
		}
		if !filepath.IsAbs(s.From) {
			add("Shared[%d]: From %q has to be an absolute path", i, s.From)
		}
	}
	if c.Keep < 0 {
		add("Keep: %d is negative", c.Keep)
	}
	if c.Timeout < 0 {
		add("Timeout: %v is negative", c.Timeout)
	}
	return errors.Join(errs...)
}

// Repo is the versions of one bot. It keeps nothing in memory but where git is. It is safe
// for concurrent use, and for several processes.
type Repo struct {
	cfg     Config
	git     string // where the program is
	version string // what it says of itself
	journal *ledger.Ledger[entry]
}

// Open finds git and returns the versions, or every problem of the configuration,
// joined.
func Open(cfg Config) (*Repo, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	path, err := exec.LookPath(cfg.Git)
	if err != nil {
		return nil, fmt.Errorf("Git: %w: %w (apt-get install git, or name it)", ErrNoGit, err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("Git: %w", err)
	}
	r := &Repo{cfg: cfg, git: path, journal: ledger.Open[entry](filepath.Join(cfg.Root, ".andon"))}
	out, err := r.run(context.Background(), os.TempDir(), "--version")
	if err != nil {
		return nil, fmt.Errorf("Git: %w: %w", ErrNoGit, err)
	}
	r.version = strings.TrimSpace(out)
	return r, nil
}

// Version returns what git says of itself, such as "git version 2.39.5".
func (r *Repo) Version() string { return r.version }
