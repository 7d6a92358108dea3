package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/internal/needs"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// files returns what lies beside a journal, without its lock.
func files(t require.TestingT, path string) map[string][]byte {
	all := map[string][]byte{}
	names, err := filepath.Glob(path + "*")
	require.NoError(t, err)
	for _, name := range names {
		if filepath.Ext(name) == ".lock" {
			continue
		}
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		all[filepath.Base(name)] = b
	}
	return all
}

// segmented makes a journal of n records in files of a few records each.
func segmented(t require.TestingT, dir string, n int) (path string, events []incident.Event) {
	path = filepath.Join(dir, "journal")
	j, err := journal.New(ctx, journal.Config{Path: path, SegmentBytes: 1500})
	require.NoError(t, err)
	for i := range n {
		got, err := j.Append(ctx, uint64(i), incidenttest.Event(i))
		require.NoError(t, err)
		events = append(events, got...)
	}
	require.NoError(t, j.Close())
	return path, events
}

// put writes files in place of those that are there.
func put(t require.TestingT, path string, content map[string][]byte) {
	for name := range files(t, path) {
		require.NoError(t, os.Remove(filepath.Join(filepath.Dir(path), name)))
	}
	for name, b := range content {
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), name), b, 0o600))
	}
}

func TestAFullFileIsFollowedByAnother(t *testing.T) {
	path, events := segmented(t, t.TempDir(), 12)
	names := slices.Sorted(maps.Keys(files(t, path)))
	require.Greater(t, len(names), 2)
	require.Equal(t, "journal", names[0])
	require.Regexp(t, `^journal\.0{11}\d$`, names[1], "the number of its first record")
	var all []byte
	for _, name := range names {
		all = append(all, files(t, path)[name]...)
	}
	whole := place(t, t.TempDir(), all)
	r, err := journal.Verify(whole)
	require.NoError(t, err, "the files one after another are a journal")
	require.EqualValues(t, 12, r.Tip.Seq)
	require.Equal(t, events, read(t, open(t, path), 0))
}

func TestAJournalOfOneFileGoesOnInAnother(t *testing.T) {
	whole, tips := written(t, t.TempDir(), 8)
	path := place(t, t.TempDir(), whole)
	j, err := journal.New(ctx, journal.Config{Path: path, SegmentBytes: 100})
	require.NoError(t, err)
	_, err = j.Append(ctx, 8, incidenttest.Event(8))
	require.NoError(t, err)
	require.NoError(t, j.Close())
	require.Equal(t, whole, files(t, path)["journal"], "the file from before is left as it is")
	require.Contains(t, files(t, path), "journal.000000000009")
	_, err = journal.Verify(path, tips...)
	require.NoError(t, err)
}

func TestLaw10_TheChainNamesTheFirstAlteredRecordInAnyFile(t *testing.T) {
	path, _ := segmented(t, t.TempDir(), 12)
	whole := files(t, path)
	names := slices.Sorted(maps.Keys(whole))
	rapid.Check(t, func(t *rapid.T) {
		changed := maps.Clone(whole)
		var record uint64
		n := rapid.IntRange(0, len(names)-2).Draw(t, "file") // the last one's end may be torn
		first := 1
		for _, name := range names[:n] {
			first += bytes.Count(whole[name], []byte("\n"))
		}
		name := names[n]
		switch rapid.SampledFrom([]string{"flip", "remove", "empty", "cut", "torn"}).Draw(t, "what") {
		case "flip":
			b := bytes.Clone(whole[name])
			at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
			b[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			changed[name], record = b, uint64(first+bytes.Count(whole[name][:at], []byte("\n")))
		case "remove":
			if n == 0 {
				t.Skip("nothing to open")
			}
			delete(changed, name)
			record = uint64(first)
		case "empty":
			changed[name], record = nil, uint64(first)
		case "torn":
			record = uint64(first + bytes.Count(whole[name], []byte("\n")))
			changed[name] = fmt.Appendf(bytes.Clone(whole[name]), `{"seq":%d,"at":"20`, record)
		case "cut":
			at := rapid.IntRange(1, len(whole[name])-1).Draw(t, "at")
			changed[name], record = whole[name][:at], uint64(first+bytes.Count(whole[name][:at], []byte("\n")))
		}
		put(t, path, changed)
		damaged(t, path, record)
		require.True(t, maps.EqualFunc(changed, files(t, path), bytes.Equal), "a damaged journal is left as it is")
	})
}

// A forger who computes a whole file anew breaks the link to the next.
func TestLaw10_AFileWrittenAnewIsFound(t *testing.T) {
	path, events := segmented(t, t.TempDir(), 12)
	all := files(t, path)
	names := slices.Sorted(maps.Keys(all))
	var forged []byte
	prev, seq := incident.Hash{}, 0
	for range bytes.Count(all[names[0]], []byte("\n")) {
		e := events[seq]
		e.Why = "forged"
		body, err := e.Encode()
		require.NoError(t, err)
		var line []byte
		seq++
		line, prev = body.Seal(nil, uint64(seq), prev)
		forged = append(append(forged, line...), '\n')
	}
	all[names[0]] = forged
	put(t, path, all)
	damaged(t, path, uint64(seq))
}

func TestLaw10_ReadIncidentFindsWhatWasRewritten(t *testing.T) {
	path, events := segmented(t, t.TempDir(), 4)
	j := open(t, path)
	number := events[0].Incident
	whole := files(t, path)["journal"]
	last := func() (last error) {
		for _, last = range j.ReadIncident(ctx, number) {
		}
		return last
	}
	require.NoError(t, last())
	put(t, path, map[string][]byte{})
	require.NoError(t, os.WriteFile(path, nil, 0o600)) // another file: the open one is what counts
	require.NoError(t, last())

	path = place(t, t.TempDir(), whole)
	j = open(t, path)
	e := events[0]
	e.Why = "The suite asked for it" // as long
	body, err := e.Encode()
	require.NoError(t, err)
	line, _ := body.Seal(nil, 1, incident.Hash{})
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(line, 0)
	require.NoError(t, errors.Join(err, f.Close()))
	require.ErrorIs(t, last(), journal.ErrDamaged)
	require.NoError(t, os.Truncate(path, 10))
	require.ErrorIs(t, last(), journal.ErrDamaged)
}

func TestLaw10_TheAnchorIsAskedWhenTheJournalIsOpened(t *testing.T) {
	path, events := segmented(t, t.TempDir(), 12)
	anchor := &incident.FileAnchor{Path: filepath.Join(t.TempDir(), "anchor")}
	cfg := journal.Config{Path: path, Anchor: anchor}
	for _, e := range []incident.Event{events[3], events[11]} {
		require.NoError(t, anchor.Publish(ctx, e.Tip()))
	}
	j, err := journal.New(ctx, cfg)
	require.NoError(t, err)
	require.NoError(t, j.Close())

	whole := files(t, path)
	names := slices.Sorted(maps.Keys(whole))
	delete(whole, names[len(names)-1])
	put(t, path, whole)
	_, err = journal.New(ctx, cfg)
	require.ErrorIs(t, err, journal.ErrDamaged)
	require.ErrorContains(t, err, "they were cut off")
	_, err = journal.New(ctx, journal.Config{Path: path})
	require.NoError(t, err, "the chain alone does not show it")
}

// The anchor is on another machine, and that is down: pages must go out all the same.
func TestLaw11_AnAnchorThatCannotBeReadKeepsNoJournalShut(t *testing.T) {
	path, _ := segmented(t, t.TempDir(), 3)
	down := incident.AnchorFuncs{PublishedFunc: func(context.Context) ([]incident.Tip, error) { return nil, errors.New("no route to host") }}
	j, err := journal.New(ctx, journal.Config{Path: path, Anchor: down})
	require.NoError(t, err)
	defer j.Close()
	got := read(t, j, 3)
	require.Len(t, got, 1)
	require.Equal(t, incident.AnchorUnread, got[0].Kind)
	require.Equal(t, "no route to host", got[0].Why)
}

func TestConfigNamesEveryProblem(t *testing.T) {
	_, err := journal.New(ctx, journal.Config{SegmentBytes: -1})
	require.ErrorContains(t, err, "Path ")
	require.ErrorContains(t, err, "SegmentBytes ")
}

// A file system of 256 KiB, full at last, in which no file can be begun.
func TestAFullFileSystemLosesNothingAndHeals(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		needs.Missing(t, "the right to mount a tmpfs (%v): run as root", err)
	}
	defer func() { require.NoError(t, syscall.Unmount(dir, 0)) }()
	path := filepath.Join(dir, "journal")
	j, err := journal.New(ctx, journal.Config{Path: path, SegmentBytes: 20 << 10})
	require.NoError(t, err)
	ballast := filepath.Join(dir, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 64<<10), 0o600))
	var have []incident.Event
	refused := 0
	for i := range 2000 {
		got, err := j.Append(ctx, uint64(len(have)), incidenttest.Event(i), incidenttest.Event(i))
		if err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			if refused++; refused == 3 {
				require.NoError(t, os.Remove(ballast))
			}
			if refused == 6 {
				break
			}
			continue
		}
		have = append(have, got...)
	}
	require.Equal(t, 6, refused)
	require.Equal(t, have, read(t, j, 0))
	require.NoError(t, j.Close())
	r, err := journal.Verify(path)
	require.NoError(t, err)
	require.Equal(t, journal.Report{Tip: have[len(have)-1].Tip()}, r)
	j = open(t, path)
	require.Equal(t, have, read(t, j, 0))
	require.NoError(t, j.Close())
}

// A slice is the model of a journal: whatever is done, and however often it is opened
// again with files of another length, they hold the same.
func TestAJournalIsAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("/dev/shm", "andon-journal-") // thousands of syncs
		if err != nil {
			dir, err = os.MkdirTemp("", "andon-journal-")
		}
		require.NoError(t, err)
		defer os.RemoveAll(dir)
		cfg := journal.Config{Path: filepath.Join(dir, "journal")}
		var j *journal.Journal
		reopen := func() {
			if j != nil {
				require.NoError(t, j.Close())
			}
			cfg.SegmentBytes = rapid.SampledFrom([]int64{1, 500, 2000, 1 << 20}).Draw(t, "segment bytes")
			var err error
			j, err = journal.New(ctx, cfg)
			require.NoError(t, err)
		}
		reopen()
		defer func() { require.NoError(t, j.Close()) }()
		model := []incident.Event{}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				batch := make([]incident.Event, rapid.IntRange(1, 4).Draw(t, "events"))
				for i := range batch {
					batch[i] = incidenttest.Event(len(model) + i)
					batch[i].Incident = rapid.SampledFrom([]string{"", "a", "b", "\\", "\""}).Draw(t, "incident")
				}
				expected := rapid.SampledFrom([]uint64{uint64(len(model)), incident.Any, 0, uint64(len(model)) + 1}).Draw(t, "expected")
				got, err := j.Append(ctx, expected, batch...)
				if expected != incident.Any && expected != uint64(len(model)) {
					require.ErrorIs(t, err, incident.ErrConflict)
					return
				}
				require.NoError(t, err)
				model = append(model, got...)
			},
			"reopen": func(*rapid.T) { reopen() },
			"tear": func(t *rapid.T) {
				require.NoError(t, j.Close())
				j = nil
				last := "journal"
				for name, b := range files(t, cfg.Path) {
					if len(b) > 0 {
						last = max(last, name)
					}
				}
				name := filepath.Join(dir, last)
				b, err := os.ReadFile(name)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(name, fmt.Appendf(b, `{"seq":%d,"at":"20`, len(model)+1), 0o600))
				reopen()
				more := read(t, j, uint64(len(model)))
				require.Len(t, more, 1)
				require.Equal(t, incident.Recovered, more[0].Kind)
				model = append(model, more...)
			},
			"": func(t *rapid.T) {
				after := rapid.IntRange(0, len(model)).Draw(t, "after")
				require.Equal(t, model[after:], append([]incident.Event{}, read(t, j, uint64(after))...))
				number := rapid.SampledFrom([]string{"", "a", "b", "\\", "\"", "c"}).Draw(t, "number")
				var want, got []incident.Event
				for _, e := range model {
					if e.Incident == number {
						want = append(want, e)
					}
				}
				for e, err := range j.ReadIncident(ctx, number) {
					require.NoError(t, err)
					got = append(got, e)
				}
				require.Equal(t, want, got)
			},
		})
	})
}
