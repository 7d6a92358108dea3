//go:build unix

package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// server is the process of a running server.
type server struct {
	cmd  *exec.Cmd
	log  string        // the file it logs to
	done chan struct{} // closed when it has been reaped
}

// startServer starts the process. One goroutine starts and reaps it and keeps its
// thread meanwhile, because the server ends with the thread that started it.
func startServer(cmd *exec.Cmd, log string, account *syscall.Credential) (*server, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = serverAttr(account)
	s := &server{cmd: cmd, log: log, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(s.done)
		err := cmd.Start()
		started <- errors.Join(err, f.Close())
		if err == nil {
			_ = cmd.Wait() // however it ended, ended is what counts; the log says why
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	return s, nil
}

// stop ends the server by its process id: connections are cut, then, if it does not
// end in time, it is killed.
func (s *server) stop() error {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("ending the server: %w", err)
		}
		select {
		case <-s.done:
			return nil
		case <-time.After(patience / 3):
		}
	}
	return fmt.Errorf("the server (process %d) cannot be ended", s.cmd.Process.Pid)
}

func (s *server) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// logTail returns the end of the log.
func (s *server) logTail() string {
	b, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(b[max(0, len(b)-2000):]))
}
