package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Up runs docker compose up -d for these services, or for all, and returns what it
// printed. It is recorded first. It is refused while a recreation keeps a container
// of the project: compose would take that one for the service's, and there could be
// two bots.
func (s *Stack) Up(ctx context.Context, services []string, by, why string, now time.Time) (string, error) {
	objects, err := s.objects(ctx, KindContainer, labelProject+"="+s.cfg.Project)
	if err != nil {
		return "", fmt.Errorf("compose up: %w", err)
	}
	for _, o := range objects {
		if aside(o) {
			return "", fmt.Errorf("compose up: a recreation keeps %s: %w: discard its plan first", strings.Join(o.Names, ","), ErrConflict)
		}
	}
	return s.compose(ctx, append([]string{"up", "-d"}, services...), by, why, now)
}

// Down runs docker compose down: the project's containers are removed, with their
// logs, so collect those first. Volumes and images stay, always. It is recorded
// first.
func (s *Stack) Down(ctx context.Context, by, why string, now time.Time) (string, error) {
	return s.compose(ctx, []string{"down", "--timeout", fmt.Sprint(Seconds(s.cfg.Grace))}, by, why, now)
}

// Build runs docker compose build for these services, or for all. Pin the image that
// is good before: the build takes its reference away. It is recorded first.
func (s *Stack) Build(ctx context.Context, services []string, by, why string, now time.Time) (string, error) {
	return s.compose(ctx, append([]string{"build"}, services...), by, why, now)
}

func (s *Stack) compose(ctx context.Context, args []string, by, why string, now time.Time) (string, error) {
	if s.cfg.Project == "" || s.cfg.ComposeDir == "" {
		return "", errors.New("compose: Config.Project and Config.ComposeDir are needed")
	}
	program, err := s.composeProgram(ctx)
	if err != nil {
		return "", err
	}
	title := "compose " + strings.Join(args, " ")
	all := append(program[1:], "-p", s.cfg.Project)
	for _, f := range s.cfg.ComposeFiles {
		all = append(all, "-f", f)
	}
	if err := s.record(ctx, now, by, title, why); err != nil {
		return "", err
	}
	out, err := s.run(ctx, program[0], append(all, args...))
	if err != nil {
		return out, fmt.Errorf("%s: %w: %s", title, err, lastLine(out))
	}
	return out, nil
}

// composeProgram returns how compose is called on this machine.
func (s *Stack) composeProgram(ctx context.Context) ([]string, error) {
	if len(s.cfg.Compose) > 0 {
		if _, err := exec.LookPath(s.cfg.Compose[0]); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoCompose, err)
		}
		return append([]string(nil), s.cfg.Compose...), nil
	}
	if _, err := exec.LookPath("docker"); err == nil {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
		defer cancel()
		if _, err := s.run(ctx, "docker", []string{"compose", "version"}); err == nil {
			return []string{"docker", "compose"}, nil
		}
	}
	if _, err := exec.LookPath("docker-compose"); err == nil {
		return []string{"docker-compose"}, nil
	}
	return nil, fmt.Errorf("%w: neither the plugin \"docker compose\" nor docker-compose is there (apt-get install docker-compose-plugin, or docker-compose)", ErrNoCompose)
}

// run runs a program to its end, or ends it with ctx, and returns what it printed.
func (s *Stack) run(ctx context.Context, program string, args []string) (string, error) {
	var out keep
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = s.cfg.ComposeDir
	cmd.Env = append(os.Environ(), s.cfg.ComposeEnv...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = s.cfg.Timeout
	err := cmd.Run()
	if ctx.Err() != nil {
		err = errors.Join(ctx.Err(), err)
	}
	return out.b.String(), err
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
