package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Service is a Stack seen from one service, the bot's, in plain types: what a runbook
// needs of containers. Bot is required. Safe for concurrent use as long as its fields are
// not changed.
type Service struct {
	Stack *Stack
	// Bot is the service, or the configured name, of the bot's container.
	Bot string
	// Memory is that of the bot's memory, where RebuildIndices runs Rebuild. Default to
	// mcp-memory and "python rebuild_indices.py".
	Memory  string
	Rebuild []string
	// Volumes are those that Prune may remove besides containers and images that nothing
	// uses. Defaults to none.
	Volumes []string
}

// Status says how every container stands. The error names those that are not well.
func (s *Service) Status(ctx context.Context) (string, error) { return s.Stack.ServicesRunning(ctx) }

// Logs returns lines of the bot's log, or of every container's with its name before each:
// of the newest tail lines of each, where it is not 0, and not older than since, where
// that is not 0, those that match pattern.
func (s *Service) Logs(ctx context.Context, bot bool, tail int, since time.Duration, pattern string) (string, error) {
	match, err := regexp.Compile(pattern)
	if err != nil {
		return "", err
	}
	names := []string{s.Bot}
	if !bot {
		if names, err = s.Stack.names(ctx); err != nil {
			return "", err
		}
	}
	q := LogQuery{Tail: tail}
	if since > 0 {
		q.Since = time.Now().Add(-since)
	}
	var out []string
	for _, name := range names {
		var b locked
		if err := s.Stack.Logs(ctx, name, q, &b, &b); err != nil {
			return "", fmt.Errorf("logs of %s: %w", name, err)
		}
		for line := range strings.Lines(b.String()) {
			if line = strings.TrimRight(line, "\r\n"); !match.MatchString(line) {
				continue
			}
			if !bot {
				line = name + " | " + line
			}
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n"), nil
}

// locked is a buffer that two streams may write into.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string { return l.b.String() }

// Stats says what the bot's container uses.
func (s *Service) Stats(ctx context.Context) (string, error) {
	st, err := s.Stack.Stats(ctx, s.Bot)
	return fmt.Sprintf("%+v", st), err
}

// Top lists the processes in the bot's container.
func (s *Service) Top(ctx context.Context) (string, error) {
	p, err := s.Stack.Top(ctx, s.Bot)
	return fmt.Sprintf("%+v", p), err
}

// Started returns when the bot's container was started. Zero: it does not run, or there
// is none.
func (s *Service) Started(ctx context.Context) (time.Time, error) {
	c, err := s.Stack.Find(ctx, s.Bot)
	switch {
	case errors.Is(err, ErrNotFound):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, err
	case c.State != Running:
		return time.Time{}, nil
	}
	return c.Started, nil
}

// Limits returns the limits of the bot's container, as SetLimits takes them; an empty one
// is none.
func (s *Service) Limits(ctx context.Context) (memory, cpus string, err error) {
	c, err := s.Stack.Find(ctx, s.Bot)
	if err != nil {
		return "", "", err
	}
	if c.Limits.Memory > 0 {
		memory = strconv.FormatInt(c.Limits.Memory, 10)
	}
	if c.Limits.CPUs > 0 {
		cpus = strconv.FormatFloat(c.Limits.CPUs, 'f', -1, 64)
	}
	return memory, cpus, nil
}

// SetLimits gives the bot's container these limits, such as "4g" and "1.5". An empty one
// stays as it is: that a limit goes takes a new container.
func (s *Service) SetLimits(ctx context.Context, memory, cpus, by, why string) (string, error) {
	var l Limits
	var err error
	if memory != "" {
		if l.Memory, err = parseBytes(memory); err != nil {
			return "", err
		}
	}
	if cpus != "" {
		if l.CPUs, err = strconv.ParseFloat(cpus, 64); err != nil || !(l.CPUs > 0) {
			return "", fmt.Errorf("CPUs are %q, want a number above 0, such as 1.5", cpus)
		}
	}
	c, err := s.Stack.SetLimits(ctx, s.Bot, l, by, why, time.Now())
	return fmt.Sprintf("%+v", c.Limits), err
}

// parseBytes reads an amount of memory as Docker writes it.
func parseBytes(text string) (int64, error) {
	digits := strings.TrimRight(strings.ToLower(text), "bkmgi")
	n, err := strconv.ParseInt(digits, 10, 64)
	unit, ok := map[string]int64{"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "g": 1 << 30, "gb": 1 << 30}[strings.ToLower(text)[len(digits):]]
	if err != nil || !ok || n <= 0 || n > (1<<62)/unit {
		return 0, fmt.Errorf("memory is %q, want an amount such as 4g or 512m", text)
	}
	return n * unit, nil
}

// Restart stops the bot's container, starts it, and waits until it is well.
func (s *Service) Restart(ctx context.Context, by, why string) (string, error) {
	r, err := s.Stack.Restart(ctx, s.Bot, by, why, time.Now())
	return fmt.Sprintf("%v, after %v", r.Container, r.Took.Round(time.Millisecond)), err
}

// ForceRestart kills the bot's container, starts it, and waits until it is well.
func (s *Service) ForceRestart(ctx context.Context, by, why string) (string, error) {
	if at, err := s.Started(ctx); err != nil || !at.IsZero() { // one that cannot be read is killed too
		if _, err := s.Stack.Kill(ctx, s.Bot, by, why, time.Now()); err != nil {
			return "", err
		}
	}
	c, err := s.Stack.Start(ctx, s.Bot, by, why, time.Now())
	return c.String(), err
}

// Down stops every container. It removes none, as compose down would: with them their
// logs and files would go, which are evidence.
func (s *Service) Down(ctx context.Context, by, why string) (string, error) {
	return s.each(ctx, func(name string, c Container) (Container, error) {
		if c.State != Running && c.State != Restarting && c.State != Paused {
			return c, nil
		}
		return s.Stack.Stop(ctx, name, by, why, time.Now())
	})
}

// Up starts what does not run: by compose, after a build, where the Stack knows its
// folder, and each container by itself else.
func (s *Service) Up(ctx context.Context, by, why string) (string, error) {
	if s.Stack.cfg.ComposeDir != "" {
		built, err := s.Stack.Build(ctx, nil, by, why, time.Now())
		if err != nil {
			return built, err
		}
		up, err := s.Stack.Up(ctx, nil, by, why, time.Now())
		return built + up, err
	}
	return s.each(ctx, func(name string, c Container) (Container, error) {
		if c.Up() {
			return c, nil
		}
		return s.Stack.Start(ctx, name, by, why, time.Now())
	})
}

// each does something with every container.
func (s *Service) each(ctx context.Context, do func(name string, c Container) (Container, error)) (string, error) {
	names, err := s.Stack.names(ctx)
	if err != nil {
		return "", err
	}
	var said []string
	var errs []error
	for _, name := range names {
		c, err := s.Stack.Find(ctx, name)
		if err == nil {
			c, err = do(name, c)
		}
		said, errs = append(said, c.String()), append(errs, err)
	}
	return strings.Join(said, "; "), errors.Join(errs...)
}

// ClearCache empties the cache folder in the bot's container.
func (s *Service) ClearCache(ctx context.Context, by, why string) (string, error) {
	if err := s.Stack.ClearCache(ctx, s.Bot, by, why, time.Now()); err != nil {
		return "", err
	}
	return s.Stack.cfg.CacheDir + " is empty", nil
}

// RebuildIndices has the memory's container make its indices anew.
func (s *Service) RebuildIndices(ctx context.Context, by, why string) (string, error) {
	name, command := s.Memory, s.Rebuild
	if name == "" {
		name = "mcp-memory"
	}
	if len(command) == 0 {
		command = []string{"python", "rebuild_indices.py"}
	}
	o, err := s.Stack.Exec(ctx, name, command, by, why, time.Now())
	if err == nil && o.Exit != 0 {
		err = fmt.Errorf("%q in %s ended with %d", command, name, o.Exit)
	}
	return fmt.Sprintf("%s%s", o.Stdout, o.Stderr), err
}

// Signal sends the bot a signal, such as SIGUSR1, that its image says it handles.
func (s *Service) Signal(ctx context.Context, signal, by, why string) (string, error) {
	r, err := s.Stack.Signal(ctx, s.Bot, signal, by, why, time.Now())
	if err == nil && !r.PolicyHolds {
		return signal + " was sent by the engine: restart the container before its restart policy is relied upon", nil
	}
	return signal + " was sent", err
}

// PreviewPrune says what Prune would remove now.
func (s *Service) PreviewPrune(ctx context.Context) (string, error) {
	p, err := s.planPrune(ctx)
	return p.String(), err
}

// Prune removes containers and images of the bot's project that nothing uses, and the
// named volumes. What is not the bot's stays.
func (s *Service) Prune(ctx context.Context, by, why string) (string, error) {
	p, err := s.planPrune(ctx)
	if err != nil {
		return "", err
	}
	done, err := s.Stack.Prune(ctx, p, by, why, time.Now())
	return fmt.Sprintf("%d removed, %d bytes of images", len(done.Removed), done.Bytes), err
}

func (s *Service) planPrune(ctx context.Context) (PrunePlan, error) {
	return s.Stack.PlanPrune(ctx, PruneRequest{Containers: true, Images: true, Volumes: s.Volumes}, time.Now())
}
