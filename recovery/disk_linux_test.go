package recovery_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/recovery"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// flipFirstBit changes the first chunk of a backup behind the back of its storage.
func flipFirstBit(t *testing.T, s *recovery.DirStorage, name string) error {
	t.Helper()
	path := filepath.Join(s.String(), name, "data", "000001.000001")
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[0] ^= 1
	return os.WriteFile(path, data, 0o600)
}

// smallDisk returns a directory on a disk of its own of so many bytes.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+strconv.Itoa(size))
	if err != nil {
		needs.Missing(t, "a small disk: mounting a tmpfs needs root: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	return dir
}

func TestLaw8_AFullDiskIsAFailureAndLeavesNothingThatCounts(t *testing.T) {
	s := newShelf(t, openDir(t, smallDisk(t, 256<<10)), func(c *recovery.RepositoryConfig) { c.ChunkSize = 32 << 10 })
	small := s.good(t, noon)
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	s.parts = map[string]string{"noise": string(noise)}
	_, err := s.Backup(t.Context(), noon.Add(time.Second))
	require.ErrorIs(t, err, unix.ENOSPC)
	backups := s.list(t)
	require.Len(t, backups, 1, "what was written is removed, so that the next one has room")
	require.Equal(t, small, backups[0])
	s.parts = twoTables
	s.good(t, noon.Add(2*time.Second))
}

func TestLaw8_ABackupKilledAtAnyStepIsNeverGoodUnlessItIsWhole(t *testing.T) {
	open := func(t testing.TB, dir string) *shelf {
		return newShelf(t, openDir(t, dir), func(c *recovery.RepositoryConfig) { c.ChunkSize = 100 })
	}
	steps := crashtest.Run(t, crashtest.Config{MaxSteps: 50}, func(dir string) error {
		s := open(t, dir)
		b, err := s.Backup(t.Context(), noon)
		if err != nil {
			return err
		}
		fmt.Println("complete")
		if _, err := s.Verify(t.Context(), b.Name, noon); err != nil {
			return err
		}
		fmt.Println("verified")
		return nil
	}, func(t *testing.T, dir string, at crashtest.Step) {
		s := open(t, dir)
		backups := s.list(t)
		if slices.Contains(at.Lines, "complete") {
			require.Len(t, backups, 1)
			require.NotEqual(t, recovery.Writing, backups[0].State)
		}
		if slices.Contains(at.Lines, "verified") {
			require.True(t, backups[0].Good(), backups[0])
		}
		for _, b := range backups {
			verified, err := s.Verify(t.Context(), b.Name, noon)
			if b.State == recovery.Writing {
				require.ErrorIs(t, err, recovery.ErrDamaged, "what was cut off can never be verified")
				require.False(t, verified.Good())
				require.NoError(t, s.Delete(t.Context(), b.Name), "and can be removed")
				continue
			}
			require.NoError(t, err, "its commit record is there, so it is whole")
		}
		b := s.good(t, noon.Add(time.Minute))
		got, err := readPart(t, s, b.Name, "public.trades")
		require.NoError(t, err)
		require.Equal(t, twoTables["public.trades"], got, "run again, it finishes")
	})
	require.Empty(t, crashtest.Unsynced(steps), "a power cut would lose it")
}

func TestLaw8_ADeletionKilledAtAnyStepLeavesNoHalfThatCounts(t *testing.T) {
	doomed := recovery.BackupName(noon, 1)
	steps := crashtest.Run(t, crashtest.Config{MaxSteps: 50, Setup: func(dir string) error {
		s := newShelf(t, openDir(t, dir), func(c *recovery.RepositoryConfig) { c.ChunkSize = 100 })
		for i := range 2 {
			b, err := s.Backup(t.Context(), noon.Add(time.Duration(i)*time.Second))
			if err != nil {
				return err
			}
			if _, err := s.Verify(t.Context(), b.Name, noon); err != nil {
				return err
			}
		}
		return nil
	}}, func(dir string) error {
		if err := newShelf(t, openDir(t, dir)).Delete(t.Context(), doomed); err != nil {
			return err
		}
		fmt.Println("deleted")
		return nil
	}, func(t *testing.T, dir string, at crashtest.Step) {
		s := newShelf(t, openDir(t, dir))
		for _, b := range s.list(t) {
			if b.Good() {
				_, err := s.Verify(t.Context(), b.Name, noon)
				require.NoError(t, err, "it is listed as verified, so it is whole")
			}
		}
		if err := s.Delete(t.Context(), doomed); !errors.Is(err, recovery.ErrNotFound) {
			require.NoError(t, err, "run again, it finishes")
			require.Empty(t, at.Lines)
			require.NoDirExists(t, filepath.Join(dir, doomed))
		}
		require.Len(t, s.list(t), 1)
	})
	require.NotEmpty(t, steps)
}
