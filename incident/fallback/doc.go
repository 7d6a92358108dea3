// Package fallback keeps a process going while the store that it shares with others is
// out of reach: it goes on in a store of its own, and brings the two together again.
//
// # Promise
//
//   - The local store has everything that the process knows, in the order in which it
//     learned it. That is the list which Read gives, whatever becomes of the shared one;
//     a restart while the shared store is down begins with it.
//   - While the shared store answers, an event is in it first and is copied here after;
//     what others append is copied here too. Each copy cites the original: its number
//     and its hash.
//   - While it does not answer, events are kept here. When it does again they are
//     appended there as new events that cite the hash they have here, in their order,
//     each once; an event of kind incident.Copied says so here.
//   - A kill at any moment loses and repeats nothing: what was copied is known by the
//     hash that it cites, and an append whose answer was lost by what it says.
//
// Nothing waits for a store that is down: after one call that failed, appends go to the
// local store at once, and Watch asks the shared one from time to time. A process that
// is started in an outage, with something that waits for the shared store, pages at once.
//
// # Usage
//
//	shared, err := pgstore.Open(pgstore.Config{ConnString: os.Getenv("DATABASE_URL")})
//	local, err := journal.Open("/var/lib/bot/incidents.journal")
//	s, err := fallback.New(ctx, fallback.Config{Shared: shared, Local: local, Name: "bot1"})
//	m, err := incident.New(ctx, incident.Config{Store: s, Name: "bot1", ...})
//	err = m.Run(ctx)
//
// A Manager watches the store and leads on it by itself (incident.Shared). Without one,
// Run brings the two stores together.
//
// A local store belongs to one process and one shared store, for as long as both live.
//
// # Two processes that do not see each other
//
// Each is the responder then, and both page. The dedup key of a page is made of the
// condition, the component and the episode, so the receiver rings once. The incidents
// that they declare have provisional numbers, with Config.Name behind: two processes
// never give the same one. The declaration that finds out that the shared store is gone
// is refused by a conflict, and the Manager gives it a provisional number too.
//
// What two processes have declared of one thing stays two incidents when the stores come
// together again, and each is resolved. An acknowledgement of one is one of both. Where
// the shared store took a declaration and its answer was lost, the process has it twice
// in that way: under the number that is there, and under a provisional one.
//
// # Failure
//
// Append fails only as the local store does, and by a conflict. ErrEvent of the shared
// store for an event that the local one has taken is logged, and that event stays here.
package fallback
