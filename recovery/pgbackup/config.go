package pgbackup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
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

	// Repository is where the backups lie. Its chunks bound the memory: a backup and
	// a restore hold one or two for each of the Workers. Required.
	Repository *recovery.Repository

	// Tables are those to back up, as schema.table; a name without a schema is in
	// public. A partitioned table stands for all its partitions. Defaults to every
	// table that is not the system's, an extension's or a restore's own.
	Tables []string

	// Workers is how many connections read or write at once. Defaults to 2.
	Workers int

	// PieceBytes is how much of a table, in bytes of its pages, is read at a time: a
	// larger table is split among the workers, its end more finely. Defaults to 64 MiB.
	PieceBytes int64

	// Rate bounds how much all workers of a backup read together, in bytes per
	// second of rows as they come from the server; a rate that fewer Workers keep is
	// left to them. Defaults to 0, no bound.
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

	// Recorder puts a restore, a repair and the dropping of replaced rows on the
	// timeline before they begin. Without one none of them is possible.
	Recorder recovery.Recorder

	// Idle says whether the bot's writes are held: nil means that nobody writes to
	// the tables and nobody will until the call has returned, as when the write
	// gate is closed. Without it no table that is there can be replaced.
	Idle func(ctx context.Context) error

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

func (c Config) withDefaults() Config {
	if c.Workers == 0 {
		c.Workers = 2
	}
	if c.PieceBytes == 0 {
		c.PieceBytes = 64 << 20
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
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.Conn == nil {
		errs = append(errs, errors.New("Conn: is nil"))
	}
	if c.Repository == nil {
		errs = append(errs, errors.New("Repository: is nil"))
	}
	if c.Workers < 1 || c.Workers > 64 {
		errs = append(errs, fmt.Errorf("Workers: %d, want 1 to 64", c.Workers))
	}
	if c.PieceBytes < 1<<20 {
		errs = append(errs, fmt.Errorf("PieceBytes: %d, want at least 1 MiB", c.PieceBytes))
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
	return &Store{cfg, cfg.TracerProvider.Tracer(scope)}, nil
}

// Verify reads a backup back, every byte, and keeps the verdict: see
// recovery.Repository.
func (s *Store) Verify(ctx context.Context, name string, now time.Time) (recovery.Backup, error) {
	ctx, span := s.tracer.Start(ctx, "pgbackup.Verify")
	b, err := s.cfg.Repository.Verify(ctx, name, now)
	endSpan(span, err)
	return b, err
}

// Backups lists the backups in any state, newest first.
func (s *Store) Backups(ctx context.Context) ([]recovery.Backup, error) {
	return s.cfg.Repository.Backups(ctx)
}

// Delete removes a backup, unless it is the only one that counts.
func (s *Store) Delete(ctx context.Context, name string) error {
	return s.cfg.Repository.Delete(ctx, name)
}

// endSpan ends a span with what came of it.
func endSpan(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}
