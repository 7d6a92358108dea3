package gitrelease_test

import (
	"context"
	"fmt"
	"log"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/gitrelease"
)

// The playbook's rollback, for a person to read before it is done.
func Example() {
	ctx := context.Background()
	var timeline recovery.Recorder // where decisions are kept
	repo, err := gitrelease.Open(gitrelease.Config{
		Source:   "/opt/bot/repo",
		Root:     "/opt/bot/releases",
		Shared:   []gitrelease.Shared{{Path: ".env", From: "/opt/bot/.env"}, {Path: "data", From: "/data"}, {Path: "logs", From: "/logs"}},
		Recorder: timeline,
	})
	if err != nil {
		log.Fatal(err)
	}
	plan, err := repo.Preview(ctx, "stable-latest")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(plan)
	evidence, err := repo.Deploy(ctx, "INC-7/rollback", "alice", "1.5.0 loses orders", "stable-latest")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(evidence)
}
