package crashtest

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Unsynced returns what a power cut right after the last step could lose, or could
// have made visible before its content was there: files whose bytes were not synced,
// names whose directory was not synced, and files renamed or linked into place
// before their content was. It is empty for work that is durable when it ends.
//
// It judges by fsync, fdatasync and syncfs; a file opened with O_SYNC is not recognised.
func Unsynced(steps []Step) []string {
	u := disk{bytes: map[string]bool{}, names: map[string]string{}}
	for _, s := range steps {
		u.apply(s)
	}
	return u.report()
}

// disk follows which changes have not reached the disk yet.
type disk struct {
	bytes map[string]bool   // files with bytes that were not synced
	names map[string]string // what happened to a name since its directory was synced
	early []string          // put into place before the bytes were there
}

func (u *disk) apply(s Step) {
	switch s.Call {
	case "fsync", "fdatasync":
		delete(u.bytes, s.Path)
		maps.DeleteFunc(u.names, func(name, _ string) bool { return path.Dir(name) == s.Path })
	case "syncfs":
		clear(u.bytes)
		clear(u.names)
	case "create", "mkdir", "mkdirat", "symlink", "symlinkat":
		u.names[s.Path] = s.Call
	case "rename", "renameat", "renameat2", "link", "linkat":
		u.place(s)
	case "unlink", "unlinkat", "rmdir":
		delete(u.bytes, s.Path)
		u.names[s.Path] = s.Call
	default: // truncate, the writes
		u.bytes[s.Path] = true
	}
}

// place follows a rename or a link, which brings a name and takes one away.
func (u *disk) place(s Step) {
	if u.bytes[s.Path] {
		u.early = append(u.early, fmt.Sprintf("%s %s -> %s came before the sync of its content", s.Call, s.Path, s.To))
		u.bytes[s.To] = true
	} else {
		delete(u.bytes, s.To)
	}
	if strings.HasPrefix(s.Call, "rename") {
		delete(u.bytes, s.Path)
		delete(u.names, s.Path) // gone or not after a crash, nobody looks for it
		if path.Dir(s.Path) != path.Dir(s.To) {
			u.names[s.Path] = s.Call
		}
	}
	u.names[s.To] = s.Call
}

func (u *disk) report() []string {
	out := slices.Clone(u.early)
	for _, f := range slices.Sorted(maps.Keys(u.bytes)) {
		out = append(out, fmt.Sprintf("the bytes of %s are not synced", f))
	}
	for _, name := range slices.Sorted(maps.Keys(u.names)) {
		out = append(out, fmt.Sprintf("%s %s is not synced in its directory %s", u.names[name], name, path.Dir(name)))
	}
	return out
}
