package runbook_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/andon-go/andon/incident/runbook"
)

// A runbook with a step that somebody approves and one that a person does.
func Example() {
	restarted := false
	outage := runbook.Runbook{Name: "Service Outage", Steps: []runbook.Step{
		{
			Name: "restart", Purpose: "the engine answers again", Approval: runbook.One,
			Do: func(context.Context, runbook.Call) (string, error) {
				restarted = true
				return "container engine started", nil
			},
			Done: func(context.Context, runbook.Call) (bool, string, error) { return restarted, "it is up", nil },
		},
		{Name: "tell", Purpose: "customers know", Attest: "write to the status page's readers"},
	}}
	manager := &timeline{} // an *incident.Manager in a bot
	e, err := runbook.New(context.Background(), runbook.Config{Incidents: manager, Runbooks: []runbook.Runbook{outage}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- e.Run(ctx) }()

	id, err := e.Start(ctx, "Service Outage", "INC-20260301-001", "Ada", "the engine does not answer", nil)
	if err != nil {
		fmt.Println(err)
	}
	_, err = e.Wait(ctx, id)
	fmt.Println(err)
	if err := e.Approve(ctx, id, "restart", "Grace", "the log says out of memory"); err != nil {
		fmt.Println(err)
	}
	_, err = e.Wait(ctx, id)
	fmt.Println(err)
	if err := e.Attest(ctx, id, "tell", "Ada", "mail of 12:04"); err != nil {
		fmt.Println(err)
	}
	run, err := e.Wait(ctx, id)
	for _, s := range run.Steps {
		fmt.Printf("%s: %s: %s\n", s.Name, s.Status, s.Evidence)
	}
	cancel()
	fmt.Println(err, errors.Is(<-ended, context.Canceled))
	// Output:
	// INC-20260301-001/1: the run waits for a person: step "restart": 1 more to Approve: the engine answers again
	// INC-20260301-001/1: the run waits for a person: step "tell": a person to do it, and Attest: write to the status page's readers
	// restart: done: container engine started
	// tell: done: mail of 12:04
	// <nil> true
}
