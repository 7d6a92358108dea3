package docker

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Start starts a container and waits until it is well. It is recorded first. The
// container is returned as it was last seen, with an error too.
func (s *Stack) Start(ctx context.Context, name, by, why string, now time.Time) (Container, error) {
	c, err := s.find(ctx, name)
	if err != nil {
		return c, fmt.Errorf("starting %s: %w", name, err)
	}
	if err := s.record(ctx, now, by, "container start: "+name, why); err != nil {
		return c, err
	}
	if err := s.start(ctx, c.ID); err != nil {
		return c, fmt.Errorf("starting %s: %w", name, err)
	}
	if c, err = s.await(ctx, c.ID, s.cfg.WellWithin); err != nil {
		return c, fmt.Errorf("starting %s: %w", name, err)
	}
	return c, nil
}

// Stop asks a container to end, kills it after the grace, and reads that it does not
// run. It does not wait for the record: when that fails the container is stopped
// all the same, and the error is recovery.ErrNotRecorded.
func (s *Stack) Stop(ctx context.Context, name, by, why string, now time.Time) (Container, error) {
	return s.end(ctx, name, by, why, now, "stop", s.stop)
}

// Kill ends a container at once. It does not wait for the record either.
//
// The engine takes a kill for a wish that the container stays down: whatever its
// restart policy says, it is not started again until somebody starts it.
func (s *Stack) Kill(ctx context.Context, name, by, why string, now time.Time) (Container, error) {
	return s.end(ctx, name, by, why, now, "kill", s.kill)
}

func (s *Stack) end(ctx context.Context, name, by, why string, now time.Time, verb string, do func(context.Context, string) error) (Container, error) {
	c, err := s.find(ctx, name)
	if err == nil {
		err = do(ctx, c.ID)
	}
	if err == nil {
		if c, err = s.inspect(ctx, c.ID); err == nil && c.State != Exited && c.State != Created && c.State != Dead {
			err = fmt.Errorf("it is %v", c.State)
		}
	}
	what := fmt.Sprintf("container %s: %s", verb, name)
	if err != nil {
		err = fmt.Errorf("%s: %w", what, err)
		what += ", which failed"
	}
	return c, errors.Join(err, s.record(context.WithoutCancel(ctx), now, by, what, why))
}

// Restarted is what a restart did.
type Restarted struct {
	Container Container
	Forced    bool          // it did not end by itself and was killed
	Took      time.Duration // from the request to stop until it was well again
}

// Restart stops a container gracefully, by force when that does not work, starts it
// and waits until it is well. It is recorded first. Once the container is down it is
// started even when ctx has ended.
func (s *Stack) Restart(ctx context.Context, name, by, why string, now time.Time) (r Restarted, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("restarting %s: %w", name, err)
		}
	}()
	if r.Container, err = s.find(ctx, name); err != nil {
		return r, err
	}
	if err := s.record(ctx, now, by, "container restart: "+name, why); err != nil {
		return r, err
	}
	began, id := time.Now(), r.Container.ID
	ctx = context.WithoutCancel(ctx)
	ran := r.Container.State == Running || r.Container.State == Restarting || r.Container.State == Paused
	if serr := s.stop(ctx, id); serr != nil {
		r.Forced = true
		if kerr := s.kill(ctx, id); kerr != nil {
			return r, errors.Join(serr, kerr)
		}
	}
	if r.Container, err = s.inspect(ctx, id); err != nil {
		return r, err
	}
	r.Forced = r.Forced || (ran && r.Container.ExitCode == 137 && !r.Container.OOMKill)
	if err := s.start(ctx, id); err != nil {
		return r, err
	}
	r.Container, err = s.await(ctx, id, s.cfg.WellWithin)
	r.Took = time.Since(began)
	return r, err
}

// Await waits until a container is well: healthy by its own check, or running for
// Config.Settle where it has none. It ends at once when the container exits, is
// unhealthy, or vanishes.
func (s *Stack) Await(ctx context.Context, name string) (Container, error) {
	c, err := s.find(ctx, name)
	if err != nil {
		return c, err
	}
	return s.await(ctx, c.ID, s.cfg.WellWithin)
}

func (s *Stack) await(ctx context.Context, id string, within time.Duration) (c Container, err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(s.cfg.Poll)
	defer tick.Stop()
	var since time.Time // running without an interruption
	var last Container
	for {
		c, err = s.inspect(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound):
			return last, fmt.Errorf("%w: it vanished: %w", ErrNotWell, err)
		case err != nil: // the engine may come back within the time
			since = time.Time{}
		default:
			if since.IsZero() || c.State != Running || !c.Started.Equal(last.Started) {
				since = time.Now()
			}
			last = c
			if done, err := s.judge(c, since); done {
				return c, err
			}
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = ctx.Err()
			}
			return last, fmt.Errorf("%w within %v: %v: %w", ErrNotWell, within, last, err)
		case <-tick.C:
		}
	}
}

// judge says whether waiting is over, and how.
func (s *Stack) judge(c Container, since time.Time) (done bool, err error) {
	switch {
	case c.State == Running && c.Health == Healthy,
		c.State == Running && c.Health == HealthNone && time.Since(since) >= s.cfg.Settle:
		return true, nil
	case c.State == Exited || c.State == Dead || c.State == Removing || c.Health == Unhealthy, c.State == Restarting && c.Restarts > 1,
		c.State == Created && c.Problem != "":
		return true, fmt.Errorf("%w: %v", ErrNotWell, c)
	}
	return false, nil
}

func (s *Stack) start(ctx context.Context, id string) error {
	return s.call(ctx, "start", id, 0, func(ctx context.Context) error { return s.e.Start(ctx, id) })
}

func (s *Stack) stop(ctx context.Context, id string) error {
	return s.call(ctx, "stop", id, s.cfg.Grace, func(ctx context.Context) error { return s.e.Stop(ctx, id, s.cfg.Grace) })
}

// kill ends a container and waits until the engine has seen it.
func (s *Stack) kill(ctx context.Context, id string) error {
	return s.call(ctx, "kill", id, 0, func(ctx context.Context) error {
		if err := s.e.Signal(ctx, id, "SIGKILL"); err != nil && !errors.Is(err, ErrNotRunning) {
			return err
		}
		for {
			c, err := s.e.Inspect(ctx, id)
			if err != nil || (c.State != Running && c.State != Restarting && c.State != Paused) {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(s.cfg.Poll / 4):
			}
		}
	})
}
