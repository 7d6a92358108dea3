package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what the scripts compare with")

// script is one session in the language of rogpeppe/go-internal's testscript, of which this
// runs the part that is used here, with these commands beside it:
//
//	start           starts the bot, and waits until it can be asked
//	exits N ARGS    runs botops, which must exit with N
//	freeze, thaw    the bot; kill9 kills it
//	drift           changes a position at the exchange behind the bot's back
//	fulldisk DIR    makes DIR a file system without room
type script struct {
	t              *testing.T
	file           string
	line           int
	dir            string
	env            map[string]string
	stdout, stderr string
}

func runScripts(t *testing.T, dir string, env ...string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	exe, err := os.Executable()
	require.NoError(t, err)
	bin := t.TempDir()
	for _, name := range []string{"botops", "testbot"} {
		require.NoError(t, os.Symlink(exe, filepath.Join(bin, name)))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			work := t.TempDir()
			s := &script{t: t, file: file, dir: work, env: map[string]string{
				"WORK": work, "PATH": bin + string(os.PathListSeparator) + os.Getenv("PATH"), "TESTBOT_DIR": work,
				"ANDON_CONFIG": filepath.Join(work, "botops.yaml"), "ANDON_BY": "Ada", "HOME": work,
			}}
			for _, e := range env {
				name, value, _ := strings.Cut(e, "=")
				s.env[name] = value
			}
			require.NoError(t, os.WriteFile(s.path("botops.yaml"), []byte(strings.ReplaceAll(configuration, "$WORK", work)), 0o600))
			s.play()
		})
	}
}

func (s *script) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.dir, name)
}

func (s *script) fail(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s:%d: %s\nstdout:\n%s\nstderr:\n%s", s.file, s.line, fmt.Sprintf(format, args...), s.stdout, s.stderr)
}

var fileMark = regexp.MustCompile(`(?m)^-- (\S+) --\n`)

// play unpacks the files at the end of the script and runs its lines.
func (s *script) play() {
	b, err := os.ReadFile(s.file)
	require.NoError(s.t, err)
	text := string(b)
	marks := fileMark.FindAllStringSubmatchIndex(text, -1)
	for i, m := range marks {
		end := len(text)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		path := s.path(text[m[2]:m[3]])
		require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(s.t, os.WriteFile(path, []byte(text[m[1]:end]), 0o755))
	}
	if len(marks) > 0 {
		text = text[:marks[0][0]]
	}
	for i, line := range strings.Split(text, "\n") {
		s.line = i + 1
		if args := s.words(line); len(args) > 0 {
			s.do(args)
		}
	}
}

// words splits a line as testscript does: by blanks; single quotes keep words together, and
// variables are replaced outside of them.
func (s *script) words(line string) []string {
	if strings.HasPrefix(line, "#") {
		return nil
	}
	var out []string
	word, open := "", false
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			word, open = word+part, true
			continue
		}
		for _, r := range os.Expand(part, func(n string) string { return s.env[n] }) {
			if r != ' ' && r != '\t' {
				word, open = word+string(r), true
			} else if open {
				out, word, open = append(out, word), "", false
			}
		}
	}
	if open {
		out = append(out, word)
	}
	return out
}

func (s *script) command(name string, args ...string) *exec.Cmd {
	for dir := range strings.SplitSeq(s.env["PATH"], string(os.PathListSeparator)) {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil && !strings.Contains(name, "/") {
			name = filepath.Join(dir, name)
			break
		}
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = s.dir
	for k, v := range s.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	return cmd
}

func (s *script) run(name string, args ...string) error {
	cmd := s.command(name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	s.stdout, s.stderr = stdout.String(), stderr.String()
	return err
}

func (s *script) do(args []string) {
	not := args[0] == "!"
	if not {
		args = args[1:]
	}
	matches := func(text, expr string) {
		if regexp.MustCompile(`(?m)`+expr).MatchString(text) == not {
			s.fail("%v", args)
		}
	}
	switch cmd, args := args[0], args[1:]; cmd {
	case "start":
		s.startBot()
	case "exec":
		if err := s.run(args[0], args[1:]...); (err != nil) != not {
			s.fail("%v: %v", args, err)
		}
	case "exits":
		err, got := s.run("botops", args[1:]...), 0
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			got = exit.ExitCode()
		} else if err != nil {
			s.fail("%v", err)
		}
		if fmt.Sprint(got) != args[0] {
			s.fail("botops %v exits with %d, want %s", args[1:], got, args[0])
		}
	case "stdout":
		matches(s.stdout, args[0])
	case "stderr":
		matches(s.stderr, args[0])
	case "grep":
		b, err := os.ReadFile(s.path(args[1]))
		require.NoError(s.t, err)
		matches(string(b), args[0])
	case "exists":
		if _, err := os.Lstat(s.path(args[0])); (err == nil) == not {
			s.fail("exists %s: %v", args[0], err)
		}
	case "env":
		name, value, _ := strings.Cut(args[0], "=")
		s.env[name] = value
	case "rm":
		require.NoError(s.t, os.Remove(s.path(args[0])))
	case "cp":
		require.Equal(s.t, "stdout", args[0])
		require.NoError(s.t, os.WriteFile(s.path(args[1]), []byte(s.stdout), 0o600))
	case "golden":
		if *update {
			require.NoError(s.t, os.WriteFile(filepath.Join("testdata", args[0]), []byte(s.stdout), 0o644))
		}
		want, err := os.ReadFile(filepath.Join("testdata", args[0]))
		require.NoError(s.t, err)
		require.Equal(s.t, string(want), s.stdout, "run go test ./examples/botops -update")
	case "freeze":
		s.signal(syscall.SIGSTOP)
	case "drift":
		s.signal(syscall.SIGUSR1)
	case "thaw":
		s.signal(syscall.SIGCONT)
	case "kill9":
		s.signal(syscall.SIGKILL)
	case "fulldisk":
		s.fullDisk(s.path(args[0]))
	default:
		s.fail("unknown command %q", cmd)
	}
}
