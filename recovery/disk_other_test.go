//go:build !linux

package recovery_test

import (
	"testing"

	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/recovery"
)

func flipFirstBit(t *testing.T, _ *recovery.DirStorage, _ string) error {
	t.Helper()
	needs.Missing(t, "a disk to damage: only on Linux")
	return nil
}
