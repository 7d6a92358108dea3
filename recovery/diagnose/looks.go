package diagnose

import (
	"context"
	"errors"
	"time"
)

// Looks are looks at a database in plain types: what a runbook needs of it. Safe for
// concurrent use where the database is.
type Looks struct {
	// Database is looked at. Required.
	Database Database
	// Executor is what Vacuum runs on: the same pool or connection. Nil: it does nothing
	// and says so.
	Executor Executor
	// SampleFor is how long SlowQueries looks at what runs, where the server keeps no
	// statistics of statements. Defaults to 5 s.
	SampleFor time.Duration
}

func said(f finding, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return f.lines(), nil
}

// Connections says how many connections of the server are taken.
func (l Looks) Connections(ctx context.Context) (string, error) {
	if l.Database == nil {
		return "", errNoDatabase
	}
	return said(Connections(ctx, l.Database))
}

// CacheRates says which part of the blocks was found in the server's cache.
func (l Looks) CacheRates(ctx context.Context) (string, error) {
	if l.Database == nil {
		return "", errNoDatabase
	}
	return said(Cache(ctx, l.Database))
}

// SlowQueries says which statements take at least so long.
func (l Looks) SlowQueries(ctx context.Context, atLeast time.Duration) (string, error) {
	if l.Database == nil {
		return "", errNoDatabase
	}
	d := l.SampleFor
	if d == 0 {
		d = 5 * time.Second
	}
	return said(Slow(ctx, l.Database, atLeast, d))
}

// Vacuum frees dead rows and renews the statistics of every table that is not locked, as
// vacuumdb -z does, and says how many dead rows are left.
func (l Looks) Vacuum(ctx context.Context) (string, error) {
	switch {
	case l.Database == nil:
		return "", errNoDatabase
	case l.Executor == nil:
		return "", errors.New("nothing was vacuumed: Looks.Executor is nil")
	}
	if err := VacuumAnalyze(ctx, l.Executor); err != nil {
		return "", err
	}
	return said(Bloat(ctx, l.Database))
}
