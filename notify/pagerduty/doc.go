// Package pagerduty is a notify.Notifier that raises, acknowledges and resolves
// alerts through PagerDuty's Events API v2.
//
// # Promise
//
//   - A page is a trigger under the message's own dedup key, so that each step of an
//     escalation rings, and the same page sent twice, after a crash or by two
//     responders, rings once.
//   - An acknowledgement and a resolution acknowledge and resolve every page that
//     the message names, so that PagerDuty does not escalate by itself what somebody has
//     taken. Both may be sent again.
//   - A status update rings nobody: it is a change event on the service's timeline.
//   - Nothing is refused for its size: a summary is cut to 1,024 characters, an
//     event to 512 KB; a dedup key of more than 255 characters is replaced by its
//     SHA-256. Integration keys never stand in an error or a log.
//
// # Usage
//
//	n, err := pagerduty.New(pagerduty.Config{Services: map[string]notify.Secret{"trading-bot-oncall": key}})
//	courier, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{"pagerduty": n}})
//
// A contact's address on the channel is the name of a service, so that no key
// stands in the directory. Directory.Pager makes such a service ring for contacts who
// have nothing but a telephone number.
//
//	message                         event
//	alert, reminder, breach notice  trigger, with the message's key
//	acknowledgement                 acknowledge, for each of its Pages
//	resolution                      resolve, for each of its Pages
//	update                          change event
//
//	level                    severity
//	SEV-1, unclassified      critical
//	SEV-2                    error
//	SEV-3                    warning
//	SEV-4                    info
//
// # Failure
//
// Errors are [*notify.DeliveryError]: 429 and 5xx are temporary and carry Retry-After,
// other answers are permanent, and so is a service that is not in the Config. A 2xx
// without PagerDuty's own "success" is temporary: a proxy has answered. Where
// several events are sent for one message and one of them fails, the message has
// failed, and sending it again repeats what has succeeded, which changes nothing.
//
// # Testing
//
// The tests run against an HTTP server that enforces the API's documented rules. No
// event has been sent to PagerDuty itself.
package pagerduty
