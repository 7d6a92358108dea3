package diagnose

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"
)

// Runtime is how this process stands.
type Runtime struct {
	Goroutines int
	Procs      int    // GOMAXPROCS
	Heap       uint64 // bytes in use
	System     uint64 // bytes that the runtime has of the system
	Limit      int64  // GOMEMLIMIT in bytes; the largest number when there is none
	Collected  uint32 // how often
	LastPause  time.Duration
}

func (r Runtime) lines() string {
	return fmt.Sprintf("%d goroutines on %d processors, heap %d MiB of %d MiB, %d collections, the last paused %v\n",
		r.Goroutines, r.Procs, r.Heap>>20, r.System>>20, r.Collected, r.LastPause)
}

// Process looks at this process. It stops all goroutines for some microseconds.
func Process() Runtime {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r := Runtime{
		Goroutines: runtime.NumGoroutine(), Procs: runtime.GOMAXPROCS(0), Heap: m.HeapAlloc, System: m.Sys,
		Limit: debug.SetMemoryLimit(-1), Collected: m.NumGC,
	}
	if m.NumGC > 0 {
		r.LastPause = time.Duration(m.PauseNs[(m.NumGC+255)%256])
	}
	return r
}

// The files that WriteProfiles writes.
const (
	GoroutineFile = "goroutines.txt" // every stack, those that are alike together
	HeapFile      = "heap.pprof"     // for go tool pprof
	CPUFile       = "cpu.pprof"      // for go tool pprof
)

// WriteProfiles writes the goroutines and the heap of this process into files of a
// directory that is there, and what the processor did for a time, which ends early
// with ctx. All are tried whatever becomes of the others. CPU can be profiled once at
// a time: when another does so already the error says it.
func WriteProfiles(ctx context.Context, dir string, cpuFor time.Duration) error {
	return errors.Join(
		writeProfile(dir, GoroutineFile, func(w io.Writer) error { return pprof.Lookup("goroutine").WriteTo(w, 1) }),
		writeProfile(dir, HeapFile, func(w io.Writer) error { return pprof.Lookup("heap").WriteTo(w, 0) }),
		writeProfile(dir, CPUFile, func(w io.Writer) error { return profileCPU(ctx, w, cpuFor) }),
	)
}

func profileCPU(ctx context.Context, w io.Writer, d time.Duration) error {
	if err := pprof.StartCPUProfile(w); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// writeProfile leaves no file behind when it fails.
func writeProfile(dir, name string, write func(io.Writer) error) error {
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("profile %s: %w", name, err), os.Remove(path))
	}
	return nil
}
