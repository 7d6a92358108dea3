package pgbackup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
)

// A framed object is one line, "andon-pg-<kind> 1 sha256:<of the rest>", and JSON. It
// is whole, or it is an error.

const (
	formatVersion = 1
	maxFrame      = 256 << 20 // bytes; a manifest has about 250 for each object and column
)

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func encodeFrame(kind string, v any) ([]byte, error) {
	body, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return nil, err
	}
	body = append(body, '\n')
	return append(fmt.Appendf(nil, "andon-pg-%s %d sha256:%s\n", kind, formatVersion, digest(body)), body...), nil
}

func decodeFrame(kind string, data []byte, v any) error {
	header, body, found := bytes.Cut(data, []byte("\n"))
	if !found {
		return errors.New("it is cut off in its first line")
	}
	if want := fmt.Sprintf("andon-pg-%s %d sha256:%s", kind, formatVersion, digest(body)); string(header) != want {
		var version int
		if _, err := fmt.Sscanf(string(header), "andon-pg-"+kind+" %d sha256:", &version); err != nil {
			return fmt.Errorf("its first line is not that of a %s", kind)
		}
		if version > formatVersion {
			return fmt.Errorf("its format is %d and this program reads %d", version, formatVersion)
		}
		return errors.New("its SHA-256 differs from its content")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// putFrame stores a framed object. One that could not be read again is never stored.
func putFrame[T any](ctx context.Context, to Storage, name string, v T) error {
	kind := path.Base(name)
	data, err := encodeFrame(kind, v)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(data) > maxFrame {
		return fmt.Errorf("%s: %d bytes are too many", name, len(data))
	}
	var again T
	if err := decodeFrame(kind, data, &again); err != nil {
		return fmt.Errorf("%s: it could not be read again: %w", name, err)
	}
	return to.Put(ctx, name, bytes.NewReader(data))
}

// getFrame reads a framed object and returns its SHA-256. An error of decoding is
// *frameError; others are those of the storage.
func getFrame(ctx context.Context, from Storage, name string, v any) (string, error) {
	r, err := from.Get(ctx, name, 0, -1)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(r, maxFrame+1))
	if err := errors.Join(err, r.Close()); err != nil {
		return "", err
	}
	if len(data) > maxFrame {
		return "", &frameError{fmt.Errorf("it is longer than %d bytes", maxFrame)}
	}
	if err := decodeFrame(path.Base(name), data, v); err != nil {
		return "", &frameError{err}
	}
	return digest(data), nil
}

// frameError says that a framed object could be read and makes no sense.
type frameError struct{ err error }

func (e *frameError) Error() string { return e.err.Error() }
func (e *frameError) Unwrap() error { return e.err }
