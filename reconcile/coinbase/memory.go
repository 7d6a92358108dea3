package coinbase

import (
	"slices"
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

// sentSince returns the ids of the orders that the venue took after a time.
func (m *memory) sentSince(t time.Time, symbol string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []string
	for _, orders := range []map[orderName]sentOrder{m.young, m.older} {
		for n, o := range orders {
			if o.venueID != "" && o.at.After(t) && (symbol == "" || n.symbol == symbol) {
				ids = append(ids, o.venueID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

func (m *memory) forget(n orderName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.young, n)
	delete(m.older, n)
}
