//go:build !linux

package filebackup

import (
	"testing"

	"github.com/andon-go/andon/internal/needs"
)

func smallDisk(t *testing.T, _ int) string {
	t.Helper()
	needs.Missing(t, "a small disk: a tmpfs is mounted on Linux only")
	return ""
}

func blocks(t *testing.T, _ string) int64 {
	t.Helper()
	needs.Missing(t, "how much room a file takes: asked on Linux only")
	return 0
}
