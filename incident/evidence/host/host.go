package host

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/net"
	"github.com/shirou/gopsutil/v4/process"

	"github.com/andon-go/andon/incident/evidence"
)

// Where the playbook puts a copy for people.
const (
	NetworkState = "/tmp/network_state.txt"
	ProcessState = "/tmp/process_state.txt"
)

// Network collects the TCP and UDP sockets with their processes. Where copyTo is not
// empty, a copy is put there as a new file; see evidence.WriteNew.
func Network(copyTo string) evidence.Item {
	return item("network", "network_state.txt", copyTo, func(ctx context.Context) ([]byte, error) {
		all, err := net.ConnectionsWithContext(ctx, "inet")
		if err != nil {
			return nil, err
		}
		slices.SortFunc(all, func(a, b net.ConnectionStat) int {
			return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(a.Laddr.Port, b.Laddr.Port), cmp.Compare(a.Raddr.Port, b.Raddr.Port))
		})
		names := map[int32]string{}
		return table("PROTO\tLOCAL\tREMOTE\tSTATE\tPID\tPROGRAM", func(row func(...any)) {
			for _, c := range all {
				if _, ok := names[c.Pid]; !ok && c.Pid != 0 {
					names[c.Pid] = name(ctx, c.Pid)
				}
				proto := "tcp"
				if c.Type != 1 { // SOCK_STREAM
					proto = "udp"
				}
				row(proto, address(c.Laddr), address(c.Raddr), c.Status, c.Pid, names[c.Pid])
			}
		})
	})
}

func address(a net.Addr) string { return fmt.Sprintf("%s:%d", a.IP, a.Port) }

func name(ctx context.Context, pid int32) string {
	p, err := process.NewProcessWithContext(ctx, pid)
	if err != nil {
		return "" // it has ended
	}
	n, err := p.NameWithContext(ctx)
	if err != nil {
		return ""
	}
	return n
}

// Processes collects every process: its parent, user, start, memory, what it has read from
// and written to storage, its program and its command line. Where copyTo is not empty, a
// copy is put there as a new file; see evidence.WriteNew.
func Processes(copyTo string) evidence.Item {
	return item("processes", "process_state.txt", copyTo, func(ctx context.Context) ([]byte, error) {
		all, err := process.ProcessesWithContext(ctx)
		if err != nil {
			return nil, err
		}
		slices.SortFunc(all, func(a, b *process.Process) int { return cmp.Compare(a.Pid, b.Pid) })
		return table("PID\tPPID\tUSER\tSTART\tRSS-BYTES\tREAD-BYTES\tWRITTEN-BYTES\tPROGRAM\tCOMMAND", func(row func(...any)) {
			for _, p := range all {
				if ctx.Err() != nil {
					return
				}
				row(describe(ctx, p)...)
			}
		})
	})
}

// describe returns the cells of a process; one that cannot be had is empty.
func describe(ctx context.Context, p *process.Process) []any {
	ppid := cell(p.PpidWithContext(ctx))
	user := cell(p.UsernameWithContext(ctx))
	var start, rss, read, written any = "", "", "", ""
	if ms, err := p.CreateTimeWithContext(ctx); err == nil {
		start = time.UnixMilli(ms).Format(time.RFC3339)
	}
	if m, err := p.MemoryInfoWithContext(ctx); err == nil && m != nil {
		rss = m.RSS
	}
	if io, err := p.IOCountersWithContext(ctx); err == nil && io != nil {
		read, written = io.ReadBytes, io.WriteBytes
	}
	exe := cell(p.ExeWithContext(ctx))
	if exe == "" {
		exe = cell(p.NameWithContext(ctx))
	}
	return []any{p.Pid, ppid, user, start, rss, read, written, exe, cell(p.CmdlineWithContext(ctx))}
}

func cell[T any](v T, err error) any {
	if err != nil {
		return ""
	}
	return v
}

// Logins collects who is logged in, and the files in which the system keeps who was,
// where it keeps any.
func Logins() evidence.Item {
	return evidence.Item{Name: "logins", Collect: func(ctx context.Context, s *evidence.Sink) error {
		users, err := host.UsersWithContext(ctx)
		if errors.Is(err, fs.ErrNotExist) {
			users, err = nil, nil // a container keeps no such file, and nobody logs in
		}
		b, errTable := table("USER\tTERMINAL\tFROM\tSINCE", func(row func(...any)) {
			for _, u := range users {
				row(u.User, u.Terminal, u.Host, time.Unix(int64(u.Started), 0).Format(time.RFC3339))
			}
		})
		errs := []error{err, errTable, s.Text("who.txt", b)}
		for _, path := range []string{"/var/log/wtmp", "/var/run/utmp", "/var/log/auth.log", "/var/log/secure"} {
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, s.File(ctx, path))
			}
		}
		return errors.Join(errs...)
	}}
}

// item collects a text, and puts a copy where people look for it.
func item(name, file, copyTo string, get func(ctx context.Context) ([]byte, error)) evidence.Item {
	return evidence.Text(name, file, func(ctx context.Context) ([]byte, error) {
		b, err := get(ctx)
		if err == nil && copyTo != "" {
			_, err = evidence.WriteNew(copyTo, b)
		}
		return b, err
	})
}

// table writes rows in columns, below the time at which they were seen.
func table(head string, rows func(row func(cells ...any))) ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "seen at %s\n", time.Now().Format(time.RFC3339Nano))
	w := tabwriter.NewWriter(&out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, head)
	rows(func(cells ...any) {
		for i, c := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, oneLine.Replace(fmt.Sprint(c)))
		}
		fmt.Fprintln(w)
	})
	err := w.Flush()
	return out.Bytes(), err
}

// oneLine keeps what an intruder has named a process from making columns and lines.
var oneLine = strings.NewReplacer("\n", `\n`, "\t", `\t`, "\r", `\r`, "\v", `\v`, "\f", `\f`, "\x1b", `\e`, "\x00", " ")
