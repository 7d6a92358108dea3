package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// checksums holds the files that Config.Checksums lists against it. A list that names
// nothing shows nothing.
func (c Config) checksums(ctx context.Context) (_ string, err error) {
	list, err := os.Open(c.Checksums)
	if err != nil {
		return "", fmt.Errorf("checksums: %w", err)
	}
	defer func() { err = errors.Join(err, list.Close()) }()
	var errs []error
	n, good, at := 0, 0, 0
	bad := func(format string, args ...any) {
		if len(errs) < c.MaxLines {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	dir := filepath.Dir(c.Checksums)
	err = eachLine(ctx, list, func(line []byte) {
		if at++; len(line) == 0 || ctx.Err() != nil {
			return
		}
		n++
		want, name, ok := listed(string(line))
		if !ok {
			bad("%s: line %d is not one of sha256sum", c.Checksums, at)
			return
		}
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, name)
		}
		switch got, err := sum(ctx, path); {
		case err != nil:
			bad("%q cannot be checked: %w", name, err)
		case got != want:
			bad("%q differs", name)
		default:
			good++
		}
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("checksums: %w", err)
	}
	text := fmt.Sprintf("%d of %d files are as %s lists them\n", good, n, c.Checksums)
	switch {
	case n == 0:
		return text, fmt.Errorf("checksums: %s lists no file", c.Checksums)
	case good != n:
		return text, errors.Join(append([]error{fmt.Errorf("checksums: %d of %d files are not as they were", n-good, n)}, errs...)...)
	}
	return text, nil
}

// listed reads a line of sha256sum: the sum, a space, a space or an asterisk, and the name,
// in which a line that begins with a backslash has escapes.
func listed(line string) (sum, name string, ok bool) {
	line, escaped := strings.CutPrefix(line, `\`)
	sum, name, ok = strings.Cut(line, " ")
	if raw, err := hex.DecodeString(sum); !ok || err != nil || len(raw) != sha256.Size || len(name) < 2 || name[0] != ' ' && name[0] != '*' {
		return "", "", false
	}
	if name = name[1:]; escaped {
		name = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r").Replace(name)
	}
	return strings.ToLower(sum), name, true
}

// sum is the SHA-256 of a regular file. What an intruder may have put in its place, such as
// a pipe, is not waited for.
func sum(ctx context.Context, path string) (_ string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("it is no regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	if _, err := io.Copy(h, bounded{ctx, f}); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// bounded reads until its context ends.
type bounded struct {
	ctx context.Context
	r   io.Reader
}

func (b bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.r.Read(p)
}

// changed lists the regular files that were modified within a time. A modification time can
// be set back: Checksums finds what this does not.
func (c Config) changed(ctx context.Context, within time.Duration) (string, error) {
	since := time.Now().Add(-within)
	var rows [][]any
	var errs []error
	seen := 0
	for _, root := range c.Roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			var info fs.FileInfo
			if err == nil && d.Type().IsRegular() {
				seen++
				info, err = d.Info()
			}
			if err != nil {
				// What has gone meanwhile is not there; what may not be read is not known.
				if path == root || !errors.Is(err, fs.ErrNotExist) {
					errs = append(errs, err)
				}
				return nil
			}
			if info != nil && info.ModTime().After(since) {
				rows = append(rows, []any{info.Mode(), info.Size(), info.ModTime().UTC().Format(time.RFC3339), path})
			}
			return nil
		})
		if err != nil {
			return "", fmt.Errorf("changed files: %w", err)
		}
	}
	if len(errs) > 0 {
		most := min(len(errs), 20)
		errs = append([]error{fmt.Errorf("changed files: %d places cannot be read", len(errs))}, errs[:most]...)
	}
	text, err := table(c.MaxLines, "MODE\tBYTES\tMODIFIED\tFILE", rows)
	return fmt.Sprintf("%d of %d files were modified in the last %v\n", len(rows), seen, within) + text, errors.Join(append(errs, err)...)
}
