package safety

import (
	"encoding/binary"
	"hash/fnv"
	"time"
)

// maxSeen is how many ids are remembered.
const maxSeen = 1024

// seen remembers the ids of what was fed, so that what a venue or a restarted bot
// gives twice counts once. It knows the newest maxSeen of them, by a hash of 64 bits.
type seen struct {
	order []seenID // oldest first
	known map[uint64]struct{}

	// forgotten is the newest time of an id that is no longer known: what is not
	// newer may be a repetition.
	forgotten time.Time
}

type seenID struct {
	hash uint64
	at   int64 // unix nanoseconds
}

// verdict of an id.
type novelty uint8

const (
	repeated novelty = iota // it was fed before
	doubtful                // it is older than what was forgotten
	fresh
)

// add remembers an id and says whether it is new.
func (s *seen) add(kind, id string, at time.Time) novelty {
	sum := seenHash(kind, id)
	if _, ok := s.known[sum]; ok {
		return repeated
	}
	v := fresh
	if !at.After(s.forgotten) {
		v = doubtful
	}
	if s.known == nil {
		s.known = make(map[uint64]struct{}, maxSeen)
	}
	if len(s.order) == maxSeen {
		old := s.order[0]
		s.order = append(s.order[:0], s.order[1:]...)
		delete(s.known, old.hash)
		if t := time.Unix(0, old.at); t.After(s.forgotten) {
			s.forgotten = t
		}
	}
	s.known[sum] = struct{}{}
	s.order = append(s.order, seenID{sum, at.UnixNano()})
	return v
}

// has reports whether an id is known.
func (s *seen) has(kind, id string) bool {
	_, ok := s.known[seenHash(kind, id)]
	return ok
}

func seenHash(kind, id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(kind + "\x00" + id)) // never fails
	return h.Sum64()
}

// encode returns 16 bytes an id.
func (s *seen) encode() []byte {
	b := make([]byte, 0, 16*len(s.order))
	for _, id := range s.order {
		b = binary.BigEndian.AppendUint64(b, id.hash)
		b = binary.BigEndian.AppendUint64(b, uint64(id.at))
	}
	return b
}

// decodeSeen reads what encode wrote; a length that it never writes is refused by
// TripState.validate.
func decodeSeen(b []byte, forgotten time.Time) seen {
	s := seen{forgotten: forgotten, known: make(map[uint64]struct{}, maxSeen)}
	for ; len(b) >= 16; b = b[16:] {
		id := seenID{binary.BigEndian.Uint64(b), int64(binary.BigEndian.Uint64(b[8:]))}
		s.order = append(s.order, id)
		s.known[id.hash] = struct{}{}
	}
	return s
}
