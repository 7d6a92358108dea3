package pgstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/incident/pgstore"
	"github.com/andon-go/andon/internal/pgtest"
	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// deaf is a proxy that can lose the server's answers: it forwards what a client sends,
// and cuts the connection in place of the answer.
type deaf struct {
	l    net.Listener
	to   string
	lose atomic.Int32 // how many answers to an INSERT are still to be lost
	wg   sync.WaitGroup
}

func newDeaf(t *testing.T, pg *pgtest.Cluster) (*deaf, string) {
	_, rest, _ := strings.Cut(pg.TCPConnString(), "port=")
	port, _, _ := strings.Cut(rest, " ")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d := &deaf{l: l, to: "127.0.0.1:" + port}
	d.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			d.wg.Go(func() { d.serve(in) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); d.wg.Wait() })
	return d, strings.Replace(pg.TCPConnString(), "port="+port, fmt.Sprintf("port=%d", l.Addr().(*net.TCPAddr).Port), 1)
}

func (d *deaf) serve(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", d.to)
	if err != nil {
		return
	}
	defer out.Close()
	var cut atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer out.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := in.Read(buf)
			if n > 0 && strings.Contains(string(buf[:n]), "seq\":") && d.lose.Add(-1) >= 0 { // the bind of an append
				cut.Store(true)
			}
			if _, werr := out.Write(buf[:n]); err != nil || werr != nil {
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := out.Read(buf)
		if err != nil || cut.Load() { // it has answered, so it is done
			break
		}
		if _, err := in.Write(buf[:n]); err != nil {
			break
		}
	}
	_ = in.Close()
	<-done
}

func TestAnAnswerThatWasLostIsLookedFor(t *testing.T) {
	pg := pgtest.Start(t)
	d, through := newDeaf(t, pg)
	cfg := fresh(t, pg.ConnString())
	cfg.ConnString = through
	cfg.AnswerWithin = 20 * time.Second
	s := open(t, cfg)
	var all []incident.Event
	for i := range 12 {
		d.lose.Store(int32(i % 4))
		expected := uint64(len(all))
		if i%2 == 0 {
			expected = incident.Any
		}
		got, err := s.Append(ctx, expected, incidenttest.Event(i), incidenttest.Event(i))
		require.NoError(t, err)
		all = append(all, got...)
	}
	require.Equal(t, all, read(t, s), "each once")
}

// A server that is frozen answers nothing. What was sent to it may still be done.
func TestWhatAFrozenServerMayStillDoIsUnknown(t *testing.T) {
	pg := pgtest.Start(t)
	cfg := fresh(t, pg.ConnString())
	cfg.AnswerWithin = 500 * time.Millisecond
	s := open(t, cfg)
	_, err := s.Append(ctx, 0, incidenttest.Event(0))
	require.NoError(t, err)
	pg.Freeze()
	_, err = s.Append(ctx, 1, incidenttest.Event(1))
	require.ErrorIs(t, err, incident.ErrRecordUnknown)
	_, err = s.Append(ctx, 1, incidenttest.Event(1))
	require.Error(t, err)
	require.NotErrorIs(t, err, incident.ErrConflict)
	pg.Thaw()
	var got []incident.Event
	require.Eventually(t, func() bool {
		got, err = s.Append(ctx, 1, incidenttest.Event(1))
		return err == nil || errors.Is(err, incident.ErrConflict)
	}, 20*time.Second, 50*time.Millisecond)
	all := read(t, s)
	require.Len(t, all, 2, "once, whoever won")
	if err == nil {
		require.Equal(t, got, all[1:])
	}
	_, err = s.Verify(ctx)
	require.NoError(t, err)
}

// What a child process does, and with which connection and schema.
const (
	childConn = "ANDON_TEST_PG_CONN"
	childWork = "ANDON_TEST_PG_WORK" // "append name" or "lead name", with the schema behind
)

func child(conn, work string) error {
	what := strings.Fields(work)
	s, err := pgstore.Open(pgstore.Config{ConnString: conn, Schema: what[2], AnswerWithin: time.Second})
	if err != nil {
		return err
	}
	if what[0] == "lead" {
		return s.Lead(context.Background(), what[1], func(ctx context.Context) error {
			fmt.Println("leads", time.Now().UnixNano())
			<-ctx.Done()
			fmt.Println("ends", time.Now().UnixNano())
			return nil
		})
	}
	// Half of the appends say what they expect, half do not.
	last := uint64(0)
	for n := 0; ; n++ {
		expected := last
		if n%2 == 0 {
			expected = incident.Any
		}
		e := incidenttest.Event(n)
		e.What = fmt.Sprintf("%s-%d", what[1], n)
		from := time.Now()
		got, err := s.Append(context.Background(), expected, e)
		to := time.Now()
		conflict, isConflict := errors.AsType[*incident.ConflictError](err)
		switch {
		case err == nil:
			last = got[0].Seq
			fmt.Printf("ok %s %d %d %d %d\n", e.What, expected, last, from.UnixNano(), to.UnixNano())
		case isConflict:
			last = conflict.Last
			fmt.Printf("conflict %s %d %d %d %d\n", e.What, expected, conflict.Last, from.UnixNano(), to.UnixNano())
		default:
			fmt.Printf("unknown %s %d 0 %d %d\n", e.What, expected, from.UnixNano(), to.UnixNano())
		}
	}
}

// process is a child with its lines.
type process struct {
	cmd   *exec.Cmd
	lines chan string
}

func start(t testing.TB, conn, work string) *process {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childConn+"="+conn, childWork+"="+work)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &process{cmd, make(chan string, 1<<20)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.lines)
		for r := bufio.NewReader(out); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			p.lines <- strings.TrimSuffix(line, "\n")
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
		p.kill()
		<-read
	})
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // killed is what it was to be
}

// op is one append of some process.
type op struct {
	outcome, name string
	expected, seq uint64
	from, to      int64
}

func ops(t *testing.T, lines chan string) (all []op) {
	for line := range lines {
		f := strings.Fields(line)
		require.Len(t, f, 6, line)
		o := op{outcome: f[0], name: f[1]}
		for i, into := range []*uint64{&o.expected, &o.seq} {
			n, err := strconv.ParseUint(f[2+i], 10, 64)
			require.NoError(t, err)
			*into = n
		}
		for i, into := range []*int64{&o.from, &o.to} {
			n, err := strconv.ParseInt(f[4+i], 10, 64)
			require.NoError(t, err)
			*into = n
		}
		all = append(all, o)
	}
	return all
}

// list is the model: the state is how many events there are. What an append of unknown
// outcome did is told by the list that was read in the end.
var list = porcupine.Model{
	Init: func() any { return uint64(0) },
	Step: func(state, input, _ any) (bool, any) {
		last, o := state.(uint64), input.(op)
		switch o.outcome {
		case "ok":
			return o.seq == last+1 && (o.expected == incident.Any || o.expected == last), last + 1
		case "conflict":
			return o.expected != last && o.seq == last, last
		}
		return true, last
	},
}

// Two processes append, one of them is killed, while the server is stopped, started,
// frozen and thawed. What was acknowledged is there, once, where it was said to be, and
// the history is that of one list.
func TestLaw10_NothingIsLostOrDoubledWhileTheServerComesAndGoes(t *testing.T) {
	pg := pgtest.Start(t)
	cfg := fresh(t, pg.ConnString())
	work := func(name string) string { return "append " + name + " " + cfg.Schema }
	a, b := start(t, pg.ConnString(), work("a")), start(t, pg.ConnString(), work("b"))
	c := (*process)(nil)
	s := open(t, cfg)
	grow := func() {
		t.Helper()
		before, err := s.Tip(ctx)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			tip, err := s.Tip(ctx)
			return err == nil && tip.Seq > before.Seq+20
		}, 60*time.Second, 10*time.Millisecond, "the appends go on")
	}
	grow()
	pg.Stop()
	time.Sleep(200 * time.Millisecond)
	pg.Restart()
	grow()
	pg.Freeze()
	time.Sleep(1500 * time.Millisecond) // longer than the children wait for an answer
	pg.Thaw()
	grow()
	b.kill()
	c = start(t, pg.ConnString(), work("c"))
	grow()
	pg.Psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")
	grow()
	a.kill()
	c.kill()
	pg.Restart() // whatever was under way is over

	at := map[string]uint64{}
	for _, e := range read(t, s) {
		require.NotContains(t, at, e.What, "once")
		at[e.What] = e.Seq
	}
	_, err := s.Verify(ctx)
	require.NoError(t, err)
	var history []porcupine.Operation
	unknown := 0
	for client, p := range []*process{a, b, c} {
		for _, o := range ops(t, p.lines) {
			to := o.to
			switch o.outcome {
			case "ok":
				require.Equal(t, o.seq, at[o.name], "what was acknowledged is there: %s", o.name)
			case "conflict":
				require.NotContains(t, at, o.name, "what was refused is not there")
			default:
				unknown++
				if at[o.name] == 0 {
					continue
				}
				o.outcome, o.seq, to = "ok", at[o.name], 1<<62
			}
			delete(at, o.name)
			history = append(history, porcupine.Operation{ClientId: client, Input: o, Call: o.from, Return: to})
		}
	}
	require.LessOrEqual(t, len(at), 2, "what nobody tells of was under way in the two that were killed: %v", at)
	for _, seq := range at {
		history = append(history, porcupine.Operation{ClientId: 9, Input: op{outcome: "ok", expected: incident.Any, seq: seq}, Call: 0, Return: 1 << 62})
	}
	slices.SortFunc(history, func(x, y porcupine.Operation) int { return int(x.Call - y.Call) })
	for i := range history {
		history[i].ClientId = i // an open end overlaps its process's next
	}
	require.Equal(t, porcupine.Ok, porcupine.CheckOperationsTimeout(list, history, time.Minute))
	t.Logf("%d appends, %d of unknown outcome", len(history), unknown)
}
