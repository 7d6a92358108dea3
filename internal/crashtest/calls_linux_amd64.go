package crashtest

import "golang.org/x/sys/unix"

// addOldCalls adds the calls without a directory's descriptor, which newer
// architectures no longer have.
func addOldCalls(m map[uint64]call) {
	path := []file{{none, 0}}
	both := []file{{none, 0}, {none, 1}}
	m[unix.SYS_OPEN] = call{openName, path, 1}
	m[unix.SYS_MKDIR] = call{"mkdir", path, none}
	m[unix.SYS_RMDIR] = call{"rmdir", path, none}
	m[unix.SYS_UNLINK] = call{"unlink", path, none}
	m[unix.SYS_SYMLINK] = call{"symlink", []file{{none, 1}}, none}
	m[unix.SYS_LINK] = call{"link", both, none}
	m[unix.SYS_RENAME] = call{"rename", both, none}
}
