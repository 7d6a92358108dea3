package rediscache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/andon-go/andon/recovery"
	"github.com/redis/go-redis/v9"
)

var (
	// ErrUnreachable says that the server does not answer.
	ErrUnreachable = errors.New("redis does not answer")

	// ErrOutcomeUnknown says that the answer to a flush was lost: the cache may be
	// empty or not. The same plan can be applied again; it flushes once.
	ErrOutcomeUnknown = errors.New("the outcome of the flush is not known")

	// ErrMoved says that a plan was made for facts that are no longer so, or too
	// long ago.
	ErrMoved = errors.New("the facts have moved since the plan was made")

	// ErrNotACache says that a server holds keys which never expire and that it does
	// not evict, so that they may be more than a cache.
	ErrNotACache = errors.New("the server holds what does not look like a cache")

	// ErrReplica says that a server copies another one, which would fill it again.
	ErrReplica = errors.New("the server is a replica")

	// ErrCluster says that a server is one of several: FLUSHALL would empty a part.
	ErrCluster = errors.New("the server is part of a cluster")
)

// Client is what this package needs of go-redis; *redis.Client has it.
type Client interface {
	Do(ctx context.Context, args ...any) *redis.Cmd
}

// Config says which server is looked at.
type Config struct {
	// Client talks to the server. Required.
	Client Client

	// Recorder puts a flush on the timeline before it happens. Without one nothing
	// can be flushed.
	Recorder recovery.Recorder

	// ValidFor is how old a plan may be when it is applied, at most 12 hours.
	// Defaults to 15 minutes.
	ValidFor time.Duration

	// Timeout bounds each call of the server. Defaults to 5 seconds.
	Timeout time.Duration
}

func (c Config) validate() error {
	var errs []error
	if c.Client == nil {
		errs = append(errs, errors.New("Client: is nil"))
	}
	if c.ValidFor < 0 || c.ValidFor > 12*time.Hour {
		errs = append(errs, fmt.Errorf("ValidFor: %v is not between 0 and 12 hours", c.ValidFor))
	}
	if c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("Timeout: %v is negative", c.Timeout))
	}
	return errors.Join(errs...)
}

// Cache is a Redis server that the bot uses as a cache. It is safe for concurrent
// use.
type Cache struct {
	cfg Config
}

// New returns a cache, or every problem of the configuration, joined. It talks to
// nobody.
func New(cfg Config) (*Cache, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.ValidFor == 0 {
		cfg.ValidFor = 15 * time.Minute
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	return &Cache{cfg}, nil
}

// do makes one call within its time. When the server did not answer the error is
// ErrUnreachable; an answer that is an error is what it says.
func (c *Cache) do(ctx context.Context, args ...any) (*redis.Cmd, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	cmd := c.cfg.Client.Do(ctx, args...)
	err := cmd.Err()
	_, answered := errors.AsType[redis.Error](err)
	_, network := errors.AsType[net.Error](err)
	if err != nil && (!answered || network || errors.Is(err, io.EOF) || ctx.Err() != nil) {
		err = fmt.Errorf("%w (is it running, and is its address right?): %w", ErrUnreachable, err)
	}
	return cmd, err
}
