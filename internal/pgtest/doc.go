// Package pgtest gives a test a PostgreSQL server of its own: a fresh cluster that is
// started for the test, ended by its process id, and removed.
//
// # Usage
//
//	pg := pgtest.Start(t, "wal_level=logical")
//	pool, err := pgxpool.New(ctx, pg.ConnString())
//
// The server runs as an ordinary user: the test's own, or, since PostgreSQL refuses
// root, the machine's postgres or nobody. It listens on a Unix socket in a directory
// of its own and on a free port of 127.0.0.1, and trusts whoever can connect. Its data
// is not synced to disk (fsync=off), unless a setting says otherwise: it outlives a
// kill of the server, not a crash of the machine. Stop and Restart let a test take
// the server away and bring it back, with its data and on the same port; Freeze and Thaw
// let it fall silent.
//
// # Failure
//
// Where the programs initdb and postgres are neither on the PATH nor in a place where
// packages put them, the test is skipped by name, and fails under CI=true. Everything
// that waits is bounded; a server that does not come up fails the test with the end
// of its log. If the test process is killed the server ends by itself (Linux).
//
// The package is test support; production packages do not import it.
package pgtest
