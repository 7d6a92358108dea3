package pgbook_test

import (
	"testing"

	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/reconcile/pgbook"
	"github.com/andon-go/andon/reconcile/reconciletest"
)

func TestBookIsABook(t *testing.T) {
	reconciletest.TestBook(t, func(t *testing.T) reconcile.Book {
		b, _ := wholeBook(t, nil)
		return b
	})
}

// TestBookIsABookInItsOwnTables: orders and fills lie in the book's own schema.
func TestBookIsABookInItsOwnTables(t *testing.T) {
	reconciletest.TestBook(t, func(t *testing.T) reconcile.Book {
		b, _ := wholeBook(t, func(c *pgbook.Config) {
			c.Mapping.Orders, c.Mapping.Fills = pgbook.OrderColumns{}, pgbook.FillColumns{}
		})
		return b
	})
}
