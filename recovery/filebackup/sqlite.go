package filebackup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrDatabase says that a source holds a SQLite database and that nothing is
// configured that copies one: as it lies, a copy may be of two moments.
var ErrDatabase = errors.New("it is a SQLite database and Config.SQLite is nil")

const sqliteMagic = "SQLite format 3\x00"

// sidecars are the files that belong to an open database. VACUUM INTO brings what is
// in them; copied as they lie beside another copy they would damage it.
var sidecars = []string{"-wal", "-shm", "-journal"}

// SQLite3 returns a Config.SQLite that runs a program, by default "sqlite3" as it is
// found in PATH: VACUUM INTO, then an integrity check of the copy. Whoever has a
// driver in the bot does the same with two statements of database/sql.
func SQLite3(program string) func(ctx context.Context, from, to string) error {
	if program == "" {
		program = "sqlite3"
	}
	return func(ctx context.Context, from, to string) error {
		quoted := "'" + strings.ReplaceAll(to, "'", "''") + "'"
		if _, err := sqlite3(ctx, program, "-readonly", from, "VACUUM INTO "+quoted); err != nil {
			return err
		}
		out, err := sqlite3(ctx, program, "-readonly", to, "PRAGMA integrity_check")
		if err != nil {
			return err
		}
		if out != "ok" {
			return fmt.Errorf("the copy of %q does not pass the integrity check: %s", from, out)
		}
		return nil
	}
}

func sqlite3(ctx context.Context, program string, args ...string) (string, error) {
	args = append([]string{"-batch", "-init", os.DevNull, "-cmd", ".timeout 60000"}, args...) // a writer that never pauses lets one in now and then
	cmd := exec.CommandContext(ctx, program, args...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

// isDatabase reports whether an open file is a SQLite database. It reads from the
// start and goes back there.
func isDatabase(f io.ReadSeeker) (bool, error) {
	head := make([]byte, len(sqliteMagic))
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return false, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return string(head[:n]) == sqliteMagic, err
}

// findDatabases finds those in a tree that is to be copied. A restore compares trees as
// they lie, and asks for none.
func (r *reader) findDatabases(nodes []node) error {
	if r.to == nil {
		return nil
	}
	for _, n := range nodes {
		if kind, _ := kindOf(n.info.Mode()); kind != File || r.databases[n.path] {
			continue
		}
		f, err := r.root.OpenFile(n.path, os.O_RDONLY|openFlags, 0)
		if err != nil {
			if errors.Is(gone(err), errGone) {
				continue
			}
			return err
		}
		is, err := isDatabase(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		if !is {
			continue
		}
		if r.vacuum == nil {
			return fmt.Errorf("%q: %w", filepath.Join(filepath.Dir(r.source), n.path), ErrDatabase)
		}
		r.databases[n.path] = true
		r.holders[filepath.Dir(n.path)] = true
	}
	return nil
}

// withoutSidecars leaves out what VACUUM INTO has brought already.
func (r *reader) withoutSidecars(nodes []node) []node {
	if len(r.databases) == 0 {
		return nodes
	}
	kept := nodes[:0:0]
	for _, n := range nodes {
		if !r.isSidecar(n.path) {
			kept = append(kept, n)
		}
	}
	return kept
}

func (r *reader) isSidecar(p string) bool {
	for _, suffix := range sidecars {
		if of, ok := strings.CutSuffix(p, suffix); ok && r.databases[of] {
			return true
		}
	}
	return false
}

// restless reports whether a change of its stamp says nothing: a database is copied
// whole by its own engine, and its journal comes and goes in its directory.
func (r *reader) restless(p string) bool { return r.databases[p] || r.holders[p] }

// readDatabase copies a database by its own engine, and reads what was copied.
func (r *reader) readDatabase(ctx context.Context, n node, e *Entry) error {
	to := r.to.database(n.path)
	if err := r.to.root.RemoveAll(to); err != nil {
		return err
	}
	from := filepath.Join(r.root.Name(), n.path)
	if err := r.vacuum(ctx, from, filepath.Join(r.to.root.Name(), to)); err != nil {
		return fmt.Errorf("copying the database %q: %w", from, err)
	}
	f, err := r.to.root.OpenFile(to, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := r.to.root.Chmod(to, 0o600); err != nil {
		return errors.Join(err, f.Close())
	}
	is, err := isDatabase(f)
	if err == nil && !is {
		err = fmt.Errorf("what was copied of the database %q is none", from)
	}
	switch {
	case err != nil:
	case r.to.parts != nil:
		e.Size, e.SHA256, err = r.to.file(ctx, n.path, f, r.buf)
	default:
		if e.Size, e.SHA256, err = copyHashing(ctx, io.Discard, f, r.buf); err == nil {
			err = f.Sync()
		}
	}
	return errors.Join(err, f.Close())
}
