package fleetdrill

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that has to come.
const patience = 60 * time.Second

// Proc is the process of one bot, as the test holds it.
type Proc struct {
	t       testing.TB
	name    string
	dir     string
	conn    string
	lease   time.Duration
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan string
}

// Start starts a bot, whose own switch is resumed. It ends with the test.
func Start(t testing.TB, name, conn string, lease time.Duration) *Proc {
	t.Helper()
	p := &Proc{t: t, name: name, conn: conn, lease: lease, dir: t.TempDir()}
	t.Cleanup(p.Kill)
	p.Restart()
	return p
}

// Restart starts the process anew, with the state that it left.
func (p *Proc) Restart() {
	p.t.Helper()
	p.Kill()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envName+"="+p.name, envConn+"="+p.conn, envDir+"="+p.dir, envLease+"="+p.lease.String())
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = attr()
	in, err := cmd.StdinPipe()
	p.must(err)
	out, err := cmd.StdoutPipe()
	p.must(err)
	p.must(cmd.Start())
	p.cmd, p.in, p.answers = cmd, in, make(chan string, 100)
	go func(answers chan<- string) {
		defer close(answers)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			answers <- lines.Text()
		}
	}(p.answers)
	if a := p.Do("resume"); a.Err != "" {
		p.t.Fatalf("fleetdrill: %s: %s", p.name, a.Err)
	}
}

func (p *Proc) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("fleetdrill: %s: %v", p.name, err)
	}
}

// Kill ends the process by SIGKILL. Does nothing when it is dead.
func (p *Proc) Kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	for range p.answers { // nothing more will be said
	}
	_ = p.cmd.Wait()
	p.cmd = nil
}

// Freeze stops the process where it is, as SIGSTOP does, and returns once it stands.
func (p *Proc) Freeze() {
	p.t.Helper()
	p.must(p.cmd.Process.Signal(syscall.SIGSTOP))
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		p.must(err)
		if _, rest, _ := strings.Cut(string(b), ") "); strings.HasPrefix(rest, "T") {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("fleetdrill: %s does not stop", p.name)
		}
	}
}

// Thaw has it go on.
func (p *Proc) Thaw() { p.t.Helper(); p.must(p.cmd.Process.Signal(syscall.SIGCONT)) }

// Tell gives the bot a command.
func (p *Proc) Tell(command string) {
	p.t.Helper()
	_, err := io.WriteString(p.in, command+"\n")
	p.must(err)
}

// Hear waits for what it says.
func (p *Proc) Hear() (a answer) {
	p.t.Helper()
	select {
	case line, ok := <-p.answers:
		if !ok {
			p.t.Fatalf("fleetdrill: %s has died", p.name)
		}
		p.must(json.Unmarshal([]byte(line), &a))
	case <-time.After(patience):
		p.t.Fatalf("fleetdrill: %s says nothing", p.name)
	}
	return a
}

// Do gives a command and waits for the answer.
func (p *Proc) Do(command string) answer {
	p.t.Helper()
	p.Tell(command)
	return p.Hear()
}

// Admits waits until the bot admits orders that add exposure, or, with want false, none.
func (p *Proc) Admits(want bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		a := p.Do("check")
		if (a.Err == "") == want {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("fleetdrill: %s: want admitting %v, it says %q", p.name, want, a.Err)
		}
	}
}

// History returns what the process and those before it admitted.
func (p *Proc) History() (ops []Op) {
	p.t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, "history"))
	if os.IsNotExist(err) {
		return nil
	}
	p.must(err)
	whole := b[:strings.LastIndexByte(string(b), '\n')+1] // a kill may cut the last line
	for line := range strings.Lines(string(whole)) {
		op := Op{Kind: Enter, Who: p.name}
		_, err := fmt.Sscan(line, &op.From, &op.To)
		p.must(err)
		ops = append(ops, op)
	}
	return ops
}
