package safety

import "fmt"

// Reason says which rule of the gate denied an order.
type Reason uint8

// The reasons. Those from ReasonMaxPosition on are limits, named as in the
// configuration.
const (
	ReasonHold     Reason = iota // the trading state, or a write hold
	ReasonOrder                  // the order is not whole
	ReasonClientID               // its client id was used before
	ReasonLeg                    // the venue is in hedge mode and it names no leg
	ReasonExit                   // a confirmed close that would add exposure
	ReasonRecord                 // a confirmed close that is not recorded or names nobody
	ReasonLease                  // the lease is over

	ReasonMaxPosition
	ReasonMinTimeBetweenTrades
	ReasonMaxPositionSize
	ReasonPriceCollar
	ReasonMaxRepeats
	ReasonMaxLeverage
	ReasonMaxOrders
	ReasonMaxNotional

	reasons = iota
)

var reasonNames = [reasons]string{
	"hold", "order", "client id", "leg", "exit", "record", "lease",
	"MaxPosition", "MinTimeBetweenTrades", "MaxPositionSize", "PriceCollar", "MaxRepeats", "MaxLeverage", "MaxOrders", "MaxNotional",
}

// String returns the reason in a word; a limit's is its name in the configuration.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// Limit reports whether the reason is a limit.
func (r Reason) Limit() bool { return r >= ReasonMaxPosition && r < reasons }
