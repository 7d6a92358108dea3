package incidenttest_test

import (
	"testing"
	"time"

	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/severity"
)

// A bot's unit test: what does it do about a wrong fill?
func Example() {
	test := func(t *testing.T) {
		m := incidenttest.NewManager(t)
		_, err := m.Declare(t.Context(), "book", "a fill that nobody ordered", severity.Signal{
			Condition: severity.UnusualTrading, Component: "book", At: time.Now(), Source: "book",
		})
		if err != nil {
			t.Fatal(err)
		}
		incidenttest.RequireDeclared(t, m, severity.UnusualTrading, "book")
		if len(m.Gate.Reasons()) == 0 {
			t.Fatal("trading goes on")
		}
	}
	_ = test // go test runs it
}
