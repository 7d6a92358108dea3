package diagnose_test

import (
	"context"
	"fmt"

	"github.com/andon-go/andon/recovery/diagnose"
)

// Without a database the report says what it could not see.
func ExampleRun() {
	report := diagnose.Run(context.Background(), diagnose.Config{Paths: []string{"/"}})
	for _, unseen := range report.Unseen()[:2] {
		fmt.Println(unseen)
	}
	_, seen := report.Section("process")
	fmt.Println(seen)
	// Output:
	// database: activity: no database is configured
	// database: blocking: no database is configured
	// true
}
