package pgbackup_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/andon-go/andon/recovery/pgbackup"
)

// A stream beside the bot: it keeps every committed change, and pages when its promise is
// broken, which a new base backup mends.
func ExampleStream() {
	run := func(ctx context.Context, url string, store *pgbackup.Store, page func(error)) error {
		conn, err := pgx.ParseConfig(url)
		if err != nil {
			return err
		}
		base := make(chan struct{}, 1)
		stream, err := pgbackup.NewStream(pgbackup.StreamConfig{
			Conn:   conn,
			Dir:    "/backups/wal",
			Tables: []string{"positions", "trades", "orders"},
			OnAlarm: func(alarm error) {
				page(alarm)
				if errors.Is(alarm, pgbackup.ErrGap) || errors.Is(alarm, pgbackup.ErrAltered) {
					select {
					case base <- struct{}{}:
					default: // one is due already
					}
				}
			},
		})
		if err != nil {
			return err
		}
		ended := make(chan error, 1)
		go func() { ended <- stream.Run(ctx) }()
		for {
			select {
			case err := <-ended:
				return err // nil when ctx has ended
			case <-base:
				b, err := store.Backup(ctx, time.Now())
				if err == nil {
					_, err = store.Verify(ctx, b.Name, time.Now())
				}
				if err != nil {
					page(err)
				}
			}
		}
	}
	_ = run
}

// A few ruined rows are put right in a table that stays in use.
func ExampleStore_PlanRepair() {
	repair := func(ctx context.Context, store *pgbackup.Store) error {
		plan, err := store.PlanRepair(ctx, pgbackup.RepairRequest{Table: "positions"}, time.Now())
		if errors.Is(err, pgbackup.ErrTooMany) {
			return fmt.Errorf("restore the whole table: %w", err)
		}
		if err != nil {
			return err
		}
		if plan.NothingToDo() {
			return nil
		}
		fmt.Print(plan) // a person reads it, and says yes
		done, err := store.Repair(ctx, plan, "alice", "INC-7: quantities were ruined", time.Now())
		if err != nil {
			return err
		}
		fmt.Println(done.Updated, "rows changed; as they were they are in", done.Kept)
		return nil
	}
	_ = repair
}

// One corrupting transaction is undone, and what came later stays.
func ExampleStore_PlanUndo() {
	undo := func(ctx context.Context, store *pgbackup.Store, xid uint32) error {
		plan, err := store.PlanUndo(ctx, pgbackup.UndoRequest{Log: "/backups/wal", XID: xid}, time.Now())
		if err != nil {
			return err
		}
		fmt.Print(plan) // with the rows that were changed since, which stay as they are
		for _, c := range plan.Conflicts {
			fmt.Println("look at", c.Table, c.Key)
		}
		_, err = store.Undo(ctx, plan, "alice", "INC-7: a bug wrote it", time.Now())
		return err
	}
	_ = undo
}

// Which transaction it was, the log tells.
func ExampleReadLog() {
	find := func(ctx context.Context) error {
		span, err := pgbackup.ReadLog(ctx, "/backups/wal", func(x pgbackup.Transaction) error {
			for _, c := range x.Changes {
				if c.Kind == "truncate" {
					fmt.Println(x.At, "transaction", x.XID, "emptied", c.Table)
				}
			}
			return nil
		})
		fmt.Println("without a gap from", span.From, "until", span.Until)
		return err
	}
	_ = find
}
