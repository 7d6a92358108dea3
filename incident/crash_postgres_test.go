package incident_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andon-go/andon/incident/pgstore"
	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/internal/pgtest"
	"github.com/stretchr/testify/require"
)

// onPostgreSQL starts a server that the children of a crash test share with their
// parent, and returns what opens a store of each directory on it: plainly, and through a
// tap, by which each statement is two steps at which a process can be killed.
func onPostgreSQL(t *testing.T) (plain, tapped opener) {
	const server = "ANDON_TEST_CRASH_SERVER"
	if os.Getenv(server) == "" {
		t.Setenv(server, pgtest.Start(t).TCPConnString())
	}
	open := func(dir, conn string) (closer, error) {
		s, err := pgstore.Open(pgstore.Config{
			ConnString: conn, Schema: "c" + filepath.Base(filepath.Dir(dir)), LeaseFor: 300 * time.Millisecond,
		})
		if err != nil {
			return nil, err
		}
		return s, s.Migrate(context.Background())
	}
	plain = func(dir string) (closer, error) { return open(dir, os.Getenv(server)) }
	return plain, func(dir string) (closer, error) {
		s, err := plain(dir) // the tables are there before anything is counted
		if err == nil {
			err = s.Close()
		}
		if err != nil {
			return nil, err
		}
		through, err := tap(dir, os.Getenv(server))
		if err != nil {
			return nil, err
		}
		return open(dir, through)
	}
}

// wire is the file that a tap writes to.
const wire = "wire"

// tap is a way to the server that writes to a file before it passes on a statement that
// changes something, and once more when the server has answered and the client does not
// know it yet. It lives as long as the process.
func tap(dir, conn string) (through string, err error) {
	var port int
	host, rest, _ := strings.Cut(conn, " port=")
	if _, err := fmt.Sscan(rest, &port); err != nil {
		return "", fmt.Errorf("%q names no port: %w", conn, err)
	}
	f, err := os.Create(filepath.Join(dir, wire))
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", errors.Join(err, f.Close())
	}
	note := func(what string) error {
		_, err := f.WriteAt([]byte(what), 0) // as long each time: a file that does not grow is never torn
		return err
	}
	if err := note("begun..."); err != nil {
		return "", err
	}
	to := fmt.Sprintf("127.0.0.1:%d", port)
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				_ = client.Close()
				continue
			}
			var asked atomic.Bool
			go pass(server, client, func(b []byte) error {
				if !bytes.Contains(b, []byte("INSERT INTO")) && !bytes.Contains(b, []byte("UPDATE ")) {
					return nil
				}
				asked.Store(true)
				return note("asked...")
			})
			go pass(client, server, func([]byte) error {
				if !asked.Swap(false) {
					return nil
				}
				return note("answered")
			})
		}
	}()
	// With cache_describe each statement is sent as text, in one piece with its values.
	rest = strings.TrimPrefix(rest, fmt.Sprint(port))
	return fmt.Sprintf("%s port=%d%s default_query_exec_mode=cache_describe", host, l.Addr().(*net.TCPAddr).Port, rest), nil
}

// pass copies from one side to the other, and has each piece looked at first.
func pass(to, from net.Conn, look func([]byte) error) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if err := look(buf[:n]); err != nil {
				panic(err)
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				fmt.Fprintln(os.Stderr, "tap:", err)
			}
			return
		}
	}
}

// statements counts the steps at which a statement was sent or answered.
func statements(steps []crashtest.Step) (n int) {
	for _, s := range steps {
		if s.Path == wire && writesTo(s) {
			n++
		}
	}
	return n
}

func writesTo(s crashtest.Step) bool { return strings.Contains(s.Call, "write") }

// The same as on the journal, killed before and after each send and each statement: the
// lease, its event, and every append, before the server has it and when it has done it and
// nobody has heard.
func TestLaw7_NoPageIsLostByAKillAtAnyStatement(t *testing.T) {
	plain, tapped := onPostgreSQL(t)
	steps := crashtest.Run(t, crashtest.Config{MaxSteps: 30}, func(dir string) error { return wholeLife(dir, tapped) },
		func(t *testing.T, dir string, at crashtest.Step) { goesOn(t, dir, plain, at) })
	require.GreaterOrEqual(t, sends(steps), 10)
	require.GreaterOrEqual(t, statements(steps), 20, "the lease, what became of it, and the appends")
}
