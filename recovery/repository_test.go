package recovery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/recoverytest"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// shelf is a Target whose data lies in memory and whose backups lie in a Repository.
type shelf struct {
	*recovery.Repository
	parts map[string]string
}

func (s *shelf) Backup(ctx context.Context, now time.Time) (b recovery.Backup, err error) {
	d, err := s.Begin(ctx, now)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, d.Discard(ctx)) }()
	for _, name := range slices.Sorted(maps.Keys(s.parts)) {
		w, err := d.Create(ctx, name)
		if err != nil {
			return b, err
		}
		if _, err := io.WriteString(w, s.parts[name]); err != nil {
			return b, err
		}
		w.AddRows(int64(strings.Count(s.parts[name], "\n")))
		if err := w.Close(); err != nil {
			return b, err
		}
	}
	return d.Commit(ctx, map[string]string{"schema": "v7"})
}

var twoTables = map[string]string{"public.trades": strings.Repeat("1,BTC-USD,0.5\n", 40), "public.positions": "BTC-USD,0.5\n"}

func newShelf(t testing.TB, s recovery.Storage, change ...func(*recovery.RepositoryConfig)) *shelf {
	t.Helper()
	cfg := recovery.RepositoryConfig{Component: recovery.HistoricalData, Storage: s, ChunkSize: 30, Versions: map[string]string{"bot": "1.4.2"}}
	for _, c := range change {
		c(&cfg)
	}
	r, err := recovery.NewRepository(cfg)
	require.NoError(t, err)
	return &shelf{r, twoTables}
}

// sealed seals with a fresh key.
func sealed(t testing.TB) func(*recovery.RepositoryConfig) {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return func(c *recovery.RepositoryConfig) {
		c.Seal = &recovery.Seal{
			Recipients: []age.Recipient{key.Recipient()},
			Identities: func(context.Context) ([]age.Identity, error) { return []age.Identity{key}, nil },
		}
	}
}

func (s *shelf) good(t testing.TB, now time.Time) recovery.Backup {
	t.Helper()
	b, err := s.Backup(t.Context(), now)
	require.NoError(t, err)
	b, err = s.Verify(t.Context(), b.Name, now)
	require.NoError(t, err)
	require.True(t, b.Good())
	return b
}

func (s *shelf) list(t testing.TB) []recovery.Backup {
	t.Helper()
	backups, err := s.Backups(t.Context())
	require.NoError(t, err)
	return backups
}

func readPart(t testing.TB, s *shelf, backup, part string) (string, error) {
	t.Helper()
	r, err := s.Read(t.Context(), backup)
	require.NoError(t, err)
	p, err := r.Open(t.Context(), part)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(p)
	require.NoError(t, p.Close())
	return string(data), err
}

func TestRepositoryConforms(t *testing.T) {
	for name, change := range map[string]func(*recovery.RepositoryConfig){
		"plain":  func(*recovery.RepositoryConfig) {},
		"sealed": sealed(t),
		"prefix": func(c *recovery.RepositoryConfig) { c.Prefix = "shared/postgres/" },
	} {
		t.Run(name, func(t *testing.T) {
			recoverytest.TestTarget(t, func(t *testing.T) recoverytest.Subject {
				storage := new(recoverytest.Storage)
				s := newShelf(t, storage, change)
				return recoverytest.Subject{Target: s, Damage: func(name string) error {
					i := slices.IndexFunc(storage.Keys(), func(key string) bool { return strings.Contains(key, name+"/data/") })
					return storage.Alter(storage.Keys()[i], func(data []byte) []byte { data[0] ^= 1; return data })
				}}
			})
		})
	}
}

func TestRepositoryOnADiskConforms(t *testing.T) {
	recoverytest.TestTarget(t, func(t *testing.T) recoverytest.Subject {
		storage := openDir(t, t.TempDir())
		return recoverytest.Subject{Target: newShelf(t, storage), Damage: func(name string) error {
			return flipFirstBit(t, storage, name)
		}}
	})
}

func TestAPartComesBackAsItWasWritten(t *testing.T) {
	for name, change := range map[string]func(*recovery.RepositoryConfig){"plain": func(*recovery.RepositoryConfig) {}, "sealed": sealed(t)} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				size := rapid.IntRange(1, 200).Draw(rt, "chunk size")
				s := newShelf(t, new(recoverytest.Storage), change, func(c *recovery.RepositoryConfig) { c.ChunkSize = size })
				s.parts = rapid.MapOfN(rapid.StringN(1, 8, -1), rapid.StringN(0, 400, -1), 1, 5).Draw(rt, "parts")
				total := 0
				for _, text := range s.parts {
					total += len(text)
				}
				b, err := s.Backup(t.Context(), noon)
				if total == 0 {
					require.ErrorIs(rt, err, recovery.ErrEmpty)
					require.Empty(rt, s.list(t))
					return
				}
				require.NoError(rt, err)
				require.EqualValues(rt, total, b.Bytes)
				require.Equal(rt, len(s.parts), b.Files)
				_, err = s.Verify(t.Context(), b.Name, noon)
				require.NoError(rt, err)
				for part, want := range s.parts {
					got, err := readPart(t, s, b.Name, part)
					require.NoError(rt, err)
					require.Equal(rt, want, got)
				}
			})
		})
	}
}

func TestTheManifestSaysWhatIsInIt(t *testing.T) {
	s := newShelf(t, new(recoverytest.Storage), sealed(t))
	b := s.good(t, noon)
	require.EqualValues(t, 41, b.Rows)
	require.Equal(t, 2, b.Files)
	m, err := s.Manifest(t.Context(), b.Name)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"bot": "1.4.2"}, m.Versions)
	require.JSONEq(t, `{"schema":"v7"}`, string(m.Details))
	require.True(t, m.Sealed)
	require.Equal(t, recovery.HistoricalData, m.Component)
	p, ok := m.Part("public.trades")
	require.True(t, ok)
	require.EqualValues(t, 40, p.Rows)
	require.Greater(t, len(p.Chunks), 1)
}

func TestLaw8_OneFlippedBitAnywhereInAStoredBackupIsFoundAndNamed(t *testing.T) {
	for name, change := range map[string]func(*recovery.RepositoryConfig){"plain": func(*recovery.RepositoryConfig) {}, "sealed": sealed(t)} {
		t.Run(name, func(t *testing.T) {
			storage := new(recoverytest.Storage)
			s := newShelf(t, storage, change)
			b := s.good(t, noon)
			keys := storage.Keys()
			rapid.Check(t, func(rt *rapid.T) {
				key := rapid.SampledFrom(keys).Draw(rt, "key")
				bit := 0
				flip := func(data []byte) []byte {
					data[bit/8] ^= 1 << (bit % 8)
					return data
				}
				require.NoError(rt, storage.Alter(key, func(data []byte) []byte {
					bit = rapid.IntRange(0, len(data)*8-1).Draw(rt, "bit")
					return flip(data)
				}))
				defer func() { require.NoError(rt, storage.Alter(key, flip)) }()
				object := strings.TrimPrefix(key, b.Name+"/")
				if strings.HasPrefix(object, "VERDICT.") {
					listed := s.list(t)[0]
					require.Equal(rt, recovery.Complete, listed.State, "a verdict that was altered proves nothing")
					require.Contains(rt, listed.Problem, object)
					return
				}
				before := len(storage.Keys())
				_, err := s.Verify(t.Context(), b.Name, noon)
				d, ok := errors.AsType[*recovery.DamagedError](err)
				require.True(rt, ok, "%v", err)
				require.Equal(rt, object, d.File)
				require.Equal(rt, recovery.Damaged, s.list(t)[0].State)
				for _, verdict := range storage.Keys() { // the next round begins with the first verdict alone
					if len(storage.Keys()) > before && strings.HasSuffix(verdict, "VERDICT.000002") {
						require.NoError(rt, storage.Delete(t.Context(), verdict))
					}
				}
			})
		})
	}
}

func TestLaw8_WhatIsMissingOrElsewhereIsFoundAndNamed(t *testing.T) {
	for name, c := range map[string]struct {
		object string
		change func(data []byte) []byte
		says   string
	}{
		"a chunk is gone":       {"data/000002.000002", func([]byte) []byte { return nil }, "it is missing"},
		"a chunk is cut":        {"data/000002.000001", func(d []byte) []byte { return d[:len(d)-1] }, "instead of 30"},
		"a chunk is longer":     {"data/000002.000001", func(d []byte) []byte { return append(d, 0) }, "more than 30 bytes"},
		"the claim is gone":     {"BEGUN", func([]byte) []byte { return nil }, "it is missing"},
		"the manifest is empty": {"MANIFEST", func([]byte) []byte { return []byte{} }, "cut off in its first line"},
	} {
		t.Run(name, func(t *testing.T) {
			storage := new(recoverytest.Storage)
			s := newShelf(t, storage)
			b := s.good(t, noon)
			require.NoError(t, storage.Alter(b.Name+"/"+c.object, c.change))
			_, err := s.Verify(t.Context(), b.Name, noon)
			d, ok := errors.AsType[*recovery.DamagedError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, c.object, d.File)
			require.Contains(t, d.Reason, c.says)
			require.Equal(t, recovery.Damaged, s.list(t)[0].State)
			_, err = s.Read(t.Context(), b.Name)
			require.ErrorIs(t, err, recovery.ErrNotVerified)
		})
	}
}

func TestDamageSinceTheVerificationIsNotGivenOut(t *testing.T) {
	storage := new(recoverytest.Storage)
	s := newShelf(t, storage)
	b := s.good(t, noon)
	require.NoError(t, storage.Alter(b.Name+"/data/000002.000002", func(d []byte) []byte { d[3] ^= 8; return d }))
	got, err := readPart(t, s, b.Name, "public.trades")
	require.ErrorIs(t, err, recovery.ErrDamaged)
	require.NotEqual(t, twoTables["public.trades"], got)
	_, err = readPart(t, s, b.Name, "public.nothing")
	require.ErrorContains(t, err, "public.nothing")
}

func TestComplaint1_AnEmptyBackupIsRefused(t *testing.T) {
	storage := new(recoverytest.Storage)
	s := newShelf(t, storage)
	for _, parts := range []map[string]string{nil, {"public.trades": ""}} {
		s.parts = parts
		_, err := s.Backup(t.Context(), noon)
		require.ErrorIs(t, err, recovery.ErrEmpty)
		require.Empty(t, s.list(t))
		require.Empty(t, storage.Keys(), "nothing is left")
	}
}

func TestTheKeyIsTriedBeforeAByteIsWritten(t *testing.T) {
	mine, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	other, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	var have []age.Identity
	var broken error
	storage := new(recoverytest.Storage)
	s := newShelf(t, storage, func(c *recovery.RepositoryConfig) {
		c.Seal = &recovery.Seal{
			Recipients: []age.Recipient{mine.Recipient()},
			Identities: func(context.Context) ([]age.Identity, error) { return have, broken },
		}
	})
	for name, c := range map[string]struct {
		have []age.Identity
		err  error
	}{"none": {}, "another's": {have: []age.Identity{other}}, "cannot be read": {err: errors.New("key store is down")}} {
		have, broken = c.have, c.err
		_, err = s.Backup(t.Context(), noon)
		require.ErrorIs(t, err, recovery.ErrKey, name)
		require.Empty(t, storage.Keys(), name)
	}
	have, broken = []age.Identity{other, mine}, nil
	b := s.good(t, noon)
	for _, key := range storage.Keys() {
		require.NoError(t, storage.Alter(key, func(data []byte) []byte {
			require.False(t, bytes.Contains(data, []byte("BTC-USD")), "%s can be read by anybody", key)
			return data
		}))
	}

	have = []age.Identity{other}
	_, err = s.Verify(t.Context(), b.Name, noon)
	require.ErrorIs(t, err, recovery.ErrKey)
	require.NotErrorIs(t, err, recovery.ErrDamaged, "a key that is not there says nothing about the backup")
	require.True(t, s.list(t)[0].Good(), "and changes no verdict")
}

func TestARepositoryWithoutTheSealSaysSo(t *testing.T) {
	storage := new(recoverytest.Storage)
	b := newShelf(t, storage, sealed(t)).good(t, noon)
	_, err := newShelf(t, storage).Verify(t.Context(), b.Name, noon)
	require.ErrorIs(t, err, recovery.ErrKey)
}

func TestLaw8_ACutConnectionAtAnyOperationNeverLeavesAGoodHalf(t *testing.T) {
	cut := errors.New("connection reset by peer")
	for n := 1; ; n++ {
		storage := new(recoverytest.Storage)
		s := newShelf(t, storage)
		count := 0
		storage.FailWhen(func(string, string) error {
			if count++; count >= n {
				return cut
			}
			return nil
		})
		b, err := s.Backup(t.Context(), noon)
		if err == nil {
			_, err = s.Verify(t.Context(), b.Name, noon)
		}
		storage.FailWhen(nil)
		if count < n {
			require.NoError(t, err)
			require.Greater(t, n, 20, "it was cut at every operation")
			return
		}
		require.ErrorIs(t, err, cut, "operation %d", n)
		for _, b := range s.list(t) {
			if b.State == recovery.Writing {
				_, err := s.Verify(t.Context(), b.Name, noon)
				require.ErrorIs(t, err, recovery.ErrDamaged)
				continue
			}
			_, err := s.Verify(t.Context(), b.Name, noon)
			require.NoError(t, err, "operation %d: %s is listed as %v", n, b.Name, b.State)
		}
		s.good(t, noon.Add(time.Second))
	}
}

func TestLaw1_AnUnansweredVerificationIsNoVerdict(t *testing.T) {
	storage := new(recoverytest.Storage)
	s := newShelf(t, storage)
	b, err := s.Backup(t.Context(), noon)
	require.NoError(t, err)
	down := errors.New("503 slow down")
	storage.FailWhen(func(op, key string) error {
		if op == "get" && strings.Contains(key, "/data/") {
			return down
		}
		return nil
	})
	_, err = s.Verify(t.Context(), b.Name, noon)
	require.ErrorIs(t, err, down)
	require.NotErrorIs(t, err, recovery.ErrDamaged)
	storage.FailWhen(nil)
	require.Equal(t, recovery.Complete, s.list(t)[0].State)
}

func TestADraftThatCannotBeWholeCannotBeCommitted(t *testing.T) {
	ctx := t.Context()
	storage := new(recoverytest.Storage)
	s := newShelf(t, storage)
	d, err := s.Begin(ctx, noon)
	require.NoError(t, err)
	w, err := d.Create(ctx, "a")
	require.NoError(t, err)
	_, err = d.Create(ctx, "a")
	require.ErrorContains(t, err, "there twice")
	_, err = d.Create(ctx, "")
	require.ErrorContains(t, err, "is empty")
	_, err = io.WriteString(w, "text")
	require.NoError(t, err)
	_, err = d.Commit(ctx, nil)
	require.ErrorContains(t, err, "1 parts are not closed")

	full := errors.New("no space left on device")
	storage.FailWhen(func(op, _ string) error {
		if op == "put" {
			return full
		}
		return nil
	})
	require.ErrorIs(t, w.Close(), full)
	require.ErrorIs(t, w.Close(), full, "it stays so")
	storage.FailWhen(nil)
	_, err = d.Commit(ctx, nil)
	require.ErrorIs(t, err, full, "a part is missing")
	require.NoError(t, d.Discard(ctx))
	_, err = d.Commit(ctx, nil)
	require.Error(t, err)
	_, err = d.Create(ctx, "b")
	require.Error(t, err)
	require.Empty(t, storage.Keys())
}

func TestPartsAreWrittenByManyAtOnceAndProgressIsTold(t *testing.T) {
	ctx := t.Context()
	var mu sync.Mutex
	var told []recovery.Progress
	s := newShelf(t, new(recoverytest.Storage), func(c *recovery.RepositoryConfig) {
		c.OnProgress = func(p recovery.Progress) { mu.Lock(); defer mu.Unlock(); told = append(told, p) }
	})
	d, err := s.Begin(ctx, noon)
	require.NoError(t, err)
	d.Expect(8000, 800)
	d.Versions(map[string]string{"postgres": "15.6"})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			w, err := d.Create(ctx, fmt.Sprint("table", i))
			if err == nil {
				_, err = w.Write(bytes.Repeat([]byte{byte(i)}, 1000))
				w.AddRows(100)
			}
			if err == nil {
				err = w.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	b, err := d.Commit(ctx, nil)
	require.NoError(t, err)
	require.NoError(t, d.Discard(ctx), "after a commit it does nothing")
	require.EqualValues(t, 8000, b.Bytes)
	require.EqualValues(t, 800, b.Rows)
	b, err = s.Verify(ctx, b.Name, noon)
	require.NoError(t, err)
	require.True(t, b.Good())
	m, err := s.Manifest(ctx, b.Name)
	require.NoError(t, err)
	require.Equal(t, "15.6", m.Versions["postgres"])
	require.Len(t, m.Parts, 8)

	stored := int64(0)
	for _, p := range told {
		require.GreaterOrEqual(t, p.Stored, int64(1))
		stored = max(stored, p.Stored)
		require.Equal(t, recovery.HistoricalData, p.Component)
		require.Equal(t, b.Name, p.Backup)
		require.NotEmpty(t, p.Part)
	}
	_, _, want := m.Totals()
	require.Equal(t, want, stored, "all of it was told")
}

func TestProgressEstimatesOnlyWhatItCan(t *testing.T) {
	p := recovery.Progress{Component: "c", Backup: "b", Began: noon, At: noon.Add(time.Minute)}
	_, ok := p.Left()
	require.False(t, ok, "nothing was expected")
	p.WantBytes = 400
	_, ok = p.Left()
	require.False(t, ok, "nothing is done yet")
	p.Bytes = 100
	left, ok := p.Left()
	require.True(t, ok)
	require.Equal(t, 3*time.Minute, left)
	require.Equal(t, "c b: 100 bytes, 0 rows, 0 bytes stored, about 3m0s left", p.String())
	p.Bytes = 500
	left, ok = p.Left()
	require.True(t, ok)
	require.Zero(t, left, "more than was expected")
	p.WantBytes, p.WantRows, p.Rows = 0, 10, 5
	left, ok = p.Left()
	require.True(t, ok)
	require.Equal(t, time.Minute, left)
}

func TestRestoresAreMeasured(t *testing.T) {
	s := newShelf(t, new(recoverytest.Storage))
	b := s.good(t, noon)
	require.Zero(t, b.RestoreTook)
	require.Error(t, s.Restored(t.Context(), b.Name, noon, 0))
	require.ErrorIs(t, s.Restored(t.Context(), recovery.BackupName(noon, 9), noon, 1), recovery.ErrNotFound)
	require.NoError(t, s.Restored(t.Context(), b.Name, noon.Add(time.Hour), 3*time.Second))
	require.NoError(t, s.Restored(t.Context(), b.Name, noon.Add(time.Minute), 5*time.Second))
	b = s.list(t)[0]
	require.Equal(t, 5*time.Second, b.RestoreTook, "what was written last decides, whatever the clocks say")
}

func TestABackupOfAnotherComponentIsNotOurs(t *testing.T) {
	storage := new(recoverytest.Storage)
	newShelf(t, storage).good(t, noon)
	other := newShelf(t, storage, func(c *recovery.RepositoryConfig) { c.Component = recovery.PositionDatabase })
	b := other.list(t)[0]
	require.Equal(t, recovery.Damaged, b.State)
	require.Contains(t, b.Problem, `belongs to "Historical Data"`)
}

func TestRepositoryNamesEveryProblemOfItsConfig(t *testing.T) {
	_, err := recovery.NewRepository(recovery.RepositoryConfig{Prefix: "x", ChunkSize: -1, Workers: -1, Seal: &recovery.Seal{}})
	for _, want := range []string{"Component: is empty", "Storage: is nil", "Prefix: ", "ChunkSize: -1", "Workers: -1", "Seal.Recipients: there are none", "Seal.Identities: is nil"} {
		require.ErrorContains(t, err, want)
	}
}
