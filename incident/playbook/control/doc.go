// Package control lets a command line talk to a running bot: a server that the bot embeds,
// on a Unix socket that only its owner can reach, and the client of it.
//
// # Promise
//
//   - Nobody but the socket's owner, and root, is heard: the directory is 0700, the socket
//     0600, and the kernel is asked who is at the other end of each connection.
//   - A stop is never queued behind anything: it is answered while every other command hangs,
//     and only once the gate is closed.
//   - Nothing is refused a stop for its form, or for want of a name. Who decides anything else
//     is named, with a reason where it is not plain from the command; a declaration and a
//     backup are taken from anybody.
//   - What changes something goes on when the command line is killed: what was begun is not
//     left half done.
//   - What the bot was not given is ErrNotWired, never a success that did nothing.
//   - Sizes and times are bounded, and secrets are taken out of what is said.
//   - A socket that a dead process left is replaced; one that lives is refused.
//
// # Usage
//
// In the bot, beside the rest of what runs:
//
//	deps.Parts = map[string]func(context.Context, *playbook.Assembly) error{
//		"control": control.Part("/run/btc-maker/control.sock"),
//	}
//
// or, without an assembly:
//
//	s, err := control.New(control.Config{Path: path, Switch: sw, Incidents: manager})
//	err = s.Run(ctx)
//
// In a command line:
//
//	c := control.Dial("/run/btc-maker/control.sock")
//	stopped, err := c.Stop(ctx, "Ada", "prices are wrong")
//
// # Failure
//
// Every error of a Client can be branched on:
//
//	ErrNotRunning   nobody listens at the socket: nothing was asked
//	ErrForbidden    the socket is another user's
//	ErrNotWired     this bot was not given what the command needs
//	ErrBad          the request cannot be meant
//	ErrRefused      a law stands in the way, such as a hold that was not seen; nothing was changed
//	ErrUnwell       it was looked, and something is not well
//	ErrOutcome      the answer did not come: it may have been done. Look before doing it again
//
// On systems that do not say who is at the other end of a socket, Run is an error.
//
// # Testing
//
// Everything works in t.TempDir; the peer is the test itself.
package control
