package docker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon/recovery"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// Labels that compose puts on what it makes.
const (
	labelProject = "com.docker.compose.project"
	labelService = "com.docker.compose.service"
	labelOneOff  = "com.docker.compose.oneoff"
)

// Config says which containers are the bot's and how patient to be with them.
type Config struct {
	// Engine is where they run. Required.
	Engine Engine

	// Project is the compose project whose containers are the bot's. Services are
	// those that have to be there; without any, every service of the project is
	// served and none is missed.
	Project  string
	Services []string

	// Names are containers of the bot that compose does not know, by name. One of
	// Project and Names is required: nothing else on the engine is ever touched.
	Names []string

	// Dir holds the journals of recreations. It is made when it is not there.
	// Defaults to /backups/docker.
	Dir string

	// Recorder puts what is done on the timeline. Without one only looking,
	// stopping and killing are possible.
	Recorder recovery.Recorder

	// Quiet says that no incident is open: nil means that none is, and none will be
	// until the caller has returned. Without it nothing is pruned or discarded.
	Quiet func(ctx context.Context) error

	// EvidenceLabel marks containers, images and volumes that are evidence and are
	// never pruned. Defaults to andon.evidence.
	EvidenceLabel string

	// SignalLabel is where an image lists the signals that it handles, such as
	// "SIGUSR1". Defaults to andon.signals.
	SignalLabel string

	// CacheDir is what ClearCache empties in a container. Defaults to /tmp/cache.
	CacheDir string

	// Grace is how long a container that is asked to stop may take before it is
	// killed. Defaults to 30 seconds.
	Grace time.Duration

	// WellWithin is how long a container that was started may take to be well.
	// Defaults to 2 minutes.
	WellWithin time.Duration

	// Settle is how long a container without a health check has to run before it is
	// taken for well. Defaults to 5 seconds.
	Settle time.Duration

	// Timeout bounds each call of the engine; stopping has Grace on top. Defaults to
	// 10 seconds.
	Timeout time.Duration

	// ExecTimeout bounds each program that is run in a container. Defaults to 1
	// minute.
	ExecTimeout time.Duration

	// Poll is how often a container is looked at while it is waited for. Defaults to
	// 200 milliseconds.
	Poll time.Duration

	// ComposeDir is the folder with the compose file, which Up, Down and Build need.
	// ComposeFiles are its files; without any, compose looks for its usual ones.
	// ComposeEnv is added to this process's environment, as "NAME=value".
	ComposeDir   string
	ComposeFiles []string
	ComposeEnv   []string

	// Compose is the program and its first arguments. Defaults to "docker compose"
	// where the plugin is installed, else to "docker-compose".
	Compose []string

	// Logger hears what is done. Defaults to slog.Default().
	Logger *slog.Logger

	// Meters takes the durations of the engine's calls. Defaults to the global one.
	Meters metric.MeterProvider
}

func (c Config) withDefaults() Config {
	text := func(p *string, v string) {
		if *p == "" {
			*p = v
		}
	}
	text(&c.Dir, "/backups/docker")
	text(&c.EvidenceLabel, "andon.evidence")
	text(&c.SignalLabel, "andon.signals")
	text(&c.CacheDir, "/tmp/cache")
	for _, d := range []struct {
		p *time.Duration
		v time.Duration
	}{
		{&c.Grace, 30 * time.Second}, {&c.WellWithin, 2 * time.Minute}, {&c.Settle, 5 * time.Second},
		{&c.Timeout, 10 * time.Second}, {&c.ExecTimeout, time.Minute}, {&c.Poll, 200 * time.Millisecond},
	} {
		if *d.p == 0 {
			*d.p = d.v
		}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Meters == nil {
		c.Meters = otel.GetMeterProvider()
	}
	c.Services, c.Names = slices.Clone(c.Services), slices.Clone(c.Names)
	c.ComposeFiles, c.ComposeEnv, c.Compose = slices.Clone(c.ComposeFiles), slices.Clone(c.ComposeEnv), slices.Clone(c.Compose)
	return c
}

func (c Config) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Engine == nil {
		add("Engine: is nil")
	}
	if c.Project == "" && len(c.Names) == 0 {
		add("Project: is empty and there are no Names, so that no container is the bot's")
	}
	if c.Project == "" && len(c.Services) > 0 {
		add("Services: there are some without a Project")
	}
	seen := map[string]bool{}
	for _, n := range append(slices.Clone(c.Services), c.Names...) {
		if n == "" {
			add("Services: one of them, or of Names, is empty")
		}
		if seen[n] {
			add("Services: %q is there twice, or in Names too", n)
		}
		if strings.HasPrefix(n, "/") {
			add("Names: %q begins with a slash", n)
		}
		seen[n] = true
	}
	if !strings.HasPrefix(c.CacheDir, "/") || strings.Contains(c.CacheDir+"/", "/../") || strings.Count(strings.Trim(c.CacheDir, "/"), "/") == 0 {
		add("CacheDir: %q has to be absolute and at least two folders deep", c.CacheDir)
	}
	for _, d := range []struct {
		name string
		v    time.Duration
	}{
		{"Grace", c.Grace}, {"WellWithin", c.WellWithin}, {"Settle", c.Settle}, {"Timeout", c.Timeout}, {"ExecTimeout", c.ExecTimeout}, {"Poll", c.Poll},
	} {
		if d.v < 0 {
			add("%s: %v is negative", d.name, d.v)
		}
	}
	return errors.Join(errs...)
}

// Stack is the bot's containers on one engine. It keeps nothing in memory: each
// answer is the engine's. It is safe for concurrent use.
type Stack struct {
	cfg   Config
	e     Engine
	calls metric.Float64Histogram
}

// New returns a stack, or every problem of the configuration, joined. It talks to
// nobody, so that a bot starts while the engine is down.
func New(cfg Config) (*Stack, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	calls, err := cfg.Meters.Meter("github.com/andon-go/andon/recovery/docker").Float64Histogram("andon.recovery.docker.call.duration",
		metric.WithUnit("s"), metric.WithDescription("How long the container engine took to answer, by call and whether it answered well."))
	if err != nil {
		return nil, fmt.Errorf("Meters: %w", err)
	}
	return &Stack{cfg: cfg, e: cfg.Engine, calls: calls}, nil
}
