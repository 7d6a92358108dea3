package safety_test

import (
	"context"
	"sync"

	"github.com/andon-go/andon/safety"
)

// memoryStore is a Store that can be made to fail and to hang.
type memoryStore struct {
	mu     sync.Mutex
	state  *safety.State
	err    error
	hang   chan struct{} // Save waits for it when it is not nil
	saves  int
	onSave func() // called by every Save
	errs   func() error
}

func (m *memoryStore) Load(context.Context) (safety.State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == nil {
		return safety.State{}, safety.ErrNoState
	}
	return *m.state, nil
}

func (m *memoryStore) Save(ctx context.Context, s safety.State) error {
	m.mu.Lock()
	err, hang, onSave := m.err, m.hang, m.onSave
	if m.errs != nil {
		err = m.errs()
	}
	m.saves++
	m.mu.Unlock()
	if onSave != nil {
		onSave()
	}
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = &s
	return nil
}

func (m *memoryStore) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

func (m *memoryStore) stored() *safety.State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state
}

func (m *memoryStore) during(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onSave = f
}

func (m *memoryStore) hangOn(c chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hang = c
}

func (m *memoryStore) failWith(f func() error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.errs = f
}
