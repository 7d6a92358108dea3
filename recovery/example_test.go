package recovery_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/recoverytest"
)

// A backup is taken and counts once it was read back; what has no backup is a
// breach and says so.
func ExampleCatalog() {
	ctx := context.Background()
	now := time.Date(2026, 3, 4, 15, 4, 5, 0, time.UTC)
	target := recoverytest.NewTarget(recovery.Configuration, []byte("leverage: 2"))
	catalog, err := recovery.NewCatalog(recovery.CatalogConfig{
		Targets: map[recovery.Component]recovery.Target{recovery.Configuration: target},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	backup, err := catalog.Backup(ctx, recovery.Configuration, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(backup)
	for _, c := range catalog.Compliance(ctx, now.Add(10*time.Minute))[1:3] {
		fmt.Println(c)
	}
	// Output:
	// backup_20260304_150405 verified: 1 files, 11 bytes
	// Position Database: BREACH: Position Database: no backup target is configured: no verified backup
	// Configuration: BREACH: newest verified backup backup_20260304_150405 is 10m0s old, RPO is 5m0s; no restore was ever measured, RTO is 15m0s
}

// The first two of the eight steps have what they need; the third has no check, so
// the recovery stops there.
func ExampleSequence() {
	protected := false
	steps := recovery.PriorityOrder()
	steps[0].Check = func(context.Context) (string, error) {
		if !protected {
			return "", errors.New("BTC-USD has no stop")
		}
		return "1 of 1 positions has a stop", nil
	}
	steps[0].Action = func(context.Context) error { protected = true; return nil }
	steps[1].Check = func(context.Context) (string, error) { return "1 of 1 positions agrees with the venue", nil }

	sequence, err := recovery.NewSequence(recovery.SequenceConfig{Steps: steps, Recorder: new(recoverytest.Recorder)})
	if err != nil {
		fmt.Println(err)
		return
	}
	results, err := sequence.Run(context.Background(), "alice", nil)
	for _, r := range results {
		fmt.Println(r.Name, r.Proven, r.Acted, r.Evidence+r.Problem)
	}
	fmt.Println(err)
	// Output:
	// Stop Loss System true true 1 of 1 positions has a stop
	// Position Tracking true false 1 of 1 positions agrees with the venue
	// Trading Engine false false no check is configured for it
	// Trading Engine: unproven: no check is configured for it
}

// What a machine can see is proven by its check, what only a person knows is
// attested by that person.
func ExampleChecklist() {
	ctx := context.Background()
	now := time.Date(2026, 3, 4, 15, 4, 5, 0, time.UTC)
	list, err := recovery.NewChecklist(recovery.ChecklistConfig{
		Recorder: new(recoverytest.Recorder),
		Items: recovery.ValidationItems(recovery.Proofs{
			ErrorWindow: 3 * time.Second,
			NoErrorLogs: func(_ context.Context, window time.Duration) (string, error) { return "0 lines", nil },
		})[1:7],
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := list.Attest(ctx, now, recovery.ItemStakeholdersNotified, "alice", "called both desks"); err != nil {
		fmt.Println(err)
	}
	if err := list.Run(ctx, "alice"); err != nil {
		fmt.Println(len(list.Unproven()), "unproven")
	}
	for _, r := range list.Results() {
		fmt.Println(r)
	}
	// Output:
	// 4 unproven
	// - [x] No error logs in last 5 minutes (window 3s): 0 lines (by alice)
	// - [ ] Successful test trade in paper mode: UNPROVEN: no check is configured for it
	// - [ ] All positions accounted for: UNPROVEN: no check is configured for it
	// - [ ] Risk limits enforced: UNPROVEN: no check is configured for it
	// - [ ] Monitoring alerts cleared: UNPROVEN: no check is configured for it
	// - [x] Stakeholders notified: called both desks (attested by alice)
}

// A target of your own writes parts into a draft. The backup counts when it was
// read back, and is read only then.
func ExampleRepository() {
	ctx := context.Background()
	now := time.Date(2026, 3, 4, 15, 4, 5, 0, time.UTC)
	repository, err := recovery.NewRepository(recovery.RepositoryConfig{
		Component: recovery.HistoricalData,
		Storage:   new(recoverytest.Storage), // recovery.NewDirStorage("/backups/history")
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	draft, err := repository.Begin(ctx, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	part, err := draft.Create(ctx, "candles")
	if err == nil {
		_, err = fmt.Fprintln(part, "BTC-USD,1m,67000.5")
		part.AddRows(1)
	}
	if err == nil {
		err = part.Close()
	}
	if err != nil {
		fmt.Println(errors.Join(err, draft.Discard(ctx)))
		return
	}
	backup, err := draft.Commit(ctx, nil)
	fmt.Println(backup, err)
	_, err = repository.Read(ctx, backup.Name)
	fmt.Println(err)
	backup, err = repository.Verify(ctx, backup.Name, now)
	fmt.Println(backup, err)
	// Output:
	// backup_20260304_150405 complete: 1 files, 19 bytes: it was not read back yet <nil>
	// backup_20260304_150405 is complete: it was not read back yet: the backup is not verified
	// backup_20260304_150405 verified: 1 files, 19 bytes <nil>
}
