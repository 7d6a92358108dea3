package reconcile

import (
	"hash/maphash"
	"math/bits"

	"github.com/andon-go/andon"
)

// Keys numbers the legs of both sides of a comparison, so that each name is hashed
// once, when its row is loaded; comparing is then a walk over two arrays. It keeps no
// copy of a name, only where its first row lies: 32 bytes a leg, for both sides
// together. It is not safe for concurrent use.
type Keys struct {
	seed   maphash.Seed
	slots  []uint64 // half of the hash, and 1 + number below it; 0 is free
	first  []place  // by number: the first row with that name
	tables []*PositionTable

	venue     string // of the row before, whose hash is worth keeping
	venueHash uint64
}

// place is a row of a table.
type place struct{ table, row uint32 }

// NewKeys returns Keys with room for n legs; more are taken too.
func NewKeys(n int) *Keys {
	size := 1 << bits.Len(uint(max(n, 8)*4/3))
	return &Keys{seed: maphash.MakeSeed(), slots: make([]uint64, size), first: make([]place, 0, max(n, 0))}
}

// number returns the number of a row's leg, which is the next one for a new leg.
func (k *Keys) number(h uint64, p *andon.Position, at place) uint32 {
	mask := uint64(len(k.slots) - 1)
	for i := h; ; i++ {
		s := k.slots[i&mask]
		if s == 0 {
			return k.insert(h, at)
		}
		if uint32(s>>32) == uint32(h) {
			n := uint32(s) - 1
			if sameLeg(k.row(n), p) {
				return n
			}
		}
	}
}

func sameLeg(p, q *andon.Position) bool {
	return p.Symbol == q.Symbol && p.Leg == q.Leg && p.Venue == q.Venue
}

// batch is how many rows are numbered together.
const batch = 128

// guess is where a row's leg is known from, most likely: the first place to which its
// hash leads.
type guess struct {
	hash   uint64
	number uint32 // 1 + number, or 0 for none
	row    *andon.Position
}

// guess looks where the legs of a few rows may be known from. Each step of it is made for
// all of them before the next one, so that the processor waits for their memory together
// and not one after the other: this is most of the time that loading takes.
func (k *Keys) guess(rows []andon.Position, to []guess) {
	for i := range rows {
		to[i].hash = k.hash(&rows[i])
	}
	mask := uint64(len(k.slots) - 1)
	for i := range rows {
		s := k.slots[to[i].hash&mask]
		if uint32(s>>32) != uint32(to[i].hash) {
			s = 0
		}
		to[i].number = uint32(s)
	}
	for i := range rows {
		to[i].row = nil
		if n := to[i].number; n != 0 {
			to[i].row = k.row(n - 1)
		}
	}
}

func (k *Keys) hash(p *andon.Position) uint64 {
	if p.Venue != k.venue || k.venueHash == 0 {
		k.venue, k.venueHash = p.Venue, maphash.String(k.seed, p.Venue)|1
	}
	h := maphash.String(k.seed, p.Symbol) ^ k.venueHash
	// Only 32 bits of it are kept in a slot and they choose the slot too, so the leg
	// has to reach them.
	h = (h + uint64(p.Leg)) * 0x9e3779b97f4a7c15
	return h >> 32
}

func (k *Keys) row(n uint32) *andon.Position {
	at := k.first[n]
	return &k.tables[at.table].t.rows[at.row]
}

func (k *Keys) insert(h uint64, at place) uint32 {
	if 4*(len(k.first)+1) > 3*len(k.slots) {
		k.grow()
	}
	n := uint32(len(k.first))
	k.first = append(k.first, at)
	k.put(h, n)
	return n
}

func (k *Keys) put(h uint64, n uint32) {
	mask := uint64(len(k.slots) - 1)
	for i := h; ; i++ {
		if k.slots[i&mask] == 0 {
			k.slots[i&mask] = h<<32 | (uint64(n) + 1)
			return
		}
	}
}

func (k *Keys) grow() {
	old := k.slots
	k.slots = make([]uint64, 2*len(old))
	for _, s := range old {
		if s != 0 {
			k.put(s>>32, uint32(s)-1)
		}
	}
}

// PositionTable is one side's positions, loaded for ComparePositions. It is not safe
// for concurrent use.
type PositionTable struct {
	keys     *Keys
	no       uint32
	t        *table[andon.Position]
	numbered int  // how many rows have their number
	own      bool // the rows are not the caller's
}

// NewPositions returns an empty table with room for n rows, to be filled with Add
// while rows are read.
func (k *Keys) NewPositions(n int) *PositionTable {
	p := k.newTable(make([]andon.Position, 0, n), n)
	p.own = true
	return p
}

// LoadPositions loads one side's positions. The rows are kept, not copied: nobody
// may change them while the table is in use. It panics beyond 2^31 rows.
func (k *Keys) LoadPositions(rows []andon.Position) *PositionTable {
	p := k.newTable(rows[:len(rows):len(rows)], len(rows)) // Add never writes into the caller's array
	p.number()
	return p
}

func (k *Keys) newTable(rows []andon.Position, n int) *PositionTable {
	p := &PositionTable{keys: k, no: uint32(len(k.tables)), t: newTable(rows, max(n, len(k.first)))}
	k.tables = append(k.tables, p)
	return p
}

// Add loads one more row. Its venue and symbol are kept once for all rows and both
// sides. It panics beyond 2^31 rows.
func (p *PositionTable) Add(row andon.Position) {
	if p.t.rows = append(p.t.rows, row); len(p.t.rows)-p.numbered == batch {
		p.number()
	}
}

// number gives the rows that have none their number.
func (p *PositionTable) number() {
	var guesses [batch]guess
	for p.numbered < len(p.t.rows) {
		rows := p.t.rows[p.numbered:min(p.numbered+batch, len(p.t.rows))]
		p.keys.guess(rows, guesses[:])
		for i := range rows {
			p.load(p.numbered+i, &guesses[i])
		}
		p.numbered += len(rows)
	}
}

// load puts row i under its number. A guess that is wrong costs a second search.
func (p *PositionTable) load(i int, g *guess) {
	if i >= 1<<31 {
		panic("reconcile: more than 2^31 positions")
	}
	row := &p.t.rows[i]
	n := g.number - 1
	if g.row == nil || !sameLeg(g.row, row) {
		n = p.keys.number(g.hash, row, place{p.no, uint32(i)})
		g.row = p.keys.row(n)
	}
	if p.own && g.row != row {
		row.Venue, row.Symbol = g.row.Venue, g.row.Symbol
	}
	p.t.add(n, i, positionShape)
}

// Len returns how many rows were loaded.
func (p *PositionTable) Len() int { return len(p.t.rows) }
