package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/pgtest"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/webhook"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

// TestMain lets the test binary be the programs that the scripts run.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"botops": main, "testbot": testbot})
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
	runScripts(t, "testdata/scripts", func(string) []string {
		return []string{"HOOK=" + hook.URL, "HEARD=" + heard, "PAGE_SECRET=" + pageSecret}
	})
}

// pageSecret signs pages without a bot.
const pageSecret = "a secret of the test alone"

// TestDatabaseScripts are those on a real PostgreSQL, each in a database of its own: they run
// at the same time.
func TestDatabaseScripts(t *testing.T) {
	pg := pgtest.Start(t)
	runScripts(t, "testdata/database", func(name string) []string {
		pg.Psql(`CREATE DATABASE "` + name + `"`)
		return []string{"BOT_DSN=" + strings.Replace(pg.ConnString(), "dbname=postgres", "dbname="+name, 1)}
	})
}

// runScripts runs each script of a folder in a folder of its own, with the configuration of a
// bot there that only start brings up, and with the environment that env has for its name.
func runScripts(t *testing.T, dir string, env func(script string) []string) {
	t.Helper()
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                commands,
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, "HOME="+e.WorkDir, "TESTBOT_DIR="+e.WorkDir,
				"ANDON_CONFIG="+filepath.Join(e.WorkDir, "botops.yaml"), "ANDON_BY=Ada")
			e.Vars = append(e.Vars, env(strings.TrimPrefix(filepath.Base(e.WorkDir), "script-"))...)
			e.Values[sessionKey{}] = e
			return os.WriteFile(filepath.Join(e.WorkDir, "botops.yaml"),
				[]byte(strings.ReplaceAll(configuration, "$WORK", e.WorkDir)), 0o600)
		},
	})
}

const configuration = `name: testbot
socket: $WORK/run/control.sock
state_dir: $WORK/state
stop_flag: $WORK/EMERGENCY_STOP
read_only_flag: $WORK/READONLY_MODE
timeline: $WORK/state/bot.journal
journal: $WORK/botops.journal
`

func TestEveryErrorHasItsStatus(t *testing.T) {
	require.Equal(t, exitDone, exitOf(nil))
	require.Equal(t, exitFailed, exitOf(errors.New("x")))
	require.Equal(t, exitRights, exitOf(fmt.Errorf("x: %w", os.ErrPermission)))
	require.Equal(t, exitUnconfirmed, exitOf(as(errUnconfirmed, os.ErrPermission)), "the worst is said")
}
