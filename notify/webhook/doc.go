// Package webhook is a notify.Notifier that posts messages as signed JSON to a URL.
//
// # Promise
//
//   - The body is the notify.Message, without its address. It is signed with
//     HMAC-SHA256 over time and body, so that a receiver can tell ours from others
//     and new from replayed.
//   - The dedup key stands in the Idempotency-Key header, the same on each try.
//   - Nothing is sent in the clear: a URL is https, or its host is loopback. A
//     redirect is not followed.
//   - The secret, and the path and query of the URL, which often are one, never
//     stand in an error or in what Secret prints.
//
// # Usage
//
//	n, err := webhook.New(webhook.Config{Secret: secret})
//	courier, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{"webhook": n}})
//
// A contact's address on the channel is the URL. A receiver checks what came with
// [Verify].
//
//	header              value
//	Content-Type        application/json
//	Idempotency-Key     the dedup key; what is not printable ASCII is percent-encoded
//	Andon-Timestamp     seconds since 1970
//	Andon-Signature     v1= and the hex HMAC-SHA256 of timestamp, "." and body
//
// # Failure
//
// Errors are [*notify.DeliveryError]:
//
//	answer                              error
//	2xx                                 none
//	408, 425, 429, 5xx, no answer       temporary; Retry-After is passed on, as seconds or as a date
//	3xx, other 4xx                      permanent
//	a URL that must not be used         permanent, nothing sent
//
// # Testing
//
// The tests post to a real HTTP server on loopback, and run the conformance suite
// of package notifytest.
package webhook
