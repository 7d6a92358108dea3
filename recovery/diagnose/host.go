package diagnose

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
)

// Machine is how the host stands.
type Machine struct {
	CPU       float64 // percent of all processors, over the time of the look
	Load1     float64 // processes that run or wait, over a minute
	Memory    uint64  // bytes
	Available uint64  // of Memory, without swapping
	SwapUsed  uint64
	Disks     []Disk
	Devices   []Device
	Over      time.Duration // the time of the look
}

// Disk is how full a file system is.
type Disk struct {
	Path       string
	Total      uint64 // bytes
	Free       uint64 // for ordinary users
	InodesFree uint64 // 0 where it counts none
}

// Device is what a block device did during the look.
type Device struct {
	Name         string
	Busy         float64 // percent of the time
	ReadPerSec   float64 // bytes
	WritePerSec  float64 // bytes
	ReadLatency  time.Duration
	WriteLatency time.Duration // of one operation on the average; 0 when there was none
}

func (m Machine) lines() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cpu %.0f %%, load %.2f, memory %d of %d MiB available, swap %d MiB used\n", m.CPU, m.Load1, m.Available>>20, m.Memory>>20, m.SwapUsed>>20)
	for _, d := range m.Disks {
		fmt.Fprintf(&b, "disk %s: %d of %d MiB free, %d inodes free\n", d.Path, d.Free>>20, d.Total>>20, d.InodesFree)
	}
	for _, d := range m.Devices {
		fmt.Fprintf(&b, "device %s: busy %.0f %%, read %.0f B/s at %v, write %.0f B/s at %v\n", d.Name, d.Busy, d.ReadPerSec, d.ReadLatency, d.WritePerSec, d.WriteLatency)
	}
	return b.String()
}

// Host looks at processors, memory, disks and devices for a time. Devices that did
// nothing meanwhile are left out. What the system does not say is an error that names
// it, beside the rest.
func Host(ctx context.Context, paths []string, over time.Duration) (Machine, error) {
	m := Machine{Over: over}
	var errs []error
	note := func(what string, err error) bool {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
		return err == nil
	}
	before, err := disk.IOCountersWithContext(ctx)
	devices := note("devices", err)
	began := time.Now()
	percent, err := cpu.PercentWithContext(ctx, over, false)
	if err == nil && len(percent) != 1 {
		err = errors.New("the system does not say")
	}
	if note("cpu", err) {
		m.CPU = percent[0]
	}
	if devices {
		after, err := disk.IOCountersWithContext(ctx)
		if note("devices", err) {
			m.Devices = worked(before, after, time.Since(began))
		}
	}
	avg, err := load.AvgWithContext(ctx)
	if note("load", err) {
		m.Load1 = avg.Load1
	}
	memory, err := mem.VirtualMemoryWithContext(ctx)
	if note("memory", err) {
		m.Memory, m.Available = memory.Total, memory.Available
	}
	swap, err := mem.SwapMemoryWithContext(ctx)
	if note("swap", err) {
		m.SwapUsed = swap.Used
	}
	for _, path := range paths {
		usage, err := disk.UsageWithContext(ctx, path)
		if note("disk "+path, err) {
			m.Disks = append(m.Disks, Disk{path, usage.Total, usage.Free, usage.InodesFree})
		}
	}
	return m, errors.Join(errs...)
}

func worked(before, after map[string]disk.IOCountersStat, over time.Duration) []Device {
	var devices []Device
	for name, a := range after {
		b, ok := before[name]
		if !ok || a.IoTime < b.IoTime || a.ReadCount < b.ReadCount || a.WriteCount < b.WriteCount {
			continue // it is new, or its counters began anew
		}
		reads, writes := a.ReadCount-b.ReadCount, a.WriteCount-b.WriteCount
		if reads+writes == 0 {
			continue
		}
		devices = append(devices, Device{
			Name:         name,
			Busy:         min(100, 100*float64(a.IoTime-b.IoTime)/float64(max(1, over.Milliseconds()))),
			ReadPerSec:   float64(a.ReadBytes-b.ReadBytes) / over.Seconds(),
			WritePerSec:  float64(a.WriteBytes-b.WriteBytes) / over.Seconds(),
			ReadLatency:  each(a.ReadTime-b.ReadTime, reads),
			WriteLatency: each(a.WriteTime-b.WriteTime, writes),
		})
	}
	return devices
}

// each is the time of one operation on the average, of a total in milliseconds.
func each(ms, n uint64) time.Duration {
	if n == 0 {
		return 0
	}
	return time.Duration(ms) * time.Millisecond / time.Duration(n)
}
