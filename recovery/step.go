package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Step is one part of the system that is brought back: a check that shows that it
// works, and an action that makes it work.
type Step struct {
	Name    string // "Stop Loss System"
	Purpose string // "Ensure all positions have stop losses"

	// Needs names earlier steps without which this one proves nothing.
	Needs []string

	// Check shows that the step is done. Without one the step cannot be proven.
	Check Check

	// Action brings the step about when the check does not hold yet; nil for a
	// step that can only be looked at. It may run again after a crash.
	Action func(ctx context.Context) error

	// Budget is the time for check, action and second check together. Defaults to
	// SequenceConfig.Budget.
	Budget time.Duration
}

// The steps of the playbook's recovery priority order.
const (
	StepStopLoss      = "Stop Loss System"
	StepPositions     = "Position Tracking"
	StepTradingEngine = "Trading Engine"
	StepRisk          = "Risk Management"
	StepMarketData    = "Market Data Feed"
	StepDecision      = "Decision Engine"
	StepMemory        = "Memory System"
	StepMonitoring    = "Monitoring"
)

// PriorityOrder returns the playbook's eight steps in their order, with what each
// needs and without checks or actions: those are the bot's. The slice is the
// caller's to fill in.
func PriorityOrder() []Step {
	return []Step{
		{Name: StepStopLoss, Purpose: "Ensure all positions have stop losses"},
		{Name: StepPositions, Purpose: "Verify all open positions are accounted for"},
		{Name: StepTradingEngine, Purpose: "Restore core trading functionality", Needs: []string{StepStopLoss, StepPositions}},
		{Name: StepRisk, Purpose: "Enable position sizing and leverage controls", Needs: []string{StepPositions, StepTradingEngine}},
		{Name: StepMarketData, Purpose: "Restore real-time price feeds", Needs: []string{StepTradingEngine}},
		{Name: StepDecision, Purpose: "Bring LLM and indicators online", Needs: []string{StepRisk, StepMarketData}},
		{Name: StepMemory, Purpose: "Restore learning capabilities", Needs: []string{StepTradingEngine}},
		{Name: StepMonitoring, Purpose: "Re-enable observability", Needs: []string{StepTradingEngine}},
	}
}

// StepResult is what became of a step. It marshals to JSON and back, so that a
// run can go on in another process.
type StepResult struct {
	Name     string    `json:"name"`
	Proven   bool      `json:"proven"`
	Evidence string    `json:"evidence,omitempty"` // what the check saw
	Acted    bool      `json:"acted,omitempty"`    // the action was begun
	Problem  string    `json:"problem,omitempty"`  // why it is not proven
	Began    time.Time `json:"began,omitzero"`
	Ended    time.Time `json:"ended,omitzero"`
}

// Took returns how long the step took.
func (r StepResult) Took() time.Duration { return r.Ended.Sub(r.Began) }

// String returns one line for people.
func (r StepResult) String() string {
	if r.Proven {
		return fmt.Sprintf("%s: proven in %v: %s", r.Name, shown(r.Took()), r.Evidence)
	}
	return fmt.Sprintf("%s: UNPROVEN after %v: %s", r.Name, shown(r.Took()), r.Problem)
}

// validateSteps reports every problem of a list of steps, joined.
func validateSteps(steps []Step) error {
	var errs []error
	if len(steps) == 0 {
		errs = append(errs, errors.New("Steps: there are none"))
	}
	earlier := map[string]bool{}
	for i, s := range steps {
		add := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("Steps: number %d, %q: "+format, append([]any{i + 1, s.Name}, args...)...))
		}
		if s.Name == "" {
			add("the name is empty")
		}
		if earlier[s.Name] {
			add("the name is there twice")
		}
		if s.Budget < 0 {
			add("the budget is %v", s.Budget)
		}
		for _, need := range s.Needs {
			if !earlier[need] {
				add("needs %q, which is not an earlier step", need)
			}
		}
		earlier[s.Name] = true
	}
	return errors.Join(errs...)
}
