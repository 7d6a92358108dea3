//go:build unix

package pgtest_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/andon-go/andon/internal/pgtest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStartServesStopsComesBackAndLeavesNothing(t *testing.T) {
	var dir string
	var pid int
	t.Run("a test", func(t *testing.T) {
		c := pgtest.Start(t, "wal_level=logical")
		dir = socketDir(c)
		require.Equal(t, "logical", c.Psql("SHOW wal_level"))
		require.Equal(t, "off", c.Psql("SHOW fsync"))
		c.Psql("CREATE TABLE trades (id int, symbol text); INSERT INTO trades VALUES (1, 'BTC'), (2, 'ETH')")
		fi, err := os.Stat(dir + "/data")
		require.NoError(t, err)
		require.NotZero(t, fi.Sys().(*syscall.Stat_t).Uid, "never root")

		before := c.TCPConnString()
		c.Stop()
		c.Stop() // nothing to do
		require.NoFileExists(t, dir+"/data/postmaster.pid", "the server is gone")
		c.Restart()
		c.Freeze()
		silent := exec.Command("timeout", "0.5", "psql", "-XAtd", c.TCPConnString(), "-c", "SELECT 1")
		require.Error(t, silent.Run(), "nothing answers")
		require.Equal(t, 124, silent.ProcessState.ExitCode(), "and nothing is refused")
		c.Thaw()
		require.Equal(t, before, c.TCPConnString(), "the same port")
		require.Equal(t, "1|BTC\n2|ETH", c.Psql("SELECT * FROM trades ORDER BY id"))

		out, err := exec.Command("psql", "-XAtd", c.TCPConnString(), "-c", "SELECT count(*) FROM trades").CombinedOutput()
		require.NoError(t, err, string(out))
		require.Equal(t, "2\n", string(out), "over TCP too")

		pid, err = strconv.Atoi(c.Psql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"))
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(pid, 0))
	})
	require.NoDirExists(t, dir)
	require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "no process outlives the test")
}

// socketDir takes the cluster's directory out of the way to connect to it.
func socketDir(c *pgtest.Cluster) string {
	dir, _, _ := strings.Cut(strings.TrimPrefix(c.ConnString(), "host="), " ")
	return dir
}

// failing notes what a cluster says to its test instead of failing it.
type failing struct {
	*testing.T
	fatal []any
}

func (f *failing) Fatalf(_ string, args ...any) { f.fatal = args; f.T.SkipNow() }

func TestStartNamesWhatKeepsTheServerDown(t *testing.T) {
	f := &failing{}
	t.Run("a test", func(t *testing.T) {
		f.T = t
		pgtest.Start(f, "no_such_setting=1")
	})
	require.Len(t, f.fatal, 1)
	require.ErrorContains(t, f.fatal[0].(error), `unrecognized configuration parameter "no_such_setting"`)
}
