//go:build unix

package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/loopback"
)

// patience bounds each wait: for initdb, for the server to accept, for it to end.
const patience = 60 * time.Second

// Cluster is one running PostgreSQL server. Its methods are for the goroutine of the
// test; ConnString and TCPConnString are safe for concurrent use.
type Cluster struct {
	t        testing.TB
	bin      string // the folder of PostgreSQL's programs
	base     string // holds the data, the socket and the log
	port     int
	settings []string
	account  *syscall.Credential // nil: the test's own user
	server   *server             // nil while it is stopped
	frozen   []int               // the processes that Freeze stopped
}

// Start creates a cluster and starts its server, which ends with the test. Each
// setting is "name=value", as in postgresql.conf.
func Start(t testing.TB, settings ...string) *Cluster {
	t.Helper()
	bin := programs(t)
	base, err := os.MkdirTemp("", "andon-pg-") // short: a socket's path holds about 100 bytes
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	c := &Cluster{t: t, bin: bin, base: base, port: loopback.Port(t), settings: settings}
	t.Cleanup(func() {
		c.Thaw()
		c.Stop()
		if err := os.RemoveAll(base); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	if err := c.create(); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	c.Restart()
	return c
}

// ConnString returns how to connect through the Unix socket, as keywords and values
// that pgx and libpq understand.
func (c *Cluster) ConnString() string {
	return fmt.Sprintf("host=%s port=%d user=postgres dbname=postgres", c.base, c.port)
}

// TCPConnString returns how to connect through TCP on the loopback, for tests that
// put something in between.
func (c *Cluster) TCPConnString() string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres sslmode=disable", c.port)
}

// Psql runs SQL through psql and returns its rows, one a line, columns separated by a
// bar. An error of the SQL fails the test.
func (c *Cluster) Psql(sql string) string {
	c.t.Helper()
	out, err := c.run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", c.ConnString(), "-c", sql)
	if err != nil {
		c.t.Fatalf("pgtest: %v", err)
	}
	return string(bytes.TrimSpace(out))
}

// Stop ends the server at once, cutting its connections, and keeps the data. Does
// nothing when it is stopped already.
func (c *Cluster) Stop() {
	c.t.Helper()
	if c.server == nil {
		return
	}
	err := c.server.stop()
	c.server = nil
	if err != nil {
		c.t.Errorf("pgtest: %v", err)
	}
}

// Restart starts the server on the same data and port and returns when it accepts
// connections. A running one is stopped first.
func (c *Cluster) Restart() {
	c.t.Helper()
	c.Stop()
	if err := c.up(); err != nil {
		c.t.Fatalf("pgtest: %v", err)
	}
}

// create makes the data directory.
func (c *Cluster) create() error {
	var err error
	if c.account, err = account(); err != nil {
		return err
	}
	if c.account != nil {
		if err := os.Chown(c.base, int(c.account.Uid), int(c.account.Gid)); err != nil {
			return err
		}
	}
	_, err = c.run("initdb", "-D", c.data(), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
	return err
}

func (c *Cluster) data() string { return filepath.Join(c.base, "data") }

// up starts the server and waits until it accepts.
func (c *Cluster) up() error {
	args := []string{"-D", c.data(), "-k", c.base, "-p", strconv.Itoa(c.port), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"}
	for _, s := range c.settings {
		args = append(args, "-c", s)
	}
	cmd := exec.Command(filepath.Join(c.bin, "postgres"), args...)
	var err error
	if c.server, err = startServer(cmd, filepath.Join(c.base, "log"), c.account); err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		_, err := c.run("pg_isready", "-q", "-h", c.base, "-p", strconv.Itoa(c.port), "-U", "postgres")
		if err == nil {
			return nil
		}
		if c.server.ended() || time.Now().After(deadline) {
			return fmt.Errorf("the server does not accept connections: %w\n%s", err, c.server.logTail())
		}
	}
}

// run runs one of PostgreSQL's programs, bounded, as the server's user.
func (c *Cluster) run(name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, name), args...)
	cmd.Dir = c.base
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.account}
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s: %w: %s", name, errors.Join(err, ctx.Err()), bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}
