package fallback

import (
	"context"
	"time"

	"github.com/andon-go/andon/incident"
)

// Lead is incident.Shared's. It calls lead while this process is the responder: by the
// shared store's word, and by its own while that is out of reach, since somebody has to
// page. Lead returns what lead returned by itself, ctx's error, or the shared store's
// where that answers and this process is no longer the responder, or cannot become it.
// Where the shared store is no incident.Shared this process always is the responder.
func (s *Store) Lead(ctx context.Context, who string, lead func(ctx context.Context) error) error {
	shared, ok := s.cfg.Shared.(incident.Shared)
	if !ok {
		return lead(ctx)
	}
	for {
		done := false
		own := func(ctx context.Context) error {
			err := lead(ctx)
			done = ctx.Err() == nil
			return err
		}
		if !s.apart.Load() { // else nobody answers, and pages wait
			err := shared.Lead(ctx, who, func(ctx context.Context) error {
				_ = s.Sync(ctx) // what is known here is led in any case
				return own(ctx)
			})
			if done || ctx.Err() != nil {
				return err
			}
			if s.Sync(ctx) == nil {
				return err // it answers: another process is the responder now, or nobody can be
			}
			s.cfg.Log.Error("incident: nobody can say who the responder is; this process is", "error", err)
		}
		if err := s.alone(ctx, own); done || ctx.Err() != nil {
			return err
		}
	}
}

// alone leads until the shared store answers again.
func (s *Store) alone(ctx context.Context, lead func(ctx context.Context) error) error {
	alone, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- lead(alone) }()
	for {
		select {
		case err := <-ended:
			return err
		case <-time.After(s.cfg.AskEvery):
			if s.Sync(ctx) == nil {
				stop()
				return <-ended
			}
		}
	}
}
