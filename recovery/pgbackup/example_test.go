package pgbackup_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/pgbackup"
)

// timeline keeps what is decided; a bot has its incident.Manager here.
type timeline struct{}

func (timeline) Record(_ context.Context, at time.Time, who, what, why string) error {
	fmt.Println(at.Format(time.TimeOnly), who, what, why)
	return nil
}

// A backup that counts, and a table that is brought back from it.
func Example() {
	restore := func(ctx context.Context, url string, checkWrite func() error) error {
		conn, err := pgx.ParseConfig(url)
		if err != nil {
			return err
		}
		storage, err := recovery.NewDirStorage("/backups/postgres")
		if err != nil {
			return err
		}
		repository, err := recovery.NewRepository(recovery.RepositoryConfig{Component: recovery.PositionDatabase, Storage: storage})
		if err != nil {
			return err
		}
		store, err := pgbackup.New(pgbackup.Config{
			Conn:       conn,
			Repository: repository,
			Recorder:   timeline{},
			Idle: func(context.Context) error {
				if checkWrite() == nil { // safety.Switch.CheckWrite
					return errors.New("writes are not held: touch /tmp/READONLY_MODE")
				}
				return nil
			},
			Sums: []pgbackup.Sum{{Table: "positions", By: "symbol", Of: "quantity"}},
		})
		if err != nil {
			return err
		}
		b, err := store.Backup(ctx, time.Now())
		if err != nil {
			return err
		}
		if _, err := store.Verify(ctx, b.Name, time.Now()); err != nil {
			return err
		}

		plan, err := store.PlanRestore(ctx, pgbackup.Request{Tables: []string{"positions"}}, time.Now())
		if err != nil {
			return err
		}
		fmt.Print(plan) // a person reads it, and says yes
		done, err := store.Restore(ctx, plan, "alice", "INC-7: rows were ruined", time.Now())
		if err != nil {
			return err
		}
		fmt.Println("what was replaced is in", done.Kept)
		return nil
	}
	_ = restore
}
