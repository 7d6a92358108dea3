package postmortem_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/andon-go/andon/incident/postmortem"
)

// A report is made from the timeline; here the first lines of one.
func Example() {
	report, err := postmortem.New("INC-20260314-001", story(), noon.Add(time.Hour))
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, line := range strings.Split(report.Markdown(), "\n") {
		if i < 9 {
			fmt.Println(line)
		}
	}
	// Output:
	// # Post-Mortem INC-20260314-001
	//
	// ## Incident Summary
	//
	// - **Incident ID**: INC-20260314-001
	// - **Date**: 2026-03-14
	// - **Duration**: 0 hours 41 minutes
	// - **Severity**: SEV-1
	// - **Lead**: Ada
}
