package docker

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon/recovery"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Status is how one of the bot's containers stands.
type Status struct {
	Name      string    // the service, or the container's configured name
	Container Container // zero when there is none, or when it could not be read
	Problem   string    // why the container is not known to be well; empty when it is
}

// String returns one line for people.
func (s Status) String() string {
	if s.Problem == "" {
		return s.Container.String()
	}
	return fmt.Sprintf("%s: NOT WELL: %s", s.Name, s.Problem)
}

// Status says how the bot's containers stand, by name. What cannot be read has
// state Unknown and a problem, and is in the error too: it is never left out, and
// never running (law 1).
func (s *Stack) Status(ctx context.Context) ([]Status, error) {
	names, err := s.names(ctx)
	if err != nil {
		names = append(slices.Clone(s.cfg.Services), s.cfg.Names...)
	}
	errs := []error{err}
	all := make([]Status, 0, len(names))
	for _, name := range names {
		c, ferr := s.find(ctx, name)
		st := Status{Name: name, Container: c}
		switch {
		case ferr != nil:
			st.Problem = ferr.Error()
			errs = append(errs, ferr)
		case !c.Up():
			st.Problem = c.String()
		}
		all = append(all, st)
	}
	return all, errors.Join(errs...)
}

// ServicesRunning is a recovery.Check for the checklist's first item: every
// container of the bot is there, runs, and is not unwell.
func (s *Stack) ServicesRunning(ctx context.Context) (string, error) {
	all, err := s.Status(ctx)
	if err != nil {
		return "", err
	}
	if len(all) == 0 {
		return "", fmt.Errorf("project %s has no container: %w", s.cfg.Project, ErrNotFound)
	}
	var seen []string
	var errs []error
	for _, st := range all {
		if st.Problem != "" {
			errs = append(errs, fmt.Errorf("%v: %w", st, ErrNotWell))
		}
		seen = append(seen, st.Container.String())
	}
	return strings.Join(seen, "; "), errors.Join(errs...)
}

var _ recovery.Check = (*Stack)(nil).ServicesRunning

// Find reads one of the bot's containers, by service or configured name.
func (s *Stack) Find(ctx context.Context, name string) (Container, error) { return s.find(ctx, name) }

// names returns every name there is to ask for: those that have to be there, and
// the project's other services.
func (s *Stack) names(ctx context.Context) ([]string, error) {
	names := append(slices.Clone(s.cfg.Services), s.cfg.Names...)
	if s.cfg.Project == "" {
		return names, nil
	}
	objects, err := s.objects(ctx, KindContainer, labelProject+"="+s.cfg.Project)
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		service := o.Labels[labelService]
		known := slices.Contains(names, service) || slices.ContainsFunc(o.Names, func(n string) bool { return slices.Contains(s.cfg.Names, n) })
		if service != "" && !oneOff(o) && !aside(o) && !known {
			names = append(names, service)
		}
	}
	return names, nil
}

// find returns the container of a service, or one by its configured name.
func (s *Stack) find(ctx context.Context, name string) (Container, error) {
	if slices.Contains(s.cfg.Names, name) {
		return s.inspect(ctx, name)
	}
	if s.cfg.Project == "" || name == "" {
		return Container{}, fmt.Errorf("%q: %w", name, ErrNotOurs)
	}
	objects, err := s.objects(ctx, KindContainer, labelProject+"="+s.cfg.Project, labelService+"="+name)
	if err != nil {
		return Container{}, err
	}
	objects = slices.DeleteFunc(objects, func(o Object) bool { return oneOff(o) || aside(o) })
	switch len(objects) {
	case 0:
		return Container{}, &EngineError{Op: "find", Object: name, Kind: ErrNotFound, Err: fmt.Errorf("project %s has no such container", s.cfg.Project)}
	case 1:
		return s.inspect(ctx, objects[0].ID)
	}
	var found []string
	for _, o := range objects {
		found = append(found, strings.Join(o.Names, ","))
	}
	slices.Sort(found)
	return Container{}, fmt.Errorf("service %s has %d containers %v: add the one that is meant to Names", name, len(found), found)
}

// oneOff reports whether compose made it for one command.
func oneOff(o Object) bool { return strings.EqualFold(o.Labels[labelOneOff], "true") }

// asideName matches the names that a recreation gives to what is not in charge.
var asideName = regexp.MustCompile(`\.andon-(new|old|failed)-[0-9a-f]{12}$`)

// aside reports whether a container is one that a recreation keeps.
func aside(o Object) bool { return slices.ContainsFunc(o.Names, asideName.MatchString) }

func (s *Stack) inspect(ctx context.Context, id string) (c Container, err error) {
	err = s.call(ctx, "inspect", id, 0, func(ctx context.Context) error {
		c, err = s.e.Inspect(ctx, id)
		return err
	})
	return c, err
}

func (s *Stack) objects(ctx context.Context, kind Kind, labels ...string) (list []Object, err error) {
	err = s.call(ctx, "list", string(kind)+"s", 0, func(ctx context.Context) error {
		list, err = s.e.Objects(ctx, kind, labels...)
		return err
	})
	return list, err
}

// call makes one call of the engine within its time. An engine that hangs is one
// that does not answer.
func (s *Stack) call(ctx context.Context, op, object string, more time.Duration, f func(context.Context) error) error {
	began := time.Now()
	within := s.cfg.Timeout + more
	inner, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := f(inner)
	if err != nil && inner.Err() != nil && ctx.Err() == nil {
		err = &EngineError{Op: op, Object: object, Kind: ErrEngineGone, Err: fmt.Errorf("no answer within %v: %w", within, err)}
	}
	outcome := "ok"
	if err != nil {
		outcome = "error"
	}
	s.calls.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(attribute.String("call", op), attribute.String("outcome", outcome)))
	return err
}

// record puts something on the timeline before it is done.
func (s *Stack) record(ctx context.Context, now time.Time, by, what, why string) error {
	switch {
	case by == "":
		return fmt.Errorf("%s: who does it is empty", what)
	case why == "":
		return fmt.Errorf("%s: why it is done is empty", what)
	case s.cfg.Recorder == nil:
		return fmt.Errorf("%s: %w: Config.Recorder is nil", what, recovery.ErrNotRecorded)
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	if err := s.cfg.Recorder.Record(ctx, now, by, what, why); err != nil {
		return fmt.Errorf("%s: %w: %w", what, recovery.ErrNotRecorded, err)
	}
	s.cfg.Logger.InfoContext(ctx, what, "by", by, "why", why)
	return nil
}
