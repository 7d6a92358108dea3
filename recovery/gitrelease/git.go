package gitrelease

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"time"
)

// pinned come before every command: hooks and what else a repository's configuration
// runs stay away, but for filters of its files, and nothing reaches out of this machine.
var pinned = []string{
	"--no-pager", "--no-optional-locks", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false",
	"-c", "protocol.allow=never", "-c", "protocol.file.allow=always", "-c", "submodule.recurse=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false",
	"-c", "log.showSignature=false", "-c", "core.quotePath=true", "-c", "core.autocrlf=false", "-c", "advice.detachedHead=false", "-c", "color.ui=false",
	"-c", "core.attributesFile=/dev/null",
}

// run runs git in a directory and returns what it prints.
func (r *Repo) run(ctx context.Context, dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.git, append(append([]string(nil), pinned...), args...)...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, environment(), time.Second
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], errors.Join(ctx.Err(), err), strings.TrimSpace(said.String()))
	}
	return out.String(), nil
}

// environment is this process's without what steers git and what asks a person.
func environment() []string {
	env := []string{
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "GIT_EDITOR=false",
		"GIT_ALLOW_PROTOCOL=file", "GIT_NO_REPLACE_OBJECTS=1", "LC_ALL=C",
	}
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		switch {
		case strings.HasPrefix(name, "GIT_"), name == "SSH_ASKPASS", name == "PAGER", name == "LC_ALL", name == "EDITOR", name == "VISUAL":
		default:
			env = append(env, e)
		}
	}
	return env
}

var hash = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// Resolve returns the full hash of the commit that a revision names: a hash, the
// beginning of one, a branch, or a tag such as stable-latest.
func (r *Repo) Resolve(ctx context.Context, revision string) (string, error) {
	if revision == "" || strings.HasPrefix(revision, "-") || strings.ContainsFunc(revision, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return "", fmt.Errorf("%q: %w: it is empty, begins with a dash or holds a blank", revision, ErrNoRevision)
	}
	out, err := r.run(ctx, r.cfg.Source, "rev-parse", "--verify", "--quiet", "--end-of-options", revision+"^{commit}")
	if err != nil {
		return "", fmt.Errorf("%q: %w in %s: %w", revision, ErrNoRevision, r.cfg.Source, err)
	}
	if out = strings.TrimSpace(out); !hash.MatchString(out) {
		return "", fmt.Errorf("%q: %w: git answers %q", revision, ErrNoRevision, out)
	}
	return out, nil
}

// Log returns the last n commits, the newest first, one a line.
func (r *Repo) Log(ctx context.Context, n int) (string, error) {
	if n < 1 {
		return "", fmt.Errorf("n: %d, want at least 1", n)
	}
	return r.run(ctx, r.cfg.Source, "log", "--oneline", "--no-decorate", fmt.Sprintf("--max-count=%d", n), "HEAD", "--")
}

// Stable returns the commits whose line has the word stable in it, the newest first.
func (r *Repo) Stable(ctx context.Context) (string, error) {
	all, err := r.run(ctx, r.cfg.Source, "log", "--oneline", "--no-decorate", "HEAD", "--")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for line := range strings.Lines(all) {
		if strings.Contains(strings.ToLower(line), "stable") {
			b.WriteString(line)
		}
	}
	return b.String(), nil
}

// Diff returns what has changed since the commit before, in the work tree where there
// is one, in these paths or in all. The values of .env files, and keys of many lines, are
// hidden: what is left says which variables have changed.
func (r *Repo) Diff(ctx context.Context, paths ...string) (string, error) {
	bare, err := r.run(ctx, r.cfg.Source, "rev-parse", "--is-bare-repository")
	if err != nil {
		return "", err
	}
	args := []string{"diff", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--src-prefix=a/", "--dst-prefix=b/", "HEAD~1"}
	if strings.TrimSpace(bare) == "true" {
		args = append(args, "HEAD")
	}
	args = append(args, "--")
	for _, p := range paths {
		args = append(args, ":(literal)"+p)
	}
	out, err := r.run(ctx, r.cfg.Source, args...)
	if err != nil {
		return "", err
	}
	return hide(out), nil
}

var (
	// A name without an underscore may be the last line of a key in base64.
	assignment = regexp.MustCompile(`^[-+ ]\s*((?:export\s+)?[A-Z][A-Z0-9]*(?:_+[A-Z0-9]+)+)\s*=`)
	hunk       = regexp.MustCompile(`^@@ [-+0-9, ]+ @@`)
	anySecret  = regexp.MustCompile(`(?i)(secret|token|passw|private|credential|api_?key)`)
	afterSign  = regexp.MustCompile(`^(.*?[:=])\s*\S.*$`)
	keyBody    = regexp.MustCompile(`^[-+ ]\s*"?[A-Za-z0-9+/=_-]{40,}"?,?\s*$`)
)

// hide takes the values out of a diff of .env files, and in other files what looks like
// a secret.
func hide(diff string) string {
	var b strings.Builder
	env, body := false, false
	for line := range strings.SplitSeq(strings.TrimSuffix(diff, "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "diff --git "):
			name := strings.Trim(path.Base(line), `"`)
			env, body = strings.Contains(name, ".env") || strings.HasSuffix(name, "env"), false
		case !body && hunk.MatchString(line):
			line, body = hunk.FindString(line), true // git quotes a line of the file behind it
		case !body:
		case hunk.MatchString(line):
			line = hunk.FindString(line)
		case line == "" || line == "+" || line == "-" || line == " ":
		case env:
			line = hideAssignment(line)
		case keyBody.MatchString(line):
			line = line[:1] + "(hidden)"
		case anySecret.MatchString(line) && afterSign.MatchString(line):
			line = afterSign.ReplaceAllString(line, "$1 (hidden)")
		}
		if line != "" || diff != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// hideAssignment leaves the name of a variable, and comments out whatever else a line
// of .env holds: it may be in the middle of a key.
func hideAssignment(line string) string {
	if m := assignment.FindStringSubmatch(line); m != nil && len(m[1]) <= 64 {
		return line[:1] + m[1] + "=(hidden)"
	}
	return line[:1] + "(hidden)"
}
