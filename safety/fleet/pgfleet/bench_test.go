package pgfleet_test

import (
	"context"
	"testing"

	"github.com/andon-go/andon/internal/fleetdrill"
	"github.com/andon-go/andon/internal/pgtest"
	"github.com/andon-go/andon/safety/fleet"
	"github.com/andon-go/andon/safety/fleet/pgfleet"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// BenchmarkFleetStop is one stop of eight bots beside one UPDATE and NOTIFY heard by eight
// listeners, on a server that syncs its commits to disk.
func BenchmarkFleetStop(b *testing.B) {
	pg := pgtest.Start(b, "fsync=on")
	cfg := pgfleet.Config{ConnString: pg.ConnString(), Fleet: "bench"}
	require.NoError(b, open(b, cfg).Create(b.Context()))
	pg.Psql("CREATE TABLE bare (id int PRIMARY KEY, value text); INSERT INTO bare VALUES (1, '')")
	writer, err := pgx.Connect(b.Context(), pg.ConnString())
	require.NoError(b, err)
	defer func() { require.NoError(b, writer.Close(context.Background())) }()
	fleetdrill.Bench(b, func() (fleet.Backend, error) { return pgfleet.Open(cfg) }, fleetdrill.Bare{
		Listen: func(ctx context.Context, ready, heard func()) error {
			conn, err := pgx.Connect(ctx, pg.ConnString())
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close(context.Background()) }()
			if _, err := conn.Exec(ctx, "LISTEN bare"); err != nil {
				return err
			}
			ready()
			for {
				if _, err := conn.WaitForNotification(ctx); err != nil {
					return err
				}
				heard()
			}
		},
		Fire: func(ctx context.Context, value string) error {
			_, err := writer.Exec(ctx, "WITH u AS (UPDATE bare SET value = $1 WHERE id = 1 RETURNING id) SELECT pg_notify('bare', $1) FROM u", value)
			return err
		},
	})
}
