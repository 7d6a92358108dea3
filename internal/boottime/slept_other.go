//go:build !linux

package boottime

import "time"

// Slept is not known here: it is as if the machine never did.
func Slept() time.Duration { return 0 }

// Uptime is not known here.
func Uptime() time.Duration { return 0 }

// BootID is not known here.
func BootID() string { return "" }
