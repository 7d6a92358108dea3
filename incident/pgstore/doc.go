// Package pgstore keeps incident events in PostgreSQL, for several processes at once:
// one list, one hash chain, one responder.
//
// # Promise
//
//   - Append is one SQL statement that commits by itself. No transaction waits for a
//     client, so a process that is frozen holds nothing up. It says where its events
//     go; PostgreSQL refuses a second event of that number, so what two processes
//     append at once is a conflict and never a fork.
//   - An answer that was lost is looked for: Append reads back what stands in its
//     place, and sends the same again to the same place, until it knows. Where it
//     cannot know in time the error is incident.ErrRecordUnknown, and whatever still
//     comes of it can come nowhere else.
//   - A row is the very line that package journal would write. Verify reads them all
//     and names the first that was altered, removed or put elsewhere.
//   - One process at a time is the responder (Lead). No clock of one machine is ever
//     compared with that of another: a challenger waits, by its own CLOCK_BOOTTIME, for
//     longer than the lease in which the holder's counter has not moved.
//
// # Usage
//
//	s, err := pgstore.Open(pgstore.Config{ConnString: os.Getenv("DATABASE_URL")})
//	defer s.Close()
//	err = s.Migrate(ctx) // once, by a role that may create
//	m, err := incident.New(ctx, incident.Config{Store: s, Name: "bot-1", ...})
//	err = m.Run(ctx)
//
// A Manager watches the store, and leads on it, by itself ([incident.Shared]). Package
// fallback, over this store and a journal, keeps it going while the database is down.
//
// The table is for people too:
//
//	SELECT line FROM andon.events WHERE incident = 'INC-20260314-001' ORDER BY seq;
//
// A role that appends and leads needs USAGE on the schema, SELECT and INSERT on events,
// SELECT on migrations, and SELECT and UPDATE on responder. Triggers refuse to change or remove an
// event; whoever owns the table can drop them, and Verify finds what was done then. A
// chain cannot show that its end was cut off: publish the tip by an
// [incident.Anchoring], and give what was published to Verify.
//
// # Failure
//
// Open connects to nothing, so a bot starts while the database is down. Every call is
// bounded by Config.AnswerWithin, on a server that is frozen too. Lead returns once the
// database has been silent for longer than the lease; call it again. NOTIFY does not
// pass a connection pooler in transaction mode: Watch then hears by polling.
//
// A responder that is frozen for longer than the lease does not know that it was
// replaced until it runs again. What it then appends is refused, because its successor
// has put an event of kind incident.Responder on the list before it did anything; a
// page that it sends has the same dedup key as its successor's.
//
// A server that confirms commits which it can lose, by synchronous_commit = off or by a
// failover to an asynchronous standby, can lose events. An append that follows one that
// was lost is refused as a conflict.
//
// # Testing
//
// [incidenttest.TestStore] runs against a real server, which is stopped, restarted and
// frozen under load.
//
// [incidenttest.TestStore]: https://pkg.go.dev/github.com/andon-go/andon/incident/incidenttest#TestStore
package pgstore
