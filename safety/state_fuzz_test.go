package safety

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/stretchr/testify/require"
)

// Whatever lies in a state file: it is refused, or it is a state that a switch could
// have saved, and saving it again gives the same state. The fuzzer gives bodies with
// a checksum that fits, since it does not find one.
func FuzzDecodeState(f *testing.F) {
	at := time.Date(2026, 11, 24, 5, 0, 0, 1, time.UTC)
	whole, err := encodeState(State{Name: "bot", Seq: 7, LastHold: 3, SavedAt: at, Resumed: Resumption{"alice", "fine", at},
		Holds: []Hold{{ID: 3, State: Reducing, By: "drawdown", Reason: "5 %\nsha256 ", At: at, Write: true}}})
	require.NoError(f, err)
	f.Add(whole, false)
	throttled, err := encodeState(State{Name: "bot", Seq: 8, LastHold: 4, SavedAt: at, Holds: []Hold{
		{ID: 4, State: Active, By: "bob", Reason: "slow", At: at, Throttle: new(ReduceLoad())},
	}})
	require.NoError(f, err)
	f.Add(throttled, false)
	m := newTripMachine(TripConfig{NoSymbols: true}.withDefaults(), nil, tripNow{at, at})
	m.equity(tripNow{at, at}, andon.MustDecimal("100"))
	require.NoError(f, m.trade(tripNow{at, at}, Trade{ID: "a", Profit: andon.MustDecimal("-6"), At: at}))
	require.NoError(f, m.order(tripNow{at, at}, Refused, time.Second))
	require.NoError(f, m.venueError(tripNow{at, at}, "sim", errors.New("503")))
	trips, err := encodeState(State{Name: "bot", Resumed: Resumption{"alice", "fine", at}, Trips: m.snapshot(tripClock{last: at})})
	require.NoError(f, err)
	f.Add(trips, false)
	f.Add(append(bytes.Split(trips, []byte("\nsha256 "))[0], '\n'), true)
	body, _, _ := bytes.Cut(whole, []byte("\nsha256 "))
	f.Add(append(body, '\n'), true)
	f.Add([]byte(`{"version":1,"name":"x","holds":[{"id":1,"state":"active"}]}`+"\n"), true)
	f.Add([]byte(`{"version":2}`+"\n"), true)
	f.Add([]byte("null\n"), true)
	f.Add([]byte(nil), false)
	f.Fuzz(func(t *testing.T, b []byte, sum bool) {
		if sum {
			if !bytes.HasSuffix(b, []byte("\n")) {
				b = append(b, '\n')
			}
			h := sha256.Sum256(b)
			b = append(hex.AppendEncode(append(bytes.Clone(b), "sha256 "...), h[:]), '\n')
		}
		st, err := decodeState(b)
		if err != nil {
			require.Empty(t, st.Holds, "nothing half read")
			return
		}
		require.NoError(t, st.validate())
		for _, h := range st.Holds { // a throttle narrows something, and its windows are told
			if h.Throttle != nil {
				require.NoError(t, h.Throttle.validate(nil))
				require.Equal(t, h.Throttle.Limits.withDefaults(), h.Throttle.Limits)
			}
		}
		again, err := encodeState(st)
		require.NoError(t, err, "a state that was read can be saved")
		if st.Trips != nil { // and trips can go on from it
			m := newTripMachine(TripConfig{NoSymbols: true}.withDefaults(), st.Trips, tripNow{st.Trips.Clock, at})
			m.tick(tripNow{st.Trips.Clock, at})
			m.equity(tripNow{st.Trips.Clock, at}, andon.MustDecimal("1"))
			require.NoError(t, m.order(tripNow{st.Trips.Clock, at}, Accepted, 0))
		}
		back, err := decodeState(again)
		require.NoError(t, err)
		once, err := encodeState(back)
		require.NoError(t, err)
		require.Equal(t, string(again), string(once))
	})
}
