package reconcile

import (
	"fmt"

	"github.com/andon-go/andon"
)

func balanceSays(b andon.Balance) string {
	if b.Reserved.IsZero() {
		return b.Total.String()
	}
	return fmt.Sprintf("%v, of which %v reserved", b.Total, b.Reserved)
}

// balanceHeld is false for a currency of which there is nothing, which is the same
// as no row.
func balanceHeld(b andon.Balance) bool { return !b.Total.IsZero() || !b.Reserved.IsZero() }
