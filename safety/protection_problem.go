package safety

// Problem names one thing that is wrong with the protection of a leg. Names are
// part of reports that are stored, so that a name once used stays.
type Problem string

// What can be wrong with a leg. Each leaves it unprotected, but for
// ProblemOvercovered: stops for more than the position, all of them reduce-only, are
// worth a look and no danger. The venue cuts what triggers to what is there, so that they
// can only make the position smaller, and taking one away to put it right would leave the
// leg naked meanwhile. Where one of them is not reduce-only, nothing keeps the excess from
// opening the other side, and that is ProblemOvershoots.
const (
	ProblemPositionInvalid  Problem = "position-invalid"  // a field of it cannot be right, so that nothing can be said
	ProblemPositionConflict Problem = "position-conflict" // the venue gave the leg twice, with different content
	ProblemMarkUnknown      Problem = "mark-unknown"      // no mark price, so that no trigger can be judged
	ProblemNaked            Problem = "naked"             // nothing covers any of it
	ProblemPartlyCovered    Problem = "partly-covered"    // something covers a part of it
	ProblemOvercovered      Problem = "overcovered"       // stops for more than the position: left from before it shrank?
	ProblemOvershoots       Problem = "overshoots"        // and one that is not reduce-only: it could open the other side
)

// Why a conditional order does not count as cover.
const (
	ProblemUnidentified    Problem = "unidentified"      // no id of any kind: a repeat could not be told from a second order
	ProblemOrderConflict   Problem = "order-conflict"    // the venue gave its id twice, with different content
	ProblemStatusUnknown   Problem = "status-unknown"    // the venue does not say whether it is live
	ProblemNotLive         Problem = "not-live"          // the venue says that it is done
	ProblemKindUnknown     Problem = "kind-unknown"      // it may be anything
	ProblemTakeProfit      Problem = "take-profit"       // it waits for a gain and limits no loss
	ProblemStopLimit       Problem = "stop-limit"        // it may rest unfilled in a gap, and Requirements does not allow it
	ProblemLimitPrice      Problem = "limit-price"       // a stop-limit that would rest rather than trade once it is triggered
	ProblemWrongSide       Problem = "wrong-side"        // it would add to the position, or its side is missing
	ProblemNotReduceOnly   Problem = "not-reduce-only"   // the venue would let it open the opposite position
	ProblemQuantityUnknown Problem = "quantity-unknown"  // nothing is left of it, or its numbers cannot be right
	ProblemTriggerUnknown  Problem = "trigger-unknown"   // it has no trigger price
	ProblemTriggerPassed   Problem = "trigger-passed"    // its trigger is not on the losing side of the mark
	ProblemTooFar          Problem = "too-far"           // it triggers only after a larger loss than is allowed
	ProblemExpires         Problem = "expires"           // the venue drops it soon, or should have by now
	ProblemNoLeg           Problem = "no-leg"            // the symbol is in hedge mode and the order names no leg
	ProblemOrphan          Problem = "orphan"            // its leg has no position
	ProblemCannotJudge     Problem = "position-unusable" // its leg's position or mark is not known
)

// Finding is a problem with its numbers, in words for a person.
type Finding struct {
	Problem Problem `json:"problem"`
	Detail  string  `json:"detail"`
}

// String returns the problem and the detail in one line.
func (f Finding) String() string { return string(f.Problem) + ": " + f.Detail }
