// Package coinbase is an andon.Venue on the REST API of Coinbase Advanced Trade: spot,
// US futures, and perpetuals of an INTX portfolio.
//
// # Promise
//
//   - A list is complete or an error: pages are read to the end, a cursor that comes twice
//     is an error, a row that comes twice counts once. A field that is missing is an
//     error, never zero.
//   - Orders shows pending and queued orders too, which the venue's filter for open orders
//     hides.
//   - An order is sent once. A timeout, a cut connection or a 5xx is
//     andon.ErrOutcomeUnknown; a refusal is a *andon.RejectedError with the venue's words.
//   - A cancel is done when the venue says that the order is done, not when it says that
//     it was asked.
//   - Numbers are exact, or an error.
//   - Requests are signed with the venue's clock, and never sent faster than it takes
//     them. Retry-After is obeyed.
//   - The key's secret stands in no error, no log and no String.
//
// # Usage
//
//	key, err := coinbase.ParseKey(os.Getenv("EXCHANGE__CDP_API_KEY_NAME"), os.Getenv("EXCHANGE__CDP_PRIVATE_KEY"))
//	venue, err := coinbase.New(coinbase.Config{Key: key, Spot: true})
//	auth, err := venue.CheckAuth(ctx)       // the playbook's check_auth
//	fmt.Print(venue.TestConnection(ctx))    // the playbook's test_connection
//
// # What Coinbase has not
//
//	positions on spot       a holding is the position in its product against Config.Quote,
//	                        without entry and mark
//	stop-market             a stop-limit with a limit Config.StopSlippage beyond the trigger;
//	                        safety's Requirements need AllowStopLimit, or use SubmitBracket
//	reduce-only             see Submit: spot needs none, market orders of derivatives have
//	                        it, for others the venue confirms nothing
//	lookup by client id     a search through the product's orders; ids that this process has
//	                        seen are remembered
//	cancel-all              CancelAll lists and cancels, a hundred in a request
//	a dead man's switch     none
//
// Futures are counted in contracts by the venue and in units of the base here.
//
// # Failure
//
//	answer                                     error
//	401, 403                                   ErrAuth, of an order *andon.RejectedError too
//	an order: 4xx, success false               *andon.RejectedError
//	an order: 408, 3xx, 5xx, none, unreadable  andon.ErrOutcomeUnknown
//	an order: 429 until the tries are used up  neither: it was not taken
//	a list: anything but a whole list          an error, never an empty list
//
// # Testing
//
// The tests speak to an HTTP server that enforces the protocol: it verifies signature,
// nonce, expiry and path of every token, pages, throttles, lags, fails and cuts
// connections. Nothing here was run against the venue itself.
package coinbase
