package crashtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The environment in which a child finds out that it is one.
const (
	childKey = "ANDON_CRASHTEST_CHILD" // the name of the test whose child it is
	childDir = "ANDON_CRASHTEST_DIR"   // the directory it works in
)

// beganFD is the descriptor on which a child says that its function begins. It stays
// open to the child's end, which the parent sees by it.
const beganFD = 3

// actAsChild does not return in a child process: it runs the work and exits.
func actAsChild(t *testing.T, work func(dir string) error) {
	t.Helper()
	key, isChild := os.LookupEnv(childKey)
	if !isChild {
		return
	}
	if key != t.Name() {
		t.Fatalf("crashtest: the child of %s came to %s first: call Run once in a test", key, t.Name())
	}
	closeOnExec(beganFD) // what the child starts must not hold it open
	began := os.NewFile(beganFD, "began")
	_, err := began.Write([]byte{1})
	if err == nil {
		err = work(os.Getenv(childDir))
	}
	runtime.KeepAlive(began)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// runPattern is a -test.run that matches one test or subtest.
func runPattern(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

// child is one process that does the work in one directory.
type child struct {
	base     string // holds dir and what the child printed
	dir      string
	key      string
	pattern  string
	timeout  time.Duration
	began    *os.File // our end of the pipe on which the child says that it begins
	hasBegun bool     // it did, and the byte has been read
}

// outcome is how a child ended.
type outcome struct {
	killed bool   // by us, at the target
	late   bool   // by us, because its time was over
	status string // for people: "exit status 1"
	failed bool   // it ended by itself, and not well
}

// start starts the child. The attributes decide whether it is traced.
func (c *child) start(attr *syscall.SysProcAttr) (pid int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	files, err := c.open()
	if err != nil {
		return 0, err
	}
	defer func() {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
	}()
	p, err := os.StartProcess(self, []string{
		self, "-test.run=" + c.pattern, "-test.count=1", "-test.timeout=" + (2 * c.timeout).String(),
	}, &os.ProcAttr{
		Files: files,
		Env:   append(os.Environ(), childKey+"="+c.key, childDir+"="+c.dir),
		Sys:   attr,
	})
	if err != nil {
		return 0, errors.Join(fmt.Errorf("starting the child: %w", err), c.began.Close())
	}
	pid = p.Pid
	return pid, p.Release() // waited for by pid
}

// open opens the child's files: nothing to read, two files to print into, and the
// pipe on which it says that it begins.
func (c *child) open() ([]*os.File, error) {
	in, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	out, err := os.Create(filepath.Join(c.base, "stdout"))
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	errOut, err := os.Create(filepath.Join(c.base, "stderr"))
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close(), errOut.Close())
	}
	c.began = r
	return []*os.File{in, out, errOut, w}, nil
}

// verdict reads what an ended child printed, and returns an error unless the child
// was killed as planned or ended well.
func (c *child) verdict(o outcome) ([]string, error) {
	out, err := os.ReadFile(filepath.Join(c.base, "stdout"))
	if err != nil {
		return nil, err
	}
	errOut, err := os.ReadFile(filepath.Join(c.base, "stderr"))
	if err != nil {
		return nil, err
	}
	err = c.began.SetReadDeadline(time.Time{})
	said, err2 := io.ReadAll(c.began) // its writer is dead, so this ends
	if err = errors.Join(err, err2, c.began.Close()); err != nil {
		return nil, err
	}
	tail := func() string { return strings.TrimSpace(string(append(out, errOut...))) }
	switch {
	case o.late:
		return nil, fmt.Errorf("the child did not end within %v: %s", c.timeout, tail())
	case len(said) == 0 && !c.hasBegun && !o.killed:
		return nil, fmt.Errorf("the child never came to its function (%s): is Run behind a condition? %s", o.status, tail())
	case !o.killed && o.failed:
		return nil, fmt.Errorf("the child failed by itself (%s): %s", o.status, tail())
	}
	return wholeLines(out), nil
}

// wholeLines returns the lines that end in a newline; a kill may cut the last one.
func wholeLines(out []byte) []string {
	end := bytes.LastIndexByte(out, '\n')
	if end < 0 {
		return nil
	}
	return strings.Split(string(out[:end]), "\n")
}
