package main

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/needs"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write what the scripts compare with")

type script = testscript.TestScript

// commands are what the scripts know beside testscript's own words. None of them takes a "!".
var commands = map[string]func(s *script, neg bool, args []string){
	"start":    taking("start", "", startBot),                    // starts the bot, and waits until it can be asked
	"exits":    exits,                                            // runs botops, which must exit with this number
	"freeze":   taking("freeze", "", signalled(syscall.SIGSTOP)), // the bot hangs
	"thaw":     taking("thaw", "", signalled(syscall.SIGCONT)),   // and goes on
	"kill9":    taking("kill9", "", killBot),                     // the bot dies
	"drift":    taking("drift", "", signalled(syscall.SIGUSR1)),  // a position changes at the exchange behind the bot's back
	"fulldisk": taking("fulldisk", "dir", fullDisk),              // the folder becomes a file system without room
	"golden":   taking("golden", "file", golden),                 // standard output is what the file in testdata has
}

// taking is a command with one operand of that name, or with none if it has no name.
func taking(name, operand string, do func(s *script, arg string)) func(*script, bool, []string) {
	return func(s *script, neg bool, args []string) {
		arg := ""
		if operand != "" && len(args) == 1 {
			arg, args = args[0], nil
		} else if operand != "" {
			s.Fatalf("usage: %s %s", name, operand)
		}
		if neg || len(args) > 0 {
			s.Fatalf("usage: %s %s", name, operand)
		}
		do(s, arg)
	}
}

// sessionKey is where a script has the Env that it was set up with.
type sessionKey struct{}

func session(s *script) *testscript.Env { return s.Value(sessionKey{}).(*testscript.Env) }

// exits is apart from "! exec", since the number is what scripts of an operator branch on.
func exits(s *script, neg bool, args []string) {
	if neg || len(args) < 2 {
		s.Fatalf("usage: exits status args...")
	}
	err, got := s.Exec("botops", args[1:]...), 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		s.Check(err)
	}
	if strconv.Itoa(got) != args[0] {
		s.Fatalf("botops %q exits with %d, want %s", args[1:], got, args[0])
	}
}

// startBot waits until the bot can be asked; a deaf one, until it runs.
func startBot(s *script, _ string) {
	if err := os.Remove(s.MkAbs("pid")); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.Check(err)
	}
	exe, err := os.Executable()
	s.Check(err)
	deaf, e := s.Getenv("TESTBOT_DEAF"), session(s)
	out, err := os.Create(s.MkAbs("testbot.log"))
	s.Check(err)
	cmd := exec.Command(exe)
	cmd.Args = []string{"testbot"}
	cmd.Dir, cmd.Env = e.WorkDir, append(e.Vars[:len(e.Vars):len(e.Vars)], "TESTBOT_DEAF="+deaf)
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Start()
	if cerr := out.Close(); cerr != nil || err != nil { // the bot has its own
		s.Check(errors.Join(err, cerr))
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	s.Defer(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT) // one that has ended is what is wanted
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill() // as above
			<-ended
		}
	})
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, pid := os.Stat(s.MkAbs("pid"))
		if pid == nil && (deaf != "" || s.Exec("botops", "status") == nil) {
			return
		}
		if time.Now().After(end) {
			s.Fatalf("the bot does not come up: %s", s.ReadFile("testbot.log"))
		}
	}
}

func signalBot(s *script, sig syscall.Signal) (pid int) {
	pid, err := strconv.Atoi(s.ReadFile("pid"))
	s.Check(err)
	s.Check(syscall.Kill(pid, sig))
	return pid
}

func signalled(sig syscall.Signal) func(*script, string) {
	return func(s *script, _ string) { signalBot(s, sig) }
}

func killBot(s *script, _ string) {
	pid := signalBot(s, syscall.SIGKILL)
	for end := time.Now().Add(30 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("the bot does not die")
		}
	}
}

func fullDisk(s *script, dir string) {
	dir = s.MkAbs(dir)
	s.Check(os.MkdirAll(dir, 0o700))
	t := session(s).T().(testing.TB)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4k,nr_inodes=2"); err != nil {
		needs.Missing(t, "the right to mount, for a disk without room (run it as root): %v", err)
	}
	s.Defer(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err) // Fatalf would panic here, where no line of the script runs
		}
	})
	s.Check(os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 4096), 0o600))
}

func golden(s *script, name string) {
	path, got := filepath.Join("testdata", name), s.ReadFile("stdout")
	if *update {
		s.Check(os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	s.Check(err)
	if got != string(want) {
		s.Fatalf("%s has other words than this; if they are meant, run go test ./examples/botops -update:\n%s", path, want)
	}
}
