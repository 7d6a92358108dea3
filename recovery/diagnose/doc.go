// Package diagnose says what is slow: the database, the host, this process, the way
// to the exchange. It looks and changes nothing, VacuumAnalyze excepted.
//
// # Promise
//
//   - Nothing waits for anything else, and each look ends within its budget: with a
//     database that hangs the host is diagnosed all the same.
//   - What could not be seen is named with the reason; it is never left out, and never
//     a zero (law 1).
//   - No harm under load: the database is asked in read-only transactions which give
//     up on a lock after 100 ms and on a statement after the budget, each for what the
//     server keeps in memory, never for the rows of a table.
//
// # Usage
//
//	report := diagnose.Run(ctx, diagnose.Config{
//		Database:  pool, // a *pgxpool.Pool or a *pgx.Conn
//		Endpoints: []string{"api.exchange.com:443"},
//	})
//	fmt.Print(report)
//
// Each look is a function of its own too: Activity, Blocking, Slow, Cache, Bloat and
// Connections of the database, Host, Process, Network and,
// on Linux, Route, which names the stations on the way to an address; WriteProfiles writes goroutines,
// heap and CPU of this process where pprof reads them.
//
// # Failure
//
// A section of a Report has a Problem when it could not look. Functions return the
// error of the system that they asked.
//
// # Testing
//
// A Database is anything that begins pgx transactions.
package diagnose
