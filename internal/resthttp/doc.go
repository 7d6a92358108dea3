// Package resthttp is the HTTP client under the venues: one try or several, never too
// fast, and always able to say whether a request may have taken effect.
//
// # Promise
//
//   - https, or http to a loopback host; a redirect is not followed.
//   - No more requests in any second than the venue takes. A third of them is kept for
//     urgent ones, so that a cancel never waits behind a list.
//   - Retry-After is obeyed by all requests of the client; else the wait grows. Only what
//     may be repeated is repeated, except after an answer that says that nothing was done.
//   - An answer is bounded; one that is longer, or breaks off, is an error.
//   - The venue's clock is estimated from the Date header of its answers.
//   - No header, no query and no secret stands in an error.
//
// # Failure
//
// Errors are [*Error]. Its Unknown method tells a request that may have taken effect
// from one that has not:
//
//	what came back             may have taken effect
//	not connected, not sent    no
//	4xx, but 408               no
//	408, 5xx, 3xx              yes
//	no answer, half an answer  yes
//
// It is for packages named after a venue; it knows nothing of trading.
package resthttp
