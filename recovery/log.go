package recovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/andon-go/andon/internal/frame"
)

// A log is a run of records under numbered keys, prefix000001 and so on. Nothing in
// it is ever changed: what was written last decides, whatever the clocks say.

const maxRecord = 1 << 30 // bytes

func numbered(prefix string, n int) string { return fmt.Sprintf("%s%06d", prefix, n) }

// numberOf returns the number of a key in a log; it is false for any other key.
func numberOf(key, prefix string) (int, bool) {
	digits, ok := strings.CutPrefix(key, prefix)
	if !ok || len(digits) < 6 {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil && n > 0 && numbered(prefix, n) == key
}

// numbers returns those of a log in a list of objects, as they come.
func numbers(objects []Object, prefix string) (all []int) {
	for _, o := range objects {
		if n, ok := numberOf(o.Key, prefix); ok {
			all = append(all, n)
		}
	}
	return all
}

// appendLog writes a record behind the last one of a log.
func appendLog(ctx context.Context, s Storage, prefix, kind string, v any) error {
	objects, err := s.List(ctx, prefix[:strings.LastIndex(prefix, "/")+1])
	if err != nil {
		return err
	}
	next := 1
	for _, n := range numbers(objects, prefix) {
		next = max(next, n+1)
	}
	for {
		err := putRecord(ctx, s, numbered(prefix, next), kind, v)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		next++ // somebody else was quicker
	}
}

// putRecord writes a framed record as a new object.
func putRecord(ctx context.Context, s Storage, key, kind string, v any) error {
	data, err := frame.Encode(kind, v)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return s.Put(ctx, key, data)
}

// recordError says that a record could be read and makes no sense.
type recordError struct{ err error }

func (e *recordError) Error() string { return e.err.Error() }
func (e *recordError) Unwrap() error { return e.err }

// readRecord reads a framed record into v and returns its SHA-256. The error is
// *recordError when it makes no sense; others are those of the storage.
func readRecord(ctx context.Context, s Storage, key, kind string, v any) (sum string, err error) {
	data, err := getAll(ctx, s, key)
	if err != nil {
		return "", err
	}
	if err := frame.Decode(kind, data, v); err != nil {
		return "", &recordError{err}
	}
	return frame.Digest(data), nil
}

func getAll(ctx context.Context, s Storage, key string) (data []byte, err error) {
	r, err := s.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	data, err = io.ReadAll(io.LimitReader(r, maxRecord+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxRecord {
		return nil, &recordError{fmt.Errorf("it is longer than %d bytes", maxRecord)}
	}
	return data, nil
}
