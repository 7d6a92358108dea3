package bluefin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/andon-go/andon/reconcile/bluefin"
)

// Numbers of the venue are exact here, and an account that it does not know is an error.
func ExampleVenue_Positions() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"accountAddress":%q,"canTrade":true,"canWithdraw":false,"assets":[],"positions":[{
			"symbol":"ETH-PERP","side":"SHORT","sizeE9":"250000001","avgEntryPriceE9":"2500000000000","markPriceE9":"2490000000000",
			"clientSetLeverageE9":"5000000000","isIsolated":false,"updatedAtMillis":1773480413000}]}`, r.URL.Query().Get("accountAddress"))
	}))
	defer api.Close()

	key, err := bluefin.ParseKey("0000000000000000000000000000000000000000000000000000000000000001")
	if err != nil {
		fmt.Println(err)
		return
	}
	venue, err := bluefin.New(bluefin.Config{Key: key, AuthURL: api.URL, APIURL: api.URL, TradeURL: api.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer venue.Close()
	positions, err := venue.Positions(context.Background())
	for _, p := range positions {
		fmt.Println(p.Key(), p.Quantity, "entered at", p.Entry)
	}
	fmt.Println("error:", err)
	// Output:
	// bluefin/ETH-PERP -0.250000001 entered at 2500
	// error: <nil>
}
