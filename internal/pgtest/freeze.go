//go:build unix

package pgtest

import (
	"errors"
	"strconv"
	"strings"
	"syscall"
)

// Freeze stops every process of the server where it is: connections stay open and
// nothing answers. Thaw lets them go on; so does the end of the test. Stop and Psql do
// not work meanwhile.
func (c *Cluster) Freeze() {
	c.t.Helper()
	pids := []int{c.server.cmd.Process.Pid}
	for s := range strings.FieldsSeq(c.Psql("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")) {
		pid, err := strconv.Atoi(s)
		if err != nil {
			c.t.Fatalf("pgtest: %v", err)
		}
		pids = append(pids, pid)
	}
	c.frozen = pids
	if err := signalAll(pids, syscall.SIGSTOP); err != nil {
		c.t.Fatalf("pgtest: freezing the server: %v", err)
	}
}

// Thaw undoes Freeze. Does nothing when the server is not frozen.
func (c *Cluster) Thaw() {
	c.t.Helper()
	pids := c.frozen
	c.frozen = nil
	if err := signalAll(pids, syscall.SIGCONT); err != nil {
		c.t.Errorf("pgtest: thawing the server: %v", err)
	}
}

// signalAll signals processes of the server; one that has ended meanwhile is no error.
func signalAll(pids []int, sig syscall.Signal) error {
	var errs []error
	for _, pid := range pids {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
