package severity_test

import (
	"fmt"
	"time"

	"github.com/andon-go/andon/severity"
)

// A failure rate of exactly 20 % is SEV-2: on a boundary the worse level wins.
func Example() {
	classifier, err := severity.NewTable(severity.TableConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 3, 14, 9, 26, 0, 0, time.UTC)
	a := classifier.Assess(now,
		severity.Signal{Condition: severity.DashboardIssue, Component: "grafana", At: now, Source: "probe"},
		severity.Signal{Condition: severity.TradingFailures, Component: "venue/coinbase", Value: severity.Part(2, 10), At: now, Source: "orders"},
	)
	fmt.Println(a.Why)
	fmt.Println("halts:", a.Halts())
	fmt.Println("respond by", a.RespondBy.Format(time.TimeOnly), "resolve by", a.ResolveBy.Format(time.TimeOnly))
	// Output:
	// SEV-2: trading-failures of venue/coinbase: failure rate is 2 of 10, at or above the threshold of 20 %
	// halts: false
	// respond by 09:41:00 resolve by 13:26:00
}

// A rule turns samples into a signal. CPU usage counts once it has been high for
// five minutes.
func ExampleRule_Judge() {
	cpu := severity.PlaybookRules()[3]
	now := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	var samples []severity.Sample
	for ago := 6 * time.Minute; ago >= 0; ago -= 30 * time.Second {
		samples = append(samples, severity.Sample{At: now.Add(-ago), Value: severity.Percent(93)})
	}
	verdict := cpu.Judge(samples, now)
	fmt.Println(verdict.Fires, verdict.Why)
	// Output: true CPU usage: 93 %, at or above the threshold of 80 %, counts after 5m0s
}
