package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"

	"github.com/andon-go/andon/incident/detect"
	"github.com/andon-go/andon/severity"
)

// firstLook is between two readings where there is none that is older.
const firstLook = 200 * time.Millisecond

// CPU watches the share of the processors in use: the playbook's 80 % for 5 minutes.
func CPU() detect.Indicator {
	r := &rate{read: func(ctx context.Context) (busy, total int64, err error) {
		times, err := cpu.TimesWithContext(ctx, false)
		if err != nil || len(times) == 0 {
			return 0, 0, errors.Join(errors.New("the processors' times cannot be read"), err)
		}
		// Guest time is part of User.
		t := times[0]
		all := t.User + t.Nice + t.System + t.Idle + t.Iowait + t.Irq + t.Softirq + t.Steal
		return ticks(all - t.Idle - t.Iowait), ticks(all), nil
	}}
	return detect.Playbook(severity.HighCPU).On("host", r.probe)
}

// ticks are hundredths of a second, as the kernel counts.
func ticks(seconds float64) int64 { return int64(math.Round(seconds * 100)) }

// rate measures how much of something passed between two calls.
type rate struct {
	read func(ctx context.Context) (part, whole int64, err error)

	mu          sync.Mutex
	known       bool
	part, whole int64
}

func (r *rate) probe(ctx context.Context) (severity.Value, string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	part, whole, err := r.read(ctx)
	if err != nil {
		r.known = false
		return severity.Value{}, "", err
	}
	if !r.known || whole <= r.whole {
		r.known, r.part, r.whole = true, part, whole
		select {
		case <-ctx.Done():
			return severity.Value{}, "", ctx.Err()
		case <-time.After(firstLook):
		}
		if part, whole, err = r.read(ctx); err != nil {
			return severity.Value{}, "", err
		}
	}
	dp, dw := part-r.part, whole-r.whole
	r.part, r.whole = part, whole
	return severity.Part(min(max(dp, 0), dw), dw), "", nil
}

// Memory watches the share of the memory in use, of the machine or of this process's
// container, whichever is worse: the playbook's 90 %. What the kernel can give back at
// once is not in use.
func Memory() detect.Indicator { return memory("/sys/fs/cgroup") }

func memory(cgroup string) detect.Indicator {
	return detect.Playbook(severity.HighMemory).On("host", func(ctx context.Context) (severity.Value, string, error) {
		m, err := mem.VirtualMemoryWithContext(ctx)
		if err != nil {
			return severity.Value{}, "", err
		}
		of := severity.Part(int64(m.Total-min(m.Available, m.Total)), int64(m.Total))
		used, limit, err := container(cgroup)
		switch {
		case err != nil:
			return severity.Value{}, "", err
		case limit == 0:
			return of, "", nil
		}
		if own := severity.Part(used, limit); own.Reaches(of) {
			return own, "of the container's limit", nil
		}
		return of, "", nil
	})
}

// container reads the memory of this process's control group and its limit; zero where
// there is none.
func container(dir string) (used, limit int64, err error) {
	text, err := os.ReadFile(dir + "/memory.max")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, 0, nil
	case err != nil:
		return 0, 0, err
	case strings.TrimSpace(string(text)) == "max":
		return 0, 0, nil
	}
	if limit, err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err != nil {
		return 0, 0, fmt.Errorf("%s/memory.max: %w", dir, err)
	}
	if text, err = os.ReadFile(dir + "/memory.current"); err != nil {
		return 0, 0, err
	}
	if used, err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err != nil {
		return 0, 0, fmt.Errorf("%s/memory.current: %w", dir, err)
	}
	if text, err = os.ReadFile(dir + "/memory.stat"); err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		if cached, ok := strings.CutPrefix(strings.TrimSpace(line), "inactive_file "); ok {
			n, err := strconv.ParseInt(cached, 10, 64)
			if err != nil {
				return 0, 0, fmt.Errorf("%s/memory.stat: %w", dir, err)
			}
			used = max(used-n, 0)
		}
	}
	return used, limit, nil
}

// Disk watches the share of a file system in use, bytes or inodes, whichever is worse: 90
// %, from where on logs are lost first.
func Disk(path string) detect.Indicator {
	return detect.Indicator{
		Rule: severity.Rule{
			Name: "disk usage", Condition: severity.LoggingIssue, AtLeast: severity.Percent(90), Level: severity.SEV3, Below: severity.SEV4,
		},
		ClearBelow: severity.Percent(85),
	}.On("disk"+path, func(ctx context.Context) (severity.Value, string, error) {
		u, err := disk.UsageWithContext(ctx, path)
		if err != nil {
			return severity.Value{}, "", fmt.Errorf("%s: %w", path, err)
		}
		bytes := severity.Part(int64(u.Used), int64(u.Used+u.Free)) // of what is there for others than root
		if u.InodesTotal == 0 {
			return bytes, "", nil
		}
		if inodes := severity.Part(int64(u.InodesUsed), int64(u.InodesTotal)); !bytes.Reaches(inodes) {
			return inodes, "inodes", nil
		}
		return bytes, "", nil
	})
}

// IO watches the share of the time in which a block device, such as "nvme0n1", is busy:
// 95 % for 5 minutes.
func IO(device string) detect.Indicator {
	r := &rate{read: func(ctx context.Context) (busy, total int64, err error) {
		all, err := disk.IOCountersWithContext(ctx, device)
		if err != nil {
			return 0, 0, err
		}
		c, ok := all[device]
		if !ok {
			return 0, 0, fmt.Errorf("there is no block device %q", device)
		}
		return int64(c.IoTime), time.Now().UnixMilli(), nil
	}}
	return detect.Indicator{
		Rule: severity.Rule{
			Name: "I/O usage", Condition: severity.MinorDegradation, AtLeast: severity.Percent(95), Level: severity.SEV3, Below: severity.SEV4,
			For: 5 * time.Minute,
		},
		ClearBelow: severity.Percent(80),
	}.On("disk/"+device, r.probe)
}
