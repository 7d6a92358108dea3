//go:build linux && (amd64 || arm64)

package crashtest

import "golang.org/x/sys/unix"

// call says how to read a system call that can be a durable step: in which
// arguments its files are, and in which its flags.
type call struct {
	name  string
	files []file
	flags int // the argument with open's flags, or none
}

// file is where a call names a file: a path relative to a directory's descriptor,
// or a descriptor alone when path is none.
type file struct{ fd, path int }

const none = -1

// openName marks the calls that are a step only if they create or truncate.
const openName = "open"

// calls are the system calls that change what a disk holds.
func calls() map[uint64]call {
	one := func(fd, path int) []file { return []file{{fd, path}} }
	two := func(fd, path, fd2, path2 int) []file { return []file{{fd, path}, {fd2, path2}} }
	m := map[uint64]call{
		unix.SYS_OPENAT:          {openName, one(0, 1), 2},
		unix.SYS_WRITE:           {"write", one(0, none), none},
		unix.SYS_PWRITE64:        {"pwrite", one(0, none), none},
		unix.SYS_WRITEV:          {"writev", one(0, none), none},
		unix.SYS_PWRITEV:         {"pwritev", one(0, none), none},
		unix.SYS_PWRITEV2:        {"pwritev2", one(0, none), none},
		unix.SYS_SENDFILE:        {"sendfile", one(0, none), none},
		unix.SYS_SPLICE:          {"splice", one(2, none), none},
		unix.SYS_COPY_FILE_RANGE: {"copy_file_range", one(2, none), none},
		unix.SYS_FSYNC:           {"fsync", one(0, none), none},
		unix.SYS_FDATASYNC:       {"fdatasync", one(0, none), none},
		unix.SYS_SYNCFS:          {"syncfs", one(0, none), none},
		unix.SYS_FTRUNCATE:       {"ftruncate", one(0, none), none},
		unix.SYS_TRUNCATE:        {"truncate", one(none, 0), none},
		unix.SYS_FALLOCATE:       {"fallocate", one(0, none), none},
		unix.SYS_MKDIRAT:         {"mkdirat", one(0, 1), none},
		unix.SYS_UNLINKAT:        {"unlinkat", one(0, 1), none},
		unix.SYS_SYMLINKAT:       {"symlinkat", one(1, 2), none},
		unix.SYS_LINKAT:          {"linkat", two(0, 1, 2, 3), none},
		unix.SYS_RENAMEAT:        {"renameat", two(0, 1, 2, 3), none},
		unix.SYS_RENAMEAT2:       {"renameat2", two(0, 1, 2, 3), none},
	}
	addOldCalls(m)
	return m
}
