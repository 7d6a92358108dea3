package recovery

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// What a sequence keeps of its progress.
const (
	eventBegins = "begins"
	eventResult = "result"
	eventEnded  = "ended" // every step is proven: the next run is a new one
)

// sequenceLog is where. A storage keeps the progress of one sequence.
const sequenceLog = "sequence/"

type sequenceEvent struct {
	What   string      `json:"what"`
	By     string      `json:"by"`
	At     time.Time   `json:"at"`
	Result *StepResult `json:"result,omitempty"`
}

func (s *Sequence) keep(ctx context.Context, e sequenceEvent) error {
	if s.cfg.Progress == nil {
		return nil
	}
	e.At = e.At.Round(0).UTC()
	if err := appendLog(ctx, s.cfg.Progress, sequenceLog, "sequence", e); err != nil {
		return fmt.Errorf("keeping the progress: %w", err)
	}
	return nil
}

// resume returns the results of the run that is gone on with, or begins a new one.
func (s *Sequence) resume(ctx context.Context, by string) ([]StepResult, error) {
	if s.cfg.Progress == nil {
		return nil, nil
	}
	objects, err := s.cfg.Progress.List(ctx, sequenceLog)
	if err != nil {
		return nil, err
	}
	all := numbers(objects, sequenceLog)
	slices.Sort(all)
	now := time.Now()
	var results []StepResult
	for i, n := range slices.Backward(all) {
		var e sequenceEvent
		if _, err := readRecord(ctx, s.cfg.Progress, numbered(sequenceLog, n), "sequence", &e); err != nil {
			return nil, fmt.Errorf("%s: %w", numbered(sequenceLog, n), err)
		}
		age := now.Sub(e.At)
		if i == len(all)-1 && (e.What == eventEnded || age < 0 || age > s.cfg.GoOnWithin) {
			break // a new run
		}
		if e.What == eventBegins {
			slices.Reverse(results)
			return results, nil
		}
		// A step that is no longer one of ours proves nothing.
		if r := e.Result; r != nil && slices.ContainsFunc(s.cfg.Steps, func(step Step) bool { return step.Name == r.Name }) {
			results = append(results, *r)
		}
	}
	return nil, s.keep(ctx, sequenceEvent{What: eventBegins, By: by, At: now})
}
