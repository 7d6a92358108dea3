package filebackup_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/filebackup"
	"github.com/andon-go/andon/recovery/recoverytest"
)

// A configuration is backed up, damaged, and put back by a plan.
func Example() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	config := filepath.Join(dir, "production.json")
	if err := os.WriteFile(config, []byte(`{"leverage":2}`), 0o600); err != nil {
		log.Fatal(err)
	}
	if err := restoreDamaged(dir, config); err != nil {
		log.Print(err)
	}
	// Output:
	// backup_20260304_150405 verified: 1 files, 14 bytes
	//   .: changed: content, time
	// {"leverage":2}
	// kept {"leverage":200}
}

func restoreDamaged(dir, config string) error {
	ctx, now := context.Background(), time.Date(2026, 3, 4, 15, 4, 5, 0, time.UTC)
	store, err := filebackup.New(filebackup.Config{
		Component: recovery.Configuration,
		Dir:       filepath.Join(dir, "backups"),
		Sources:   []string{config},
		Recorder:  new(recoverytest.Recorder),
		Idle:      func(context.Context, string) error { return nil }, // here nobody else writes
	})
	if err != nil {
		return err
	}
	backup, err := store.Backup(ctx, now)
	if err != nil {
		return err
	}
	if backup, err = store.Verify(ctx, backup.Name, now); err != nil {
		return err
	}
	fmt.Println(backup)

	if err := os.WriteFile(config, []byte(`{"leverage":200}`), 0o600); err != nil {
		return err
	}
	plan, err := store.PlanRestore(ctx, filebackup.Request{}, now)
	if err != nil {
		return err
	}
	fmt.Println(strings.Split(plan.String(), "\n")[2])
	done, err := store.Restore(ctx, plan, "alice", "leverage is wrong", now)
	if err != nil {
		return err
	}
	is, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	was, err := os.ReadFile(done.Kept)
	if err != nil {
		return err
	}
	fmt.Printf("%s\nkept %s\n", is, was)
	return nil
}
