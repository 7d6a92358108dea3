package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/fallback"
	"github.com/andon-go/andon/incident/incidenttest"
)

// The shared store goes and comes back; the bot does not notice.
func Example() {
	ctx := context.Background()
	shared, local := &incidenttest.Memory{}, &incidenttest.Memory{} // a pgstore and a journal
	s, err := fallback.New(ctx, fallback.Config{Shared: shared, Local: local, Name: "bot1", Log: quiet})
	if err != nil {
		fmt.Println(err)
		return
	}
	shared.Fail(errors.New("connection refused"))
	noon := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	_, err = s.Append(ctx, 0, incident.Event{At: noon, Kind: incident.Decision, By: "Ada", What: "trading halted", Why: "prices look wrong"})
	fmt.Println(err, s.Provisional())
	shared.Fail(nil)
	fmt.Println(s.Sync(ctx)) // Run does this every second
	for e, err := range shared.Read(ctx, 0) {
		fmt.Println(e.Seq, e.What, e.Cites.Seq, err)
	}
	// Output:
	// <nil> bot1
	// <nil>
	// 1 trading halted 1 <nil>
}
