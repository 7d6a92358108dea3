package incident_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/webhook"
)

// benchManager runs a manager on a durable journal whose pages go to one address of a
// channel. The function returned ends it.
func benchManager(b *testing.B, n notify.Notifier, to string, halter incident.Halter) (*incident.Manager, func()) {
	j, err := journal.Open(filepath.Join(b.TempDir(), "journal"))
	if err != nil {
		b.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	courier, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{"phone": n}, Log: quiet,
		Storm: notify.Storm{Pages: 1e9}, Limits: map[string]notify.Limit{"phone": {Burst: 1e9}}}) // a benchmark is a storm
	if err != nil {
		b.Fatal(err)
	}
	team := everybody()
	for i := range team.Contacts {
		team.Contacts[i].Addresses[0].To = to
	}
	m, err := incident.New(b.Context(), incident.Config{Store: j, Courier: courier, Directory: team, Log: quiet, Halter: halter})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	return m, func() {
		stop()
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// report gives the median and the 99th percentile in microseconds.
func report(b *testing.B, what string, all []time.Duration) {
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "µs-"+what+"-p50")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "µs-"+what+"-p99")
}

// BenchmarkSignalToWebhook measures from the signal of a SEV-1 incident to the closed
// gate and to the first signed webhook that a server on loopback has accepted, on a
// durable journal. Each round declares, waits for the page and resolves.
func BenchmarkSignalToWebhook(b *testing.B) {
	rang := make(chan time.Time, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m notify.Message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			b.Error(err)
		}
		if m.Kind == notify.InitialAlert {
			select {
			case rang <- time.Now():
			default: // a second page of a round
			}
		}
	}))
	defer server.Close()
	hook, err := webhook.New(webhook.Config{Secret: notify.Secret("a secret of a benchmark")})
	if err != nil {
		b.Fatal(err)
	}
	defer hook.Close()
	closed := make(chan time.Time, 1)
	m, end := benchManager(b, hook, server.URL, &gate{engage: func() error { closed <- time.Now(); return nil }})
	var halts, pages []time.Duration
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		sig := signal(fmt.Sprint("component ", n))
		in, err := m.Declare(b.Context(), "bench", "book and venue differ", sig)
		if err != nil {
			b.Fatal(err)
		}
		halts = append(halts, (<-closed).Sub(sig.At))
		pages = append(pages, (<-rang).Sub(sig.At))
		err = m.Resolve(b.Context(), in.Number, incident.Resolution{By: "bench", Note: "x", Despite: "a benchmark"})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	end()
	report(b, "to-halt", halts)
	report(b, "to-webhook", pages)
}

// punctual is a Courier that notes by how much each message is late.
type punctual struct {
	mu   sync.Mutex
	late []time.Duration
	due  map[string]time.Time // by incident
}

func (p *punctual) Deliver(_ context.Context, to notify.Contact, m notify.Message) notify.Receipt {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if due, ok := p.due[m.Incident]; ok && m.Kind == notify.StatusUpdate {
		p.late = append(p.late, now.Sub(due))
		delete(p.due, m.Incident)
	}
	return notify.Receipt{Contact: to.Name, Key: m.Key, Accepted: notify.Attempt{Tries: 1, At: now}}
}

// BenchmarkDueWith10000Open measures how late a message is begun while 10,000 incidents
// are open: their status updates fall due over ten seconds, one a millisecond, each of
// the incidents having been declared half an hour before by the timeline.
func BenchmarkDueWith10000Open(b *testing.B) {
	const open, over = 10_000, 10 * time.Second
	var late []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		late = append(late, dueOnce(b, open, over)...)
	}
	report(b, "late", late)
	b.ReportMetric(float64(late[len(late)-1].Microseconds()), "µs-late-max")
	b.ReportMetric(float64(len(late))/float64(b.N), "messages/op")
}

func dueOnce(b *testing.B, open int, over time.Duration) []time.Duration {
	store, p := &incidenttest.Memory{}, &punctual{due: map[string]time.Time{}}
	first := time.Now().Add(2*time.Second - 30*time.Minute).UTC() // so that Run has begun when the first falls due
	events := make([]incident.Event, 0, 2*open)
	for i := range open {
		at := first.Add(over * time.Duration(i) / time.Duration(open)).Round(0)
		number := fmt.Sprintf("INC-%s-%03d", at.Format("20060102"), i+1)
		events = append(events,
			incident.Event{At: at, Incident: number, Kind: incident.Declared, By: "bench", What: "down", Why: "a benchmark", Data: incident.Data{
				Condition: "risk-offline", Component: fmt.Sprint("component ", i), Episode: 1, Level: 2,
				RespondBy: at.Add(4 * time.Hour), ResolveBy: at.Add(24 * time.Hour),
			}},
			incident.Event{At: at, Incident: number, Kind: incident.Acknowledged, By: "Ada", What: "acknowledged", Why: "paged"})
		p.due[number] = at.Add(30 * time.Minute)
	}
	if _, err := store.Append(b.Context(), 0, events...); err != nil {
		b.Fatal(err)
	}
	m, err := incident.New(b.Context(), incident.Config{
		Store: store, Halter: &gate{}, Courier: p, Directory: everybody(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 3*time.Second+over)
	defer stop()
	if err := m.Run(ctx); err != nil {
		b.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.due) > 0 {
		b.Fatalf("%d updates were not sent", len(p.due))
	}
	return p.late
}
