package safety

import "hash/maphash"

// ids remembers the client ids of one venue: at least the last so many, and every one
// whose order is kept. It has two tables. The ids go into the young one; when that has
// taken its number it becomes the old one, and what the old one held is forgotten, but
// for the ids of orders that are kept. So nothing has to be taken out one by one, and
// the memory is bounded.
type ids struct {
	seed       maphash.Seed
	fill       int // how many ids make a table full
	used       int // places taken in young, besides those of kept orders
	young, old idTable
}

// idTable is a set of ids by open addressing. The hashes lie apart, so that looking
// for an id that is not there, as nearly always, touches nothing else. A hash is 0
// where nothing was ever put.
type idTable struct {
	hashes  []uint64
	entries []idEntry
}

type idEntry struct {
	id string
	t  *tracked // the order, while it is kept under this id; see kept
}

func newIDs(remember int) ids { return ids{seed: maphash.MakeSeed(), fill: remember} }

func (x *ids) hash(id string) uint64 { return maphash.String(x.seed, id) | 2 }

// find returns the entry of an id, or nil and where add may put it.
func (x *ids) find(h uint64, id string) (e *idEntry, free int) {
	e, free = x.young.find(h, id)
	if e == nil && len(x.old.hashes) > 0 {
		e, _ = x.old.find(h, id)
	}
	return e, free
}

// find returns the entry of an id, or nil and the place where it would lie: where it,
// or another of its hash, was taken out, else where the search ended.
func (t *idTable) find(h uint64, id string) (e *idEntry, free int) {
	if len(t.hashes) == 0 {
		return nil, -1
	}
	mask := uint64(len(t.hashes) - 1)
	free = -1
	for i := h >> 2; ; i++ {
		at := int(i & mask)
		switch t.hashes[at] {
		case h:
			if e := &t.entries[at]; e.id == id {
				return e, -1
			} else if e.id == "" {
				free = at
			}
		case 0:
			if free < 0 {
				free = at
			}
			return nil, free
		}
	}
}

// kept returns the order that is kept under the id of this entry, or nil. An order
// that is no longer kept has been given to another id, or to none.
func (e *idEntry) kept() *tracked {
	if e != nil && e.t != nil && e.t.phase != free && e.t.id == e.id {
		return e.t
	}
	return nil
}

// add remembers an id that find does not know, where find said.
func (x *ids) add(h uint64, id string, at int, t *tracked, kept []*tracked) {
	if x.used >= x.fill || at < 0 {
		x.turn(kept)
		_, at = x.young.find(h, id)
	}
	if x.young.hashes[at] == 0 {
		x.used++
	}
	x.young.hashes[at], x.young.entries[at] = h, idEntry{id, t}
}

// turn begins a young table, with the ids of all orders that are kept in it. They do
// not count against its number, so that it always takes as many new ones. It is never
// more than half full.
func (x *ids) turn(kept []*tracked) {
	size := 16
	for size < 2*(x.fill+len(kept)) {
		size *= 2
	}
	next := x.old
	x.old = x.young
	if len(next.hashes) == size {
		clear(next.hashes)
		clear(next.entries)
	} else {
		next = idTable{make([]uint64, size), make([]idEntry, size)}
	}
	for _, t := range kept {
		_, at := next.find(t.hash, t.id)
		next.hashes[at], next.entries[at] = t.hash, idEntry{t.id, t}
	}
	x.young, x.used = next, 0
}

// forget takes an id out, so that it can be used again. Its place stays taken until
// the table is forgotten, as a search may go on behind it.
func (x *ids) forget(h uint64, id string) {
	for {
		e, _ := x.find(h, id)
		if e == nil {
			return
		}
		*e = idEntry{}
	}
}
