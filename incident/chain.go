package incident

import "fmt"

// Tip is the newest event of a store: what to publish where nobody who can write the
// store can write. It stands for every event before it too, since its hash covers
// theirs.
type Tip struct {
	Seq  uint64 `json:"seq"` // 0 for a store without events
	Hash Hash   `json:"hash"`
}

// Follow says what is wrong with a line as the one after t: which event is the first
// that is not as it was written, and why. An empty why means that the line follows.
func (t Tip) Follow(l Link) (event uint64, why string) {
	want := t.Seq + 1
	switch {
	case l.Seq != want:
		return want, fmt.Sprintf("record %d stands in its place: it was removed or moved", l.Seq)
	case l.Prev != t.Hash && t.Seq == 0:
		return want, "it does not begin a chain"
	case l.Prev != t.Hash:
		return t.Seq, fmt.Sprintf("it was rewritten: record %d follows a record with another hash", want)
	}
	return 0, ""
}

// Link returns the event's place in the chain.
func (e Event) Link() Link { return Link{e.Seq, e.Prev, e.Hash} }

// Tip returns the event's place as the newest of its store.
func (e Event) Tip() Tip { return Tip{e.Seq, e.Hash} }
