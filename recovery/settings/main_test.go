package settings_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/andon-go/andon/recovery/settings"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// timeline keeps what is recorded.
type timeline struct {
	all []string
	err error
}

func (r *timeline) Record(_ context.Context, _ time.Time, who, what, why string) error {
	if r.err != nil {
		return r.err
	}
	r.all = append(r.all, who+" | "+what+" | "+why)
	return nil
}

const oldEnv = `# the bot's environment
export EXCHANGE__WEBSOCKET_TIMEOUT=30   # seconds
EXCHANGE__WEBSOCKET_PING_INTERVAL=10

SYSTEM__DRY_RUN=true
TRADING__MIN_TIME_BETWEEN_TRADES="60"
RISK__MAX_POSITION_SIZE=0.25
OTHER='of several
lines # kept'
MCP_ENABLED=true
`

const oldJSON = `{
  "name": "bot", "limit": 1.50000000000000000001,
  "performance": {
    "batch_size": 50,
    "parallel_workers": 2
  }
}
`

// files writes the two files into a directory and returns where they are.
func files(t *testing.T, dir string) (env, json string) {
	t.Helper()
	require.NoError(t, lay(dir))
	return filepath.Join(dir, ".env"), filepath.Join(dir, "production.json")
}

func lay(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(oldEnv), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "production.json"), []byte(oldJSON), 0o640)
}

// config is that of the files in a directory.
func config(dir string) settings.Config {
	return settings.Config{
		Env: filepath.Join(dir, ".env"), JSON: filepath.Join(dir, "production.json"), Dir: filepath.Join(dir, "state"), Recorder: &timeline{},
	}
}

func store(t *testing.T, cfg settings.Config) *settings.Store {
	t.Helper()
	s, err := settings.New(cfg)
	require.NoError(t, err)
	return s
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

// newKey returns the PEM of an EC key.
func newKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}
