//go:build !linux

package fleetdrill

import "syscall"

func attr() *syscall.SysProcAttr { return nil }
