package crashtest

import "syscall"

// groupAttr puts the child into a group of its own, and lets it die with us.
func groupAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
