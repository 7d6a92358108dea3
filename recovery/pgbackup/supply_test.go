package pgbackup

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// slowReader says when it is being read, and waits to be let go.
type slowReader struct {
	begun, leave chan struct{}
	reads        atomic.Int32
	inside       atomic.Bool
}

var errDamaged = errors.New("damaged")

func (r *slowReader) Read([]byte) (int, error) {
	r.reads.Add(1)
	r.inside.Store(true)
	close(r.begun)
	<-r.leave
	r.inside.Store(false)
	return 0, errDamaged
}

// The connection breaks, and CopyFrom returns, while its goroutine reads: what it reads is
// closed only after that, and is read no more.
func TestASupplyThatHasEndedIsReadNoMore(t *testing.T) {
	r := &slowReader{begun: make(chan struct{}), leave: make(chan struct{})}
	s := &supply{from: r}
	go func() { _, _ = s.Read(nil) }() // end tells what it failed of
	<-r.begun
	time.AfterFunc(20*time.Millisecond, func() { close(r.leave) }) // for end to wait
	require.ErrorIs(t, s.end(), errDamaged)
	require.False(t, r.inside.Load(), "end waits for the read that is under way")
	_, err := s.Read(nil)
	require.ErrorIs(t, err, errSupplyEnded)
	require.EqualValues(t, 1, r.reads.Load())
}
