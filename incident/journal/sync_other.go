//go:build !linux

package journal

import "os"

// datasync makes the data of f, and its size, durable.
func datasync(f *os.File) error { return f.Sync() }
