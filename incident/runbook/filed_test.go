package runbook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/internal/atomicfile"
)

// filed keeps values in a real file, with what was done for which key: a bot's settings,
// and its keys to a venue. Values and keys are one write.
type filed struct{ path string }

type fileState struct {
	Values map[string]string
	Was    map[string]map[string]string // by key: what was found
	Writes int
}

func (f filed) read() (s fileState, err error) {
	s = fileState{Values: map[string]string{}, Was: map[string]map[string]string{}}
	b, err := os.ReadFile(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(b, &s)
}

func (f filed) write(s fileState) error {
	s.Writes++
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return atomicfile.Write(f.path, b, 0o600)
}

func (f filed) Preview(_ context.Context, values map[string]string) (string, error) {
	return fmt.Sprintf("would set %v", values), nil
}

func (f filed) Set(_ context.Context, key, _, _ string, values map[string]string) (string, error) {
	s, err := f.read()
	if err != nil || s.Was[key] != nil {
		return "as it is", err
	}
	s.Was[key] = map[string]string{}
	for k := range values {
		s.Was[key][k] = s.Values[k]
	}
	maps.Copy(s.Values, values)
	return fmt.Sprintf("set %v", values), f.write(s)
}

func (f filed) Done(_ context.Context, key string) (bool, string, error) {
	s, err := f.read()
	return s.Was[key] != nil, "the file says so", err
}

func (f filed) Undo(_ context.Context, key, _, _ string) (string, error) {
	s, err := f.read()
	if err != nil || s.Was[key] == nil {
		return "nothing was changed", err
	}
	maps.Copy(s.Values, s.Was[key])
	delete(s.Was, key)
	return "as it was", f.write(s)
}

// keyring is filed with the keys to venues. A new key is tested before it replaces the
// old.
type keyring struct {
	filed
	test func(key string) error
	next func(old string) string // nil: the old one with a plus
}

func (k keyring) Check(_ context.Context, venue string) (string, error) {
	s, err := k.read()
	if err == nil {
		err = k.test(s.Values[venue])
	}
	return "it works", err
}

func (k keyring) Preview(_ context.Context, venue string) (string, error) {
	return "would make a new key to " + venue + " and test it", nil
}

func (k keyring) Rotate(ctx context.Context, key, by, why, venue string) (string, error) {
	if done, said, err := k.Done(ctx, key); done || err != nil {
		return said, err
	}
	s, err := k.read()
	if err != nil {
		return "", err
	}
	next := s.Values[venue] + "+"
	if k.next != nil {
		next = k.next(s.Values[venue])
	}
	if err := k.test(next); err != nil {
		return "", fmt.Errorf("the new key does not work, and the old one stays: %w", err)
	}
	return k.Set(ctx, key, by, why, map[string]string{venue: next})
}

// file says what stands in the file, for a drill's end.
func (f filed) file(t *testing.T) string {
	t.Helper()
	s, err := f.read()
	require.NoError(t, err)
	return fmt.Sprintf("%v, written %d times", s.Values, s.Writes)
}

func works(key string) error {
	if !strings.HasPrefix(key, "key") {
		return fmt.Errorf("%q is no key", key)
	}
	return nil
}
