// Package needs says what happens when a test lacks something of the machine: a
// server, a program, a permission.
//
// On a developer's machine the test is skipped and names what it lacks. Under
// CI=true it fails, so that a green run there has left nothing out.
//
// It is test support; production packages do not import it.
package needs

import (
	"os"
	"testing"
)

// Missing ends the test because what it needs is not there: skipped, or failed
// when the environment has CI=true. The text names the thing and, where it helps,
// how to get it.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("missing under CI=true: "+format, args...)
	}
	t.Skipf("missing: "+format, args...)
}
