package filebackup

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// attributesOf reads the attributes of an open file, and names those that are not
// kept. A file system that knows none has none.
func attributesOf(f *os.File) (Attributes, []string, error) {
	list, lost, err := readAttributes(f)
	if err != nil {
		return "", nil, fmt.Errorf("attributes of %q: %w", f.Name(), err)
	}
	return makeAttributes(list), lost, nil
}

func readAttributes(f *os.File) (list []attribute, lost []string, err error) {
	fd := int(f.Fd())
	names, err := grown(func(b []byte) (int, error) { return unix.Flistxattr(fd, b) })
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		switch {
		case name == "" || name == "security.selinux":
			continue
		case !isKept(name):
			lost = append(lost, name)
			continue
		}
		value, err := grown(func(b []byte) (int, error) { return unix.Fgetxattr(fd, name, b) })
		if errors.Is(err, unix.ENODATA) {
			continue // removed since it was listed, which the time of the change shows
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		list = append(list, attribute{name, string(value)})
	}
	return list, lost, nil
}

// grown calls get with as much room as it needs.
func grown(get func([]byte) (int, error)) ([]byte, error) {
	for {
		n, err := get(nil)
		if err != nil || n == 0 {
			return nil, err
		}
		buf := make([]byte, n)
		n, err = get(buf)
		if errors.Is(err, unix.ERANGE) {
			continue // more came meanwhile
		}
		return buf[:max(n, 0)], err
	}
}

// setAttributes gives a file the attributes that it had, access lists or all others,
// and takes away what it inherited from the directory in which it was made.
func setAttributes(f *os.File, want Attributes, accessLists bool) error {
	wanted, err := want.list()
	if err != nil {
		return err
	}
	is, _, err := readAttributes(f)
	if err != nil {
		return err
	}
	fd := int(f.Fd())
	for _, a := range is {
		if isAccessList(a.name) != accessLists || slices.ContainsFunc(wanted, func(w attribute) bool { return w.name == a.name }) {
			continue
		}
		if err := unix.Fremovexattr(fd, a.name); err != nil {
			return fmt.Errorf("removing attribute %s: %w", a.name, err)
		}
	}
	for _, a := range wanted {
		if isAccessList(a.name) != accessLists || slices.Contains(is, a) {
			continue
		}
		if err := unix.Fsetxattr(fd, a.name, []byte(a.value), 0); err != nil {
			return fmt.Errorf("attribute %s: %w: %w", a.name, err, errNoAttributes)
		}
	}
	return nil
}
