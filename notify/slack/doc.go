// Package slack is a notify.Notifier that keeps one thread an incident in a channel,
// and opens the incident's own channel, through Slack's Web API.
//
// # Promise
//
//   - The first message of an incident in a channel begins a thread, and the others
//     answer in it. The thread is found again after a restart.
//   - The address [Room] is the incident's own channel, #incident-YYYYMMDD-XXX: it is
//     created, given a topic and filled with people the first time a message goes there.
//     Each of these steps is done at most once, whoever does it and however often;
//     one that fails keeps no message from being posted, and is tried again with the
//     next one.
//   - A message carries its dedup key as metadata. One that may have been posted
//     already, by a try without an answer or by a process that is gone, is looked for
//     first, and not posted twice if it is found. Where Slack does not let us look, it
//     is posted: a page twice is better than none.
//   - What somebody wrote cannot mention a whole channel or pose as a link: it is
//     escaped. The token never stands in an error or a log.
//
// # Usage
//
//	n, err := slack.New(slack.Config{Token: token, Invite: []string{"U024BE7LH"}})
//	courier, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{"slack": n}})
//
// A contact's address on the channel is the id of a channel or of a person, such as
// C0123456789, or Room. The bot needs the scopes chat:write, and for Room
// channels:manage, channels:join and channels:read; with channels:history it finds its
// threads again after a restart.
//
// # Failure
//
// Errors are [*notify.DeliveryError]. What Slack calls a fault of its own, a rate limit
// (with Retry-After) and no answer are temporary, anything else is permanent: a
// wrong channel, a revoked token, a missing scope, a redirect, which is never followed. Config.Trouble hears of steps of Room that
// did not succeed.
//
// # Testing
//
// The tests run slack-go against an HTTP server that keeps channels, members and messages
// as Slack documents it, and one of them against slack-go's own slacktest. Nothing has
// been sent to Slack itself.
package slack
