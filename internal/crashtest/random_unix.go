//go:build unix

package crashtest

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
)

// killAfter starts the child, waits until its function begins, and kills it and
// what it started after the delay. It reaps the child in every case.
func killAfter(c *child, delay time.Duration) (outcome, error) {
	runtime.LockOSThread() // the child dies with the thread that started it
	defer runtime.UnlockOSThread()
	pid, err := c.start(groupAttr())
	if err != nil {
		return outcome{}, err
	}
	late := c.awaitBegin()
	if !late {
		time.Sleep(delay)
	}
	// An error of kill means that the child is gone already.
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	var ws syscall.WaitStatus
	for {
		if _, err = syscall.Wait4(pid, &ws, 0, nil); err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		return outcome{}, fmt.Errorf("waiting for the child: %w", err)
	}
	killed := ws.Signaled() && ws.Signal() == syscall.SIGKILL
	status := fmt.Sprintf("exit status %d", ws.ExitStatus())
	return outcome{killed: killed && !late, late: late && killed, status: status, failed: !killed && ws.ExitStatus() != 0}, nil
}

// awaitBegin waits until the child's function begins or the child is gone, and
// reports whether neither came in time.
func (c *child) awaitBegin() bool {
	if err := c.began.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return true
	}
	_, err := c.began.Read(make([]byte, 1))
	if err == nil {
		c.hasBegun = true
	}
	return errors.Is(err, os.ErrDeadlineExceeded)
}
