//go:build unix && !linux

package crashtest

import "syscall"

// groupAttr puts the child into a group of its own.
func groupAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
