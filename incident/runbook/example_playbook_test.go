package runbook_test

import (
	"context"
	"fmt"

	"github.com/andon-go/andon/incident/runbook"
)

// The playbook's runbooks over a bot that has a health check and nothing else: what it
// does not have, a person does.
func ExamplePlaybook() {
	books, err := runbook.Playbook(runbook.Deps{
		Bot: runbook.Bot{Health: func(context.Context) (string, error) { return "engine up", nil }},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, b := range books {
		fmt.Println(b.Name)
	}
	for _, s := range books[4].Steps {
		if s.Name == "halt" || s.Name == "health" {
			fmt.Printf("%s, by a person: %v, instead of %s\n", s.Purpose, s.Attest != "", s.Commands[0])
		}
	}
	// Output:
	// Exchange API Authentication Failure
	// Memory/Database Issues
	// WebSocket Disconnection
	// High CPU/Memory Usage
	// Service Outage
	// Data Corruption
	// Security Breach
	// Performance Degradation
	// HALT ALL TRADING: Emergency stop, by a person: true, instead of docker-compose exec ai-trading-bot touch /tmp/EMERGENCY_STOP
	// Verify Recovery: Health checks, by a person: false, instead of poetry run python -m bot.utils.health_check
}
