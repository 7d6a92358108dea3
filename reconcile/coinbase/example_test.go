package coinbase_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/andon-go/andon/reconcile/coinbase"
)

// A key is checked before the bot trusts it.
func ExampleVenue_CheckAuth() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"can_view":true,"can_trade":false,"can_transfer":false,"portfolio_uuid":"p-1","portfolio_type":"DEFAULT"}`)
	}))
	defer api.Close()

	key, err := coinbase.ParseKey("organizations/o/apiKeys/k", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	if err != nil {
		fmt.Println(err)
		return
	}
	venue, err := coinbase.New(coinbase.Config{Key: key, Spot: true, BaseURL: api.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer venue.Close()
	auth, err := venue.CheckAuth(context.Background())
	fmt.Println("asked:", err)
	fmt.Println("does: ", auth.Err())
	// Output:
	// asked: <nil>
	// does:  coinbase does not accept the key: key organizations/o/apiKeys/k may not trade: give it the permission, or rotate it
}
