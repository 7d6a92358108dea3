// Package rediscache looks at the bot's cache in Redis, and empties it as a plan.
//
// # Promise
//
//   - What the server does not say is an error, never a zero (law 1). A hit rate
//     without a single lookup is not known.
//   - FLUSHALL is a plan first (law 9). It is made for one run of one server and is
//     refused by any other, by a replica, and when there is more to lose than it says:
//     keys that never expire, in a server that evicts only what does.
//   - A plan empties the cache once. Applied again, or when the answer was lost, it
//     finds its own mark and leaves alone what has come into the cache since.
//   - Facts, flush and mark are one step of the server.
//   - Nothing is emptied that was not put on the timeline first (law 10).
//
// # Usage
//
//	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
//	cache, err := rediscache.New(rediscache.Config{Client: client, Recorder: timeline})
//	info, err := cache.Info(ctx)
//	rate, known := info.HitRate()
//	plan, err := cache.PlanFlush(ctx, rediscache.Request{}, now)
//	fmt.Print(plan)
//	done, err := cache.Flush(ctx, plan, "alice", "stale order books", now)
//
// # Failure
//
// ErrUnreachable says that the server does not answer, ErrOutcomeUnknown that it may
// have been emptied: apply the plan again. ErrMoved refuses a plan whose facts have
// moved or that is too old, ErrNotACache a server that does not look like a cache,
// ErrReplica and ErrCluster one on which FLUSHALL is not what it seems.
//
// # Testing
//
// Config.Client is one method, which any client of go-redis has. The tests run on a
// real redis-server (apt-get install redis-server), which they start.
package rediscache
