//go:build unix

package mutants

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Limit bounds one run of one test. A bug that makes a test hang is found by it too.
const Limit = 2 * time.Minute

// ErrNoVerdict says that a run proves nothing: it did not compile, ran no test, or is
// not green without the bug.
var ErrNoVerdict = errors.New("no verdict")

// Killed runs the mutant's test with the bug in place and reports whether a test
// failed. Root is the folder of the module. The error is ErrNoVerdict with the output
// of go test when the run proves nothing.
func (m *Mutant) Killed(ctx context.Context, root string) (bool, error) {
	mutated, err := m.Mutate(root)
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "andon-mutant-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir) // best effort: a folder of the system's temporary files
	overlay, err := writeOverlay(dir, filepath.Join(root, m.File), mutated)
	if err != nil {
		return false, err
	}
	r, err := m.test(ctx, root, "-overlay="+overlay)
	if err != nil {
		return false, err
	}
	if !r.green && len(r.failed) == 0 {
		return false, fmt.Errorf("%w: with the bug %s did not come to a failing test:\n%s", ErrNoVerdict, m.Package, r.output)
	}
	if r.green && r.tests == 0 {
		return false, fmt.Errorf("%w: %q matches no test in %s, or all are skipped", ErrNoVerdict, m.Test, m.Package)
	}
	return !r.green, nil
}

// Green runs the mutant's test without the bug. Its error is ErrNoVerdict when the test is not green.
func (m *Mutant) Green(ctx context.Context, root string) error {
	r, err := m.test(ctx, root)
	switch {
	case err != nil:
		return err
	case !r.green:
		return fmt.Errorf("%w: %s -run %s is not green without the bug:\n%s", ErrNoVerdict, m.Package, m.Test, r.output)
	case r.tests == 0:
		return fmt.Errorf("%w: %q matches no test in %s, or all are skipped", ErrNoVerdict, m.Test, m.Package)
	}
	return nil
}

func writeOverlay(dir, file string, mutated []byte) (string, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	replacement := filepath.Join(dir, filepath.Base(file))
	overlay := filepath.Join(dir, "overlay.json")
	spec, err := json.Marshal(map[string]map[string]string{"Replace": {abs: replacement}})
	if err != nil {
		return "", err
	}
	return overlay, errors.Join(os.WriteFile(replacement, mutated, 0o600), os.WriteFile(overlay, spec, 0o600))
}

// result is what one go test said.
type result struct {
	green  bool
	tests  int      // that passed or failed; skipped ones do not count
	failed []string // tests that failed
	output string
}

// test runs the mutant's test in a process group of its own, so that a run that is
// cut off leaves nothing behind.
func (m *Mutant) test(ctx context.Context, root string, args ...string) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, Limit+time.Minute) // go test's own limit comes first and names the test
	defer cancel()
	args = slices.Concat([]string{"test", "-json", "-count=1", "-vet=off", "-timeout=" + Limit.String()}, args, []string{"-run=" + m.Test, m.Package})
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "ANDON_MUTANTS=", "ANDON_MUTANT="+m.Name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return result{}, fmt.Errorf("%w: %s: %w", ErrNoVerdict, m.Name, ctx.Err())
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return result{}, err
	}
	r := parseEvents(out)
	r.green = err == nil
	return r, nil
}

// parseEvents reads the events of go test -json. A test that has begun and never
// ended failed too: its process panicked on another goroutine, or was killed.
func parseEvents(out []byte) result {
	var r result
	var text strings.Builder
	begun := map[string]bool{}
	for sc := newScanner(out); sc.Scan(); {
		var e struct{ Action, Test, Output string }
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil { // the go command's own words
			fmt.Fprintln(&text, sc.Text())
			continue
		}
		text.WriteString(e.Output)
		if e.Test == "" {
			continue
		}
		switch e.Action {
		case "run":
			begun[e.Test] = true
			continue
		case "fail":
			r.failed = append(r.failed, e.Test)
			r.tests++
		case "pass":
			r.tests++
		case "skip":
		default:
			continue
		}
		delete(begun, e.Test)
	}
	for _, name := range slices.Sorted(maps.Keys(begun)) {
		r.failed = append(r.failed, name)
		r.tests++
	}
	r.output = tail(text.String(), 4000)
	return r
}

func newScanner(out []byte) *bufio.Scanner {
	sc := bufio.NewScanner(bytes.NewReader(out))
	sc.Buffer(nil, len(out)+1) // one line may be all of it
	return sc
}

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "... " + s[len(s)-n:]
}
