package runbook

import (
	"context"
	"time"
)

// Flusher empties a cache, once for a key. *rediscache.Flusher (recovery/rediscache) is one.
type Flusher interface {
	Preview(ctx context.Context) (string, error) // what Flush would remove
	Flush(ctx context.Context, key, by, why string) (evidence string, err error)
	Done(ctx context.Context, key string) (done bool, evidence string, err error)
}

// Flush is Deps.Cache over a Flusher, in the name of who approved it.
func Flush(f Flusher) Action {
	return Action{
		Plan: f.Preview,
		Do:   func(ctx context.Context, c Call) (string, error) { return f.Flush(ctx, c.Key, approver(c), why(c)) },
		Done: func(ctx context.Context, c Call) (bool, string, error) { return f.Done(ctx, c.Key) },
	}
}

// Channel is Notify.Channel over what opens the incident's own channel, or finds it open.
// (*slack.Notifier).Open (notify/slack) is that.
func Channel(open func(ctx context.Context, incident string) (channel string, err error)) Action {
	return Action{Again: true, Do: func(ctx context.Context, c Call) (string, error) { return open(ctx, c.Incident) }}
}

// Rows looks at what the bot has stored. pgbook.Looks (reconcile/pgbook) is one.
type Rows interface {
	Integrity(ctx context.Context) (string, error)
	Totals(ctx context.Context) (string, error)
	Export(ctx context.Context, path string) (string, error)
	Suspicious(ctx context.Context) (string, error)
}

// Server looks at the server that stores it. diagnose.Looks (recovery/diagnose) is one.
type Server interface {
	Connections(ctx context.Context) (string, error)
	SlowQueries(ctx context.Context, atLeast time.Duration) (string, error)
	CacheRates(ctx context.Context) (string, error)
	Vacuum(ctx context.Context) (string, error)
}

// NewDatabase is Deps.Database over the rows and the server. What is nil a person looks at.
func NewDatabase(rows Rows, server Server) Database {
	var d Database
	if rows != nil {
		d.Integrity, d.Totals, d.Export, d.Suspicious = rows.Integrity, rows.Totals, rows.Export, rows.Suspicious
	}
	if server != nil {
		d.Connections, d.SlowQueries, d.CacheRates, d.Vacuum = server.Connections, server.SlowQueries, server.CacheRates, server.Vacuum
	}
	return d
}
