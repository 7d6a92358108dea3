package console_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/console"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/safety"
)

// The status page is for everybody; a stop asks who is there, and is one press.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "console")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	sw, err := safety.Open(ctx, safety.Config{Name: "btc-maker", Dir: dir, NoFlags: true, Log: quiet})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = sw.Close() }()
	store := &incidenttest.Memory{}
	manager, err := incident.New(ctx, incident.Config{
		Store: store, Halter: sw, Courier: &incidenttest.Pager{}, Log: quiet,
		Directory: notify.Directory{Contacts: []notify.Contact{{
			Name: "Ada", Roles: []notify.Role{notify.OnCallEngineer}, Addresses: []notify.Address{{Channel: "email", To: "ada@example.com"}},
		}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := console.New(console.Config{
		Name: "btc-maker", Public: true, Switch: sw, Incidents: manager, Timeline: store, Log: quiet,
		Authorizer: console.Passwords(map[string]notify.Secret{"Ada": notify.Secret("correct horse")}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(c) // go c.Run(ctx) beside it makes the pages live
	defer server.Close()

	for _, path := range []string{"/status.json", "/console"} {
		resp, err := server.Client().Get(server.URL + path)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = resp.Body.Close()
		fmt.Println(path, resp.Status, strings.Contains(string(body), `"trading": "halted"`))
	}
	// Output:
	// /status.json 200 OK true
	// /console 401 Unauthorized false
}
