package alertmanager_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
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
// durable journal, to a server in a process of its own. It fails unless every one is
// recorded and none refused, and tells how long that took, how many messages the
// on-call engineer got for the 10,000 pages, and of the server alone what it holds in
// memory while they wait, with how many goroutines, and the most that it has had
// resident, what was not collected yet included.
func BenchmarkTenThousandAlerts(b *testing.B) {
	for _, size := range []int{1, 50} {
		b.Run(fmt.Sprintf("bodies_of_%d", size), func(b *testing.B) {
			for b.Loop() {
				tenThousand(b, size)
			}
		})
	}
}

const flood = 10_000

// floodKey names the directory in which this program is the server of a flood.
const floodKey = "ANDON_FLOOD_SERVER"

// flooded is what a server says of itself, with the fields that it knows by then.
type flooded struct {
	URL        string  // at the start
	Live       float64 // MB, after the last post: 10,000 open incidents, whose pages wait
	Goroutines int     // then
	Messages   int64   // at the end: what the contact got
	Pages      int64   // the pages that these stand for
	Declared   int     // incidents on the timeline
	Most       float64 // MB resident
}

func tenThousand(b *testing.B, size int) {
	server := exec.Command(os.Args[0])
	server.Env = append(os.Environ(), floodKey+"="+b.TempDir())
	server.Stderr = os.Stderr
	tell, err := server.StdinPipe()
	require.NoError(b, err)
	out, err := server.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, server.Start())
	b.Cleanup(func() { _ = server.Process.Kill() }) // it has ended, unless something failed
	var says flooded
	answers := json.NewDecoder(out)
	require.NoError(b, answers.Decode(&says))

	begin := time.Now()
	refused := blast(b, says.URL, size)
	took := time.Since(begin)
	_, err = io.WriteString(tell, "posted\n")
	require.NoError(b, err)
	require.NoError(b, answers.Decode(&says))
	pagedAll := time.Since(begin)
	require.NoError(b, tell.Close())
	require.NoError(b, server.Wait())
	require.Equal(b, flood, says.Declared, "every alert is on the timeline")
	require.Zero(b, refused)
	require.GreaterOrEqual(b, says.Pages, int64(flood), "everybody who is to be told has been")
	b.ReportMetric(took.Seconds(), "s-to-record")
	b.ReportMetric(flood/took.Seconds(), "alerts/s")
	b.ReportMetric(pagedAll.Seconds(), "s-to-page-all")
	b.ReportMetric(float64(says.Messages), "messages")
	b.ReportMetric(float64(says.Goroutines), "goroutines")
	b.ReportMetric(says.Live, "MB-live")
	b.ReportMetric(says.Most, "MB-most")
}

// serveFlood is the server's process, until its standard input ends.
func serveFlood(dir string) error {
	j, err := journal.Open(filepath.Join(dir, "journal"))
	if err != nil {
		return err
	}
	phone := &counter{}
	courier, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{"phone": phone}, Log: quiet()})
	if err != nil {
		return err
	}
	everybody := notify.Directory{Contacts: []notify.Contact{{
		Name: "Ada", Addresses: []notify.Address{{Channel: "phone", To: "ada"}},
		Roles: []notify.Role{notify.OnCallEngineer, notify.PrimaryEngineer, notify.AnyEngineer, notify.SeniorEngineer, notify.LeadEngineer, notify.TeamLead, notify.TechManager, notify.CTO},
	}}}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	m, err := incident.New(ctx, incident.Config{
		Store: j, Halter: &incidenttest.Gate{}, Courier: courier, Directory: everybody, Channels: courier.Channels(), Log: quiet(),
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	h, err := alertmanager.New(alertmanager.Config{Manager: m, Bearer: token, Log: quiet(), ComponentFrom: []string{"instance"}})
	if err != nil {
		return err
	}
	server := httptest.NewServer(h)
	defer server.Close()
	says := json.NewEncoder(os.Stdout)
	if err := says.Encode(flooded{URL: server.URL}); err != nil {
		return err
	}
	asked := bufio.NewReader(os.Stdin)
	if _, err := asked.ReadString('\n'); err != nil {
		return fmt.Errorf("the senders have gone: %w", err)
	}
	answer := flooded{Live: liveMemory(), Goroutines: runtime.NumGoroutine()}
	if path := os.Getenv("ANDON_FLOOD_PROFILE"); path != "" {
		if err := os.WriteFile(path, heapProfile(), 0o600); err != nil {
			return err
		}
	}
	// Most go out with the gathered page, Storm.Every after the first.
	for deadline := time.Now().Add(2 * time.Minute); phone.pages.Load() < flood && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	if err := <-ended; err != nil {
		return err
	}
	answer.Messages, answer.Pages, answer.Most = phone.sent.Load(), phone.pages.Load(), mostMemory()
	for e, err := range j.Read(context.Background(), 0) {
		if err != nil {
			return err
		}
		if e.Kind == incident.Declared {
			answer.Declared++
		}
	}
	return errors.Join(j.Close(), says.Encode(answer))
}

func heapProfile() []byte {
	var buf bytes.Buffer
	_ = pprof.Lookup("heap").WriteTo(&buf, 0) // a buffer takes everything
	return buf.Bytes()
}

// blast posts the flood and returns how many posts were not answered by 200.
func blast(b *testing.B, url string, size int) int64 {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer client.CloseIdleConnections()
	bodies := make(chan []byte)
	var refused atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for body := range bodies {
				req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
				if err != nil {
					refused.Add(1)
					continue
				}
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Authorization", "Bearer "+string(token))
				resp, err := client.Do(req)
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
