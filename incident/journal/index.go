package journal

import (
	"bytes"
	"encoding/json"

	"github.com/andon-go/andon/incident"
)

// entry is where a record is and what it is, in 16 bytes: a journal of a million
// events has as many.
type entry struct {
	place uint64 // the offset and the length, see at
	sum   uint64 // the beginning of the record's hash
}

const lengthBits = 21 // a line has at most MaxLine bytes and its newline

func newEntry(at int64, n int, h incident.Hash) entry {
	return entry{uint64(at)<<lengthBits | uint64(n), sum(h)}
}

func (e entry) at() (offset int64, n int) {
	return int64(e.place >> lengthBits), int(e.place & (1<<lengthBits - 1))
}

func sum(h incident.Hash) uint64 {
	var s uint64
	for _, b := range h[:8] {
		s = s<<8 | uint64(b)
	}
	return s
}

// index says where the records of each incident are.
type index map[string]*[]entry

func (x index) add(number []byte, e entry) {
	list := x[string(number)]
	if list == nil {
		list = new([]entry)
		x[string(number)] = list
	}
	*list = append(*list, e)
}

// join takes in the index of the next file, which begins at the offset at.
func (x index) join(next index, at int64) {
	for number, entries := range next {
		list := x[number]
		if list == nil {
			list = new([]entry)
			x[number] = list
		}
		for _, e := range *entries {
			*list = append(*list, entry{e.place + uint64(at)<<lengthBits, e.sum})
		}
	}
}

// numberOf returns the incident's number of a line that has the right hash. It reads
// what Encode writes without decoding the rest.
func numberOf(line []byte) []byte {
	_, rest, _ := bytes.Cut(line, []byte(`,"at":"`))
	_, rest, _ = bytes.Cut(rest, []byte(`",`))
	text, ok := bytes.CutPrefix(rest, []byte(`"incident":"`))
	if !ok && bytes.HasPrefix(rest, []byte(`"kind":"`)) {
		return nil // it belongs to none
	}
	if ok {
		text, _, ok = bytes.Cut(text, []byte(`"`))
	}
	if ok && bytes.IndexByte(text, '\\') < 0 {
		return text
	}
	var w struct{ Incident string }
	if err := json.Unmarshal(line, &w); err != nil {
		return nil // Read says so
	}
	return []byte(w.Incident)
}
