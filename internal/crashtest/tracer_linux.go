//go:build linux && (amd64 || arm64)

package crashtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tracer follows the threads of one child. It belongs to one locked OS thread,
// because the kernel takes ptrace requests from the tracing thread only.
type tracer struct {
	dir   string // with symbolic links resolved
	pid   int    // of the child, and of its process group
	at    target
	calls map[uint64]call

	seen    map[int]bool    // threads whose first stop has passed
	pending map[int]*inCall // threads inside a durable step
	steps   []Step          // in the order in which they began
	torn    func() error    // cuts the last write, once the child is dead
	killed  bool
}

// inCall is a durable step that has begun on a thread.
type inCall struct {
	index int    // in tracer.steps
	path  string // absolute, of the first file
	size  int64  // of that file before the call
}

// trace starts the child stopped, follows it to its end or kills it at the target,
// and returns the steps it saw. It reaps the child in every case.
func trace(c *child, at target) ([]Step, outcome, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dir, err := filepath.EvalSymlinks(c.dir)
	if err != nil {
		return nil, outcome{}, err
	}
	pid, err := c.start(&syscall.SysProcAttr{Ptrace: true, Setpgid: true, Pdeathsig: syscall.SIGKILL})
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
		return nil, outcome{}, fmt.Errorf("%w: %w", errNoTrace, err)
	}
	if err != nil {
		return nil, outcome{}, err
	}
	tr := &tracer{
		dir: dir, pid: pid, at: at, calls: calls(),
		seen: map[int]bool{}, pending: map[int]*inCall{},
	}
	var late atomic.Bool
	timer := time.AfterFunc(c.timeout, func() {
		late.Store(true)
		tr.kill()
	})
	ws, err := tr.follow()
	timer.Stop()
	if err != nil {
		tr.kill()
		reapGroup(pid)
		return nil, outcome{}, err
	}
	if tr.torn != nil {
		err = tr.torn()
	}
	return tr.steps, outcome{killed: tr.killed, late: late.Load(), status: describe(ws), failed: ws.ExitStatus() != 0}, err
}

// kill ends the child and whatever it started.
func (tr *tracer) kill() { _ = unix.Kill(-tr.pid, unix.SIGKILL) } // an error means that it is gone already

// follow resumes every stop of every thread until the child is reaped.
func (tr *tracer) follow() (unix.WaitStatus, error) {
	const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_EXITKILL
	for {
		tid, ws, err := wait(tr.pid)
		switch {
		case err != nil:
			return 0, fmt.Errorf("waiting for the child: %w", err)
		case ws.Exited() || ws.Signaled():
			if tid == tr.pid {
				tr.kill() // what it started itself
				return ws, nil
			}
			continue
		case !ws.Stopped():
			continue
		}
		if tid == tr.pid && !tr.seen[tid] {
			if err := unix.PtraceSetOptions(tid, options); err != nil && !gone(err) {
				return 0, fmt.Errorf("%w: options: %w", errNoTrace, err)
			}
		}
		sig, err := tr.stopped(tid, ws)
		if err != nil {
			return 0, err
		}
		if err := unix.PtraceSyscall(tid, sig); err != nil && !gone(err) {
			return 0, fmt.Errorf("resuming the child: %w", err)
		}
	}
}

// stopped looks at one stop and returns the signal to pass on with the resumption.
func (tr *tracer) stopped(tid int, ws unix.WaitStatus) (int, error) {
	first := !tr.seen[tid]
	tr.seen[tid] = true
	switch sig := ws.StopSignal(); {
	case sig == unix.SIGTRAP|0x80:
		return 0, tr.syscall(tid)
	case first && (sig == unix.SIGTRAP || sig == unix.SIGSTOP): // after exec, or a new thread
		return 0, nil
	case sig == unix.SIGTRAP && ws.TrapCause() > 0: // the event of a clone
		return 0, nil
	default:
		return int(sig), nil
	}
}

// syscallInfo is struct ptrace_syscall_info of the kernel, up to the arguments.
type syscallInfo struct {
	op     uint8
	_      [3]uint8
	arch   uint32
	ip, sp uint64
	nr     uint64 // the call on entry; its result on exit
	args   [6]uint64
}

// syscall handles the stop before or after a system call.
func (tr *tracer) syscall(tid int) error {
	var info syscallInfo
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid),
		unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno == unix.ESRCH {
		return nil
	}
	if errno != 0 {
		return fmt.Errorf("%w: Linux 5.3 or newer is needed: %w", errNoTrace, errno)
	}
	switch info.op {
	case unix.PTRACE_SYSCALL_INFO_ENTRY:
		tr.enter(tid, &info)
	case unix.PTRACE_SYSCALL_INFO_EXIT:
		tr.exit(tid, int64(info.nr))
	}
	return nil
}

// enter notes a durable step that begins, and kills the child before it if it is the one.
func (tr *tracer) enter(tid int, info *syscallInfo) {
	c, ok := tr.calls[info.nr]
	if !ok || tr.killed {
		return
	}
	step, path, ok := tr.step(tid, c, info)
	if !ok {
		return
	}
	step.N = len(tr.steps) + 1
	tr.steps = append(tr.steps, step)
	tr.pending[tid] = &inCall{index: len(tr.steps) - 1, path: path, size: sizeOf(path)}
	if tr.at == (target{step.N, Before}) {
		tr.killed = true
		tr.kill()
	}
}

// exit completes the step that the thread was in, and kills the child after it if it is the one.
func (tr *tracer) exit(tid int, result int64) {
	in, ok := tr.pending[tid]
	if !ok || tr.killed {
		return
	}
	delete(tr.pending, tid)
	s := &tr.steps[in.index]
	size := sizeOf(in.path)
	if result > 0 && size > in.size && writes(s.Call) {
		s.Grew = size - in.size
	}
	if s.N != tr.at.n {
		return
	}
	if tr.at.moment == Torn {
		tr.torn = func() error { return os.Truncate(in.path, size-(s.Grew+1)/2) }
	}
	tr.killed = true
	tr.kill()
}

// writes reports whether the call puts bytes into a file.
func writes(call string) bool {
	return strings.Contains(call, "write") || call == "sendfile" || call == "splice" || call == "copy_file_range"
}

func sizeOf(path string) int64 {
	fi, err := os.Lstat(path)
	if err != nil || !fi.Mode().IsRegular() {
		return 0
	}
	return fi.Size()
}

// step describes the call if it touches something below the directory.
func (tr *tracer) step(tid int, c call, info *syscallInfo) (Step, string, bool) {
	paths, inside := make([]string, 0, 2), false
	for _, f := range c.files {
		p, ok := resolve(tid, f, info)
		if !ok {
			return Step{}, "", false
		}
		inside = inside || p == tr.dir || strings.HasPrefix(p, tr.dir+"/")
		paths = append(paths, p)
	}
	if !inside {
		return Step{}, "", false
	}
	s := Step{Call: c.name, Path: tr.rel(paths[0])}
	if len(paths) > 1 {
		s.To = tr.rel(paths[1])
	}
	if c.name == openName {
		s.Call = opening(paths[0], int(info.args[c.flags]))
	}
	return s, paths[0], s.Call != ""
}

// opening names what an open changes: nothing, unless it creates or truncates.
func opening(path string, flags int) string {
	_, err := os.Lstat(path)
	switch exists := err == nil; {
	case !exists && flags&unix.O_CREAT != 0:
		return "create"
	case exists && flags&unix.O_TRUNC != 0:
		return "truncate"
	default:
		return ""
	}
}

func (tr *tracer) rel(path string) string {
	if r, err := filepath.Rel(tr.dir, path); err == nil && filepath.IsLocal(r) {
		return r
	}
	return path
}

// resolve returns the absolute path of a file that a call names.
func resolve(tid int, f file, info *syscallInfo) (string, bool) {
	if f.path == none {
		p, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tid, int32(info.args[f.fd])))
		return p, err == nil && filepath.IsAbs(p)
	}
	p, ok := readString(tid, info.args[f.path])
	if !ok {
		return "", false
	}
	if !filepath.IsAbs(p) {
		at := fmt.Sprintf("/proc/%d/cwd", tid)
		if f.fd != none && int32(info.args[f.fd]) != unix.AT_FDCWD {
			at = fmt.Sprintf("/proc/%d/fd/%d", tid, int32(info.args[f.fd]))
		}
		base, err := os.Readlink(at)
		if err != nil {
			return "", false
		}
		p = filepath.Join(base, p)
	}
	// The last element stays: a rename or an unlink is about the link itself.
	parent, err := filepath.EvalSymlinks(filepath.Dir(p))
	if err != nil {
		return "", false
	}
	return filepath.Join(parent, filepath.Base(p)), true
}

// readString reads a path out of the child's memory.
func readString(tid int, addr uint64) (string, bool) {
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", tid))
	if err != nil {
		return "", false
	}
	defer mem.Close() // only read
	buf := make([]byte, unix.PathMax)
	n, _ := mem.ReadAt(buf, int64(addr)) // short at the end of a mapping; the zero byte decides
	s, _, ok := strings.Cut(string(buf[:n]), "\x00")
	return s, ok
}

// wait waits for a thread of the child, and for nobody else's children.
func wait(pgid int) (int, unix.WaitStatus, error) {
	for {
		var ws unix.WaitStatus
		tid, err := unix.Wait4(-pgid, &ws, unix.WALL, nil)
		if err != unix.EINTR {
			return tid, ws, err
		}
	}
}

// reapGroup takes what is left of a killed child, after an error.
func reapGroup(pgid int) {
	for {
		if _, _, err := wait(pgid); err != nil {
			return
		}
	}
}

// gone says that a thread was killed between its stop and our request.
func gone(err error) bool { return errors.Is(err, unix.ESRCH) }

func describe(ws unix.WaitStatus) string {
	switch {
	case ws.Exited():
		return fmt.Sprintf("exit status %d", ws.ExitStatus())
	default:
		return fmt.Sprintf("ended by %v", ws.Signal())
	}
}
