package notify_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
)

// One page to whoever is due, on the terminal.
func Example() {
	now := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	directory := notify.Directory{Contacts: []notify.Contact{
		{Name: "Ada", Roles: []notify.Role{notify.OnCallEngineer}, Addresses: []notify.Address{{Channel: "terminal", To: "Ada"}}},
	}}
	courier, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{"terminal": notify.NewTerminal(os.Stdout)}})
	if err != nil {
		fmt.Println(err)
		return
	}
	progress := notify.Progress{Key: notify.Key{Condition: severity.AuthFailure, Component: "coinbase", Episode: 1},
		Level: severity.SEV1, DeclaredAt: now, OpenedAt: now, Round: 1}

	due, next := notify.DefaultPolicy().Due(progress, directory, now)
	for _, d := range due {
		message, err := notify.Alert{Key: d.Key, Incident: "INC-20260314-001", Level: progress.Level, At: now,
			Impact: "Coinbase refuses our keys", Commander: "Ada"}.Message(notify.Templates{})
		if err != nil {
			fmt.Println("to be recorded:", err) // the message is complete all the same
		}
		for _, r := range courier.Broadcast(context.Background(), directory.Find(now, d.Roles...), message) {
			fmt.Println(r.Contact, "reached by", r.Accepted.Channel, "error:", r.Err)
		}
	}
	fmt.Println("ask again at", next.Format(time.TimeOnly))
	// Output:
	// to Ada [auth-failure/coinbase/1/page/1/0]
	//   🚨 INCIDENT ALERT - SEV-1
	//   Time: 2026-03-14 09:00:00 UTC
	//   System: AI Trading Bot
	//   Impact: Coinbase refuses our keys
	//   Status: Investigating
	//   IC: Ada
	//   Channel: #incident-20260314-001
	// Ada reached by terminal error: <nil>
	// ask again at 09:30:00
}
