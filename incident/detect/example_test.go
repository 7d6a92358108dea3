package detect_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/detect"
	"github.com/andon-go/andon/severity"
)

// printer stands for an *incident.Manager.
type printer struct{ done chan struct{} }

func (p printer) Declare(_ context.Context, by, summary string, s ...severity.Signal) (incident.Incident, error) {
	fmt.Printf("%s declares %s: %s\n", by, s[0].Condition, summary)
	p.done <- struct{}{}
	return incident.Incident{}, nil
}

func (printer) Clear(context.Context, string, string, time.Time, string) (incident.Incident, error) {
	return incident.Incident{}, nil
}

// A bot that is asked by a probe, and one that measures by itself.
func Example() {
	manager := printer{done: make(chan struct{}, 2)}
	d, err := detect.New(detect.Config{Incidents: manager, Indicators: []detect.Indicator{
		detect.Playbook(severity.SlowExecution), // fed by Sample
		detect.Playbook(severity.IntegrityCheckFailed).On("database", detect.Counting(
			func(context.Context) (int, string, error) { return 0, "", nil })),
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()

	err = d.Sample(detect.Sample{Indicator: "execution latency", Component: "venue/coinbase", Value: severity.Took(612 * time.Millisecond)})
	if err != nil {
		fmt.Println(err)
	}
	<-manager.done
	cancel()
	fmt.Println(<-ended)
	// Output:
	// detector declares slow-execution: venue/coinbase: execution latency: 612ms, at or above the threshold of 500ms, over the last 1m0s
	// context canceled
}

// Lines of a log are counted: five that tell of unauthorized access within a minute are
// an incident.
func ExampleLogs() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "bot.log")

	manager := printer{done: make(chan struct{}, 2)}
	d, err := detect.New(detect.Config{Incidents: manager, Indicators: []detect.Indicator{
		detect.Playbook(severity.UnauthorizedAccess), detect.Playbook(severity.RisingErrors), detect.Playbook(severity.AnomalousLogs),
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	logs, err := detect.NewLogs(detect.LogsConfig{Files: []string{path}, Match: func(m detect.Match) {
		m.File = "/bot.log" // a stable name for this example
		d.Line(m)
	}, FromStart: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	var text strings.Builder
	for range 5 {
		text.WriteString("POST /api/v3/orders answers 401 Unauthorized\n")
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		fmt.Println(err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	go func() { ended <- logs.Run(ctx) }()
	<-manager.done
	cancel()
	fmt.Println(errors.Is(errors.Join(<-ended, <-ended), context.Canceled))
	// Output:
	// detector declares unauthorized-access: log/bot.log: unauthorized-access: 5, at or above the threshold of 5, over the last 1m0s
	// true
}
