package fallback_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/fallback"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/incident/pgstore"
	"github.com/andon-go/andon/internal/pgtest"
	"github.com/andon-go/andon/notify"
)

// What a process of a benchmark does: "declares" and never gets its page accepted, or
// "pages". It says so on a line of its own.
const (
	botWork   = "ANDON_TEST_BOT"
	botDir    = "ANDON_TEST_BOT_DIR"
	botServer = "ANDON_TEST_BOT_SERVER" // none: on its journal alone
)

// saying is a Courier that says when it is asked for a page, and accepts or hangs.
type saying struct{ accepts bool }

func (s saying) Deliver(ctx context.Context, to notify.Contact, m notify.Message) notify.Receipt {
	if !s.accepts {
		<-ctx.Done()
		return notify.Receipt{Contact: to.Name, Key: m.Key, Err: ctx.Err()}
	}
	if m.Kind == notify.InitialAlert {
		fmt.Println("paged", m.Key)
	}
	return notify.Receipt{Contact: to.Name, Key: m.Key, Accepted: notify.Attempt{Tries: 1, At: time.Now()}}
}

// bot runs a Manager until its standard input ends.
func bot(work string) error {
	server, file := os.Getenv(botServer), "journal"
	if server != "" {
		file = work // each its own
	}
	local, err := journal.Open(filepath.Join(os.Getenv(botDir), file))
	if err != nil {
		return err
	}
	var store incident.Store = local
	if server != "" {
		shared, err := pgstore.Open(pgstore.Config{ConnString: server})
		if err != nil {
			return err
		}
		if err := shared.Migrate(ctx); err != nil {
			return err
		}
		if store, err = fallback.New(ctx, fallback.Config{Shared: shared, Local: local, Name: work, Log: quiet}); err != nil {
			return err
		}
	}
	m, err := incident.New(ctx, incident.Config{
		Store: store, Halter: &incidenttest.Gate{}, Courier: saying{work == "pages"}, Directory: team(), Name: work, Log: quiet,
	})
	if err != nil {
		return err
	}
	run, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- m.Run(run) }()
	if work == "declares" {
		if _, err := m.Declare(ctx, "watchdog", "down", offline("risk")); err != nil {
			return err
		}
		err = said(m, incident.PageDue, "due")
	} else {
		err = said(m, incident.Declared, "follows")
	}
	_, err2 := io.Copy(io.Discard, os.Stdin)
	stop()
	return errors.Join(err, err2, <-ended)
}

// said says a word once the store has an event of a kind.
func said(m *incident.Manager, kind incident.Kind, word string) error {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		all, err := m.Timeline(ctx, "")
		if err != nil {
			return err
		}
		for _, e := range all {
			if e.Kind == kind && e.Seq > 0 {
				fmt.Println(word)
				return nil
			}
		}
	}
	return fmt.Errorf("no event of kind %s", kind)
}

// child is a bot in a process of its own.
type child struct {
	b    *testing.B
	cmd  *exec.Cmd
	said *bufio.Scanner
}

func begin(b *testing.B, work, dir, server string) *child {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), botWork+"="+work, botDir+"="+dir, botServer+"="+server)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil { // the child ends with this process
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return &child{b, cmd, bufio.NewScanner(out)}
}

// hears waits for a line that begins with a word.
func (c *child) hears(word string) {
	timer := time.AfterFunc(time.Minute, func() { _ = c.cmd.Process.Kill() })
	defer timer.Stop()
	for c.said.Scan() {
		if strings.HasPrefix(c.said.Text(), word) {
			return
		}
		if strings.HasPrefix(c.said.Text(), "failed") {
			c.b.Fatal(c.said.Text())
		}
	}
	c.b.Fatalf("the child ended before it said %q", word)
}

func (c *child) kill() {
	if err := c.cmd.Process.Kill(); err != nil {
		c.b.Fatal(err)
	}
}

// gone reaps what was killed.
func (c *child) gone() { _ = c.cmd.Wait() }

// BenchmarkResume is from the kill -9 of a process whose page is due, and that no
// channel has accepted, to the same page accepted: by a process that is started then, on
// the journal, and by another one that was following, on PostgreSQL.
func BenchmarkResume(b *testing.B) {
	b.Run("restart", func(b *testing.B) {
		resume(b, func() string { return "" }, false)
	})
	b.Run("another", func(b *testing.B) {
		pg := pgtest.Start(b)
		resume(b, func() string {
			pg.Psql("DROP SCHEMA IF EXISTS andon CASCADE")
			return pg.ConnString()
		}, true)
	})
}

func resume(b *testing.B, fresh func() string, follows bool) {
	var worst time.Duration
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		dir, server := b.TempDir(), fresh()
		first := begin(b, "declares", dir, server)
		first.hears("due")
		var second *child
		if follows {
			second = begin(b, "pages", dir, server)
			second.hears("follows")
			time.Sleep(time.Second) // it has looked at the lease
		}
		b.StartTimer()
		killed := time.Now()
		first.kill()
		if !follows {
			first.gone()
			second = begin(b, "pages", dir, server)
		}
		second.hears("paged risk-offline/risk/1/page/1/0")
		worst = max(worst, time.Since(killed))
		b.StopTimer()
		second.kill()
		second.gone()
		if follows {
			first.gone()
		}
		b.StartTimer()
	}
	b.ReportMetric(worst.Seconds(), "s-worst")
}
