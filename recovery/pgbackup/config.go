package pgbackup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/andon-go/andon/recovery"
)

// Config says what is backed up, where to, and how much of the server it may take.
type Config struct {
	// Conn is how to connect to the database, as pgx.ParseConfig returns it: to the
	// server itself, not through a pooler that shares sessions. The store opens
	// connections of its own, at most Workers+2, and holds none between calls.
	// Required.
	Conn *pgx.ConnConfig

	// Storage is where the backups of this component lie. Required.
	Storage Storage

	// Component is what the tables belong to. Defaults to recovery.PositionDatabase.
	Component recovery.Component

	// Tables are those to back up, as schema.table; a name without a schema is in
	// public. A partitioned table stands for all its partitions. Defaults to every
	// table that is not the system's, an extension's or a restore's own.
	Tables []string

	// Workers is how many connections read or write at once. Defaults to 2.
	Workers int

	// ChunkBytes is how much of a table, in bytes of its pages, one object holds: a
	// larger table is split among the workers. Defaults to 64 MiB.
	ChunkBytes int64

	// Rate bounds how much all workers of a backup read together, in bytes per
	// second of rows as they come from the server. Defaults to 0, no bound.
	Rate int64

	// LockTimeout is how long a backup waits for a lock, and how long it makes
	// somebody else's DDL wait, with every reader queued behind that, before it
	// gives way with ErrBlocked. A restore and a repair wait no longer either.
	// Defaults to 1 s.
	LockTimeout time.Duration

	// Sums are totals that a person knows, such as the quantity held by symbol.
	// They are taken in the backup's snapshot, checked after a restore, and shown
	// in its plan beside those of the live table. Defaults to none.
	Sums []Sum

	// PgDump is the program that adds the whole schema, views and functions
	// included, as schema.sql: a path, or a name to look for on the PATH. Where it
	// is not there the backup says so in its notes. Defaults to pg_dump.
	PgDump string

	// Versions is written into each manifest: of the bot, of its migrations, of what
	// else a restore should know. Defaults to none.
	Versions map[string]string

	// Recorder puts a restore, a repair and the dropping of replaced rows on the
	// timeline before they begin. Without one none of them is possible.
	Recorder recovery.Recorder

	// Idle says whether the bot's writes are held: nil means that nobody writes to
	// the tables and nobody will until the call has returned, as when the write
	// gate is closed. Without it no table that is there can be replaced.
	Idle func(ctx context.Context) error

	// Progress, if set, is told how far a backup is, about once for each 16 MiB, by
	// several goroutines, one at a time.
	Progress func(Progress)

	// Logger gets what a backup notes about itself. Defaults to slog.Default().
	Logger *slog.Logger

	// TracerProvider makes a span of each call. Defaults to the global one.
	TracerProvider trace.TracerProvider
}

// Sum is a total by group that a person knows: of a column Of of a table, for each
// value of its column By.
type Sum struct {
	Table string `json:"table"` // as in Config.Tables
	By    string `json:"by"`
	Of    string `json:"of"`
}

// Progress is how far a backup is.
type Progress struct {
	Backup string
	Rows   int64 // read so far
	Bytes  int64 // of rows read so far, before compression
	Pages  int64 // bytes of the tables' pages whose rows are stored
	Total  int64 // bytes of all the tables' pages
}

func (c Config) withDefaults() Config {
	if c.Component == "" {
		c.Component = recovery.PositionDatabase
	}
	if c.Workers == 0 {
		c.Workers = 2
	}
	if c.ChunkBytes == 0 {
		c.ChunkBytes = 64 << 20
	}
	if c.LockTimeout == 0 {
		c.LockTimeout = time.Second
	}
	if c.PgDump == "" {
		c.PgDump = "pg_dump"
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.TracerProvider == nil {
		c.TracerProvider = otel.GetTracerProvider()
	}
	c.Tables = slices.Clone(c.Tables)
	for i, name := range c.Tables {
		c.Tables[i] = qualified(name)
	}
	c.Sums = slices.Clone(c.Sums)
	for i := range c.Sums {
		c.Sums[i].Table = qualified(c.Sums[i].Table)
	}
	c.Versions = maps.Clone(c.Versions)
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.Conn == nil {
		errs = append(errs, errors.New("Conn: is nil"))
	}
	if c.Storage == nil {
		errs = append(errs, errors.New("Storage: is nil"))
	}
	if c.Workers < 1 || c.Workers > 64 {
		errs = append(errs, fmt.Errorf("Workers: %d, want 1 to 64", c.Workers))
	}
	if c.ChunkBytes < 1<<20 {
		errs = append(errs, fmt.Errorf("ChunkBytes: %d, want at least 1 MiB", c.ChunkBytes))
	}
	if c.Rate < 0 {
		errs = append(errs, fmt.Errorf("Rate: %d is negative", c.Rate))
	}
	if c.LockTimeout < time.Millisecond {
		errs = append(errs, fmt.Errorf("LockTimeout: %v, want at least 1ms", c.LockTimeout))
	}
	for i, name := range c.Tables {
		if strings.HasSuffix(name, ".") || slices.Contains(c.Tables[:i], name) {
			errs = append(errs, fmt.Errorf("Tables: %q is empty or there twice", name))
		}
	}
	for _, sum := range c.Sums {
		if sum.By == "" || sum.Of == "" || sum.Table == "public." {
			errs = append(errs, fmt.Errorf("Sums: %+v lacks a table or a column", sum))
		}
	}
	return errors.Join(errs...)
}

// qualified adds the schema public to a name without one.
func qualified(name string) string {
	if strings.Contains(name, ".") {
		return name
	}
	return "public." + name
}

// Store takes, lists, verifies and restores backups of one database. It is safe
// for concurrent use, by several processes too; of two backups of one database at
// once the second is refused.
type Store struct {
	cfg    Config
	tracer trace.Tracer
}

var _ recovery.Target = (*Store)(nil)

// New returns a store, or every problem of the configuration, joined. It does not
// connect.
func New(cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.Conn = cfg.Conn.Copy()
	return &Store{cfg, cfg.TracerProvider.Tracer("github.com/andon-go/andon/recovery/pgbackup")}, nil
}
