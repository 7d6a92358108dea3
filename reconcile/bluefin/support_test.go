package bluefin_test

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile/bluefin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const createOrder = "POST /api/v1/trade/orders"

// open returns a venue on a new server; change may alter its config.
func open(t testing.TB, change func(*bluefin.Config)) (*bluefin.Venue, *server) {
	t.Helper()
	seed := make([]byte, 32)
	rand.Read(seed)
	key, err := bluefin.ParseKey(hex.EncodeToString(seed))
	require.NoError(t, err)
	s := newServer(t, key.Address(), key.Address())
	c := bluefin.Config{
		Key: key, AuthURL: s.http.URL, APIURL: s.http.URL, TradeURL: s.http.URL, PerSecond: 5000,
		Settle: 50 * time.Millisecond, AcceptWait: 30 * time.Second, CancelWait: 30 * time.Second,
	}
	if change != nil {
		change(&c)
	}
	v, err := bluefin.New(c)
	require.NoError(t, err)
	keys.Store(v, key)
	t.Cleanup(func() { require.NoError(t, v.Close()) })
	return v, s
}

// buy returns a limit order far below the market.
func buy(clientID string) andon.Order {
	return andon.Order{ClientID: clientID, Venue: "bluefin", Symbol: symbol, Side: andon.Buy, Kind: andon.Limit,
		Quantity: dec("0.25"), Price: dec("50.5")}
}

// stop returns a protective stop of a long position.
func stop(clientID string) andon.Order {
	return andon.Order{ClientID: clientID, Venue: "bluefin", Symbol: symbol, Side: andon.Sell, Kind: andon.StopMarket,
		Quantity: dec("0.25"), Trigger: dec("90"), ReduceOnly: true}
}

func marketOrder(clientID string, side andon.Side, quantity string) andon.Order {
	return andon.Order{ClientID: clientID, Venue: "bluefin", Symbol: symbol, Side: side, Kind: andon.Market, Quantity: dec(quantity)}
}

// keys remembers the key of each venue, which it does not give away itself.
var keys sync.Map

func keyOf(t testing.TB, v *bluefin.Venue) bluefin.Key {
	t.Helper()
	key, ok := keys.Load(v)
	require.True(t, ok)
	return key.(bluefin.Key)
}
