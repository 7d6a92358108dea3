package host

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/disk"
	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/internal/needs"
)

func machine(t *testing.T, c Config) runbook.Host {
	t.Helper()
	dir := t.TempDir()
	if c.NetworkCopy == "" {
		c.NetworkCopy, c.ProcessCopy = filepath.Join(dir, "network.txt"), filepath.Join(dir, "processes.txt")
	}
	c.Sample, c.Rounds = 20*time.Millisecond, 2
	h, err := New(c)
	require.NoError(t, err)
	return h
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

// listener is an exchange that takes connections, and closes them.
func listener(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close() // whoever came only wanted to know that it is there
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

func TestConfigNamesEveryProblem(t *testing.T) {
	_, err := New(Config{Sample: -1, Unit: "--all", Exchange: "api.exchange.com"})
	for _, want := range []string{"Sample", "Unit", "Exchange"} {
		require.ErrorContains(t, err, want)
	}
	_, err = NewBot(BotConfig{ProfileFor: -1, Logs: []string{""}, Request: regexp.MustCompile(`\d+`)})
	for _, want := range []string{"ProfileFor", "Logs", "Request"} {
		require.ErrorContains(t, err, want)
	}
	h, err := New(Config{})
	require.NoError(t, err)
	require.Nil(t, h.Ping, "a person looks where nobody has said which exchange")
	require.NotNil(t, h.Disk)
	b, err := NewBot(BotConfig{})
	require.NoError(t, err)
	require.Nil(t, b.Grep)
	require.Nil(t, b.CPU)
}

func TestTheMachineIsSeen(t *testing.T) {
	h := machine(t, Config{Paths: []string{t.TempDir()}})
	text, err := h.Disk(t.Context())
	require.NoError(t, err)
	require.Regexp(t, `/\S+ +\d+ +\d+ +\d+ +[\d.]+ %`, text)
	text, err = h.Memory(t.Context())
	require.NoError(t, err)
	require.Regexp(t, `memory +[1-9]\d* +[1-9]`, text)
	text, err = h.IO(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, text)
}

func TestLaw1_ADiskThatCannotBeReadIsNamedBesideTheRest(t *testing.T) {
	text, err := machine(t, Config{Paths: []string{"/", "/no/such/disk"}}).Disk(t.Context())
	require.ErrorContains(t, err, "/no/such/disk")
	require.Contains(t, text, "\n/ ")
}

func TestDevicesAreJudgedByWhatTheyDidMeanwhile(t *testing.T) {
	rows := worked(1,
		map[string]disk.IOCountersStat{"a": {ReadCount: 10, ReadBytes: 1024, ReadTime: 5, IoTime: 100}, "idle": {ReadCount: 3}, "reset": {ReadCount: 9}},
		map[string]disk.IOCountersStat{"a": {ReadCount: 20, ReadBytes: 11264, ReadTime: 45, IoTime: 600}, "idle": {ReadCount: 3}, "reset": {ReadCount: 1}, "new": {ReadCount: 1}}, time.Second)
	require.Equal(t, [][]any{{1, "a", "10.0", "0.0", "10.0", "0.0", "4.00", "50 %"}}, rows)
}

func TestWhatAProcessWritesIsSeen(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	require.NoError(t, err)
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		block := make([]byte, 64<<10)
		for {
			select {
			case <-stop:
				done <- f.Close()
				return
			default:
				if _, err := f.WriteAt(block, 0); err != nil {
					done <- err
					return
				}
				if err := f.Sync(); err != nil {
					done <- err
					return
				}
			}
		}
	}()
	text, err := machine(t, Config{}).ProcessIO(t.Context())
	close(stop)
	require.NoError(t, <-done)
	require.NoError(t, err)
	require.Regexp(t, fmt.Sprintf(`(?m)^%d +host.test`, os.Getpid()), text)
}

func TestStateIsSeenAndKeptInNewFiles(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	dir := t.TempDir()
	taken := write(t, filepath.Join(dir, "network.txt"), "somebody's")
	secret := write(t, filepath.Join(dir, "secret"), "not to be replaced")
	link := filepath.Join(dir, "processes.txt")
	require.NoError(t, os.Symlink(secret, link))

	h := machine(t, Config{NetworkCopy: taken, ProcessCopy: link})
	text, err := h.Network(t.Context())
	require.NoError(t, err)
	line := fmt.Sprintf(`tcp +%s +\S+ +LISTEN +%d +host.test`, regexp.QuoteMeta(l.Addr().String()), os.Getpid())
	require.Regexp(t, line, text)
	require.Contains(t, text, "all of it is in "+taken+".1")
	require.Regexp(t, line, read(t, taken+".1"))
	require.Equal(t, "somebody's", read(t, taken))

	text, err = h.Processes(t.Context())
	require.NoError(t, err)
	require.Regexp(t, fmt.Sprintf(`(?m)^\S+ +%d +%d .*host.test`, os.Getpid(), os.Getppid()), text)
	require.Equal(t, "not to be replaced", read(t, secret))
	info, err := os.Lstat(link + ".1")
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())

	h = machine(t, Config{NetworkCopy: "/no/such/folder/x", ProcessCopy: link, MaxLines: 1})
	text, err = h.Network(t.Context())
	require.ErrorContains(t, err, "/no/such/folder/x", "that no copy is kept is said")
	require.Contains(t, text, "PROTO", "beside what was seen")
	text, err = h.Processes(t.Context())
	require.NoError(t, err)
	require.Contains(t, text, "more lines are left out")
	require.Greater(t, strings.Count(read(t, link+".2"), "\n"), strings.Count(text, "\n"), "the file has them all")
}

// record is a line of wtmp.
func record(kind uint16, user, from string, at int64) []byte {
	b := make([]byte, loginSize)
	binary.LittleEndian.PutUint16(b, kind)
	binary.LittleEndian.PutUint32(b[4:], 4711)
	copy(b[8:], "pts/0")
	copy(b[44:], user)
	copy(b[76:], from)
	binary.LittleEndian.PutUint32(b[340:], uint32(at))
	return b
}

func TestLoginsAreReadFromTheLatestOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wtmp")
	all := append(append(record(2, "reboot", "6.1.0", 1_700_000_000), record(7, "ada", "192.0.2.7", 1_700_000_060)...), record(7, "eve\x1b[2J", "203.0.113.9", 1_700_000_120)...)
	write(t, path, string(all))
	h := machine(t, Config{Wtmp: path, MaxLines: 2})
	text, err := h.Logins(t.Context())
	require.NoError(t, err)
	require.Regexp(t, `(?s)2023-11-14T22:15:20Z +login +eve\\e\[2J +pts/0 +203.0.113.9 +4711\n2023-11-14T22:14:20Z +login +ada .*older ones are left out`, text)

	write(t, path, string(all[:len(all)-7]))
	text, err = h.Logins(t.Context())
	require.ErrorContains(t, err, "cut or altered")
	require.Contains(t, text, "ada")

	write(t, path, "")
	text, err = h.Logins(t.Context())
	require.NoError(t, err)
	require.Contains(t, text, "nobody has logged in")
	require.NoError(t, os.Remove(path))
	_, err = h.Logins(t.Context())
	require.ErrorContains(t, err, "is not known")

	if last, err := exec.LookPath("last"); err == nil {
		write(t, path, string(all))
		out, err := exec.Command(last, "-w", "-f", path).CombinedOutput()
		require.NoError(t, err, string(out))
		require.Contains(t, string(out), "192.0.2.7", "what this test writes is a wtmp to the system too")
	}
}

func TestHistoryIsTheLastHundredLines(t *testing.T) {
	dir := t.TempDir()
	var text strings.Builder
	for i := range 150 {
		fmt.Fprintf(&text, "command %d\n", i)
	}
	h := machine(t, Config{Histories: []string{write(t, filepath.Join(dir, "bash"), text.String()), filepath.Join(dir, "zsh")}})
	got, err := h.History(t.Context())
	require.NoError(t, err)
	require.Contains(t, got, "50 older lines are left out\ncommand 50\ncommand 51\n")
	require.True(t, strings.HasSuffix(got, "command 149\n"))
	_, err = machine(t, Config{Histories: []string{filepath.Join(dir, "none")}}).History(t.Context())
	require.ErrorContains(t, err, "what was typed is not known")
}

func TestLaw1_ChecksumsNameEachFileThatIsNotAsItWas(t *testing.T) {
	dir := t.TempDir()
	list := filepath.Join(dir, "checksums.txt")
	names := []string{"bot", "sub/risk", "line\nbreak", `back\slash`}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	for _, name := range names {
		write(t, filepath.Join(dir, name), "content of "+name)
	}
	sums, err := exec.Command("sh", "-c", `cd "$1" && sha256sum bot sub/risk "$2" "$3"`, "sh", dir, names[2], names[3]).Output()
	require.NoError(t, err)
	write(t, list, string(sums))
	h := machine(t, Config{Checksums: list})
	text, err := h.Checksums(t.Context())
	require.NoError(t, err)
	require.Contains(t, text, "4 of 4 files")

	write(t, filepath.Join(dir, "bot"), "content of b0t")
	require.NoError(t, os.Remove(filepath.Join(dir, "sub/risk")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub/risk"), 0o700))
	write(t, list, string(sums)+"no sum\n"+fmt.Sprintf("%x  gone\n", sha256.Sum256(nil)))
	text, err = h.Checksums(t.Context())
	require.Contains(t, text, "2 of 6 files")
	for _, want := range []string{`"bot" differs`, `"sub/risk" cannot be checked: it is no regular file`, "line 5 is not one of sha256sum", `"gone" cannot be checked`, "4 of 6 files are not as they were"} {
		require.ErrorContains(t, err, want)
	}

	write(t, list, "")
	_, err = h.Checksums(t.Context())
	require.ErrorContains(t, err, "lists no file", "an empty list shows nothing")
	require.NoError(t, os.Remove(list))
	_, err = h.Checksums(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	write(t, list, string(sums))
	_, err = h.Checksums(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestChangedFilesAreThoseOfTheTime(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "new"), "x")
	old := write(t, filepath.Join(dir, "old"), "x")
	require.NoError(t, os.Chtimes(old, time.Time{}, time.Now().Add(-25*time.Hour)))
	h := machine(t, Config{Roots: []string{dir}})
	text, err := h.Changed(t.Context(), 24*time.Hour)
	require.NoError(t, err)
	require.Contains(t, text, "1 of 2 files")
	require.Contains(t, text, filepath.Join(dir, "new"))
	require.NotContains(t, text, old+"\n")
	_, err = machine(t, Config{Roots: []string{filepath.Join(dir, "none")}}).Changed(t.Context(), time.Hour)
	require.ErrorContains(t, err, "1 places cannot be read")
}

// program puts a program into a folder of its own, which is all of PATH.
func program(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	if script != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o700))
	}
	t.Setenv("PATH", dir)
}

func TestLaw1_AJournalThatSaysNothingIsNotAQuietOne(t *testing.T) {
	h := machine(t, Config{})
	look := func() (string, error) { return h.SystemLog(t.Context(), 30*time.Minute) }
	program(t, journal, "")
	_, err := look()
	require.ErrorContains(t, err, "journalctl")
	program(t, journal, `exit 0`)
	_, err = look()
	require.ErrorContains(t, err, "no journal on this machine")
	program(t, journal, `echo "not permitted" >&2; exit 1`)
	_, err = look()
	require.ErrorContains(t, err, "not permitted")
	program(t, journal, `case "$*" in *--unit=docker*--since=@*) ;; *) echo "other line";; esac`)
	text, err := look()
	require.NoError(t, err)
	require.Contains(t, text, "no line of docker")
	program(t, journal, `case "$*" in *--unit=docker*--since=@*) echo "dockerd: died";; esac`)
	text, err = look()
	require.NoError(t, err)
	require.Equal(t, "dockerd: died\n", text)
}

func TestTheWayToTheExchangeIsMeasured(t *testing.T) {
	h := machine(t, Config{Exchange: listener(t), Within: 500 * time.Millisecond})
	text, err := h.Ping(t.Context(), 3)
	require.NoError(t, err)
	require.Regexp(t, `(ICMP to 127\.0\.0\.1|TCP connections to 127\.0\.0\.1:\d+): 3 of 3 answered, min/avg/max`, text)
	if os.Geteuid() == 0 {
		require.Contains(t, text, "ICMP to")
	}
	require.NotNil(t, h.DNS)
	text, err = machine(t, Config{Exchange: "localhost:1"}).DNS(t.Context())
	require.NoError(t, err)
	require.Contains(t, text, "127.0.0.1")
	_, err = h.Ping(t.Context(), 0)
	require.ErrorContains(t, err, "0 tries")
}

func TestLaw1_AnExchangeThatDoesNotAnswerIsNoFastOne(t *testing.T) {
	c := Config{Exchange: "[::1]:1", Within: 200 * time.Millisecond}.withDefaults() // ICMP is of IPv4
	text, err := c.ping(t.Context(), 2)
	require.ErrorContains(t, err, "no connection to [::1]:1")
	require.Contains(t, text, "no answer to ICMP (it has no IPv4 address)")
	c.Exchange = "no-such-exchange.invalid:443"
	_, err = c.dns(t.Context())
	require.ErrorContains(t, err, "no-such-exchange.invalid")
	_, err = c.route(t.Context())
	require.Error(t, err)
}

func TestWhereICMPIsNotAnsweredConnectionsAreTimed(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		needs.Missing(t, "an IPv6 loopback: %v", err)
	}
	defer func() { require.NoError(t, l.Close()) }()
	text, err := Config{Exchange: l.Addr().String()}.withDefaults().ping(t.Context(), 2)
	require.NoError(t, err)
	require.Contains(t, text, "no answer to ICMP (it has no IPv4 address); TCP connections to "+l.Addr().String()+": 2 of 2 answered")
}

func TestAnswersToOthersAreNotTaken(t *testing.T) {
	packet, id, seq := request()
	require.Zero(t, checksum(packet), "the sum over all, itself too, is zero")
	_, ok := answers(packet, id, seq)
	require.False(t, ok, "a request is no answer")
	packet[0] = echoReply
	kind, ok := answers(packet, id, seq)
	require.True(t, ok)
	require.EqualValues(t, echoReply, kind)
	_, ok = answers(packet, id, seq+1)
	require.False(t, ok)

	head := make([]byte, 20)
	head[0], head[9] = 0x45, 1
	packet[0] = echoRequest
	about := append(append([]byte{exceeded, 0, 0, 0, 0, 0, 0, 0}, head...), packet...)
	kind, ok = answers(about, id, seq)
	require.True(t, ok)
	require.EqualValues(t, exceeded, kind)
	for n := range about[:8+20+8] {
		_, ok = answers(about[:n], id, seq)
		require.False(t, ok, "it is cut off after %d bytes", n)
	}
}
