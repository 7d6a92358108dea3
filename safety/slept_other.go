//go:build !linux

package safety

import "time"

// slept is not known here: a window that spans a sleep of the machine is longer by it.
func slept() time.Duration { return 0 }

// uptime and bootID are not known here: after a restart the wall clock says how much
// time passed.
func uptime() time.Duration { return 0 }

func bootID() string { return "" }
