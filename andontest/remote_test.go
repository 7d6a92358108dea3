package andontest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/reconcile/reconciletest"
	"github.com/stretchr/testify/require"
)

func ExampleHandler() {
	venue := andontest.New(andontest.Config{Name: "kraken"})
	venue.SetPosition(andon.Position{Venue: "kraken", Symbol: "BTC-USD", Quantity: andon.MustDecimal("0.5")})
	server := httptest.NewServer(andontest.Handler(venue))
	defer server.Close()

	// In the bot's process:
	var bot andon.Venue = andontest.Remote{URL: server.URL}
	positions, err := bot.Positions(context.Background())
	fmt.Println(positions[0].Symbol, positions[0].Quantity, err)
	// Output: BTC-USD 0.5 <nil>
}

// far is a venue behind the wire.
func far(t *testing.T, v andon.Venue) andontest.Remote {
	t.Helper()
	s := httptest.NewServer(andontest.Handler(v))
	t.Cleanup(s.Close)
	return andontest.Remote{URL: s.URL, Client: s.Client()}
}

func TestTheRemoteVenueConforms(t *testing.T) {
	reconciletest.TestVenue(t, func(t *testing.T) reconciletest.VenueCase {
		v := andontest.New(andontest.Config{})
		return reconciletest.VenueCase{
			Venue: far(t, v), Name: "test", Symbol: "BTC", Quantity: dec("0.25"), Below: dec("50"),
			LoseAnswer: func() { v.Inject(andontest.TimeoutTaken, 1) },
			SetDown: func(down bool) {
				v.Down(nil)
				if down {
					v.Down(errors.New("connection refused"))
				}
			},
		}
	})
}

func TestAVenuesErrorsKeepWhatTheyAreBehindTheWire(t *testing.T) {
	v := andontest.New(andontest.Config{Name: "test"})
	r := far(t, v)
	_, near := v.Lookup(t.Context(), "BTC", "none")
	_, err := r.Lookup(t.Context(), "BTC", "none")
	require.ErrorIs(t, err, andon.ErrOrderNotFound)
	require.NotErrorIs(t, err, andon.ErrOutcomeUnknown)
	require.ErrorContains(t, err, near.Error())

	_, err = r.Submit(t.Context(), reduceOnly(market("a", andon.Sell, "1")))
	var refused *andon.RejectedError
	require.ErrorAs(t, err, &refused)
	require.ErrorIs(t, err, andon.ErrRejected)
	require.Equal(t, "a", refused.Order.ClientID)
	require.NotEmpty(t, refused.Reason)

	v.Inject(andontest.TimeoutTaken, 1)
	_, err = r.Submit(t.Context(), market("b", andon.Buy, "1"))
	require.ErrorIs(t, err, andon.ErrOutcomeUnknown)
	require.NotErrorIs(t, err, andon.ErrRejected)
}

func TestWhatIsNoAnswerIsAnOutcomeUnknown(t *testing.T) {
	for name, c := range map[string]struct {
		status  int
		body    string
		unknown bool
	}{
		"half an answer":  {http.StatusOK, `{"Order":{`, true},
		"an empty answer": {http.StatusOK, `{}`, true},
		"a broken venue":  {http.StatusBadGateway, `{}`, true},
		"no right":        {http.StatusUnauthorized, `{}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, err := w.Write([]byte(c.body))
				require.NoError(t, err)
			}))
			defer s.Close()
			_, err := andontest.Remote{URL: s.URL, Client: s.Client()}.Submit(t.Context(), market("a", andon.Buy, "1"))
			require.Error(t, err)
			require.Equal(t, c.unknown, errors.Is(err, andon.ErrOutcomeUnknown), err)
		})
	}
}
