package alertmanager_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/alertmanager"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
)

// An alert becomes an incident. A real program has its own Manager, and serves the
// handler over TLS.
func Example() {
	m, err := incident.New(context.Background(), incident.Config{
		Store: &incidenttest.Memory{}, Halter: &incidenttest.Gate{}, Courier: &incidenttest.Pager{},
		Directory: notify.Directory{Contacts: []notify.Contact{{
			Name: "Ada", Roles: []notify.Role{notify.OnCallEngineer}, Addresses: []notify.Address{{Channel: "phone", To: "ada"}},
		}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	token := notify.Secret("the token in Alertmanager's credentials_file")
	h, err := alertmanager.New(alertmanager.Config{
		Manager: m, Bearer: token,
		Rules: []alertmanager.Rule{{
			Match:     []alertmanager.Match{{Label: "alertname", Pattern: "Venue(Timeouts|Unreachable)"}},
			Condition: severity.VenueTimeouts, ComponentFrom: []string{"venue"},
		}, {
			Match:  []alertmanager.Match{{Label: "alertname", Equals: "Watchdog"}},
			Ignore: true, // it always fires
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- m.Run(ctx) }()

	post := httptest.NewRequest(http.MethodPost, "/alerts", strings.NewReader(`{"version": "4", "status": "firing", "alerts": [
		{"status": "firing", "labels": {"alertname": "VenueTimeouts", "venue": "coinbase"}, "startsAt": "2026-03-14T09:26:00Z"},
		{"status": "firing", "labels": {"alertname": "Watchdog"}, "startsAt": "2026-03-01T00:00:00Z"}]}`))
	post.Header.Set("Content-Type", "application/json")
	post.Header.Set("Authorization", "Bearer "+string(token))
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, post)
	fmt.Print(answer.Code, " ", answer.Body)
	for _, in := range m.Open() {
		fmt.Println(in.Level, in.Condition, in.Component, in.Gate)
	}
	stop()
	fmt.Println(<-ended)
	// Output:
	// 200 {"firing":1,"resolved":0,"ignored":1,"left_out":0}
	// SEV-1 venue-timeouts coinbase closed
	// <nil>
}

// Before an incident is closed, its checklist asks whether alerts are cleared.
// Checker.Cleared fits recovery.Proofs.
func ExampleChecker() {
	alertmanagerOfThisExample := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v2/status" {
			fmt.Fprintf(w, `{"cluster": {"status": "ready"}, "versionInfo": {"version": "0.31.1"}, "uptime": %q}`, time.Now().Add(-time.Hour).Format(time.RFC3339))
			return
		}
		fmt.Fprint(w, `[{"labels": {"alertname": "VenueTimeouts", "instance": "a"}, "status": {"state": "suppressed", "silencedBy": ["x"]}}]`)
	}))
	defer alertmanagerOfThisExample.Close()

	c, err := alertmanager.NewChecker(alertmanager.CheckerConfig{URL: alertmanagerOfThisExample.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	_, err = c.Cleared(context.Background())
	fmt.Println(err)
	// Output: alerts are not cleared: 1 silenced: VenueTimeouts(a)
}
