// Package console shows people what the bot is doing: a status page that anybody may
// read, and an operations console from which a named person stops, holds, acknowledges,
// approves, closes all and resumes.
//
// # Promise
//
//   - What is not known is said to be unknown, on every page: an exchange whose status
//     page did not answer, a venue that could not be read, a day without a record.
//   - The console is served to whom [Config.Authorizer] lets in, and to nobody without
//     one. It answers on this machine only, unless [Config.Hosts] says otherwise.
//   - A stop is one press: no confirmation, no form, no limit and no old page stands in
//     its way. Everything else asks the Authorizer, takes a token that is good once, and
//     is refused from another site.
//   - What is done here is done by the engines, and they put it on the timeline.
//   - The status page tells the trading state, and of incidents the number, the level,
//     how far they are and what a person wrote for the status update. It tells no
//     position, no component, no name and no note.
//   - No page needs a script, and none runs one that is not this package's own.
//   - Neither the status page nor the console waits for a venue or a disk while it is read:
//     Run looks, and the pages show what it saw last and when. The page of one incident, and
//     a stream that begins further back than memory reaches, read the timeline within
//     [Config.AskWithin]; closing all asks the venues, since a person asked for it.
//   - A live page shows the cord at once, whatever the timeline's store does.
//
// # Usage
//
//	c, err := console.New(console.Config{
//		Name: "btc-maker", Public: true, Switch: sw, Incidents: manager, Timeline: journal,
//		Authorizer: console.Passwords(map[string]notify.Secret{"Ada": secret}),
//	})
//	go c.Run(ctx)
//	mux.Handle("/", c)
//
//	path            what                                           who
//	/               status page                                    everybody, where Public
//	/status.json    the same for programs                          everybody, where Public
//	/assets/...     one style sheet, one script                    everybody
//	/console        the cord, positions, incidents, runs, backups  the Authorizer
//	/console/card   the quick-reference card, on one sheet         the Authorizer
//	/console/events the timeline as server-sent events             the Authorizer
//
// A mount below another path needs [Config.Base]:
//
//	mux.Handle("/andon/", c) // with Base: "/andon"
//
// # Failure
//
// New joins everything that is wrong with a configuration. A request that is refused
// gets a page that says why and what to do. An action that an engine refuses shows the
// engine's own words; nothing was done then unless they say otherwise.
//
// # Testing
//
// The handler is tested with net/http/httptest, and in a real browser where there is one.
package console
