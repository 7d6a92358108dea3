package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Files collects files and whole folders. A path may be a pattern as of filepath.Match.
// One that is not there is a problem in the manifest.
func Files(name string, paths ...string) Item {
	return Item{Name: name, Collect: func(ctx context.Context, s *Sink) error {
		for _, pattern := range paths {
			found := []string{pattern}
			if strings.ContainsAny(pattern, `*?[`) {
				var err error
				if found, err = filepath.Glob(pattern); err != nil {
					return fmt.Errorf("%s: %w", pattern, err)
				}
				if len(found) == 0 {
					s.problem(pattern, errors.New("nothing is there"))
				}
			}
			for _, path := range found {
				if err := walk(ctx, s, path); err != nil {
					return err
				}
			}
		}
		return nil
	}}
}

// walk puts what lies at a path and below it, but for archives that are being written.
func walk(ctx context.Context, s *Sink, root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			s.problem(path, err)
			return nil
		case d.IsDir() || strings.HasSuffix(path, ".tar.zst.age.partial"):
			return nil
		}
		return s.File(ctx, path)
	})
}

// Text collects what a function gives, under a file name.
func Text(name, file string, get func(ctx context.Context) ([]byte, error)) Item {
	return Item{Name: name, Collect: func(ctx context.Context, s *Sink) error {
		b, err := get(ctx)
		if len(b) > 0 {
			err = errors.Join(s.Text(file, b), err)
		}
		return err
	}}
}

// History collects the shell histories of this machine's users, where they can be read.
func History() Item {
	return Item{Name: "history", Collect: func(ctx context.Context, s *Sink) error {
		homes, err := filepath.Glob("/home/*")
		if err != nil {
			return err
		}
		if home, err := os.UserHomeDir(); err == nil {
			homes = append(homes, home)
		}
		seen := map[string]bool{}
		for _, home := range append(homes, "/root") {
			for _, file := range []string{".bash_history", ".zsh_history", ".ash_history", ".local/share/fish/fish_history", ".psql_history", ".python_history"} {
				path := filepath.Join(home, file)
				if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) || seen[path] {
					continue
				}
				seen[path] = true
				if err := s.File(ctx, path); err != nil {
					return err
				}
			}
		}
		return nil
	}}
}

// Changed lists the regular files below a folder that were modified within the last
// while: the playbook's find . -type f -mtime -1 -ls.
func Changed(name, dir string, within time.Duration) Item {
	return Text(name, "changed.txt", func(ctx context.Context) ([]byte, error) {
		var out bytes.Buffer
		var problems []error
		since := time.Now().Add(-within)
		fmt.Fprintf(&out, "files below %s modified since %s\n", dir, since.Format(time.RFC3339))
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				problems = append(problems, err)
				return nil
			case !d.Type().IsRegular():
				return nil
			}
			info, err := d.Info()
			if err != nil {
				problems = append(problems, err)
				return nil
			}
			if !info.ModTime().Before(since) {
				fmt.Fprintf(&out, "%v %12d %s %s\n", info.Mode(), info.Size(), info.ModTime().Format(time.RFC3339), path)
			}
			return nil
		})
		return out.Bytes(), errors.Join(append(problems, err)...)
	})
}

// maxGit bounds what is kept of one answer of git.
const maxGit = 16 << 20

// Git collects what a working tree was built from: the commit, the last twenty, which
// files differ from it by their size or time, and which it does not know. It asks the git
// program for nothing for which that would run a program that the tree's configuration
// names, since that may be an intruder's, and it changes nothing.
func Git(name, dir string) Item {
	asks := []struct {
		file string
		args []string
	}{
		{"head.txt", []string{"rev-parse", "HEAD"}},
		{"log.txt", []string{"log", "-20", "--no-show-signature", "--format=%H %aI %an %s"}},
		{"changed.txt", []string{"diff-index", "--name-status", "HEAD"}},
		{"unknown.txt", []string{"ls-files", "--others", "--exclude-standard"}},
	}
	return Item{Name: name, Collect: func(ctx context.Context, s *Sink) error {
		var errs []error
		for _, ask := range asks {
			cmd := exec.CommandContext(ctx, "git", append([]string{"--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"}, ask.args...)...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C")
			cmd.WaitDelay = time.Second
			var out, problem bytes.Buffer
			cmd.Stdout, cmd.Stderr = &limited{w: &out, left: maxGit}, &limited{w: &problem, left: 4 << 10}
			if err := cmd.Run(); err != nil {
				errs = append(errs, fmt.Errorf("git %s: %w: %s", ask.args[0], err, strings.TrimSpace(problem.String())))
				continue
			}
			errs = append(errs, s.Text(ask.file, out.Bytes()))
		}
		return errors.Join(errs...)
	}}
}

// limited keeps the first bytes and drops the others.
type limited struct {
	w    *bytes.Buffer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	k := min(len(b), l.left)
	l.left -= k
	l.w.Write(b[:k])
	return len(b), nil
}
