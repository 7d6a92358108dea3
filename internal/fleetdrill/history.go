package fleetdrill

import (
	"fmt"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// Kind is what an operation was.
type Kind int

// The kinds of operations.
const (
	Enter  Kind = iota // an Enter that succeeded; one that was denied says nothing, since a member may always deny
	Halt               // a Halt of the fleet
	Resume             // a Resume of the fleet
)

// Op is one operation of some process.
type Op struct {
	Kind     Kind
	Who      string
	From, To time.Duration // To is Open where its end is not known: it may take effect at any time
}

// Open is the end of an operation that was never answered.
const Open = time.Duration(1<<63 - 1)

// model is a fleet as one switch: halted or not, halted at first.
var model = porcupine.Model{
	Init: func() any { return true },
	Step: func(state, input, _ any) (bool, any) {
		switch input.(Kind) {
		case Halt:
			return true, true
		case Resume:
			return true, false
		}
		return !state.(bool), state
	},
	DescribeOperation: func(input, _ any) string { return []string{"enter", "halt", "resume"}[input.(Kind)] },
}

// Linearizable reports whether the operations of all processes could have happened one
// after another, each at one instant between its beginning and its end.
func Linearizable(ops []Op) (ok, decided bool) {
	var history []porcupine.Operation
	clients := map[string]int{}
	for _, o := range ops {
		if _, ok := clients[o.Who]; !ok {
			clients[o.Who] = len(clients)
		}
		history = append(history, porcupine.Operation{ClientId: clients[o.Who], Input: o.Kind, Call: int64(o.From), Return: int64(o.To)})
	}
	switch porcupine.CheckOperationsTimeout(model, history, 2*time.Minute) {
	case porcupine.Ok:
		return true, true
	case porcupine.Illegal:
		return false, true
	}
	return false, false
}

// Check fails the test where the history is not that of one switch.
func Check(t testing.TB, ops []Op) {
	t.Helper()
	var n [3]int
	for _, o := range ops {
		n[o.Kind]++
	}
	what := fmt.Sprintf("%d enters, %d halts, %d resumes", n[Enter], n[Halt], n[Resume])
	switch ok, decided := Linearizable(ops); {
	case !decided:
		t.Fatalf("fleetdrill: porcupine comes to no end: %s", what)
	case !ok:
		t.Fatalf("fleetdrill: some Enter succeeded although the fleet was halted: %s%s", what, worst(ops))
	}
	t.Logf("fleetdrill: linearizable: %s", what)
}

// worst says which Enter is surely wrong, in words.
func worst(ops []Op) string {
	for _, h := range ops {
		if h.Kind != Halt || h.To == Open {
			continue
		}
		resumed := Open
		for _, r := range ops {
			if r.Kind == Resume && r.To >= h.From {
				resumed = min(resumed, r.From)
			}
		}
		for _, e := range ops {
			if e.Kind == Enter && e.From > h.To && e.To < resumed {
				return fmt.Sprintf("; %s entered %v after the halt of %s had returned", e.Who, e.From-h.To, h.Who)
			}
		}
	}
	return ""
}
