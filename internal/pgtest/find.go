//go:build unix

package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/andon-go/andon/internal/needs"
)

// needed are the programs of PostgreSQL that the package starts.
var needed = []string{"initdb", "postgres", "pg_isready", "psql"}

// programs returns the folder with PostgreSQL's programs, or ends the test.
func programs(t testing.TB) string {
	t.Helper()
	for _, dir := range places() {
		if complete(dir) {
			return dir
		}
	}
	needs.Missing(t, "the programs of PostgreSQL %v (Debian and Ubuntu: apt-get install postgresql)", needed)
	return ""
}

// places returns the folders to look in: of the PATH, then where packages put
// PostgreSQL, the newest first.
func places() []string {
	var dirs []string
	if p, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql*/bin"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			panic(err) // a mistake in a pattern above
		}
		slices.Sort(found)
		slices.Reverse(found)
		dirs = append(dirs, found...)
	}
	return dirs
}

func complete(dir string) bool {
	for _, name := range needed {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// account returns the user to run the server as: nil, the test's own, except for
// root, whom PostgreSQL refuses.
func account() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("running as root, whom PostgreSQL refuses, and there is neither a user postgres nor nobody")
}
