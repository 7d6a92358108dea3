package incident_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
)

// cord stands for *safety.Switch.
type cord struct{}

func (cord) Engage(by, reason string) error { fmt.Println("gate closed by", by); return nil }

func (cord) Drain(context.Context) ([]string, error) { return nil, nil }

// An incident from the signal to its end. The on-call engineer's terminal stands
// for the pager.
func Example() {
	dir, err := os.MkdirTemp("", "andon")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	j, err := journal.Open(filepath.Join(dir, "incidents.journal"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer j.Close()

	paged := make(chan notify.Message, 9)
	courier, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{"terminal": pipe(paged)}})
	if err != nil {
		fmt.Println(err)
		return
	}
	var team notify.Directory
	for _, role := range []notify.Role{notify.OnCallEngineer, notify.LeadEngineer, notify.CTO, notify.TechManager,
		notify.PrimaryEngineer, notify.SeniorEngineer, notify.TeamLead, notify.AnyEngineer} {
		team.Contacts = append(team.Contacts, notify.Contact{Name: string(role), Roles: []notify.Role{role}, Addresses: []notify.Address{{Channel: "terminal", To: string(role)}}})
	}
	m, err := incident.New(context.Background(), incident.Config{
		Store: j, Halter: cord{}, Courier: courier, Directory: team, Channels: courier.Channels(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- m.Run(ctx) }()

	in, err := m.Declare(ctx, "reconciler", "book and venue differ", severity.Signal{
		Condition: severity.InconsistentPositions, Component: "book", At: time.Now(), Source: "reconciler",
	})
	fmt.Println(in.Level, in.Gate, err)
	fmt.Println("paged:", (<-paged).To)
	fmt.Println(m.Acknowledge(ctx, in.Number, "Ada"))
	fmt.Println((<-paged).Kind)
	fmt.Println(m.Resolve(ctx, in.Number, incident.Resolution{
		By: "Ada", Note: "row repaired", RootCause: "a torn write", Despite: "this is an example, with nothing to check",
	}))
	fmt.Println((<-paged).Kind)
	stop()
	fmt.Println(<-ended)
	// Output:
	// gate closed by andon/incident
	// SEV-1 closed <nil>
	// paged: On-Call Eng
	// <nil>
	// acknowledgement
	// <nil>
	// resolution
	// <nil>
}

// pipe is a Notifier for the example.
type pipe chan<- notify.Message

func (p pipe) Notify(_ context.Context, m notify.Message) error { p <- m; return nil }
