package coinbase

import (
	"sync"
	"time"
)

// memory keeps what this process sent: the venue's id of an order by the bot's, and
// when it was sent. It forgets the oldest. The zero value is empty.
type memory struct {
	mu           sync.Mutex
	young, older map[orderName]sentOrder
}

type orderName struct{ symbol, clientID string }

type sentOrder struct {
	venueID string    // empty before the venue has said it
	at      time.Time // our clock; zero for one that was only seen
}

// generation is how many orders are kept, at least.
const generation = 10_000

func (m *memory) get(n orderName) (sentOrder, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, ok := m.young[n]; ok {
		return o, true
	}
	o, ok := m.older[n]
	return o, ok
}

func (m *memory) put(n orderName, o sentOrder) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.young) >= generation {
		m.older, m.young = m.young, nil
	}
	if m.young == nil {
		m.young = map[orderName]sentOrder{}
	}
	m.young[n] = o
}

func (m *memory) forget(n orderName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.young, n)
	delete(m.older, n)
}
