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
