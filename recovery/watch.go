package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// WatchConfig says how long and how often to look after trading was resumed.
type WatchConfig struct {
	// For is how long to watch. Defaults to 15 minutes.
	For time.Duration

	// Every is the time between two looks. Defaults to 30 seconds.
	Every time.Duration

	// Timeout is the time of one look. Defaults to Every.
	Timeout time.Duration

	// Look says whether all is well. Required.
	Look Check

	// OnLook is told of each look as it is made, on the goroutine of Run. Nil
	// tells nobody.
	OnLook func(Look)
}

func (c WatchConfig) withDefaults() WatchConfig {
	if c.For == 0 {
		c.For = 15 * time.Minute
	}
	if c.Every == 0 {
		c.Every = 30 * time.Second
	}
	if c.Timeout == 0 {
		c.Timeout = c.Every
	}
	if c.OnLook == nil {
		c.OnLook = func(Look) {}
	}
	return c
}

func (c WatchConfig) validate() error {
	var errs []error
	if c.For < 0 {
		errs = append(errs, fmt.Errorf("For: %v", c.For))
	}
	if c.Every < 0 || c.Every > c.For {
		errs = append(errs, fmt.Errorf("Every: %v, want more than 0 and at most For, which is %v", c.Every, c.For))
	}
	if c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("Timeout: %v", c.Timeout))
	}
	if c.Look == nil {
		errs = append(errs, errors.New("Look: is nil, and a watch that does not look sees nothing wrong"))
	}
	return errors.Join(errs...)
}

// Look is one look of a Watch.
type Look struct {
	Number   int       `json:"number"` // from 1
	At       time.Time `json:"at"`
	Evidence string    `json:"evidence,omitempty"`
	Problem  string    `json:"problem,omitempty"` // empty when all was well
}

// Good reports whether all was well.
func (l Look) Good() bool { return l.Problem == "" && l.Evidence != "" }

// WatchResult is what a Watch saw.
type WatchResult struct {
	For    time.Duration `json:"for"`   // nanoseconds; how long it was to be
	Every  time.Duration `json:"every"` // nanoseconds
	Began  time.Time     `json:"began"`
	Ended  time.Time     `json:"ended"`
	Passed bool          `json:"passed"` // every look was made, and was good
	Looks  []Look        `json:"looks"`
}

// String returns one line for people.
func (r WatchResult) String() string {
	word := "FAILED"
	if r.Passed {
		word = "passed"
	}
	return fmt.Sprintf("watch of %v %s: %d looks, one every %v", r.For, word, len(r.Looks), r.Every)
}

// Watch looks at a system again and again. It is safe for concurrent use.
type Watch struct {
	cfg WatchConfig
}

// NewWatch returns a watch, or every problem of the configuration, joined.
func NewWatch(cfg WatchConfig) (*Watch, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Watch{cfg}, nil
}

// Run looks at once and then every Every, the last time when For is over: 31 looks
// by the defaults. It ends at the first look that is not good, with an
// *UnprovenError. A watch that was cut short has not passed: the error says so.
// Time alone passes nothing, since each look must have been made.
func (w *Watch) Run(ctx context.Context) (WatchResult, error) {
	r := WatchResult{For: w.cfg.For, Every: w.cfg.Every, Began: time.Now()}
	for number, due := 1, time.Duration(0); ; number++ {
		look, err := w.look(ctx, number)
		r.Looks, r.Ended = append(r.Looks, look), look.At
		w.cfg.OnLook(look)
		if err != nil {
			return r, err
		}
		if due == w.cfg.For {
			r.Passed = true
			return r, nil
		}
		due = min(due+w.cfg.Every, w.cfg.For)
		if err := sleepUntil(ctx, r.Began.Add(due)); err != nil {
			r.Ended = time.Now()
			return r, &UnprovenError{fmt.Sprintf("watch of %v", w.cfg.For), fmt.Errorf("cut short after %d looks: %w", number, err)}
		}
	}
}

func (w *Watch) look(ctx context.Context, number int) (Look, error) {
	evidence, err := prove(ctx, w.cfg.Timeout, w.cfg.Look)
	look := Look{Number: number, At: time.Now(), Evidence: evidence}
	if err != nil {
		look.Problem = err.Error()
		return look, &UnprovenError{fmt.Sprintf("look %d of the watch", number), err}
	}
	return look, nil
}

func sleepUntil(ctx context.Context, t time.Time) error {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
