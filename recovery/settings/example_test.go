package settings_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/andon-go/andon/recovery/settings"
)

// The playbook's "reduce load", and its way back.
func Example() {
	dir, err := os.MkdirTemp("", "bot")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	env := filepath.Join(dir, ".env")
	if err := os.WriteFile(env, []byte("MCP_ENABLED=true # the memory server\n"), 0o600); err != nil {
		log.Fatal(err)
	}
	store, err := settings.New(settings.Config{
		Env:      env,
		Dir:      filepath.Join(dir, "state"),
		Recorder: &timeline{},
		Defaults: map[string]string{"RISK__MAX_POSITION_SIZE": "0.25"}, // the bot's own
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	values := map[string]string{"MCP_ENABLED": "false", "RISK__MAX_POSITION_SIZE": "0.1"}
	if _, err := store.Set(ctx, "INC-7/reduce-load", "alice", "latency is 800 ms", values); err != nil {
		log.Fatal(err)
	}
	text, err := os.ReadFile(env)
	fmt.Print(string(text), err, "\n")
	_, err = store.Restore(ctx, "INC-7/reduce-load", "alice", "latency is 40 ms again")
	text, err2 := os.ReadFile(env)
	fmt.Print(string(text), err, err2)
	// Output:
	// MCP_ENABLED=false # the memory server
	// RISK__MAX_POSITION_SIZE=0.1
	// <nil>
	// MCP_ENABLED=true # the memory server
	// <nil> <nil>
}
