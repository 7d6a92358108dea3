package recovery

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// Storage is where backups lie: objects under keys such as
// "backup_20260304_150405/MANIFEST". It is shaped so that an object store fits it
// as well as a directory. An object is written once and never changed.
// Implementations are safe for concurrent use, by several processes too.
// recoverytest.TestStorage tests one.
type Storage interface {
	// Put writes a new object. Nil means that it is there, whole and durable; on
	// any error, and after a crash at any instant, it is there whole or not at all.
	// The error is fs.ErrExist when the key is taken, and then nothing was changed;
	// of several that put the same key at once, one succeeds. data is not kept.
	Put(ctx context.Context, key string, data []byte) error

	// Get reads n bytes of an object from an offset on, fewer where it ends before;
	// a negative n is all of the rest. The error is fs.ErrNotExist when there is no
	// such object. The caller closes what is returned.
	Get(ctx context.Context, key string, offset, n int64) (io.ReadCloser, error)

	// List returns what lies directly below a prefix, which is empty or ends in a
	// slash, in the order of the keys: objects, and for all that lies deeper the
	// common prefix, once, with its slash at the end. An error means that the answer
	// is not known; a prefix that there is not holds nothing.
	List(ctx context.Context, prefix string) ([]Object, error)

	// Delete removes an object durably. One that there is not is no error.
	Delete(ctx context.Context, key string) error
}

// Object is one line of a list.
type Object struct {
	Key      string    // whole; a common prefix ends in a slash
	Size     int64     // bytes; 0 for a common prefix
	Modified time.Time // zero where the storage does not say
}

// IsPrefix reports whether this is a common prefix and not an object.
func (o Object) IsPrefix() bool { return strings.HasSuffix(o.Key, "/") }

// CheckKey returns an error unless a key is one that every storage can hold: parts
// of letters, digits, "_", "-" and ".", none of which begins with ".", with single
// slashes between them, and at most 512 bytes.
func CheckKey(key string) error {
	if len(key) > 512 {
		return fmt.Errorf("key of %d bytes: at most 512 are allowed", len(key))
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part[0] == '.' || strings.ContainsFunc(part, notInKeys) {
			return fmt.Errorf("key %q: a part may hold letters, digits, _, - and ., and not begin with .", key)
		}
	}
	return nil
}

// CheckPrefix returns an error unless a prefix is empty or a key with a slash behind it.
func CheckPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	key, ok := strings.CutSuffix(prefix, "/")
	if !ok {
		return fmt.Errorf("prefix %q does not end in a slash", prefix)
	}
	return CheckKey(key)
}

func notInKeys(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '-', r == '.':
		return false
	}
	return true
}
