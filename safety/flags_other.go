//go:build !unix

package safety

import "io/fs"

func deviceOf(fs.FileInfo) uint64 { return 0 }

func ownerOf(fs.FileInfo) string { return "" }
