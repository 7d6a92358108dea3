package fleet

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// view is what one read of the backend says.
type view struct {
	order    order
	orderRev int64
	members  []seat // by id
	at       time.Duration
}

// seat is one member's records.
type seat struct {
	*member // nil where it cannot be read
	id      string
	rev     int64
	damaged error
	beat    int64 // its beat's revision; zero where there is none
}

func (s *seat) title() string {
	if s.member == nil {
		return s.id
	}
	return s.member.title()
}

// parse makes a view of records. What is missing or cannot be read is a hold.
func parse(records []Record) *view {
	v := &view{order: order{Holds: []Hold{{
		ID: "no-order", By: byFleet, Reason: "the fleet has no order: this is its very first start, or the record was deleted",
	}}}}
	beats := map[string]int64{}
	for _, r := range records {
		switch id, isMember := strings.CutPrefix(r.Key, memberPrefix); {
		case r.Key == orderKey:
			v.orderRev = r.Revision
			o, err := parseOrder(r.Value)
			if err != nil {
				o = order{Holds: []Hold{{
					ID: fmt.Sprintf("damaged-%d", r.Revision), By: byFleet, Reason: "the fleet's order cannot be trusted: " + err.Error(),
				}}}
			}
			v.order = o
		case isMember:
			m, err := parseMember(id, r.Value)
			v.members = append(v.members, seat{member: m, id: id, rev: r.Revision, damaged: err})
		default:
			if id, ok := strings.CutPrefix(r.Key, beatPrefix); ok {
				beats[id] = r.Revision
			}
		}
	}
	for i := range v.members {
		v.members[i].beat = beats[v.members[i].id]
	}
	slices.SortFunc(v.members, func(a, b seat) int { return cmp.Compare(a.id, b.id) })
	return v
}

// byFleet names this package where it holds something by itself.
const byFleet = "andon/fleet"

// next returns the generation after everything that anybody has seen, so that a member
// that has seen an order that was lost since takes the next one for newer.
func (v *view) next() uint64 {
	g := v.order.Generation
	for _, s := range v.members {
		if s.member != nil {
			g = max(g, s.Seen)
		}
	}
	return g + 1
}

func (v *view) seat(id string) *seat {
	for i := range v.members {
		if v.members[i].id == id {
			return &v.members[i]
		}
	}
	return nil
}

// still notes since when a member's beat has stood still.
type still struct {
	beat  int64
	since time.Duration // by our clock, after the first read that showed this beat
}

// read reads all records, and notes which beats have moved.
func (f *Fleet) read(ctx context.Context) (*view, error) {
	records, err := f.cfg.Backend.Read(ctx)
	at := f.now()
	if err != nil {
		return nil, fmt.Errorf("read the fleet's records: %w", err)
	}
	v := parse(records)
	v.at = at
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known = guess{v.order, v.orderRev, v.next()}
	beats := make(map[string]still, len(v.members))
	for _, s := range v.members {
		was, ok := f.beats[s.id]
		if !ok || was.beat != s.beat {
			was = still{s.beat, at}
		}
		beats[s.id] = was
	}
	f.beats = beats
	return v, nil
}
