package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Check shows that something is so. It returns what it saw, in words that can be
// put on the timeline, or an error that says what is not so. It should end when
// ctx does.
type Check func(ctx context.Context) (evidence string, err error)

var (
	errNoCheck    = errors.New("no check is configured for it")
	errNoEvidence = errors.New("the check gave no evidence")
	errNoReturn   = errors.New("the check ended without an answer")
)

// prove runs a check within a time. Every way of not answering is an error: the
// caller never has to tell silence from success.
func prove(ctx context.Context, budget time.Duration, check Check) (string, error) {
	if check == nil {
		return "", errNoCheck
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	type answer struct {
		evidence string
		err      error
	}
	done := make(chan answer, 1)
	go func() {
		a := answer{err: errNoReturn} // stands when the check calls runtime.Goexit
		defer func() {
			if p := recover(); p != nil {
				a = answer{err: fmt.Errorf("the check panicked: %v", p)}
			}
			done <- a
		}()
		evidence, err := check(ctx)
		a = answer{evidence, err}
	}()
	select {
	case a := <-done:
		return judge(ctx, budget, a.evidence, a.err)
	case <-ctx.Done():
		return "", overdue(ctx, budget)
	}
}

// judge says whether an answer proves anything: it must be in time and say what
// was seen.
func judge(ctx context.Context, budget time.Duration, evidence string, err error) (string, error) {
	switch {
	case err != nil && ctx.Err() != nil:
		return "", fmt.Errorf("%w: %w", overdue(ctx, budget), err)
	case err != nil:
		return "", err
	case ctx.Err() != nil:
		return "", overdue(ctx, budget)
	case evidence == "":
		return "", errNoEvidence
	}
	return evidence, nil
}

func overdue(ctx context.Context, budget time.Duration) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %v: %w", budget, ctx.Err())
	}
	return fmt.Errorf("cut short: %w", ctx.Err())
}
