// Package isolation cuts a machine off from the network, but for what protects the
// money: the venues, the channels of the pages, the database, and itself.
//
// # Promise
//
//   - What leaves the machine, or is forwarded for its containers, goes to the allow list
//     or nowhere, for IPv4 and IPv6, connections that are open already included.
//   - An allow list without a venue, a channel, the database and loopback is refused:
//     isolation must not trap an exit or silence a page.
//   - All of it is in force or none of it: the rules go to the kernel in one transaction
//     (with iptables, one for each family, and the first is taken back when the second
//     fails).
//   - Nothing of anybody else's is changed, and nothing that their rules deny is let
//     through. Undo takes away what Block has added, and what it found is there again,
//     byte for byte.
//
// # Usage
//
//	iso, err := isolation.New(isolation.Config{
//		Filter: isolation.NFT{},
//		Allow: []isolation.Allow{
//			{Kind: isolation.Loopback},
//			{Kind: isolation.Venue, Host: "api.coinbase.com", Port: 443},
//			{Kind: isolation.Channel, Host: "events.pagerduty.com", Port: 443},
//			{Kind: isolation.Database, Host: "10.0.0.5", Port: 5432},
//			{Kind: isolation.Admin, Host: "10.0.9.0/24"},
//		},
//	})
//	plan, err := iso.Plan(ctx)   // the rules, to be read before they are in force
//	evidence, err := iso.Block(ctx, key, "Ada", "unknown API key in use")
//	evidence, err = iso.Undo(ctx, key, "Ada", "keys revoked")
//
// What is in force lies in the kernel alone, with a mark of the key that Block was given,
// so that after a crash Done tells whether it was done. It ends with a restart of the
// machine, as everything else does that an intruder may have left running.
//
// # What it does not do
//
// A name is resolved once, in Plan: where a venue's addresses rotate, give the ranges
// that the venue publishes. Raw sockets of root, and whoever is root, pass any packet
// filter of the same machine. Traffic between containers on one bridge is seen only where
// the kernel has br_netfilter.
//
// # Failure
//
// Errors name the program and repeat what it said. Block with an error has left nothing
// in force, or says that it could not be taken back. ErrIsolated: the machine is cut off
// under another key.
//
// # Testing
//
// Filter is an interface of four methods. NFT and IPTables work in a network namespace of
// the test's own, as the tests of this package do.
package isolation
