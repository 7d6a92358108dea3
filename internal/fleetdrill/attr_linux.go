package fleetdrill

import "syscall"

// attr ends a bot when the test's process dies.
func attr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
