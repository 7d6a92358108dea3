package reconciletest_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/reconcile/reconciletest"
)

func TestFileBookIsABook(t *testing.T) {
	reconciletest.TestBook(t, func(t *testing.T) reconcile.Book {
		b := reconcile.NewFileBook(filepath.Join(t.TempDir(), "book"))
		if err := b.Create(t.Context()); err != nil {
			t.Fatal(err)
		}
		return b
	})
}

func TestVenueIsAVenue(t *testing.T) {
	reconciletest.TestVenue(t, func(t *testing.T) reconciletest.VenueCase {
		v := reconciletest.NewVenue("sim", andon.MustDecimal("100"), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
		return venueCase(v)
	})
}

func venueCase(v *reconciletest.Venue) reconciletest.VenueCase {
	return reconciletest.VenueCase{
		Venue: v, Name: "sim", Symbol: "BTC-USD", Quantity: andon.MustDecimal("0.25"),
		Below:      andon.MustDecimal("50"),
		BreakList:  func() { v.Inject(andontest.TimeoutLost, 1) },
		LoseAnswer: func() { v.LoseAnswers(1) },
		SetDown: func(down bool) {
			if down {
				v.Down(errors.New("connection refused"))
				return
			}
			v.Down(nil)
		},
	}
}
