package diagnose

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime/pprof"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/stretchr/testify/require"
)

// stuck is a database that takes no notice of anything.
type stuck struct{ release chan struct{} }

func (s stuck) BeginTx(context.Context, pgx.TxOptions) (pgx.Tx, error) {
	<-s.release
	return nil, errors.New("released")
}

func TestLaw11_WhatHangsHoldsUpNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the budget does not run while the host is looked at
		release := make(chan struct{})
		defer close(release)
		r := Run(t.Context(), Config{Database: stuck{release}, Budget: 500 * time.Millisecond})
		require.Len(t, r.Unseen(), 6)
		s, _ := r.Section("database: activity")
		require.Contains(t, s.Problem, "no answer within 500ms")
		require.Nil(t, s.Found)
		require.Contains(t, r.String(), "NOT SEEN: no answer within 500ms")
		host, _ := r.Section("host")
		require.Empty(t, host.Problem)
		require.Positive(t, host.Found.(Machine).Memory)
	})
}

func TestLaw1_WhatIsNotConfiguredIsNotFine(t *testing.T) {
	r := Run(t.Context(), Config{Budget: 10 * time.Second})
	require.Len(t, r.Unseen(), 6)
	require.Contains(t, r.Unseen()[0], "no database is configured")
	_, ok := r.Section("weather")
	require.False(t, ok)
}

func TestALookThatPanicsOrLeavesIsAProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := look{"x", func(context.Context) (finding, error) { panic("nil map") }}.make(t.Context(), time.Second)
		require.Contains(t, s.Problem, "panicked: nil map")
		s = look{"x", func(ctx context.Context) (finding, error) { <-ctx.Done(); return nil, ctx.Err() }}.make(t.Context(), time.Second)
		require.Equal(t, time.Second, s.Took)
		require.NotEmpty(t, s.Problem)
	})
}

func TestHostSaysHowItStands(t *testing.T) {
	m, err := Host(t.Context(), []string{t.TempDir()}, 50*time.Millisecond)
	require.NoError(t, err)
	require.Len(t, m.Disks, 1)
	require.Positive(t, m.Disks[0].Total)
	require.LessOrEqual(t, m.Disks[0].Free, m.Disks[0].Total)
	require.Positive(t, m.Memory)
	require.LessOrEqual(t, m.Available, m.Memory)
	require.Contains(t, m.lines(), "MiB available")
	_, err = Host(t.Context(), []string{"/no/such/path"}, time.Millisecond)
	require.ErrorContains(t, err, "disk /no/such/path")
}

func TestDevicesAreJudgedByWhatTheyDidMeanwhile(t *testing.T) {
	before := map[string]disk.IOCountersStat{"sda": {ReadCount: 10, ReadBytes: 100, ReadTime: 5, IoTime: 100}, "idle": {ReadCount: 7}, "reset": {ReadCount: 9}}
	after := map[string]disk.IOCountersStat{
		"sda": {ReadCount: 20, ReadBytes: 1100, ReadTime: 45, IoTime: 600, WriteCount: 1, WriteTime: 3, WriteBytes: 50}, "idle": {ReadCount: 7}, "reset": {ReadCount: 1}, "new": {ReadCount: 5},
	}
	require.Equal(t, []Device{{Name: "sda", Busy: 50, ReadPerSec: 1000, WritePerSec: 50, ReadLatency: 4 * time.Millisecond, WriteLatency: 3 * time.Millisecond}}, worked(before, after, time.Second))
}

func TestProfilesAreWrittenForPprof(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, WriteProfiles(t.Context(), dir, 10*time.Millisecond))
	text, err := os.ReadFile(filepath.Join(dir, GoroutineFile))
	require.NoError(t, err)
	require.Contains(t, string(text), "TestProfilesAreWrittenForPprof")
	for _, name := range []string{HeapFile, CPUFile} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.True(t, bytes.HasPrefix(data, []byte{0x1f, 0x8b}), "%s is compressed, as pprof wants it", name)
	}
	require.ErrorIs(t, WriteProfiles(t.Context(), dir, 0), os.ErrExist, "nothing is written over")

	var other bytes.Buffer
	require.NoError(t, pprof.StartCPUProfile(&other))
	defer pprof.StopCPUProfile()
	second := t.TempDir()
	require.ErrorContains(t, WriteProfiles(t.Context(), second, time.Millisecond), CPUFile)
	require.FileExists(t, filepath.Join(second, GoroutineFile), "the others are there")
	require.NoFileExists(t, filepath.Join(second, CPUFile))
}

func TestProcessSaysHowItStands(t *testing.T) {
	p := Process()
	require.Positive(t, p.Goroutines)
	require.Positive(t, p.Heap)
	require.LessOrEqual(t, p.Heap, p.System)
	require.Contains(t, p.lines(), "goroutines")
}

func TestTheWayToAnEndpointIsMeasured(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	endpoint := listener.Addr().String()
	r, err := Network(t.Context(), endpoint, 5)
	require.NoError(t, err)
	require.Equal(t, []string{"127.0.0.1"}, r.Addresses)
	require.Zero(t, r.Failed)
	require.Positive(t, r.Min)
	require.LessOrEqual(t, r.Min, r.Median)
	require.LessOrEqual(t, r.Median, r.Max)
	require.Equal(t, "127.0.0.1", r.From)
	require.NotEmpty(t, r.Interface)
	require.Contains(t, r.lines(), "0 of 5 connections failed")

	require.NoError(t, listener.Close())
	<-done
	r, err = Network(t.Context(), endpoint, 3)
	require.ErrorContains(t, err, "no connection to "+endpoint)
	require.Equal(t, 3, r.Failed)
	_, err = Network(t.Context(), "no port", 1)
	require.Error(t, err)
	report := Run(t.Context(), Config{Endpoints: []string{endpoint}, Budget: 2 * time.Second})
	s, ok := report.Section("network " + endpoint)
	require.True(t, ok)
	require.NotEmpty(t, s.Problem, "law 1: an exchange that cannot be reached is not a fast one")
}
