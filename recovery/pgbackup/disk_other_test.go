//go:build !linux

package pgbackup_test

import (
	"testing"

	"github.com/andon-go/andon/internal/needs"
)

func smallDisk(t *testing.T, _ int) string {
	t.Helper()
	needs.Missing(t, "a small disk: this system has no tmpfs")
	return ""
}
