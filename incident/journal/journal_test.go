package journal_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/incident/journal"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, path string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	return j
}

func read(t require.TestingT, j *journal.Journal, after uint64) []incident.Event {
	var events []incident.Event
	for e, err := range j.Read(ctx, after) {
		require.NoError(t, err)
		events = append(events, e)
	}
	return events
}

func TestJournalIsAStore(t *testing.T) {
	for name, bytes := range map[string]int64{"in one file": 0, "in a file for each append": 1} {
		t.Run(name, func(t *testing.T) {
			incidenttest.TestStore(t, func(t *testing.T) func() incident.Store {
				path := filepath.Join(t.TempDir(), "journal")
				return func() incident.Store {
					j, err := journal.New(ctx, journal.Config{Path: path, SegmentBytes: bytes})
					require.NoError(t, err)
					return j
				}
			})
		})
	}
}

// written makes a journal of n records and returns its bytes and its tips.
func written(t require.TestingT, dir string, n int) ([]byte, []journal.Tip) {
	path := filepath.Join(dir, "written")
	j, err := journal.Open(path)
	require.NoError(t, err)
	var tips []journal.Tip
	for i := range n {
		_, err := j.Append(ctx, uint64(i), incidenttest.Event(i))
		require.NoError(t, err)
		tips = append(tips, j.Tip())
	}
	require.NoError(t, j.Close())
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b, tips
}

// place writes a file that stands for a journal.
func place(t require.TestingT, dir string, content []byte) string {
	path := filepath.Join(dir, "journal")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

// damaged asserts that both Open and Verify name the record, and change nothing.
func damaged(t require.TestingT, path string, record uint64) {
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	_, err = journal.Verify(path)
	var d *journal.DamagedError
	require.ErrorAs(t, err, &d)
	require.ErrorIs(t, err, journal.ErrDamaged)
	require.Equal(t, record, d.Record, "%v", err)
	require.Contains(t, err.Error(), path)
	_, err = journal.Open(path)
	require.ErrorIs(t, err, journal.ErrDamaged, "and the lock is free again")
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(before, after), "a damaged file is left as it is")
}

func lines(b []byte) [][]byte {
	return bytes.SplitAfter(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
}

func TestLaw10_TheChainNamesTheFirstAlteredRecord(t *testing.T) {
	whole, tips := written(t, t.TempDir(), 8)
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		b := bytes.Clone(whole)
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		bit := rapid.IntRange(0, 7).Draw(t, "bit")
		b[at] ^= 1 << bit
		record := uint64(bytes.Count(whole[:at], []byte("\n")) + 1)
		path := place(t, dir, b)
		if at == len(b)-1 {
			// Without its newline the last line is a torn tail to Open, and only
			// a published tip shows that it was once whole.
			_, err := journal.Verify(path, tips[len(tips)-1])
			require.ErrorIs(t, err, journal.ErrDamaged)
			return
		}
		damaged(t, path, record)
	})
}

func TestLaw10_TheChainNamesRemovedAndMovedRecords(t *testing.T) {
	whole, _ := written(t, t.TempDir(), 8)
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		ls := lines(whole)
		ls[len(ls)-1] = append(bytes.Clone(ls[len(ls)-1]), '\n')
		from := rapid.IntRange(0, len(ls)-2).Draw(t, "from")
		var b []byte
		first := uint64(from + 1)
		switch rapid.SampledFrom([]string{"remove", "swap", "repeat"}).Draw(t, "what") {
		case "remove":
			b = bytes.Join(append(append([][]byte{}, ls[:from]...), ls[from+1:]...), nil)
		case "swap":
			to := rapid.IntRange(from+1, len(ls)-1).Draw(t, "to")
			ls[from], ls[to] = ls[to], ls[from]
			b = bytes.Join(ls, nil)
		case "repeat":
			first++
			b = bytes.Join(append(append([][]byte{}, ls[:from+1]...), ls[from:]...), nil)
		}
		damaged(t, place(t, dir, b), first)
	})
}

// A forger who computes the hash of the record anew still has to forge every later
// one, and then the published tip.
func TestLaw10_ARecordWrittenAnewIsFound(t *testing.T) {
	whole, tips := written(t, t.TempDir(), 5)
	ls := lines(whole)
	reseal := func(from int, prev incident.Hash) []byte {
		out := bytes.Join(ls[:from], nil)
		for i := from; i < len(ls); i++ {
			e, err := incident.ParseLine(bytes.TrimSuffix(ls[i], []byte("\n")))
			require.NoError(t, err)
			if i == from {
				e.Why = "forged"
			}
			body, err := e.Encode()
			require.NoError(t, err)
			var line []byte
			line, prev = body.Seal(nil, e.Seq, prev)
			out = append(append(out, line...), '\n')
		}
		return out
	}
	forged := reseal(2, tips[1].Hash)
	forgedLines := lines(forged)
	half := bytes.Join([][]byte{bytes.Join(ls[:2], nil), forgedLines[2], bytes.Join(ls[3:], nil)}, nil)
	damaged(t, place(t, t.TempDir(), append(half, '\n')), 3)

	path := place(t, t.TempDir(), forged)
	_, err := journal.Verify(path)
	require.NoError(t, err, "a whole new chain looks right by itself")
	_, err = journal.Verify(path, tips[4])
	require.ErrorIs(t, err, journal.ErrDamaged)
	_, err = journal.Verify(path, tips[1])
	require.NoError(t, err, "what was published before the forgery is still there")

	cut := place(t, t.TempDir(), bytes.Join(ls[:3], nil))
	_, err = journal.Verify(cut, tips[4])
	require.ErrorContains(t, err, "record 4: the records end before it")
	r, err := journal.Verify(place(t, t.TempDir(), whole), tips...)
	require.NoError(t, err)
	require.Equal(t, tips[4], r.Tip)
}

func TestTornTailIsDroppedAndReported(t *testing.T) {
	whole, tips := written(t, t.TempDir(), 3)
	last := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
	for cut := last + 1; cut < len(whole); cut++ {
		for _, zeros := range []int{0, 100} {
			path := place(t, t.TempDir(), append(bytes.Clone(whole[:cut]), make([]byte, zeros)...))
			r, err := journal.Verify(path)
			require.NoError(t, err)
			require.Equal(t, journal.Report{Tip: tips[1], Torn: cut - last + zeros}, r)
			j := open(t, path)
			require.EqualValues(t, cut-last+zeros, j.Torn())
			got := read(t, j, 0)
			require.Len(t, got, 3)
			require.Equal(t, tips[1].Hash, got[1].Hash)
			require.Equal(t, incident.Recovered, got[2].Kind)
			require.Equal(t, fmt.Sprintf("a tail of %d bytes after record 2 was dropped", cut-last+zeros), got[2].What)
		}
	}
}

func TestForeignFilesAreRefusedAndNotTouched(t *testing.T) {
	whole, _ := written(t, t.TempDir(), 3)
	for name, c := range map[string]struct {
		content []byte
		record  uint64
	}{
		"text":                {[]byte("root:x:0:0\nbin:x:1:1\n"), 1},
		"text, no newline":    {[]byte("hello"), 1},
		"JSON of another":     {[]byte("{\"seq\":1}\n"), 1},
		"begins at record 2":  {bytes.Join(lines(whole)[1:], nil), 1},
		"garbage at the end":  {append(bytes.Clone(whole), "hello"...), 4},
		"an empty line":       {append(bytes.Clone(whole), '\n'), 4},
		"Windows newlines":    {bytes.ReplaceAll(whole, []byte("\n"), []byte("\r\n")), 1},
		"zeros in the middle": {append(append(bytes.Clone(whole), make([]byte, 64)...), whole...), 4},
		"a very long line":    {bytes.Repeat([]byte("x"), 3<<20), 1},
		"two journals":        {append(bytes.Clone(whole), whole...), 4},
	} {
		t.Run(name, func(t *testing.T) { damaged(t, place(t, t.TempDir(), c.content), c.record) })
	}
	t.Run("a directory", func(t *testing.T) {
		_, err := journal.Open(t.TempDir())
		require.ErrorIs(t, err, journal.ErrDamaged)
	})
	t.Run("no directory", func(t *testing.T) {
		_, err := journal.Open(filepath.Join(t.TempDir(), "none", "journal"))
		require.ErrorIs(t, err, os.ErrNotExist)
	})
}

func TestSecondOpenIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	_, err := journal.Open(path)
	require.ErrorIs(t, err, journal.ErrInUse)
	require.NoError(t, j.Close())
	open(t, path)
}

func TestClosedJournalSaysSo(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal"))
	_, err := j.Append(ctx, 0, incidenttest.Event(1))
	require.NoError(t, err)
	require.NoError(t, j.Close())
	require.NoError(t, j.Close())
	_, err = j.Append(ctx, 1, incidenttest.Event(2))
	require.ErrorIs(t, err, journal.ErrClosed)
	for _, err := range j.Read(ctx, 0) {
		require.ErrorIs(t, err, journal.ErrClosed)
	}
}

func TestAFileThatChangedUnderneathIsNotWrittenTo(t *testing.T) {
	for name, meddle := range map[string]func(path string) error{
		"removed":  os.Remove,
		"replaced": func(p string) error { return os.Rename(p, p+".old") },
		"grown": func(p string) error {
			b, err := os.ReadFile(p)
			return joinErr(err, os.WriteFile(p, append(b, 'x'), 0o600))
		},
		"cut": func(p string) error { return os.Truncate(p, 10) },
	} {
		t.Run(name, func(t *testing.T) {
			j := open(t, filepath.Join(t.TempDir(), "journal"))
			_, err := j.Append(ctx, 0, incidenttest.Event(1))
			require.NoError(t, err)
			require.NoError(t, meddle(j.Path()))
			if name == "replaced" {
				require.NoError(t, os.WriteFile(j.Path(), []byte("mine"), 0o600))
			}
			before, _ := os.ReadFile(j.Path())
			_, err = j.Append(ctx, 1, incidenttest.Event(2))
			require.ErrorIs(t, err, journal.ErrDamaged)
			after, _ := os.ReadFile(j.Path())
			require.Equal(t, before, after)
			require.EqualValues(t, 1, j.Tip().Seq)
		})
	}
}

func joinErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// A limit on the file's size stands for a full disk: the kernel cuts the write
// short, at several lengths. The limit holds for the whole process, so it is a
// process of its own.
func TestAFullDiskLosesNothingAndHeals(t *testing.T) {
	const child = "ANDON_TEST_FULL_DISK"
	if os.Getenv(child) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "--- PASS: "+t.Name())
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	j := open(t, filepath.Join(t.TempDir(), "journal"))
	_, err := j.Append(ctx, 0, incidenttest.Event(0))
	require.NoError(t, err)
	st, err := os.Stat(j.Path())
	require.NoError(t, err)
	for room := range int64(700) {
		if room%97 != 0 {
			continue
		}
		var old syscall.Rlimit
		require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old))
		full := old
		full.Cur = uint64(st.Size() + room)
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full))
		_, err = j.Append(ctx, 1, incidenttest.Event(1), incidenttest.Event(2))
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old))
		require.ErrorIs(t, err, syscall.EFBIG)
		require.Len(t, read(t, j, 0), 1, "what was not stored is not there")
		r, err := journal.Verify(j.Path())
		require.NoError(t, err)
		require.Equal(t, journal.Report{Tip: j.Tip()}, r, "and leaves nothing behind")
	}
	_, err = j.Append(ctx, 1, incidenttest.Event(1), incidenttest.Event(2))
	require.NoError(t, err)
	require.Len(t, read(t, j, 0), 3)
}

func TestReadBeginsAnywhere(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal"))
	const n = 1200 // more than two of the places that Read can start from
	var all []incident.Event
	for i := range n {
		all = append(all, incidenttest.Event(i))
	}
	all, err := j.Append(ctx, 0, all...)
	require.NoError(t, err)
	for _, after := range []uint64{0, 1, 511, 512, 513, 1023, 1024, 1199} {
		require.Equal(t, all[after:], read(t, j, after))
	}
	require.Empty(t, read(t, j, n))
	require.NoError(t, j.Close())
	require.Equal(t, all[1000:], read(t, open(t, j.Path()), 1000), "and after opening it again")
}

func TestAlteredWhileOpenIsFoundByRead(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal"))
	_, err := j.Append(ctx, 0, incidenttest.Event(1), incidenttest.Event(2))
	require.NoError(t, err)
	b, err := os.ReadFile(j.Path())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(j.Path(), bytes.Replace(b, []byte("event 2"), []byte("event 7"), 1), 0o600))
	var last error
	for _, err := range j.Read(ctx, 0) {
		last = err
	}
	require.ErrorIs(t, last, journal.ErrDamaged)
	require.ErrorContains(t, last, ":2 ")
}

func TestTheFileIsForPeople(t *testing.T) {
	whole, _ := written(t, t.TempDir(), 1)
	require.True(t, strings.HasPrefix(string(whole), `{"seq":1,"at":"2026-03-01T12:00:00Z","incident":"INC-20260301-001","kind":"note","by":"Ada Lovelace","what":"event 0: <a> & `), "%s", whole)
	covered, rest, ok := bytes.Cut(whole, []byte(`","hash":"`))
	require.True(t, ok)
	require.Equal(t, fmt.Sprintf("%x\"}\n", sha256.Sum256(covered)), string(rest), "and for any tool that knows SHA-256")
}
