package filebackup

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// benchWorld has 64 files of 1 MiB that no disk can compress away.
func benchWorld(b *testing.B) world {
	b.Helper()
	w := newWorld(b)
	require.NoError(b, os.Mkdir(w.source, 0o700))
	random := rand.NewChaCha8([32]byte{})
	data := make([]byte, 1<<20)
	for i := range 64 {
		if _, err := random.Read(data); err != nil {
			b.Fatal(err)
		}
		require.NoError(b, os.WriteFile(filepath.Join(w.source, strconv.Itoa(i)), data, 0o600))
	}
	b.SetBytes(64 << 20)
	b.ReportAllocs()
	return w
}

func BenchmarkBackup(b *testing.B) {
	w := benchWorld(b)
	for b.Loop() {
		backup, err := w.store.Backup(b.Context(), noon)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		require.NoError(b, discard(backup.Place))
		b.StartTimer()
	}
}

func BenchmarkVerify(b *testing.B) {
	w := benchWorld(b)
	backup := w.good(b, noon)
	for b.Loop() {
		if _, err := w.store.Verify(b.Context(), backup.Name, noon); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRestore(b *testing.B) {
	w := benchWorld(b)
	w.good(b, noon)
	for b.Loop() {
		b.StopTimer()
		require.NoError(b, os.WriteFile(filepath.Join(w.source, "1"), nil, 0o600))
		plan := w.plan(b, Request{})
		b.StartTimer()
		done, err := w.store.Restore(b.Context(), plan, "alice", "why", noon.Add(time.Hour))
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		require.NoError(b, removeTree(done.Kept))
		b.StartTimer()
	}
}
