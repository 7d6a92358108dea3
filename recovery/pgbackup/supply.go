package pgbackup

import (
	"errors"
	"io"
	"sync"
)

// supply gives a COPY its bytes, and remembers what reading failed of. When the connection
// breaks, pgx returns from CopyFrom while a goroutine of its own may still be reading: so
// what is read must not be used, nor closed, before end has returned.
type supply struct {
	mu   sync.Mutex
	from io.Reader // nil once it has ended
	err  error
}

var errSupplyEnded = errors.New("the copy has ended")

func (s *supply) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.from == nil {
		return 0, errSupplyEnded
	}
	n, err := s.from.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// end waits for a read that is under way, lets nobody read any more, and returns what
// reading failed of.
func (s *supply) end() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from = nil
	return s.err
}
