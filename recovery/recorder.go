package recovery

import (
	"context"
	"time"
)

// Recorder puts a decision on the timeline.
type Recorder interface {
	// Record keeps who did what, why and when. Nil means that it is kept.
	Record(ctx context.Context, at time.Time, who, what, why string) error
}
