package host_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/incident/runbook/host"
)

// A bot gives its runbooks the machine and itself to look at.
func Example() {
	dir, err := os.MkdirTemp("", "andon-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "bot.log"), []byte("GET /accounts status=401\n"), 0o600); err != nil {
		log.Fatal(err)
	}
	machine, err := host.New(host.Config{Exchange: "api.exchange.com:443"})
	if err != nil {
		log.Fatal(err)
	}
	own, err := host.NewBot(host.BotConfig{Dir: filepath.Join(dir, "profiles"), Logs: []string{filepath.Join(dir, "bot.log")}})
	if err != nil {
		log.Fatal(err)
	}
	deps := runbook.Deps{Host: machine, Bot: own}
	found, err := deps.Bot.Grep(context.Background(), "401|403|Invalid|Unauthorized")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(strings.TrimPrefix(found, dir+"/"))
	// Output: bot.log: GET /accounts status=401
}
