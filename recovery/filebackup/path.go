package filebackup

import (
	"fmt"
	"strconv"
	"strings"
)

// Path is a path whose bytes may be anything that a file system allows. In text
// what cannot be printed, quotes and backslashes are escaped as in Go, so that
// every name comes back as it was and none can forge a line.
type Path string

// String returns the escaped path.
func (p Path) String() string {
	q := strconv.Quote(string(p))
	return q[1 : len(q)-1]
}

// MarshalText writes the escaped path.
func (p Path) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads an escaped path.
func (p *Path) UnmarshalText(b []byte) error {
	s, err := strconv.Unquote(`"` + string(b) + `"`)
	if err != nil {
		return fmt.Errorf("path %q is not well escaped", b)
	}
	*p = Path(s)
	return nil
}

// local reports whether a path stays below the directory that it starts from, has
// no empty, "." or ".." part and no zero byte.
func (p Path) local() bool {
	for part := range strings.SplitSeq(string(p), "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return !strings.Contains(string(p), "\x00")
}
