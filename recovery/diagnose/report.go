package diagnose

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Config says what is looked at.
type Config struct {
	// Database is asked what it does. Nil leaves those sections with a problem.
	Database Database

	// SlowerThan is the time from which on a statement is slow. Defaults to 100 ms,
	// the playbook's.
	SlowerThan time.Duration

	// Paths are on the disks that are looked at. Defaults to "/".
	Paths []string

	// Endpoints are hosts with a port, "api.exchange.com:443". Defaults to none.
	Endpoints []string

	// Budget is the time of each section. Defaults to 5 seconds.
	Budget time.Duration

	// Tracer makes a span for a run. Defaults to the global provider.
	Tracer trace.TracerProvider
}

func (c Config) withDefaults() Config {
	if c.SlowerThan <= 0 {
		c.SlowerThan = 100 * time.Millisecond
	}
	if len(c.Paths) == 0 {
		c.Paths = []string{"/"}
	}
	if c.Budget <= 0 {
		c.Budget = 5 * time.Second
	}
	if c.Tracer == nil {
		c.Tracer = otel.GetTracerProvider()
	}
	return c
}

// Section is what one look found.
type Section struct {
	Name    string        `json:"name"`
	Took    time.Duration `json:"took"`    // nanoseconds
	Found   any           `json:"found"`   // what the function of that name returned; nil with a problem
	Problem string        `json:"problem"` // why it could not be seen; empty when it was
	text    string        // for people, a line each
}

// Report is what a run found.
type Report struct {
	At       time.Time `json:"at"`
	Sections []Section `json:"sections"`
}

// String returns the report for people.
func (r Report) String() string {
	var b strings.Builder
	for _, s := range r.Sections {
		fmt.Fprintf(&b, "%s (%v)\n", s.Name, s.Took.Round(time.Millisecond))
		if s.Problem != "" {
			fmt.Fprintf(&b, "  NOT SEEN: %s\n", s.Problem)
		}
		for line := range strings.Lines(s.text) {
			b.WriteString("  " + line)
		}
	}
	return b.String()
}

// Section returns the section of a name.
func (r Report) Section(name string) (Section, bool) {
	for _, s := range r.Sections {
		if s.Name == name {
			return s, true
		}
	}
	return Section{}, false
}

// Unseen returns what could not be seen, with the reasons. It is empty when all was.
func (r Report) Unseen() []string {
	var unseen []string
	for _, s := range r.Sections {
		if s.Problem != "" {
			unseen = append(unseen, s.Name+": "+s.Problem)
		}
	}
	return unseen
}

// finding is what a look returns: a value that says itself in lines.
type finding interface{ lines() string }

type look struct {
	name string
	at   func(ctx context.Context) (finding, error)
}

var errNoDatabase = errors.New("no database is configured")

// Run makes every look at once and returns within the budget. It never fails: what
// could not be seen is in the report.
func Run(ctx context.Context, cfg Config) Report {
	cfg = cfg.withDefaults()
	ctx, span := cfg.Tracer.Tracer("github.com/andon-go/andon/recovery/diagnose").Start(ctx, "recovery.diagnose")
	defer span.End()
	looks := cfg.looks()
	r := Report{At: time.Now(), Sections: make([]Section, len(looks))}
	var wg sync.WaitGroup
	for i, l := range looks {
		wg.Go(func() { r.Sections[i] = l.make(ctx, cfg.Budget) })
	}
	wg.Wait()
	if unseen := r.Unseen(); len(unseen) > 0 {
		span.SetStatus(codes.Error, strings.Join(unseen, "; "))
	}
	return r
}

func (c Config) looks() []look {
	looks := []look{
		database("activity", c, func(ctx context.Context) (finding, error) { return as(Activity(ctx, c.Database)) }),
		database("blocking", c, func(ctx context.Context) (finding, error) { return as(Blocking(ctx, c.Database)) }),
		database("slow statements", c, func(ctx context.Context) (finding, error) {
			return as(Slow(ctx, c.Database, c.SlowerThan, c.Budget/2))
		}),
		database("cache", c, func(ctx context.Context) (finding, error) { return as(Cache(ctx, c.Database)) }),
		database("bloat", c, func(ctx context.Context) (finding, error) { return as(Bloat(ctx, c.Database)) }),
		database("connections", c, func(ctx context.Context) (finding, error) { return as(Connections(ctx, c.Database)) }),
		{"host", func(ctx context.Context) (finding, error) { return as(Host(ctx, c.Paths, c.Budget/5)) }},
		{"process", func(context.Context) (finding, error) { return Process(), nil }},
	}
	for _, endpoint := range c.Endpoints {
		looks = append(looks, look{"network " + endpoint, func(ctx context.Context) (finding, error) { return as(Network(ctx, endpoint, 5)) }})
	}
	return looks
}

func database(name string, c Config, at func(ctx context.Context) (finding, error)) look {
	if c.Database == nil {
		at = func(context.Context) (finding, error) { return nil, errNoDatabase }
	}
	return look{"database: " + name, at}
}

func as[F finding](f F, err error) (finding, error) { return f, err }

// make looks within a budget. A look that does not end in time is left behind: its
// goroutine ends when the system that it asked answers.
func (l look) make(ctx context.Context, budget time.Duration) Section {
	began := time.Now()
	s := Section{Name: l.name}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	type answer struct {
		found finding
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		a := answer{err: errors.New("the look ended without an answer")}
		defer func() {
			if p := recover(); p != nil {
				a = answer{err: fmt.Errorf("the look panicked: %v", p)}
			}
			done <- a
		}()
		found, err := l.at(ctx)
		a = answer{found, err}
	}()
	var a answer
	select {
	case a = <-done:
	case <-ctx.Done():
		a.err = fmt.Errorf("no answer within %v: %w", budget, ctx.Err())
	}
	s.Took = time.Since(began)
	if a.err != nil {
		s.Problem = a.err.Error()
		return s
	}
	s.Found, s.text = a.found, a.found.lines()
	return s
}
