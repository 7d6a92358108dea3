package etcdfleet_test

import (
	"context"
	"testing"

	"github.com/andon-go/andon/internal/fleetdrill"
	"github.com/andon-go/andon/safety/fleet"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// BenchmarkFleetStop is one stop of eight bots beside one Put heard by eight watches, on
// a server that syncs its log to disk.
func BenchmarkFleetStop(b *testing.B) {
	b.Setenv(serverSync, "1")
	e := startEtcd(b)
	address := "127.0.0.1:" + e.port
	writer, err := dial(address)
	require.NoError(b, err)
	defer writer.Close()
	fleetdrill.Bench(b, func() (fleet.Backend, error) { return openBackend("bench|" + address) }, fleetdrill.Bare{
		Listen: func(ctx context.Context, ready, heard func()) error {
			client, err := dial(address)
			if err != nil {
				return err
			}
			defer client.Close()
			for got := range client.Watch(ctx, "bare", clientv3.WithCreatedNotify()) {
				if err := got.Err(); err != nil {
					return err
				}
				if got.Created {
					ready()
				}
				for range got.Events {
					heard()
				}
			}
			return ctx.Err()
		},
		Fire: func(ctx context.Context, value string) error {
			_, err := writer.Put(ctx, "bare", value)
			return err
		},
	})
}
