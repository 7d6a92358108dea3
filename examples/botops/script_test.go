package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/pgtest"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/webhook"
	"github.com/stretchr/testify/require"
)

// TestMain lets the test binary be the programs that the scripts run.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "botops":
		main()
	case "testbot":
		testbot()
	default:
		os.Exit(m.Run())
	}
}

// TestScripts has people's sessions with the commands, on a bot in a process of its own.
func TestScripts(t *testing.T) {
	heard := filepath.Join(t.TempDir(), "pages")
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err == nil {
			err = webhook.Verify(notify.Secret(pageSecret), r.Header, b, time.Now(), time.Minute)
		}
		if err == nil {
			err = os.WriteFile(heard, b, 0o600)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}))
	t.Cleanup(hook.Close)
	runScripts(t, "testdata/scripts", "HOOK="+hook.URL, "HEARD="+heard, "PAGE_SECRET="+pageSecret)
}

// pageSecret signs pages without a bot.
const pageSecret = "a secret of the test alone"

// TestDatabaseScripts are those on a real PostgreSQL.
func TestDatabaseScripts(t *testing.T) {
	pg := pgtest.Start(t)
	runScripts(t, "testdata/database", "BOT_DSN="+pg.ConnString())
}

const configuration = `name: testbot
socket: $WORK/run/control.sock
state_dir: $WORK/state
stop_flag: $WORK/EMERGENCY_STOP
read_only_flag: $WORK/READONLY_MODE
timeline: $WORK/state/bot.journal
journal: $WORK/botops.journal
`

// startBot starts the bot and waits until it can be asked; a deaf one, until it runs.
func (s *script) startBot() {
	if err := os.Remove(s.path("pid")); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.fail("%v", err)
	}
	cmd := s.command("testbot")
	out, err := os.Create(s.path("testbot.log"))
	require.NoError(s.t, err)
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(s.t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT) // one that has ended is what is wanted
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill() // as above
			<-ended
		}
		require.NoError(s.t, out.Close())
	})
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, pid := os.Stat(s.path("pid"))
		if pid == nil && (s.env["TESTBOT_DEAF"] != "" || s.run("botops", "status") == nil) {
			return
		}
		if time.Now().After(end) {
			log, err := os.ReadFile(s.path("testbot.log"))
			s.fail("the bot does not come up: %s %v", log, err)
		}
	}
}

func (s *script) signal(sig syscall.Signal) {
	b, err := os.ReadFile(s.path("pid"))
	require.NoError(s.t, err)
	pid, err := strconv.Atoi(string(b))
	require.NoError(s.t, err)
	require.NoError(s.t, syscall.Kill(pid, sig))
	for end := time.Now().Add(30 * time.Second); sig == syscall.SIGKILL && syscall.Kill(pid, 0) == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.fail("the bot does not die")
		}
	}
}

// fullDisk makes a folder a file system without room.
func (s *script) fullDisk(dir string) {
	require.NoError(s.t, os.MkdirAll(dir, 0o700))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4k,nr_inodes=2"); err != nil {
		if os.Getenv("CI") != "" {
			s.fail("a disk without room needs the right to mount: %v", err)
		}
		s.t.Skipf("a disk without room needs the right to mount: %v", err)
	}
	s.t.Cleanup(func() { require.NoError(s.t, syscall.Unmount(dir, 0)) })
	require.NoError(s.t, os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 4096), 0o600))
}

func TestEveryErrorHasItsStatus(t *testing.T) {
	require.Equal(t, exitDone, exitOf(nil))
	require.Equal(t, exitFailed, exitOf(errors.New("x")))
	require.Equal(t, exitRights, exitOf(fmt.Errorf("x: %w", os.ErrPermission)))
	require.Equal(t, exitUnconfirmed, exitOf(as(errUnconfirmed, os.ErrPermission)), "the worst is said")
}
