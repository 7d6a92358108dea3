package rediscache_test

import (
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/recovery/recoverytest"
	"github.com/andon-go/andon/recovery/rediscache"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 3, 4, 15, 4, 5, 0, time.UTC)

// server is a redis-server of the test's own, behind a socket in its directory.
type server struct {
	socket string
	cmd    *exec.Cmd
}

// start starts a server, which ends with the test.
func start(t testing.TB, args ...string) *server {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		needs.Missing(t, "redis-server (apt-get install redis-server)")
	}
	dir := t.TempDir()
	s := &server{socket: filepath.Join(dir, "s")}
	s.cmd = exec.Command(program, append([]string{"--port", "0", "--unixsocket", s.socket, "--dir", dir, "--save", "", "--appendonly", "no"}, args...)...)
	require.NoError(t, s.cmd.Start())
	t.Cleanup(s.stop)
	client := s.client(t)
	require.Eventually(t, func() bool { return client.Ping(t.Context()).Err() == nil }, 30*time.Second, 10*time.Millisecond)
	return s
}

// stop ends the server by its process ID; a second time it does nothing.
func (s *server) stop() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Signal(syscall.SIGKILL) // it may have ended by itself
		_ = s.cmd.Wait()                          // killed is what it is
	}
}

func (s *server) client(t testing.TB) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Network: "unix", Addr: s.socket, MaxRetries: -1})
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// world is a cache on a server.
type world struct {
	*rediscache.Cache
	*server
	redis *redis.Client
	rec   *recoverytest.Recorder
}

func newWorld(t testing.TB, args ...string) world {
	t.Helper()
	s := start(t, args...)
	w := world{server: s, redis: s.client(t), rec: new(recoverytest.Recorder)}
	w.open(t, nil)
	return w
}

func (w *world) open(t testing.TB, change func(*rediscache.Config)) {
	t.Helper()
	cfg := rediscache.Config{Client: w.redis, Recorder: w.rec}
	if change != nil {
		change(&cfg)
	}
	var err error
	w.Cache, err = rediscache.New(cfg)
	require.NoError(t, err)
}

func (w world) set(t testing.TB, key string, ttl time.Duration) {
	t.Helper()
	require.NoError(t, w.redis.Set(t.Context(), key, "v", ttl).Err())
}

func (w world) has(t testing.TB, key string) bool {
	t.Helper()
	n, err := w.redis.Exists(t.Context(), key).Result()
	require.NoError(t, err)
	return n == 1
}
