// Package bluefin is an andon.Venue on the REST API of Bluefin Pro, perpetuals on Sui.
//
// # Promise
//
//   - Both lists of live orders are read, open and standby: a stop that waits for its
//     trigger is in the second alone. A field that is missing is an error, never zero. An
//     account that the venue does not know is an error, never an empty one.
//   - Each order is signed and sent once. Its hash is computed before it is sent, so that it
//     is found again whatever became of the answer. A timeout, a cut connection or a 5xx
//     is andon.ErrOutcomeUnknown; a refusal is a *andon.RejectedError with the venue's words.
//   - 202 means accepted, not done: the lists are read until the order is there, or is gone,
//     and what is not settled in time is named, as andon.ErrOutcomeUnknown.
//   - Every order has an end, and its ExpiresAt says it: a stop that would lapse is seen.
//   - Numbers are exact, nine digits after the point, or an error.
//   - Logins and orders are signed with the venue's clock. Retry-After is obeyed.
//   - Key, tokens and signatures stand in no error, no log and no String.
//
// # Usage
//
//	key, err := bluefin.ParseKey(os.Getenv("EXCHANGE__BLUEFIN_PRIVATE_KEY"))
//	venue, err := bluefin.New(bluefin.Config{Key: key})
//	auth, err := venue.CheckAuth(ctx)       // the playbook's check_auth
//	fmt.Print(venue.TestConnection(ctx))    // the playbook's test_connection
//
// # What Bluefin has not
//
//	hedge mode              one net position a symbol
//	unique client ids       Submit refuses one that was used, as far as it can be known
//	a list of done orders   Lookup finds a done order by its trades, and remembers those
//	                        that this process sent
//	orders without an end   Config.OrderLife, 30 days by default; place a stop again before
//	a change of leverage    it cancels every open order of the market, protective stops too,
//	                        so that no method here does it; orders are signed with the
//	                        leverage that the position has
//	a dead man's switch     none
//
// # Failure
//
//	answer                                     error
//	401, 403                                   ErrAuth, of an order *andon.RejectedError too
//	an order: other 4xx                        *andon.RejectedError
//	an order: 408, 3xx, 5xx, none, unreadable  andon.ErrOutcomeUnknown
//	an order: 202, and then nothing            andon.ErrOutcomeUnknown
//	an order: 429 until the tries are used up  neither: it was not taken
//	a list: anything but a whole list          an error, never an empty list
//
// # Testing
//
// The signatures and hashes agree with those that the vendor's own tests publish. The
// other tests speak to an HTTP server that enforces the protocol: it verifies every
// signature, salt, token and time, lags, throttles, fails and cuts connections. Nothing
// here was run against the venue itself.
package bluefin
