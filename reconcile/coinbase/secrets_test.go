package coinbase_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/reconcile/coinbase"
)

// holder is what a bot keeps: a key and a venue, in fields that fmt prints without asking
// them how.
type holder struct {
	Key    coinbase.Key
	Config coinbase.Config
	key    coinbase.Key
	config *coinbase.Config
	keys   map[string]coinbase.Key
	any    any
	venue  *coinbase.Venue
}

// paper is everything that was ever shown.
type paper struct{ bytes.Buffer }

// Errorf makes a TestingT of it, for what testify shows of two values that differ: it
// looks into every field.
func (p *paper) Errorf(format string, args ...any) { fmt.Fprintf(p, format, args...) }

// show prints, marshals and logs values in every way there is.
func (p *paper) show(values ...any) {
	text, asJSON := slog.New(slog.NewTextHandler(p, nil)), slog.New(slog.NewJSONHandler(p, nil))
	for _, x := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(p, verb+"\n", x)
		}
		if b, err := json.Marshal(x); err == nil {
			p.Write(b)
		}
		text.Info("x", "value", x)
		asJSON.Info("x", "value", x)
		assert.Equal(p, x, "another")
	}
}

func (p *paper) requireNone(t *testing.T, canaries ...string) {
	t.Helper()
	for _, canary := range canaries {
		require.NotEmpty(t, canary)
		if i := bytes.Index(p.Bytes(), []byte(canary)); i >= 0 {
			require.Fail(t, "a secret is shown", "%s after %s", canary, p.Bytes()[max(0, i-300):i])
		}
	}
}
