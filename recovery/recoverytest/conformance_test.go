package recoverytest_test

import (
	"testing"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/recoverytest"
)

func TestTargetInMemoryConforms(t *testing.T) {
	open := func(*testing.T) recoverytest.Subject {
		target := recoverytest.NewTarget(recovery.Configuration, []byte("leverage: 2"))
		return recoverytest.Subject{Target: target, Damage: target.Damage}
	}
	recoverytest.TestTarget(t, open)
	recoverytest.TestRehearser(t, open)
}

func TestStorageInMemoryConforms(t *testing.T) {
	recoverytest.TestStorage(t, func(*testing.T) recovery.Storage { return new(recoverytest.Storage) })
}
