package pgbook

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/andon-go/andon"
)

// DefaultSchema is where the book's own tables lie.
const DefaultSchema = "andon"

// DB gives out transactions and is safe for concurrent use. A *pgxpool.Pool is one.
// What its connections are set to does not matter: a transaction of the book sets what
// it relies on.
type DB interface {
	BeginTx(ctx context.Context, o pgx.TxOptions) (pgx.Tx, error)
}

// Config says where a book lies and what it is checked against.
type Config struct {
	// DB is the bot's database. Required. The book never closes it.
	DB DB

	// Venue is the venue of rows in tables that have no column for it. Required.
	Venue string

	// Mapping says where the rows lie. Defaults to DefaultMapping.
	Mapping Mapping

	// Schema holds the book's own tables; Migrate makes them. Defaults to
	// DefaultSchema.
	Schema string

	// CheckWrite gives an error while nobody may write, as safety.Switch.CheckWrite
	// does while /tmp/READONLY_MODE is there. It is asked before a change and again
	// before it is committed; its error means that nothing was changed. A repair that
	// was allowed to write meanwhile brings a func with its token. Defaults to none:
	// nothing holds writes.
	CheckWrite func() error

	// LockTimeout bounds, to the millisecond, each wait for somebody else's lock. A
	// change waits for writers of its tables, and writers that come meanwhile wait
	// behind it; readers never do. Defaults to 2 s.
	LockTimeout time.Duration

	// StatementTimeout bounds, to the millisecond, each statement on the server.
	// Defaults to 1 minute.
	StatementTimeout time.Duration

	// SettleTimeout bounds how long the outcome of a commit is asked for whose answer
	// was lost. Defaults to 10 s.
	SettleTimeout time.Duration

	// Attempts is how often a change is tried when it meets a deadlock, a lock that
	// is not given back or a connection that breaks. Defaults to 5.
	Attempts int

	// Limits is what rows are checked against.
	Limits Limits

	// Checks are the user's own, run after those of the library.
	Checks []Check

	// Skip names checks that are not run. Naming one that there is not is an error.
	Skip []string
}

// Limits is what CheckIntegrity holds rows against.
type Limits struct {
	// MaxLeverage is the highest leverage that a trade may have. Defaults to none:
	// then the check cannot run.
	MaxLeverage andon.Decimal

	// Addresses are the networks from which trades may come; one address is a network
	// with all bits set. Defaults to none: then the check cannot run, unless the
	// mapping names a whitelist.
	Addresses []netip.Prefix

	// SizeFactor is how many times the average size of all trades makes a trade
	// suspicious. Defaults to 3, as in the playbook.
	SizeFactor andon.Decimal

	// Recent is for how long a trade is looked at by the checks of size, leverage and
	// address. Defaults to 24 h, as in the playbook.
	Recent time.Duration

	// Skew is how far a row may lie in the future before it counts as being there.
	// Defaults to 5 s; at most an hour.
	Skew time.Duration

	// MaxRows bounds the rows that one check returns. All are counted; a result that
	// does not have all of them cannot be exported. Defaults to 10,000.
	MaxRows int
}

func (c Config) withDefaults() Config {
	if c.Schema == "" {
		c.Schema = DefaultSchema
	}
	if c.Mapping.Positions.Name == "" && c.Mapping.Trades.Name == "" && c.Mapping.Fills.Name == "" && c.Mapping.Orders.Name == "" {
		c.Mapping = DefaultMapping()
	}
	c.Mapping = c.Mapping.withDefaults()
	if c.LockTimeout == 0 {
		c.LockTimeout = 2 * time.Second
	}
	if c.StatementTimeout == 0 {
		c.StatementTimeout = time.Minute
	}
	if c.SettleTimeout == 0 {
		c.SettleTimeout = 10 * time.Second
	}
	if c.Attempts == 0 {
		c.Attempts = 5
	}
	if c.Limits.SizeFactor.IsZero() {
		c.Limits.SizeFactor = andon.NewDecimal(3, 0)
	}
	if c.Limits.Recent == 0 {
		c.Limits.Recent = 24 * time.Hour
	}
	if c.Limits.Skew == 0 {
		c.Limits.Skew = 5 * time.Second
	}
	if c.Limits.MaxRows == 0 {
		c.Limits.MaxRows = 10_000
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.DB == nil {
		add("DB: is missing")
	}
	if c.Venue == "" || strings.ContainsRune(c.Venue, 0) {
		add("Venue: %q, want the name that the venue's rows carry", c.Venue)
	}
	if err := checkName(c.Schema); err != nil {
		add("Schema: %q %w", c.Schema, err)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"LockTimeout", c.LockTimeout}, {"StatementTimeout", c.StatementTimeout}, {"SettleTimeout", c.SettleTimeout}} {
		if d.value < time.Millisecond {
			add("%s: %v, want at least 1 ms", d.name, d.value)
		}
	}
	if c.Attempts < 1 {
		add("Attempts: %d, want at least 1", c.Attempts)
	}
	if err := c.Mapping.Validate(); err != nil {
		add("Mapping: %w", err)
	}
	errs = append(errs, c.Limits.validate()...)
	errs = append(errs, checkChecks(c.Checks)...)
	return errors.Join(errs...)
}

func (l Limits) validate() []error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf("Limits."+format, args...)) }
	if l.MaxLeverage.Sign() < 0 {
		add("MaxLeverage: %v is negative", l.MaxLeverage)
	}
	for i, a := range l.Addresses {
		if !a.IsValid() {
			add("Addresses[%d]: %v is no network", i, a)
		}
	}
	if l.SizeFactor.Sign() < 0 {
		add("SizeFactor: %v is negative", l.SizeFactor)
	}
	if l.Recent < 0 {
		add("Recent: %v is negative", l.Recent)
	}
	if l.Skew < 0 || l.Skew > time.Hour {
		add("Skew: %v, want 0 to 1 h", l.Skew)
	}
	if l.MaxRows < 1 {
		add("MaxRows: %d, want at least 1", l.MaxRows)
	}
	return errs
}

// milliseconds is how PostgreSQL's settings take a duration.
func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }
