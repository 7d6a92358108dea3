// Package recent keeps the youngest of what it is given. Memory is bounded: once a
// generation is full, the one before it is forgotten.
package recent

import "sync"

// Generation is how many entries are kept, at least.
const Generation = 10_000

// Map keeps at least Generation entries, and at most twice as many. Safe for concurrent
// use; the zero value is empty.
type Map[K comparable, V any] struct {
	mu           sync.Mutex
	young, older map[K]V
}

// Get returns what was put last under a key.
func (m *Map[K, V]) Get(k K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.get(k)
}

func (m *Map[K, V]) get(k K) (V, bool) {
	if v, ok := m.young[k]; ok {
		return v, true
	}
	v, ok := m.older[k]
	return v, ok
}

// Put keeps a value.
func (m *Map[K, V]) Put(k K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(k, v)
}

func (m *Map[K, V]) put(k K, v V) {
	if _, known := m.young[k]; !known && len(m.young) >= Generation {
		m.older, m.young = m.young, nil
	}
	if m.young == nil {
		m.young = map[K]V{}
	}
	m.young[k] = v
	delete(m.older, k)
}

// PutNew keeps a value unless there is one under its key, which it returns.
func (m *Map[K, V]) PutNew(k K, v V) (known V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known, ok = m.get(k); !ok {
		m.put(k, v)
	}
	return known, ok
}

// Change changes what is kept under a key, if anything is.
func (m *Map[K, V]) Change(k K, change func(*V)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.get(k); ok {
		change(&v)
		m.put(k, v)
	}
}

// Forget drops a key.
func (m *Map[K, V]) Forget(k K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.young, k)
	delete(m.older, k)
}

// Find returns every value for which wanted is true, in no order.
func (m *Map[K, V]) Find(wanted func(K, V) bool) []V {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []V
	for _, generation := range []map[K]V{m.young, m.older} {
		for k, v := range generation {
			if wanted(k, v) {
				found = append(found, v)
			}
		}
	}
	return found
}
