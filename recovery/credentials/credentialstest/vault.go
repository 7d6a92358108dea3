// Package credentialstest has the conformance suite for a credentials.Vault of your
// own. It uses only the standard library's testing.
package credentialstest

import (
	"errors"
	"testing"

	"github.com/andon-go/andon/recovery/credentials"
)

// TestVault tries the promises of a Vault. Open returns the same vault each time, as a new
// process would open it; it is empty at first.
func TestVault(t *testing.T, open func(t *testing.T) credentials.Vault) {
	t.Helper()
	ctx := t.Context()
	must := func(err error, rule string) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", rule, err)
		}
	}
	v := open(t)
	text, none, err := v.Load(ctx, "coinbase")
	must(err, "a venue without a record is no error")
	if len(text) != 0 || none != "" {
		t.Fatal("a venue without a record has no content and no version")
	}
	must(v.Save(ctx, "coinbase", "", []byte("one\x00\n")), "the first record has no version before it")
	if err := v.Save(ctx, "coinbase", "", []byte("two")); !errors.Is(err, credentials.ErrConflict) {
		t.Fatalf("a first record over one that is there is ErrConflict, not %v", err)
	}
	text, first, err := open(t).Load(ctx, "coinbase")
	must(err, "another process reads what was saved")
	if string(text) != "one\x00\n" || first == "" {
		t.Fatalf("a record comes back byte for byte, with a version: %q, version %q", text, first)
	}
	must(v.Save(ctx, "coinbase", first, []byte("two")), "a record of the version that was read is replaced")
	if err := v.Save(ctx, "coinbase", first, []byte("three")); !errors.Is(err, credentials.ErrConflict) {
		t.Fatalf("a record of an older version is ErrConflict, not %v", err)
	}
	text, second, err := v.Load(ctx, "coinbase")
	must(err, "what was replaced is read")
	if string(text) != "two" || second == first {
		t.Fatalf("a refused save changes nothing, and each record has its own version: %q", text)
	}
	if text, _, err := v.Load(ctx, "bluefin"); err != nil || len(text) != 0 {
		t.Fatalf("venues are apart: %q, %v", text, err)
	}
}
