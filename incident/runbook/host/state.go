package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shirou/gopsutil/v4/net"
	"github.com/shirou/gopsutil/v4/process"
)

func (c Config) network(ctx context.Context) (string, error) {
	all, err := net.ConnectionsWithContext(ctx, "inet")
	if err != nil {
		return "", fmt.Errorf("sockets: %w", err)
	}
	slices.SortFunc(all, func(a, b net.ConnectionStat) int {
		return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(a.Laddr.Port, b.Laddr.Port), cmp.Compare(a.Raddr.Port, b.Raddr.Port), cmp.Compare(a.Pid, b.Pid))
	})
	names := map[int32]any{0: ""} // of nobody that this process may see
	var rows [][]any
	for _, s := range all {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if _, ok := names[s.Pid]; !ok {
			names[s.Pid] = ""
			if p, err := process.NewProcessWithContext(ctx, s.Pid); err == nil {
				names[s.Pid] = cell(p.NameWithContext(ctx))
			}
		}
		proto := "tcp"
		if s.Type != 1 { // SOCK_STREAM
			proto = "udp"
		}
		rows = append(rows, []any{proto, address(s.Laddr), address(s.Raddr), s.Status, s.Pid, names[s.Pid]})
	}
	return c.documented("PROTO\tLOCAL\tREMOTE\tSTATE\tPID\tPROGRAM", rows, c.NetworkCopy)
}

func address(a net.Addr) string { return fmt.Sprintf("%s:%d", a.IP, a.Port) }

func (c Config) processes(ctx context.Context) (string, error) {
	all, err := process.ProcessesWithContext(ctx)
	if err != nil {
		return "", fmt.Errorf("processes: %w", err)
	}
	slices.SortFunc(all, func(a, b *process.Process) int { return cmp.Compare(a.Pid, b.Pid) })
	var rows [][]any
	for _, p := range all {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		var start, rss any = "", ""
		if ms, err := p.CreateTimeWithContext(ctx); err == nil {
			start = time.UnixMilli(ms).UTC().Format(time.RFC3339)
		}
		if m, err := p.MemoryInfoWithContext(ctx); err == nil && m != nil {
			rss = m.RSS / 1024
		}
		command := cell(p.CmdlineWithContext(ctx))
		if command == "" {
			command = fmt.Sprintf("[%v]", cell(p.NameWithContext(ctx)))
		}
		rows = append(rows, []any{cell(p.UsernameWithContext(ctx)), p.Pid, cell(p.PpidWithContext(ctx)), rss, start, command})
	}
	return c.documented("USER\tPID\tPPID\tRSS KIB\tSTART\tCOMMAND", rows, c.ProcessCopy)
}

// cell is empty where one process does not let this one see something: that is no reason
// to leave out its line.
func cell[T any](v T, err error) any {
	if err != nil {
		return ""
	}
	return v
}

// documented returns a table that is kept as a whole in a new file, too. That it could not
// be kept there is an error beside it.
func (c Config) documented(head string, rows [][]any, copyTo string) (string, error) {
	seen := "seen at " + time.Now().UTC().Format(time.RFC3339Nano) + "\n"
	whole, err := table(len(rows), head, rows)
	if err != nil {
		return "", err
	}
	path, kept := writeNew(copyTo, seen+whole)
	if kept == nil {
		seen += "all of it is in " + path + "\n"
	}
	text, err := table(c.MaxLines, head, rows)
	return seen + text, errors.Join(kept, err)
}
