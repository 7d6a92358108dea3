package evidence_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/andon-go/andon/incident/evidence"
	"github.com/andon-go/andon/internal/needs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newKey(t testing.TB) *age.X25519Identity {
	key, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return key
}

// collector makes a collector for a key, with the archives in a folder of the test.
func collector(t testing.TB, key *age.X25519Identity, change func(*evidence.Config), items ...evidence.Item) *evidence.Collector {
	t.Helper()
	cfg := evidence.Config{
		Dir: filepath.Join(t.TempDir(), "incidents"), Recipients: []string{key.Recipient().String()}, Items: items, Place: "rack 4",
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if change != nil {
		change(&cfg)
	}
	c, err := evidence.New(cfg)
	require.NoError(t, err)
	return c
}

func collect(t testing.TB, c *evidence.Collector) evidence.Archive {
	t.Helper()
	a, err := c.Collect(t.Context(), "Ada", "INC-20260301-001", "unknown API key in use")
	require.NoError(t, err)
	return a
}

func write(t testing.TB, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func entry(t testing.TB, m evidence.Manifest, suffix string) evidence.Entry {
	t.Helper()
	for _, e := range m.Entries {
		if strings.HasSuffix(e.Path, suffix) {
			return e
		}
	}
	require.Fail(t, "no such entry", "%q in %v", suffix, m.Entries)
	return evidence.Entry{}
}

func TestCollect_AndBack(t *testing.T) {
	dir, key := t.TempDir(), newKey(t)
	write(t, filepath.Join(dir, "logs/bot.log"), strings.Repeat("a line\n", 1000))
	write(t, filepath.Join(dir, ".env"), "PASSWORD=canary-31")
	require.NoError(t, os.Symlink("/etc/shadow", filepath.Join(dir, "logs/link")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "logs/pipe"), 0o600))
	c := collector(t, key, nil,
		evidence.Files("logs", filepath.Join(dir, "logs"), filepath.Join(dir, "logs/*.log"), filepath.Join(dir, "none"), filepath.Join(dir, "*.none")),
		evidence.Files("config", filepath.Join(dir, ".env")),
		evidence.Text("note", "who.txt", func(context.Context) ([]byte, error) { return []byte("nobody"), errors.New("half of it") }),
	)
	began := time.Now()
	a := collect(t, c)
	require.Regexp(t, `/incident_evidence_\d{8}_\d{6}\.tar\.zst\.age$`, a.Path)
	require.Len(t, a.Manifest.Entries, 4, "%v", a.Manifest.Entries)
	log := entry(t, a.Manifest, "logs/bot.log")
	require.Equal(t, log.SHA256, log.After)
	require.Equal(t, "a symbolic link to /etc/shadow", entry(t, a.Manifest, "/link").Note)
	var problems []string
	for _, p := range a.Manifest.Problems {
		problems = append(problems, strings.TrimPrefix(p.Source, dir)+": "+p.Error)
	}
	require.Len(t, problems, 4, "%q", problems)
	for i, want := range []string{"/logs/pipe: it is a p", "/none: lstat", "/*.none: nothing is there", "half of it"} {
		require.Contains(t, problems[i], want)
	}

	for _, path := range []string{a.Path, evidence.CustodyPath(a.Path)} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode())
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NotContains(t, string(b), "canary-31")
	}
	left, err := os.ReadDir(filepath.Dir(a.Path))
	require.NoError(t, err)
	require.Len(t, left, 2, "nothing else is left")

	r, err := evidence.Verify(t.Context(), a.Path, "Grace")
	require.NoError(t, err)
	require.False(t, r.Opened)
	require.NoError(t, evidence.Handed(a.Path, "Grace", "the safe of the auditor", "audit"))
	into := filepath.Join(t.TempDir(), "out")
	r, err = evidence.Extract(t.Context(), a.Path, into, "Grace", "analysis", key)
	require.NoError(t, err)
	require.Len(t, r.Manifest.Entries, len(a.Manifest.Entries))
	b, err := os.ReadFile(filepath.Join(into, "config", dir, ".env"))
	require.NoError(t, err)
	require.Equal(t, "PASSWORD=canary-31", string(b))
	require.NoFileExists(t, filepath.Join(into, "logs", dir, "logs/link"), "a link is described and not made")

	chain, err := evidence.ReadCustody(a.Path)
	require.NoError(t, err)
	var did []string
	for _, line := range chain {
		did = append(did, line.Handler+" "+line.Action+" at "+line.Place)
		require.Equal(t, a.SHA256, line.Before)
		require.Equal(t, a.SHA256, line.After)
		require.WithinRange(t, line.At, began.Add(-time.Millisecond), time.Now())
	}
	host, err := os.Hostname()
	require.NoError(t, err)
	require.Equal(t, []string{
		"Ada collected at rack 4", "Grace verified at " + host, "Grace handed on at the safe of the auditor", "Grace extracted at " + host,
	}, did)
}

// Other tools open what this package makes.
func TestCollect_IsPlainTar(t *testing.T) {
	key := newKey(t)
	c := collector(t, key, nil, evidence.Text("state", "a.txt", func(context.Context) ([]byte, error) { return []byte("hello"), nil }))
	a := collect(t, c)
	for _, tool := range []string{"zstd", "tar"} {
		if _, err := exec.LookPath(tool); err != nil {
			needs.Missing(t, "%s (apt-get install %s)", tool, tool)
		}
	}
	f, err := os.Open(a.Path)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	plain, err := age.Decrypt(f, key)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "tar", "--zstd", "-xO", "state/a.txt")
	cmd.Stdin = plain
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Equal(t, "hello", string(out))
}

// A change of any byte of the archive is found, with the range and the file; so is a
// change of any line of its chain of custody.
func TestVerify_FindsEveryChange(t *testing.T) {
	dir, key := t.TempDir(), newKey(t)
	noise := make([]byte, 3<<20)
	for i := range noise {
		noise[i] = byte(i * i * 2654435761 >> 13)
	}
	write(t, filepath.Join(dir, "first.bin"), string(noise))
	write(t, filepath.Join(dir, "second.bin"), string(noise[1<<20:]))
	c := collector(t, key, nil, evidence.Files("data", dir))
	a := collect(t, c)
	sealed, err := os.ReadFile(a.Path)
	require.NoError(t, err)
	custody, err := os.ReadFile(evidence.CustodyPath(a.Path))
	require.NoError(t, err)
	restore := func() {
		require.NoError(t, os.WriteFile(a.Path, sealed, 0o600))
		require.NoError(t, os.WriteFile(evidence.CustodyPath(a.Path), custody, 0o600))
	}
	rapid.Check(t, func(t *rapid.T) {
		restore()
		at := rapid.IntRange(0, len(sealed)-1).Draw(t, "at")
		bad := bytes.Clone(sealed)
		bad[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		require.NoError(t, os.WriteFile(a.Path, bad, 0o600))
		_, err := evidence.Verify(context.Background(), a.Path, "Grace")
		d, ok := errors.AsType[*evidence.DamagedError](err)
		require.True(t, ok, "%v", err)
		require.True(t, d.From <= int64(at) && int64(at) < d.To, "%d is in %d to %d", at, d.From, d.To)
		require.ErrorIs(t, err, evidence.ErrDamaged)
	})
	for _, cut := range [][]byte{sealed[:len(sealed)-1], sealed[:1<<20], nil, append(bytes.Clone(sealed), 0)} {
		restore()
		require.NoError(t, os.WriteFile(a.Path, cut, 0o600))
		_, err := evidence.Verify(t.Context(), a.Path, "Grace")
		require.ErrorIs(t, err, evidence.ErrDamaged, "%d of %d bytes", len(cut), len(sealed))
	}
	restore()
	_, err = evidence.Verify(t.Context(), a.Path, "Grace", key)
	require.NoError(t, err)
	two, err := os.ReadFile(evidence.CustodyPath(a.Path))
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, len(two)-1).Draw(t, "at")
		bad := bytes.Clone(two)
		bad[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		require.NoError(t, os.WriteFile(evidence.CustodyPath(a.Path), bad, 0o600))
		_, err := evidence.ReadCustody(a.Path)
		require.ErrorIs(t, err, evidence.ErrDamaged)
	})
	lines := bytes.SplitAfter(two, []byte("\n"))
	for _, bad := range [][]byte{lines[1], append(bytes.Clone(lines[0]), lines[0]...), nil, two[:len(two)-1]} {
		require.NoError(t, os.WriteFile(evidence.CustodyPath(a.Path), bad, 0o600))
		_, err := evidence.ReadCustody(a.Path)
		require.ErrorIs(t, err, evidence.ErrDamaged, "%q", bad)
	}
	require.Contains(t, (&evidence.DamagedError{Archive: "a", File: "f", From: 1, To: 2, Why: "w"}).Error(), `a: evidence is not what it was: bytes 1 to 2: file "f": w`)
}

// Whoever can forge the chain of custody cannot forge the inside: it needs no key to see
// that an archive was replaced by another of the same recipients.
func TestVerify_AnotherArchiveUnderTheName(t *testing.T) {
	key := newKey(t)
	text := "one"
	c := collector(t, key, nil, evidence.Text("state", "a.txt", func(context.Context) ([]byte, error) { return []byte(text), nil }))
	a := collect(t, c)
	text = "two"
	b := collect(t, c)
	require.NotEqual(t, a.Path, b.Path, "two in one second have two names")
	require.NoError(t, os.Rename(b.Path, a.Path))
	_, err := evidence.Verify(t.Context(), a.Path, "Grace", key)
	require.ErrorIs(t, err, evidence.ErrDamaged)
	_, err = evidence.Extract(t.Context(), a.Path, filepath.Join(t.TempDir(), "x"), "Grace", "x", newKey(t))
	require.ErrorIs(t, err, evidence.ErrDamaged)
}

// What fails, panics or hangs is named, and everything else is collected.
func TestCollect_OneItemNeverCostsAnother(t *testing.T) {
	key := newKey(t)
	release := make(chan struct{})
	hung := make(chan error, 1)
	c := collector(t, key, nil,
		evidence.Item{Name: "fails", Collect: func(context.Context, *evidence.Sink) error { return errors.New("permission denied") }},
		evidence.Item{Name: "panics", Collect: func(context.Context, *evidence.Sink) error { panic("a nil map") }},
		evidence.Item{Name: "hangs", Within: 50 * time.Millisecond, Collect: func(ctx context.Context, s *evidence.Sink) error {
			if err := s.Text("before.txt", []byte("kept")); err != nil {
				return err
			}
			<-release // heeds no context
			hung <- s.Text("after.txt", []byte("late"))
			return nil
		}},
		evidence.Item{Name: "endless", Within: 50 * time.Millisecond, Collect: func(ctx context.Context, s *evidence.Sink) error {
			r, w := io.Pipe()
			defer func() { _ = w.Close() }()
			return s.Stream(ctx, "pipe.txt", r)
		}},
		evidence.Text("last", "last.txt", func(context.Context) ([]byte, error) { return []byte("here"), nil }),
	)
	a := collect(t, c)
	close(release)
	require.ErrorIs(t, <-hung, evidence.ErrLate)
	problems := map[string]string{}
	for _, p := range a.Manifest.Problems {
		problems[p.Item] += p.Error
	}
	require.Contains(t, problems["fails"], "permission denied")
	require.Contains(t, problems["panics"], "a nil map")
	require.Contains(t, problems["hangs"], "did not end within 50ms")
	require.Contains(t, problems["endless"], "deadline")
	entry(t, a.Manifest, "hangs/before.txt")
	entry(t, a.Manifest, "last/last.txt")
	_, err := evidence.Verify(t.Context(), a.Path, "Grace", key)
	require.NoError(t, err)
}

// A file that grows, shrinks or changes while it is collected does not break the
// archive, and the manifest says so.
func TestCollect_FilesThatChange(t *testing.T) {
	dir, key := t.TempDir(), newKey(t)
	path := filepath.Join(dir, "bot.log")
	write(t, path, strings.Repeat("x", 8<<20))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if i%2 == 0 {
				_ = os.Truncate(path, int64(1+i%7)<<20)
			} else {
				_ = os.WriteFile(path, bytes.Repeat([]byte{byte(i)}, 8<<20), 0o600)
			}
		}
	})
	c := collector(t, key, nil, evidence.Files("logs", dir))
	for range 5 {
		a := collect(t, c)
		_, err := evidence.Verify(t.Context(), a.Path, "Grace", key)
		require.NoError(t, err)
		for _, e := range a.Manifest.Entries {
			require.True(t, e.After == e.SHA256 || e.Note != "", "%+v", e)
		}
	}
	close(stop)
	wg.Wait()

	f, err := os.OpenFile(path, os.O_WRONLY, 0o600)
	require.NoError(t, err)
	stop = make(chan struct{})
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				_, _ = f.WriteAt([]byte{byte(i)}, 0)
			}
		}
	})
	changed := false
	for range 5 {
		e := entry(t, collect(t, c).Manifest, "bot.log")
		require.Equal(t, e.After != e.SHA256, strings.Contains(e.Note, "it was changed while it was collected"), "%+v", e)
		changed = changed || e.After != e.SHA256
	}
	close(stop)
	wg.Wait()
	require.NoError(t, f.Close())
	require.True(t, changed, "a byte that is written all the time differs once in five times")
}

// A collection whose context ends is closed with what there is.
func TestCollect_CutShort(t *testing.T) {
	key := newKey(t)
	ctx, cancel := context.WithCancel(t.Context())
	c := collector(t, key, nil,
		evidence.Text("a", "a.txt", func(context.Context) ([]byte, error) { cancel(); return []byte("a"), nil }),
		evidence.Text("b", "b.txt", func(context.Context) ([]byte, error) { return []byte("b"), nil }),
	)
	a, err := c.Collect(ctx, "Ada", "", "drill")
	require.NoError(t, err)
	require.Equal(t, "b", a.Manifest.Problems[len(a.Manifest.Problems)-1].Item)
	_, err = evidence.Verify(t.Context(), a.Path, "Grace", key)
	require.NoError(t, err)
}

// recorder is told, or refuses.
type recorder struct {
	what string
	err  error
}

func (r *recorder) Record(_ context.Context, _ time.Time, who, what, why string) error {
	r.what = who + ": " + what + " (" + why + ")"
	return r.err
}

func TestLaw10_WhatWasCollectedIsOnTheTimeline(t *testing.T) {
	rec := &recorder{}
	c := collector(t, newKey(t), func(c *evidence.Config) { c.Recorder = rec },
		evidence.Text("a", "a.txt", func(context.Context) ([]byte, error) { return nil, nil }))
	a := collect(t, c)
	require.Contains(t, rec.what, a.SHA256)
	require.Contains(t, rec.what, "Ada: evidence collected: "+a.Path)
	rec.err = errors.New("the disk is full")
	a, err := c.Collect(t.Context(), "Ada", "", "drill")
	require.ErrorContains(t, err, "is collected, but that is not recorded: the disk is full")
	require.FileExists(t, a.Path)
	_, err = c.Collect(t.Context(), " ", "", "drill")
	require.ErrorIs(t, err, evidence.ErrUnnamed)
	_, err = c.Collect(t.Context(), "Ada", "../x", "drill")
	require.ErrorContains(t, err, "no incident's number")
}

// Copies under fixed names replace nothing and follow no link.
func TestWriteNew(t *testing.T) {
	dir := t.TempDir()
	path, trap := filepath.Join(dir, "network_state.txt"), filepath.Join(dir, "trap")
	require.NoError(t, os.Symlink(trap, path))
	name, err := evidence.WriteNew(path, []byte("tcp"))
	require.NoError(t, err)
	require.Equal(t, path+".1", name)
	require.NoFileExists(t, trap)
	info, err := os.Stat(name)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	name, err = evidence.WriteNew(path, nil)
	require.NoError(t, err)
	require.Equal(t, path+".2", name)
	_, err = evidence.WriteNew(filepath.Join(dir, "none", "x"), nil)
	require.Error(t, err)
}

func TestNew_RefusesWhatCannotBeMeant(t *testing.T) {
	nothing := func(context.Context, *evidence.Sink) error { return nil }
	_, err := evidence.New(evidence.Config{
		Recipients: []string{"age1x"}, Within: -1,
		Items: []evidence.Item{{Name: "../a", Collect: nothing}, {Name: "a"}, {Name: "a", Collect: nothing, Within: -1}, {Name: "a", Collect: nothing}},
	})
	for _, want := range []string{
		"Recipients[0] is no age public key", `Items[0]: Name is "../a"`, `Items[1] "a": Collect is nil`, `Items[3]: "a" is there twice`, "Within is -1ns",
	} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "age1x", "what may be a secret key by mistake is not said")
	_, err = evidence.New(evidence.Config{})
	require.ErrorContains(t, err, "Recipients is empty")
	require.ErrorContains(t, err, "Items is empty")
}

func TestItems(t *testing.T) {
	dir, key := t.TempDir(), newKey(t)
	git := func(args ...string) {
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"}, args...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	if _, err := exec.LookPath("git"); err != nil {
		needs.Missing(t, "git (apt-get install git)")
	}
	git("init", "-q")
	write(t, filepath.Join(dir, "a.txt"), "a")
	git("add", "a.txt")
	git("commit", "-q", "-m", "first")
	write(t, filepath.Join(dir, "a.txt"), "changed")
	write(t, filepath.Join(dir, "b.txt"), "b")
	trap := filepath.Join(t.TempDir(), "trap")
	for _, name := range []string{"core.fsmonitor", "filter.x.clean", "diff.external", "core.pager"} {
		git("config", name, "touch "+trap)
	}
	write(t, filepath.Join(dir, ".gitattributes"), "* filter=x\n")
	old := filepath.Join(dir, "old.txt")
	write(t, old, "old")
	require.NoError(t, os.Chtimes(old, time.Now().Add(-48*time.Hour), time.Now().Add(-48*time.Hour)))

	home := t.TempDir()
	t.Setenv("HOME", home)
	write(t, filepath.Join(home, ".bash_history"), "rm -rf /\n")
	c := collector(t, key, nil, evidence.Git("git", dir), evidence.Changed("changed", dir, 24*time.Hour), evidence.History(),
		evidence.Git("nogit", t.TempDir()))
	a := collect(t, c)
	into := filepath.Join(t.TempDir(), "out")
	_, err := evidence.Extract(t.Context(), a.Path, into, "Grace", "test", key)
	require.NoError(t, err)
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(into, name))
		require.NoError(t, err)
		return string(b)
	}
	require.Regexp(t, "^[0-9a-f]{40}\n$", read("git/head.txt"))
	require.Contains(t, read("git/log.txt"), " a first")
	require.Contains(t, read("git/changed.txt"), "M\ta.txt")
	require.Contains(t, read("git/unknown.txt"), "b.txt")
	require.NoFileExists(t, trap, "nothing of the tree was run")
	require.Contains(t, read("changed/changed.txt"), "b.txt")
	require.NotContains(t, read("changed/changed.txt"), "old.txt")
	require.Equal(t, "rm -rf /\n", read("history"+home+"/.bash_history"))
	require.Equal(t, "nogit", a.Manifest.Problems[0].Item)
}

func TestSink_StreamInParts(t *testing.T) {
	key := newKey(t)
	text := strings.Repeat("0123456789abcdef", 9<<20/16)
	c := collector(t, key, nil, evidence.Item{Name: "docker", Collect: func(ctx context.Context, s *evidence.Sink) error {
		return errors.Join(s.Stream(ctx, "logs.txt", strings.NewReader(text)), s.Stream(ctx, "empty.txt", strings.NewReader("")), s.Text("empty.txt", nil), s.Text("", nil))
	}})
	a := collect(t, c)
	require.Contains(t, a.Manifest.Problems[0].Error, "docker/empty.txt: it was collected before")
	require.Contains(t, a.Manifest.Problems[0].Error, "needs a name")
	into := filepath.Join(t.TempDir(), "out")
	_, err := evidence.Extract(t.Context(), a.Path, into, "Grace", "test", key)
	require.NoError(t, err)
	var got strings.Builder
	for _, part := range []string{"", ".001", ".002"} {
		b, err := os.ReadFile(filepath.Join(into, "docker/logs.txt"+part))
		require.NoError(t, err)
		got.WriteString(string(b))
	}
	require.True(t, got.String() == text)
}

// BenchmarkCollect seals 1 GiB of logs and prints the memory that it takes beyond what
// was in use.
func BenchmarkCollect(b *testing.B) {
	dir, key := b.TempDir(), newKey(b)
	f, err := os.Create(filepath.Join(dir, "bot.log"))
	require.NoError(b, err)
	const size = 1 << 30
	line := []byte{}
	for n := 0; n < size; n += len(line) {
		line = fmt.Appendf(line[:0], "2026-03-01T12:00:%02d.%06dZ INFO order ord-%08d of BTC-USD 0.125 at %d.%02d accepted in %d ms\n", n%60, n%1e6, n, 60000+n%977, n%100, n%97)
		_, err := f.Write(line)
		require.NoError(b, err)
	}
	require.NoError(b, f.Close())
	c := collector(b, key, nil, evidence.Files("logs", dir))
	b.SetBytes(size)
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	peak := uint64(0)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				runtime.ReadMemStats(&now)
				peak = max(peak, now.Sys-now.HeapReleased)
			}
		}
	}()
	for b.Loop() {
		a := collect(b, c)
		require.NoError(b, os.Remove(a.Path))
	}
	close(stop)
	<-done
	b.ReportMetric(float64(peak)/(1<<20), "MiB-resident")
}
