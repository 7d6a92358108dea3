package journal_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/journal"
)

// Two events are appended, read back and verified against the tip that was
// published.
func Example() {
	dir, err := os.MkdirTemp("", "andon")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "incidents.journal")
	j, err := journal.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	noon := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	_, err = j.Append(context.Background(), 0,
		incident.Event{At: noon, Kind: incident.Decision, By: "Ada", What: "trading halted", Why: "prices look wrong"},
		incident.Event{At: noon.Add(time.Hour), Kind: incident.Decision, By: "Ada", What: "trading resumed", Why: "the feed was late"},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	for e, err := range j.Read(context.Background(), 0) {
		fmt.Println(e.Seq, e.By, e.What, err)
	}
	published := j.Tip()
	if err := j.Close(); err != nil {
		fmt.Println(err)
		return
	}
	report, err := journal.Verify(path, published)
	fmt.Println(report.Tip.Seq, report.Torn, err)
	// Output:
	// 1 Ada trading halted <nil>
	// 2 Ada trading resumed <nil>
	// 2 0 <nil>
}
