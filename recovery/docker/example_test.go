package docker_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/docker"
)

// What a bot sets up once, and what an operator's command then does: the bot is
// restarted, and rolled back when that is not enough.
func Example() {
	ctx := context.Background()
	engine, err := docker.Dial("") // DOCKER_HOST, or the usual socket
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()
	var timeline recovery.Recorder // where decisions are kept
	stack, err := docker.New(docker.Config{
		Engine:   engine,
		Project:  "trading",
		Services: []string{"ai-trading-bot", "postgres"},
		Dir:      "/backups/docker",
		Recorder: timeline,
		Quiet:    func(context.Context) error { return nil }, // no incident is open
	})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := stack.Restart(ctx, "ai-trading-bot", "alice", "the websocket is dead", time.Now()); err == nil {
		return
	}
	plan, err := stack.PlanRecreate(ctx, "ai-trading-bot", "", time.Now()) // the newest pinned image
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(plan) // for a person to read before it is applied
	done, err := stack.Recreate(ctx, plan, "alice", "1.5.0 does not come up", time.Now())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(done.Container)
}
