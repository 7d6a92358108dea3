package detect

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// Drift is a probe of configuration files: how many differ from what they were when the
// probe was made. A file that appears, vanishes or cannot be read any more differs. It
// returns an error where a file cannot be read now, but for one that is not there.
func Drift(paths ...string) (Probe, error) {
	was := make([]string, len(paths))
	for i, p := range paths {
		var err error
		if was[i], err = digest(p); err != nil {
			return nil, fmt.Errorf("detect: drift: %w", err)
		}
	}
	return Counting(func(ctx context.Context) (int, string, error) {
		var changed []string
		for i, p := range paths {
			if err := ctx.Err(); err != nil {
				return 0, "", err
			}
			now, err := digest(p)
			switch {
			case err != nil:
				changed = append(changed, fmt.Sprintf("%s cannot be read: %v", p, err))
			case now == "" && was[i] != "":
				changed = append(changed, p+" is gone")
			case now != "" && was[i] == "":
				changed = append(changed, p+" is new")
			case now != was[i]:
				changed = append(changed, p+" has changed")
			}
		}
		return len(changed), strings.Join(changed, "; "), nil
	}), nil
}

// digest returns the SHA-256 of a regular file's content, in hexadecimal; empty where
// there is none.
func digest(path string) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	if info, err := f.Stat(); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no regular file", path)
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}
