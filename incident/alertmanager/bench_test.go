package alertmanager_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/alertmanager"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/notify"
	"github.com/stretchr/testify/require"
)

// counter is a Notifier that counts messages, and the pages that they stand for.
type counter struct{ sent, pages atomic.Int64 }

func (c *counter) Notify(_ context.Context, m notify.Message) error {
	c.sent.Add(1)
	c.pages.Add(int64(len(m.Pages)) + 1)
	return nil
}

// BenchmarkTenThousandAlerts posts 10,000 alerts that no rule knows, each a SEV-1
// incident of its own that halts and pages, over HTTP, 8 senders at a time, onto a
// durable journal. It fails unless every one is recorded and none refused, and tells
// how long that took, how many messages the on-call engineer got for the 10,000
// pages, what the program holds in memory while they wait, and the most that the
// process has had resident, the senders and what is not collected yet included.
func BenchmarkTenThousandAlerts(b *testing.B) {
	for _, size := range []int{1, 50} {
		b.Run(fmt.Sprintf("bodies_of_%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tenThousand(b, size)
			}
		})
	}
}

const flood = 10_000

func tenThousand(b *testing.B, size int) {
	path := filepath.Join(b.TempDir(), "journal")
	j, err := journal.Open(path)
	require.NoError(b, err)
	phone := &counter{}
	courier, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{"phone": phone}, Log: quiet()})
	require.NoError(b, err)
	everybody := notify.Directory{Contacts: []notify.Contact{{
		Name: "Ada", Addresses: []notify.Address{{Channel: "phone", To: "ada"}},
		Roles: []notify.Role{notify.OnCallEngineer, notify.PrimaryEngineer, notify.AnyEngineer, notify.SeniorEngineer, notify.LeadEngineer, notify.TeamLead, notify.TechManager, notify.CTO},
	}}}
	m, err := incident.New(b.Context(), incident.Config{
		Store: j, Halter: &incidenttest.Gate{}, Courier: courier, Directory: everybody, Channels: courier.Channels(), Log: quiet(),
	})
	require.NoError(b, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	h, err := alertmanager.New(alertmanager.Config{Manager: m, Bearer: token, Log: quiet(), ComponentFrom: []string{"instance"}})
	require.NoError(b, err)
	server := httptest.NewServer(h)

	begin := time.Now()
	refused := blast(b, server, size)
	took := time.Since(begin)
	live := liveMemory() // 10,000 open incidents, whose pages wait for the gathered one
	// Most go out with the gathered page, Storm.Every after the first.
	for deadline := time.Now().Add(2 * time.Minute); phone.pages.Load() < flood && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	pagedAll := time.Since(begin)
	server.Close()
	stop()
	require.NoError(b, <-ended)
	declared := 0
	for e, err := range j.Read(context.Background(), 0) {
		require.NoError(b, err)
		if e.Kind == incident.Declared {
			declared++
		}
	}
	require.NoError(b, j.Close())
	require.Equal(b, flood, declared, "every alert is on the timeline")
	require.Zero(b, refused)
	require.GreaterOrEqual(b, phone.pages.Load(), int64(flood), "everybody who is to be told has been")
	b.ReportMetric(took.Seconds(), "s-to-record")
	b.ReportMetric(flood/took.Seconds(), "alerts/s")
	b.ReportMetric(pagedAll.Seconds(), "s-to-page-all")
	b.ReportMetric(float64(phone.sent.Load()), "messages")
	b.ReportMetric(live, "MB-live")
	b.ReportMetric(mostMemory(), "MB-most")
}

// blast posts the flood and returns how many posts were not answered by 200.
func blast(b *testing.B, server *httptest.Server, size int) int64 {
	bodies := make(chan []byte)
	var refused atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for body := range bodies {
				req, err := http.NewRequest(http.MethodPost, server.URL, bytes.NewReader(body))
				if err != nil {
					refused.Add(1)
					continue
				}
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Authorization", "Bearer "+string(token))
				resp, err := server.Client().Do(req)
				if err != nil {
					refused.Add(1)
					continue
				}
				_, _ = io.Copy(io.Discard, resp.Body) // so that the connection is used again
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					refused.Add(1)
				}
			}
		})
	}
	for from := 0; from < flood; from += size {
		alerts := make([]item, size)
		for i := range alerts {
			alerts[i] = fires("SomethingNew", "instance", "host-"+strconv.Itoa(from+i), "job", "bot", "severity", "critical")
			alerts[i].Annotations = map[string]string{"summary": "something that nobody has seen before on host-" + strconv.Itoa(from+i)}
		}
		body, err := json.Marshal(group(alerts...))
		require.NoError(b, err)
		bodies <- body
	}
	close(bodies)
	wg.Wait()
	return refused.Load()
}

// liveMemory is what the program holds on to, heap and stacks, in MB.
func liveMemory() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc+m.StackInuse) / 1e6
}

// mostMemory is the most memory that this process has had resident, in MB; 0 where
// the system does not say.
func mostMemory() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmHWM:" {
			kB, err := strconv.ParseFloat(f[1], 64)
			if err == nil {
				return kB / 1000
			}
		}
	}
	return 0
}
