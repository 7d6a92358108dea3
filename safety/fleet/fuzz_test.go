package fleet_test

import (
	"testing"

	"github.com/andon-go/andon/safety/fleet"
)

// FuzzParse feeds records of every kind. Only an order that is whole, and says who
// resumed the fleet, lets it trade.
func FuzzParse(f *testing.F) {
	f.Add("order", []byte(`{"version":1,"generation":9,"holds":[],"resumed":{"by":"a","note":"b","at":"2026-01-01T00:00:00Z"}}`))
	f.Add("order", []byte(`{"version":1,"generation":9,"holds":[{"id":"x","by":"a","reason":"b","at":"2026-01-01T00:00:00Z"}]}`))
	f.Add("order", []byte(`{"version":1`))
	f.Add("member/a@1", []byte(`{"version":1,"id":"a@1","name":"a","host":"h","pid":1,"joined":"2026-01-01T00:00:00Z","lease_ns":6000000000,"seen":2,"closed":2,"settled":true}`))
	f.Add("beat/a@1", []byte("1"))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		halted, members := fleet.Parse([]fleet.Record{{Key: key, Value: value, Revision: 1}})
		if key != "order" && !halted {
			t.Fatalf("without an order the fleet may trade")
		}
		if members > 1 {
			t.Fatalf("%d members of one record", members)
		}
		again, _ := fleet.Parse([]fleet.Record{{Key: "member/x@1", Value: value, Revision: 2}, {Key: key, Value: value, Revision: 1}})
		if again != halted {
			t.Fatalf("a member's record decides whether the fleet may trade")
		}
	})
}
