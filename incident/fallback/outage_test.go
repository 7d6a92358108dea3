package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/fallback"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/incident/pgstore"
	"github.com/andon-go/andon/internal/pgtest"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

// counted is a fallback.Store that says whether its process leads.
type counted struct {
	*fallback.Store
	leads atomic.Int64
}

func (c *counted) Lead(ctx context.Context, who string, lead func(ctx context.Context) error) error {
	return c.Store.Lead(ctx, who, func(ctx context.Context) error {
		c.leads.Add(1)
		defer c.leads.Add(-1)
		return lead(ctx)
	})
}

// process is what one of two bots has: a way to the shared store, a journal of its own,
// and a Manager over both. Its pager counts across restarts.
type process struct {
	t     testing.TB
	name  string
	path  string
	cfg   pgstore.Config
	pager *incidenttest.Pager

	shared *pgstore.Store
	store  *counted
	m      *incident.Manager
	stop   func()
}

func boot(t testing.TB, cfg pgstore.Config, name string) *process {
	p := &process{t: t, name: name, path: filepath.Join(t.TempDir(), "journal"), cfg: cfg, pager: &incidenttest.Pager{}}
	p.start()
	return p
}

// start needs no server, as after a restart in the middle of an outage.
func (p *process) start() {
	t := p.t
	t.Helper()
	local, err := journal.Open(p.path)
	require.NoError(t, err)
	p.shared, err = pgstore.Open(p.cfg)
	require.NoError(t, err)
	s, err := fallback.New(ctx, fallback.Config{Shared: p.shared, Local: local, Name: p.name, AskEvery: 100 * time.Millisecond, Log: quiet})
	require.NoError(t, err)
	p.store = &counted{Store: s}
	policy := notify.DefaultPolicy()
	policy.Steps[severity.SEV2] = []notify.Step{
		{Roles: []notify.Role{notify.OnCallEngineer}},
		{After: escalates, Roles: []notify.Role{notify.LeadEngineer}},
	}
	p.m, err = incident.New(ctx, incident.Config{
		Store: p.store, Halter: &incidenttest.Gate{}, Courier: p.pager, Directory: team(), Policy: policy, Name: p.name, Log: quiet,
	})
	require.NoError(t, err)
	run, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- p.m.Run(run) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, errors.Join(<-ended, s.Close(), local.Close(), p.shared.Close()))
	})
	t.Cleanup(p.stop)
}

func team() (d notify.Directory) {
	for _, r := range []notify.Role{
		notify.OnCallEngineer, notify.PrimaryEngineer, notify.AnyEngineer, notify.SeniorEngineer, notify.LeadEngineer,
		notify.TeamLead, notify.TechManager, notify.CTO, notify.RiskOfficer,
	} {
		d.Contacts = append(d.Contacts, notify.Contact{Name: "the " + string(r), Roles: []notify.Role{r}, Addresses: []notify.Address{{Channel: "test", To: string(r)}}})
	}
	return d
}

// escalates is when the lead is paged.
const escalates = 15 * time.Second

func (p *process) declare(component string) incident.Incident {
	p.t.Helper()
	in, err := p.m.Declare(ctx, "watchdog", "down", offline(component))
	require.NoError(p.t, err)
	return in
}

func (p *process) pages() []notify.Message { return pages(p.pager.Messages()) }

// keys are the dedup keys of the pages about an incident, each once.
func (p *process) keys(number string) (keys []string) {
	for _, m := range p.pages() {
		if m.Incident == number && !slices.Contains(keys, m.Key) {
			keys = append(keys, m.Key)
		}
	}
	return keys
}

// eventually waits for what has to come, however slow the machine is.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(40 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		require.True(t, time.Now().Before(end), "waited in vain until "+what)
	}
}

// knows reports whether a process has an incident, and whether it is acknowledged there.
func (p *process) knows(number string) (known, acked bool) {
	in, err := p.m.Get(number)
	return err == nil, !in.AckedAt.IsZero()
}

func (p *process) acked(number string) bool { _, acked := p.knows(number); return acked }

// The whole of an outage, on a PostgreSQL that is stopped and on one that falls silent.
func TestLaw11_TwoProcessesLiveThroughAnOutageOfPostgreSQL(t *testing.T) {
	pg := pgtest.Start(t)
	for i, outage := range []struct {
		name        string
		begins, end func()
	}{
		{"stopped", pg.Stop, pg.Restart},
		{"frozen", pg.Freeze, pg.Thaw},
	} {
		t.Run(outage.name, func(t *testing.T) {
			cfg := pgstore.Config{
				ConnString: pg.ConnString(), Schema: fmt.Sprintf("andon_%d", i),
				AnswerWithin: time.Second, LeaseFor: time.Second, PollEvery: 200 * time.Millisecond,
			}
			outlived(t, cfg, outage.begins, outage.end)
		})
	}
}

func outlived(t *testing.T, cfg pgstore.Config, begins, ends func()) {
	reader, err := pgstore.Open(cfg)
	require.NoError(t, err)
	defer func() { require.NoError(t, reader.Close()) }()
	require.NoError(t, reader.Migrate(ctx))
	a, b := boot(t, cfg, "a"), boot(t, cfg, "b")
	both := []*process{a, b}
	leaders := func() (n int64) { return a.store.leads.Load() + b.store.leads.Load() }

	// One responds, and pages for the other, which follows.
	eventually(t, "one responds", func() bool { return leaders() == 1 })
	responder, follower := a, b
	if b.store.leads.Load() == 1 {
		responder, follower = b, a
	}
	before := follower.declare("before")
	require.Regexp(t, `^INC-\d{8}-001$`, before.Number)
	eventually(t, "the responder pages", func() bool { return len(responder.keys(before.Number)) == 1 })
	require.NoError(t, responder.m.Acknowledge(ctx, before.Number, "Ada"))
	eventually(t, "the acknowledgement is at the other", func() bool { return follower.acked(before.Number) })
	require.Empty(t, follower.pages(), "only the responder pages")

	// The server goes. What finds it out are the declarations, at both of the same thing.
	begins()
	var declared [2]incident.Incident
	var declaring sync.WaitGroup
	for i, p := range both {
		declaring.Go(func() {
			in, err := p.m.Declare(ctx, "watchdog", "down", offline("risk"))
			if err == nil || errors.Is(err, incident.ErrNotRecorded) { // on a silent server it takes a while
				declared[i] = in
			}
		})
	}
	declaring.Wait()
	for i, p := range both {
		eventually(t, p.name+" keeps it by itself", func() bool {
			declared[i] = incidenttest.RequireDeclared(t, p.m, severity.RiskOffline, "risk")
			left, _ := p.m.Unrecorded()
			return left == 0 && p.store.Provisional() == p.name
		})
		require.Regexp(t, `^INC-\d{8}-\d{3}-`+p.name+`$`, declared[i].Number)
		eventually(t, p.name+" pages by itself", func() bool { return len(p.pages()) > 0 && p.store.leads.Load() == 1 })
	}
	rung := func(p *process) (key string) {
		for _, m := range p.pages() {
			if m.Key != responder.pages()[0].Key { // that one was about what was before
				return m.Key
			}
		}
		return ""
	}
	for _, p := range both {
		eventually(t, p.name+" rings", func() bool { return rung(p) != "" })
	}
	require.Equal(t, rung(a), rung(b), "one key, so the receiver rings once")

	// A restart in the middle of it goes on from the journal.
	b.stop()
	b.start()
	require.Equal(t, "b", b.store.Provisional())
	eventually(t, "b leads by itself again", func() bool { return b.store.leads.Load() == 1 })
	other := b.declare("limits")
	require.Regexp(t, `-b$`, other.Number)
	eventually(t, "b pages for it", func() bool { return len(b.keys(other.Number)) == 1 })
	for _, p := range both {
		require.NoError(t, p.m.Record(ctx, time.Now(), "Grace", "wait", "said at "+p.name), "it is in the journal")
	}

	// Somebody acknowledges at one of them. Then the server is back.
	require.NoError(t, a.m.Acknowledge(ctx, declared[0].Number, "Ada"))
	require.NoError(t, b.m.Acknowledge(ctx, other.Number, "Ada"))
	ends()
	numbers := []string{before.Number, declared[0].Number, declared[1].Number, other.Number}
	for _, p := range both {
		eventually(t, p.name+" has come together with the other", func() bool {
			return p.store.Provisional() == "" && !slices.ContainsFunc(numbers, func(n string) bool { return !p.acked(n) })
		})
	}
	paged := len(a.pages()) + len(b.pages())
	time.Sleep(time.Until(other.DeclaredAt.Add(escalates + time.Second))) // whoever responds would have paged the lead
	eventually(t, "one responds, and one alone", func() bool { return leaders() == 1 })
	require.Equal(t, paged, len(a.pages())+len(b.pages()), "no page after the acknowledgement")

	// Life goes on as before.
	after := a.declare("after")
	require.Regexp(t, `^INC-\d{8}-\d{3}$`, after.Number)
	eventually(t, "it is paged", func() bool { return len(a.keys(after.Number))+len(b.keys(after.Number)) == 1 })
	eventually(t, "it is known to both", func() bool { known, _ := b.knows(after.Number); return known })
	require.NoError(t, b.m.Acknowledge(ctx, after.Number, "Ada"))
	require.True(t, len(a.keys(after.Number)) == 0 || len(b.keys(after.Number)) == 0, "by one of them")
	same := func() bool {
		there := read(t, reader)
		for _, p := range both {
			if left, _ := p.m.Unrecorded(); left > 0 || copies(t, p, there) < len(there) {
				return false
			}
		}
		return true
	}
	a.stop()
	eventually(t, "b responds", func() bool { return b.store.leads.Load() == 1 })
	a.start()
	eventually(t, "all is everywhere", same)
	a.stop()
	b.stop()
	together(t, reader, both)
}

// copies counts the events of the shared store that a process has.
func copies(t testing.TB, p *process, there []incident.Event) (n int) {
	have := map[incident.Tip]bool{}
	for _, e := range read(t, p.store) {
		have[e.Cites] = true
	}
	for _, e := range there {
		if have[e.Tip()] {
			n++
		}
	}
	return n
}

// together looks at the three lists of two processes that have ended: each chain is
// whole, and every event of a journal is in the shared store, once.
func together(t *testing.T, shared *pgstore.Store, both []*process) {
	_, err := shared.Verify(ctx)
	require.NoError(t, err)
	there := read(t, shared)
	for _, p := range both {
		_, err := journal.Verify(p.path)
		require.NoError(t, err)
		local, err := journal.Open(p.path)
		require.NoError(t, err)
		cited := map[incident.Tip]int{}
		kept := 0
		for _, e := range read(t, local) {
			if e.Cites != (incident.Tip{}) {
				cited[e.Cites]++
				continue
			}
			kept++
			n := 0
			for _, x := range there {
				if x.Cites == e.Tip() || x.Same(e) {
					n++
				}
			}
			if strings.HasSuffix(e.Incident, "-"+p.name) { // surely kept, and not an answer that was lost
				require.True(t, slices.ContainsFunc(there, func(x incident.Event) bool { return x.Cites == e.Tip() }), "a copy cites what it is a copy of")
			}
			require.Equal(t, 1, n, "event %d of %s, %s %s: %s", e.Seq, p.name, e.Incident, e.Kind, e.What)
		}
		require.NotZero(t, kept, "it went on by itself")
		for _, x := range there {
			require.LessOrEqual(t, cited[x.Tip()], 1, "event %d of the shared store at %s", x.Seq, p.name)
		}
		require.NoError(t, local.Close())
	}
}
