// Package pgfleet keeps a fleet's records in PostgreSQL: one table, one row a record,
// LISTEN and NOTIFY to hear of changes.
//
//	backend, err := pgfleet.Open(pgfleet.Config{ConnString: os.Getenv("DATABASE_URL"), Fleet: "prod"})
//	defer backend.Close()
//	err = backend.Create(ctx) // the table, once
//
// # Promise
//
// Every call is one SQL statement that commits by itself: no transaction waits for a
// client, so a process that is frozen holds nothing up. Revisions come from a sequence
// and are never used again. Connections are the backend's own: a bot that has exhausted
// its pool still hears a halt. Only a server that takes writes is talked to; a standby,
// which may be behind, is refused.
//
// The table is for people too:
//
//	SELECT key, value, changed_at FROM andon_fleet WHERE fleet = 'prod' ORDER BY key;
//
// # Failure
//
// Open connects to nothing, so that a bot starts, halted, while the database is down. A
// connection that is silent is given up after PingEvery; until then a member reads the
// order with every renewal. NOTIFY does not pass a connection pooler in transaction mode:
// reading does, so a halt is then heard within a third of the lease. Connect directly.
//
// Commits wait for the disk, and for the synchronous standby where there is one, also where
// synchronous_commit is off or local by default. A server that loses what it has confirmed
// all the same, by fsync = off or by a failover to an asynchronous standby, can lose a halt.
// Members that have seen it notice and stay halted; see package fleet.
package pgfleet
