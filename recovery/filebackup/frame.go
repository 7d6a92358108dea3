package filebackup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/andon-go/andon/internal/atomicfile"
)

// A framed file is one line, "andon-<kind> 1 sha256:<of the rest>", and JSON. It
// is whole, or it is an error: there is exactly one text for each value.

const (
	formatVersion = 1
	maxFrame      = 1 << 30 // bytes; a manifest has about 250 for each file
)

func encodeFrame(kind string, v any) ([]byte, error) {
	body, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return nil, err
	}
	body = append(body, '\n')
	return append(frameHeader(kind, body), body...), nil
}

func frameHeader(kind string, body []byte) []byte {
	return fmt.Appendf(nil, "andon-%s %d sha256:%s\n", kind, formatVersion, digest(body))
}

// decodeFrame reads into v what encodeFrame wrote.
func decodeFrame(kind string, data []byte, v any) error {
	header, body, found := bytes.Cut(data, []byte("\n"))
	if !found {
		return errors.New("it is cut off in its first line")
	}
	if err := checkHeader(kind, header, body); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	again, err := encodeFrame(kind, v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, data) {
		return errors.New("it is not in the form in which it was written")
	}
	return nil
}

func checkHeader(kind string, header, body []byte) error {
	if bytes.Equal(append(header[:len(header):len(header)], '\n'), frameHeader(kind, body)) {
		return nil
	}
	var version int
	var sum string
	if _, err := fmt.Sscanf(string(header), "andon-"+kind+" %d sha256:%s", &version, &sum); err != nil {
		return fmt.Errorf("its first line is not that of a %s", kind)
	}
	if version > formatVersion {
		return fmt.Errorf("its format is %d and this program reads %d", version, formatVersion)
	}
	return errors.New("its SHA-256 differs from its content")
}

// writeFrame replaces a framed file, durably.
func writeFrame(dir, file, kind string, v any) error {
	data, err := encodeFrame(kind, v)
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
	if err := decodeFrame(kind, data, v); err != nil {
		return "", &frameError{err}
	}
	return digest(data), nil
}

// frameError says that a framed file could be read and makes no sense.
type frameError struct{ err error }

func (e *frameError) Error() string { return e.err.Error() }
func (e *frameError) Unwrap() error { return e.err }
