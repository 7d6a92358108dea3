package recovery_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/recoverytest"
)

// tardy is a storage that keeps what is put below data/ waiting.
type tardy struct {
	recoverytest.Storage
	begun chan string // the key of each such Put
	let   chan struct{}
}

func (s *tardy) Put(ctx context.Context, key string, data []byte) error {
	if strings.Contains(key, "/data/") {
		s.begun <- key
		<-s.let
	}
	return s.Storage.Put(ctx, key, data)
}

// A chunk is stored while the next is filled: what is discarded meanwhile must not come
// back after it was removed.
func TestLaw8_ADiscardedDraftDoesNotComeBack(t *testing.T) {
	storage := &tardy{begun: make(chan string, 10), let: make(chan struct{})}
	r, err := recovery.NewRepository(recovery.RepositoryConfig{Component: recovery.HistoricalData, Storage: storage, ChunkSize: 10})
	require.NoError(t, err)
	d, err := r.Begin(t.Context(), noon)
	require.NoError(t, err)
	w, err := d.Create(t.Context(), "rows")
	require.NoError(t, err)
	closed := make(chan error, 1)
	go func() {
		_, err := w.Write([]byte("a part that is longer than one chunk"))
		if err == nil {
			err = w.Close()
		}
		closed <- err
	}()
	<-storage.begun
	discarded := make(chan error, 1)
	go func() { discarded <- d.Discard(context.Background()) }()
	select {
	case err := <-discarded:
		t.Errorf("the draft was discarded (%v) while a chunk of it was being stored", err)
		discarded <- err
	case <-time.After(100 * time.Millisecond):
	}
	close(storage.let)
	require.NoError(t, <-discarded)
	require.Error(t, <-closed, "nothing more is stored of a draft that has ended")
	_, err = w.Write([]byte("x"))
	require.Error(t, err)
	objects, err := storage.List(t.Context(), d.Name()+"/")
	require.NoError(t, err)
	require.Empty(t, objects)
}
