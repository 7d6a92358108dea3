package recoverytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/andon-go/andon/recovery"
)

// Storage is a recovery.Storage in memory. The zero value is empty. It is safe for
// concurrent use.
type Storage struct {
	mu      sync.Mutex
	objects map[string][]byte
	fail    func(op, key string) error
}

var _ recovery.Storage = (*Storage)(nil)

// FailWhen makes an operation, "put", "get", "list" or "delete", give the error that
// when returns for it and its key; nil makes all of them work again.
func (s *Storage) FailWhen(when func(op, key string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = when
}

// Keys returns the keys of all objects, in order.
func (s *Storage) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.objects))
}

// Alter changes an object, as a bad disk would: unseen. change gets the content,
// which is its own, and returns the new one; nil removes the object.
func (s *Storage) Alter(key string, change func(data []byte) []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.objects[key]
	if !ok {
		return fmt.Errorf("altering %s: %w", key, fs.ErrNotExist)
	}
	if data = change(bytes.Clone(data)); data == nil {
		delete(s.objects, key)
		return nil
	}
	s.objects[key] = data
	return nil
}

func (s *Storage) ready(ctx context.Context, op, key string, check error) error {
	if err := errors.Join(ctx.Err(), check); err != nil {
		return err
	}
	if s.fail != nil {
		return s.fail(op, key)
	}
	return nil
}

// Put keeps a copy.
func (s *Storage) Put(ctx context.Context, key string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx, "put", key, recovery.CheckKey(key)); err != nil {
		return err
	}
	if _, ok := s.objects[key]; ok {
		return fmt.Errorf("putting %s: %w", key, fs.ErrExist)
	}
	if s.objects == nil {
		s.objects = map[string][]byte{}
	}
	s.objects[key] = append([]byte{}, data...)
	return nil
}

// Get reads from a copy.
func (s *Storage) Get(ctx context.Context, key string, offset, n int64) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx, "get", key, recovery.CheckKey(key)); err != nil {
		return nil, err
	}
	data, ok := s.objects[key]
	if !ok {
		return nil, fmt.Errorf("getting %s: %w", key, fs.ErrNotExist)
	}
	if offset < 0 {
		return nil, fmt.Errorf("getting %s: offset %d", key, offset)
	}
	data = data[min(offset, int64(len(data))):]
	if n >= 0 {
		data = data[:min(n, int64(len(data)))]
	}
	return io.NopCloser(bytes.NewReader(bytes.Clone(data))), nil
}

// List lists one level.
func (s *Storage) List(ctx context.Context, prefix string) ([]recovery.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx, "list", prefix, recovery.CheckPrefix(prefix)); err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	for key, data := range s.objects {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		if dir, _, deeper := strings.Cut(rest, "/"); deeper {
			sizes[prefix+dir+"/"] = 0
		} else {
			sizes[key] = int64(len(data))
		}
	}
	var objects []recovery.Object
	for _, key := range slices.Sorted(maps.Keys(sizes)) {
		objects = append(objects, recovery.Object{Key: key, Size: sizes[key]})
	}
	return objects, nil
}

// Delete forgets an object.
func (s *Storage) Delete(ctx context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx, "delete", key, recovery.CheckKey(key)); err != nil {
		return err
	}
	delete(s.objects, key)
	return nil
}

// TestStorage tests that a storage keeps the rules of recovery.Storage. open is
// called once for each rule and returns an empty one.
func TestStorage(t *testing.T, open func(t *testing.T) recovery.Storage) {
	for _, rule := range []struct {
		name string
		test func(t *testing.T, s recovery.Storage)
	}{
		{"what was put is there, whole, and is the storage's own", rulePut},
		{"an object is never changed: a taken key is fs.ErrExist", ruleWriteOnce},
		{"of many that put one key at once, one succeeds", ruleRace},
		{"a range is what lies in it", ruleRange},
		{"a list is one level deep, in order, and knows prefixes", ruleList},
		{"a list of nothing is empty and no error", ruleListNothing},
		{"what was deleted is gone, and deleting nothing is no error", ruleDeleteObject},
		{"while a neighbour is deleted, a put succeeds", ruleNeighbours},
		{"a key that leaves the storage is refused", ruleKeys},
		{"nothing happens after ctx has ended", ruleEnded},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.test(t, open(t)) })
	}
}

func mustPut(t *testing.T, s recovery.Storage, key, data string) {
	t.Helper()
	if err := s.Put(t.Context(), key, []byte(data)); err != nil {
		t.Fatalf("Put(%q): %v", key, err)
	}
}

func get(t *testing.T, s recovery.Storage, key string, offset, n int64) string {
	t.Helper()
	r, err := s.Get(t.Context(), key, offset, n)
	if err != nil {
		t.Fatalf("Get(%q, %d, %d): %v", key, offset, n, err)
	}
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatalf("reading %q: %v", key, err)
	}
	return string(data)
}

func rulePut(t *testing.T, s recovery.Storage) {
	data := []byte("first")
	if err := s.Put(t.Context(), "a/b-c_d.E/1", data); err != nil {
		t.Fatalf("Put: %v", err)
	}
	data[0] = 'X'
	if got := get(t, s, "a/b-c_d.E/1", 0, -1); got != "first" {
		t.Errorf("Get gives %q after Put of %q", got, "first")
	}
	big := strings.Repeat("0123456789abcdef", 1<<17)
	mustPut(t, s, "a/big", big)
	if get(t, s, "a/big", 0, -1) != big {
		t.Error("an object of 2 MiB comes back changed")
	}
	mustPut(t, s, "empty", "")
	if got := get(t, s, "empty", 0, -1); got != "" {
		t.Errorf("an empty object comes back as %q", got)
	}
}

func ruleWriteOnce(t *testing.T, s recovery.Storage) {
	mustPut(t, s, "k", "old")
	if err := s.Put(t.Context(), "k", []byte("new")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Put of a taken key gives %v, want fs.ErrExist", err)
	}
	if got := get(t, s, "k", 0, -1); got != "old" {
		t.Errorf("after a refused Put the object is %q, it was %q", got, "old")
	}
}

func ruleRace(t *testing.T, s recovery.Storage) {
	const writers = 8
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() { errs[i] = s.Put(t.Context(), "one/key", fmt.Append(nil, i)) })
	}
	wg.Wait()
	won := -1
	for i, err := range errs {
		switch {
		case err == nil && won >= 0:
			t.Fatalf("writers %d and %d both succeeded: one of them is lost", won, i)
		case err == nil:
			won = i
		case !errors.Is(err, fs.ErrExist):
			t.Errorf("writer %d: %v, want fs.ErrExist", i, err)
		}
	}
	if got := get(t, s, "one/key", 0, -1); got != fmt.Sprint(won) {
		t.Errorf("writer %d succeeded and %q is stored", won, got)
	}
}

func ruleRange(t *testing.T, s recovery.Storage) {
	mustPut(t, s, "k", "0123456789")
	for _, c := range []struct {
		offset, n int64
		want      string
	}{{0, -1, "0123456789"}, {3, 4, "3456"}, {8, 5, "89"}, {10, -1, ""}, {12, 3, ""}, {2, 0, ""}} {
		if got := get(t, s, "k", c.offset, c.n); got != c.want {
			t.Errorf("Get(%d, %d) of 0123456789 gives %q, want %q", c.offset, c.n, got, c.want)
		}
	}
	for _, key := range []string{"none", "k/below"} {
		if _, err := s.Get(t.Context(), key, 0, -1); err == nil {
			t.Errorf("Get of %q, which there is not, gives no error", key)
		}
	}
	if _, err := s.Get(t.Context(), "none", 0, -1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get of what there is not gives %v, want fs.ErrNotExist", err)
	}
}

func wantList(t *testing.T, s recovery.Storage, prefix string, want ...string) {
	t.Helper()
	objects, err := s.List(t.Context(), prefix)
	if err != nil {
		t.Fatalf("List(%q): %v", prefix, err)
	}
	var got []string
	for _, o := range objects {
		got = append(got, fmt.Sprint(o.Key, ":", o.Size))
	}
	if !slices.Equal(got, want) {
		t.Errorf("List(%q) gives %q, want %q", prefix, got, want)
	}
}

func ruleList(t *testing.T, s recovery.Storage) {
	for _, key := range []string{"b/2", "b/1", "b/deep/er/x", "b/deep/y", "a", "c/z"} {
		mustPut(t, s, key, key)
	}
	wantList(t, s, "", "a:1", "b/:0", "c/:0")
	wantList(t, s, "b/", "b/1:3", "b/2:3", "b/deep/:0")
	wantList(t, s, "b/deep/", "b/deep/er/:0", "b/deep/y:8")
}

func ruleListNothing(t *testing.T, s recovery.Storage) {
	wantList(t, s, "")
	wantList(t, s, "none/")
	wantList(t, s, "none/at/all/")
}

func ruleDeleteObject(t *testing.T, s recovery.Storage) {
	mustPut(t, s, "a/1", "x")
	mustPut(t, s, "a/2", "x")
	for range 2 {
		if err := s.Delete(t.Context(), "a/1"); err != nil {
			t.Fatalf("Delete: %v", err)
		}
	}
	if err := s.Delete(t.Context(), "a"); err != nil {
		t.Errorf("Delete of a prefix, which is no object: %v", err)
	}
	wantList(t, s, "a/", "a/2:1")
	if err := s.Delete(t.Context(), "a/2"); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	wantList(t, s, "")
	mustPut(t, s, "a/1", "again")
	if got := get(t, s, "a/1", 0, -1); got != "again" {
		t.Errorf("a key that was free again holds %q", got)
	}
}

func ruleNeighbours(t *testing.T, s recovery.Storage) {
	for i := range 50 {
		mustPut(t, s, "dir/old", "x")
		var wg sync.WaitGroup
		var put, deleted error
		wg.Go(func() { deleted = s.Delete(t.Context(), "dir/old") })
		wg.Go(func() { put = s.Put(t.Context(), "dir/new", []byte("y")) })
		wg.Wait()
		if put != nil || deleted != nil {
			t.Fatalf("round %d: Put beside a deletion: %v; Delete: %v", i, put, deleted)
		}
		wantList(t, s, "dir/", "dir/new:1")
		if err := s.Delete(t.Context(), "dir/new"); err != nil {
			t.Fatalf("Delete: %v", err)
		}
	}
}

func ruleKeys(t *testing.T, s recovery.Storage) {
	for _, key := range []string{"", ".", "..", "../x", "a/../x", "/a", "a/", "a//b", ".hidden", "a/.tmp", "a b", "a\x00", "ü", `a\b`, strings.Repeat("x", 513)} {
		if err := s.Put(t.Context(), key, []byte("x")); err == nil {
			t.Errorf("Put takes the key %q", key)
		}
		if _, err := s.Get(t.Context(), key, 0, -1); err == nil {
			t.Errorf("Get takes the key %q", key)
		}
		if err := s.Delete(t.Context(), key); err == nil {
			t.Errorf("Delete takes the key %q", key)
		}
	}
	for _, prefix := range []string{"a", "/", "../", "a//", "./"} {
		if _, err := s.List(t.Context(), prefix); err == nil {
			t.Errorf("List takes the prefix %q", prefix)
		}
	}
}

func ruleEnded(t *testing.T, s recovery.Storage) {
	mustPut(t, s, "k", "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(ctx, "new", []byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("Put gives %v", err)
	}
	if _, err := s.Get(ctx, "k", 0, -1); !errors.Is(err, context.Canceled) {
		t.Errorf("Get gives %v", err)
	}
	if _, err := s.List(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("List gives %v", err)
	}
	if err := s.Delete(ctx, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("Delete gives %v", err)
	}
	wantList(t, s, "", "k:1")
}
