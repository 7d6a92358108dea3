package pgbook_test

import (
	"testing"

	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/reconcile/reconciletest"
)

func TestBookIsABook(t *testing.T) {
	reconciletest.TestBook(t, func(t *testing.T) reconcile.Book {
		b, _ := wholeBook(t, nil)
		return b
	})
}
