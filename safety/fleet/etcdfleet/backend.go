package etcdfleet

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/andon-go/andon/safety/fleet"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Config says where the records are. Client and Fleet are required.
type Config struct {
	// Client talks to the cluster. The caller closes it, after the member's Run has ended.
	Client *clientv3.Client

	// Fleet is the name of the fleet: up to 200 letters, digits and any of -._
	Fleet string

	// Prefix of the keys, before the fleet's name. Defaults to "/andon/fleet/".
	Prefix string
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,200}$`)

func (c Config) validate() error {
	var errs []error
	if c.Client == nil {
		errs = append(errs, errors.New("Client is missing"))
	}
	if !nameForm.MatchString(c.Fleet) {
		errs = append(errs, fmt.Errorf("Fleet %.300q: want 1 to 200 letters, digits and any of -._", c.Fleet))
	}
	if !strings.HasSuffix(c.Prefix, "/") {
		errs = append(errs, fmt.Errorf("Prefix %q does not end in a slash, so one fleet could read another's keys", c.Prefix))
	}
	return errors.Join(errs...)
}

// Backend is a fleet.Backend. Safe for concurrent use.
type Backend struct {
	client *clientv3.Client
	prefix string
}

// New returns a backend. Errors are those of the configuration.
func New(cfg Config) (*Backend, error) {
	if cfg.Prefix == "" {
		cfg.Prefix = "/andon/fleet/"
	}
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("etcdfleet: %w", err)
	}
	return &Backend{client: cfg.Client, prefix: cfg.Prefix + cfg.Fleet + "/"}, nil
}

// Read returns the fleet's keys by one linearizable read.
func (b *Backend) Read(ctx context.Context) ([]fleet.Record, error) {
	got, err := b.client.Get(ctx, b.prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("etcdfleet: read: %w", err)
	}
	rs := make([]fleet.Record, len(got.Kvs))
	for i, kv := range got.Kvs {
		rs[i] = fleet.Record{Key: strings.TrimPrefix(string(kv.Key), b.prefix), Value: kv.Value, Revision: kv.ModRevision}
	}
	return rs, nil
}

// Write changes one key, if it has the revision. It is not asked twice: a client that
// tried again by itself could hide that the first attempt took effect.
func (b *Backend) Write(ctx context.Context, r fleet.Record, _ bool) (int64, error) {
	if r.Value == nil && r.Revision == 0 {
		return 0, fleet.ErrConflict
	}
	key := b.prefix + r.Key
	op := clientv3.OpPut(key, string(r.Value))
	if r.Value == nil {
		op = clientv3.OpDelete(key)
	}
	got, err := b.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", r.Revision)).Then(op).Commit()
	if err != nil {
		return 0, fmt.Errorf("etcdfleet: write %s: %w", r.Key, err)
	}
	if !got.Succeeded {
		return 0, fleet.ErrConflict
	}
	return got.Header.Revision, nil
}

// Watch watches the keys. It ends when this server is cut from the quorum, rather than
// going on in silence.
func (b *Backend) Watch(ctx context.Context, prefix string, woken func(key string)) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for got := range b.client.Watch(ctx, b.prefix+prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify()) {
		if err := got.Err(); err != nil {
			return fmt.Errorf("etcdfleet: watch: %w", err)
		}
		if got.Created {
			woken("")
		}
		for _, e := range got.Events {
			woken(strings.TrimPrefix(string(e.Kv.Key), b.prefix))
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.New("etcdfleet: watch: the client is closed")
}
