package coinbase_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile/coinbase"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const keyName = "organizations/o-1/apiKeys/k-1"

// edSecret returns an Ed25519 secret as Coinbase gives it, and its public key.
func edSecret(t testing.TB) (string, ed25519.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(private), public
}

// ecSecret returns a P-256 secret as Coinbase gives it, and its public key.
func ecSecret(t testing.TB) (string, *ecdsa.PublicKey) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalECPrivateKey(private)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})), &private.PublicKey
}

// open returns a venue on a new server; change may alter its config.
func open(t testing.TB, change func(*coinbase.Config)) (*coinbase.Venue, *server) {
	t.Helper()
	secret, public := edSecret(t)
	key, err := coinbase.ParseKey(keyName, secret)
	require.NoError(t, err)
	s := newServer(t, keyName, public)
	c := coinbase.Config{
		Key: key, Spot: true, BaseURL: s.http.URL, PerSecond: 5000,
		Settle: 50 * time.Millisecond, CancelWait: 30 * time.Second,
	}
	if change != nil {
		change(&c)
	}
	v, err := coinbase.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, v.Close()) })
	return v, s
}

// buy returns a limit order far below the market.
func buy(clientID string) andon.Order {
	return andon.Order{ClientID: clientID, Venue: "coinbase", Symbol: "BTC-USD", Side: andon.Buy, Kind: andon.Limit,
		Quantity: dec("0.25"), Price: dec("50.5")}
}

// marketOrder returns an order that trades at once.
func marketOrder(clientID, symbol string, side andon.Side, quantity string) andon.Order {
	return andon.Order{ClientID: clientID, Venue: "coinbase", Symbol: symbol, Side: side, Kind: andon.Market, Quantity: dec(quantity)}
}

// echoServer refuses everything and says back what it was sent, tokens too.
func echoServer(t testing.TB, tokens *[]string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		*tokens = append(*tokens, token)
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":"bad token","message":"cannot use %s"}`, token)
	}))
	t.Cleanup(s.Close)
	return s.URL
}
