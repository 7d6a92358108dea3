package playbook_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/incident/playbook"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/safety"
	"github.com/andon-go/andon/severity"
)

// A bot that embeds the whole playbook. Its file has the people; the rest is the document.
func Example() {
	dir, err := os.MkdirTemp("", "bot")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	venue := andontest.New(andontest.Config{Name: "sim"})

	ctx, stop := context.WithCancel(context.Background())
	p, err := playbook.Load(strings.NewReader(file(dir)))
	if err != nil {
		log.Fatal(err)
	}
	store, err := journal.Open(dir + "/timeline")
	if err != nil {
		log.Fatal(err)
	}
	a, err := playbook.Assemble(ctx, p, playbook.Deps{
		Name: "btc-maker", Dir: dir, Store: store, Logs: []string{},
		Channels: map[string]notify.Notifier{"email": notify.NewTerminal(os.Stderr)},
		Venues:   map[string]safety.CloseVenue{"sim": {Venue: venue}},
	})
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- a.Run(ctx) }()

	in, err := a.Incidents.Declare(ctx, "Ada", "the engine does not answer", severity.Signal{Condition: severity.HealthCheckFailed, Component: "engine"})
	if err != nil {
		log.Fatal(err)
	}
	_, denied := a.Switch.Submit(ctx, venue, andon.Order{Venue: "sim", Symbol: "BTC-USD", ClientID: "1", Side: andon.Buy, Kind: andon.Market, Quantity: andon.MustDecimal("1")})
	fmt.Println(in.Level, a.Switch.State(), denied != nil)

	stop()
	fmt.Println(<-ended, store.Close())
	// Output:
	// SEV-1 halted true
	// <nil> <nil>
}

// file is what the bot has in its andon.yaml.
func file(dir string) string {
	return `
contacts:
  on_call_rotation:
    primary: ada@example.com
    secondary: grace@example.com
files:
  emergency_stop: ` + dir + `/EMERGENCY_STOP
  read_only: ` + dir + `/READONLY_MODE
`
}
