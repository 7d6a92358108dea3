package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/process"
)

const mib = 1 << 20

func (c Config) disk(ctx context.Context) (string, error) {
	var rows [][]any
	var errs []error
	for _, path := range c.Paths {
		u, err := disk.UsageWithContext(ctx, path)
		if err != nil {
			errs = append(errs, fmt.Errorf("disk %s: %w", path, err))
			continue
		}
		rows = append(rows, []any{path, u.Total / mib, u.Used / mib, u.Free / mib, fmt.Sprintf("%.1f %%", u.UsedPercent), u.InodesFree, u.InodesTotal})
	}
	text, err := table(c.MaxLines, "PATH\tMIB\tUSED\tFREE\tUSED\tINODES FREE\tOF", rows)
	return text, errors.Join(append(errs, err)...)
}

func (c Config) memory(ctx context.Context) (string, error) {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return "", fmt.Errorf("memory: %w", err)
	}
	rows := [][]any{{"memory", m.Total / mib, m.Used / mib, m.Free / mib, m.Available / mib}}
	s, serr := mem.SwapMemoryWithContext(ctx)
	if serr == nil {
		rows = append(rows, []any{"swap", s.Total / mib, s.Used / mib, s.Free / mib, ""})
	} else {
		serr = fmt.Errorf("swap: %w", serr)
	}
	text, err := table(c.MaxLines, "MIB\tTOTAL\tUSED\tFREE\tAVAILABLE", rows)
	return text, errors.Join(serr, err)
}

// wait waits for a time, or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (c Config) io(ctx context.Context) (string, error) {
	before, err := disk.IOCountersWithContext(ctx)
	if err != nil {
		return "", fmt.Errorf("block devices: %w", err)
	}
	if len(before) == 0 {
		return "", errors.New("block devices: the system shows none to this process")
	}
	var rows [][]any
	for round := range c.Rounds {
		began := time.Now()
		if err := wait(ctx, c.Sample); err != nil {
			return "", err
		}
		after, err := disk.IOCountersWithContext(ctx)
		if err != nil {
			return "", fmt.Errorf("block devices: %w", err)
		}
		rows = append(rows, worked(round+1, before, after, time.Since(began))...)
		before = after
	}
	if len(rows) == 0 {
		return fmt.Sprintf("none of %d block devices did anything in %v\n", len(before), time.Duration(c.Rounds)*c.Sample), nil
	}
	return table(c.MaxLines, "ROUND\tDEVICE\tREADS/S\tWRITES/S\tREAD KIB/S\tWRITTEN KIB/S\tWAIT MS\tBUSY", rows)
}

// worked are the devices that did something, by name. One whose counters went back has
// begun anew, and nothing is known of it.
func worked(round int, before, after map[string]disk.IOCountersStat, over time.Duration) [][]any {
	var rows [][]any
	for name, a := range after {
		b, ok := before[name]
		if !ok || a.ReadCount < b.ReadCount || a.WriteCount < b.WriteCount || a.IoTime < b.IoTime {
			continue
		}
		n := a.ReadCount - b.ReadCount + a.WriteCount - b.WriteCount
		if n == 0 {
			continue
		}
		s := over.Seconds()
		waited := float64(a.ReadTime+a.WriteTime) - float64(b.ReadTime+b.WriteTime)
		rows = append(rows, []any{
			round, name, rate(a.ReadCount-b.ReadCount, s), rate(a.WriteCount-b.WriteCount, s),
			rate((a.ReadBytes-b.ReadBytes)/1024, s), rate((a.WriteBytes-b.WriteBytes)/1024, s),
			fmt.Sprintf("%.2f", waited/float64(n)), fmt.Sprintf("%.0f %%", min(100, 100*float64(a.IoTime-b.IoTime)/max(1, s*1000))),
		})
	}
	slices.SortFunc(rows, func(a, b []any) int { return cmp.Compare(fmt.Sprint(a[1]), fmt.Sprint(b[1])) })
	return rows
}

func rate(n uint64, seconds float64) string {
	return fmt.Sprintf("%.1f", float64(n)/max(seconds, 0.001))
}

// used is what a process has read and written to storage.
type used struct {
	pid           int32
	started       int64
	name          string
	read, written uint64
}

func (c Config) processIO(ctx context.Context) (string, error) {
	before, _, err := readAndWritten(ctx)
	if err != nil {
		return "", err
	}
	if err := wait(ctx, time.Duration(c.Rounds)*c.Sample); err != nil {
		return "", err
	}
	after, hidden, err := readAndWritten(ctx)
	if err != nil {
		return "", err
	}
	var busy []used
	for pid, a := range after {
		b := before[pid]
		if b.started != a.started { // it is new, or another one with a number that was free
			b = used{}
		}
		if a.read < b.read || a.written < b.written || a.read+a.written == b.read+b.written {
			continue
		}
		busy = append(busy, used{pid, a.started, a.name, a.read - b.read, a.written - b.written})
	}
	slices.SortFunc(busy, func(a, b used) int {
		return cmp.Or(cmp.Compare(b.read+b.written, a.read+a.written), cmp.Compare(a.pid, b.pid))
	})
	var rows [][]any
	for _, u := range busy {
		rows = append(rows, []any{u.pid, u.name, u.read, u.written})
	}
	text, err := table(c.MaxLines, "PID\tPROGRAM\tREAD BYTES\tWRITTEN BYTES", rows)
	text += fmt.Sprintf("in %v; %d of %d processes did anything, %d do not let this one see\n", time.Duration(c.Rounds)*c.Sample, len(busy), len(after)+hidden, hidden)
	return text, err
}

// readAndWritten returns what every process has read and written, and how many do not
// let this one see it. When none does, nothing is known.
func readAndWritten(ctx context.Context) (map[int32]used, int, error) {
	all, err := process.ProcessesWithContext(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("processes: %w", err)
	}
	out, hidden := map[int32]used{}, 0
	for _, p := range all {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		n, err := p.IOCountersWithContext(ctx)
		if err != nil || n == nil {
			hidden++
			continue
		}
		started, err := p.CreateTimeWithContext(ctx)
		if err != nil {
			hidden++ // it has ended
			continue
		}
		name, err := p.NameWithContext(ctx)
		if err != nil {
			name = "?"
		}
		out[p.Pid] = used{p.Pid, started, name, n.ReadBytes, n.WriteBytes}
	}
	if len(out) == 0 {
		return nil, 0, fmt.Errorf("processes: none of %d lets this one see what it reads and writes: run it as root", len(all))
	}
	return out, hidden, nil
}
