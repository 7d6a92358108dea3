package reconcile

import (
	"encoding/json"
	"slices"
	"strings"
)

// table is one side's rows of a subject, addressed by the number of their key. Both
// sides take their numbers from the same Keys, so that comparing is a walk over two
// arrays: no hashing and no sorting is left to do.
type table[T any] struct {
	rows []T
	at   []uint32 // by key number: 1 + index of the row that speaks for the key, 0 for none

	more     map[uint32][]uint32 // all rows of a key that has several
	conflict map[uint32]bool     // those of them that disagree
	repeats  int
}

// shape is what a table must know of its rows.
type shape[T any] struct {
	same  func(a, b *T) bool // equal in everything that is compared
	newer func(a, b *T) bool // a speaks for the key rather than b; only asked of equal rows
}

// newTable returns a table with room for the keys of n rows.
func newTable[T any](rows []T, n int) *table[T] {
	return &table[T]{rows: rows, at: make([]uint32, 0, n)}
}

// loadByKey loads rows that are few enough for a map.
func loadByKey[T any](ids map[Key]uint32, rows []T, of func(T) Key, s shape[T]) *table[T] {
	t := newTable(rows, len(rows))
	for i := range rows {
		key := of(rows[i])
		id, ok := ids[key]
		if !ok {
			id = uint32(len(ids))
			ids[key] = id
		}
		t.add(id, i, s)
	}
	return t
}

// add puts row i under the key's number.
func (t *table[T]) add(id uint32, i int, s shape[T]) {
	if n := int(id) + 1 - len(t.at); n > 0 {
		t.at = append(t.at, make([]uint32, n)...)
	}
	first := t.at[id]
	if first == 0 {
		t.at[id] = uint32(i) + 1
		return
	}
	t.addAnother(id, uint32(i), first-1, s)
}

func (t *table[T]) addAnother(id, i, first uint32, s shape[T]) {
	if t.more == nil {
		t.more, t.conflict = map[uint32][]uint32{}, map[uint32]bool{}
	}
	known := t.more[id]
	if known == nil {
		known = []uint32{first}
	}
	row := &t.rows[i]
	if slices.ContainsFunc(known, func(k uint32) bool { return s.same(&t.rows[k], row) }) {
		t.repeats++
	} else {
		t.conflict[id] = true
	}
	if s.same(&t.rows[first], row) && s.newer(row, &t.rows[first]) {
		t.at[id] = i + 1
	}
	t.more[id] = append(known, i)
}

// row returns the row that speaks for the key, or nil.
func (t *table[T]) row(id uint32) *T {
	if int(id) < len(t.at) && t.at[id] != 0 {
		return &t.rows[t.at[id]-1]
	}
	return nil
}

// all returns every row of the key, in an order that depends on their content only.
func (t *table[T]) all(id uint32) []T {
	is, ok := t.more[id]
	if !ok {
		if r := t.row(id); r != nil {
			return []T{*r}
		}
		return nil
	}
	rows := make([]T, len(is))
	for j, i := range is {
		rows[j] = t.rows[i]
	}
	sortRows(rows)
	return rows
}

func sortRows[T any](rows []T) {
	slices.SortFunc(rows, func(a, b T) int { return strings.Compare(rowText(a), rowText(b)) })
}

// rowText is a row as it would be stored; two rows are the same in storage when
// their texts are.
func rowText(row any) string {
	b, err := json.Marshal(row)
	if err != nil { // a value outside its enumeration: not storable, but still comparable
		return "unstorable " + err.Error()
	}
	return string(b)
}
