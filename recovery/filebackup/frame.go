package filebackup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/andon-go/andon/internal/atomicfile"
	"github.com/andon-go/andon/internal/frame"
)

const maxFrame = 1 << 30 // bytes; a manifest has about 250 for each file

// writeFrame replaces a framed file, durably.
func writeFrame(dir, file, kind string, v any) error {
	data, err := frame.Encode(kind, v)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return atomicfile.Write(filepath.Join(dir, file), data, 0o600)
}

// readFrame reads a framed file and returns its SHA-256. An error of decoding is
// *frameError; others are those of the file system.
func readFrame(dir, file, kind string, v any) (string, error) {
	f, err := os.Open(filepath.Join(dir, file))
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFrame+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	if len(data) > maxFrame {
		return "", &frameError{fmt.Errorf("it is longer than %d bytes", maxFrame)}
	}
	if err := frame.Decode(kind, data, v); err != nil {
		return "", &frameError{err}
	}
	return frame.Digest(data), nil
}

// frameError says that a framed file could be read and makes no sense.
type frameError struct{ err error }

func (e *frameError) Error() string { return e.err.Error() }
func (e *frameError) Unwrap() error { return e.err }
