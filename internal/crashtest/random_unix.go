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
	late := !c.said(c.timeout)
	if !late {
		c.said(delay) // nothing more comes, but the child's end
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

// said waits until the child says that its function begins, or is gone, and reports
// whether either came in time.
func (c *child) said(within time.Duration) bool {
	if err := c.began.SetReadDeadline(time.Now().Add(within)); err != nil {
		return false
	}
	n, err := c.began.Read(make([]byte, 1))
	c.hasBegun = c.hasBegun || n > 0
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

func closeOnExec(fd int) { syscall.CloseOnExec(fd) }
