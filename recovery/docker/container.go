package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// State is what the engine says that a container does. The zero value is Unknown,
// which is never running.
type State uint8

// The states of a container.
const (
	Unknown State = iota
	Created
	Running
	Paused
	Restarting
	Removing
	Exited
	Dead
)

var stateNames = [...]string{"unknown", "created", "running", "paused", "restarting", "removing", "exited", "dead"}

// String returns the state's name, or "State(n)".
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// MarshalText writes the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a state's name. One that is not known is Unknown.
func (s *State) UnmarshalText(b []byte) error {
	*s = ParseState(string(b))
	return nil
}

// ParseState returns the state of that name. A name that is not known is Unknown.
func ParseState(name string) State { return State(max(0, slices.Index(stateNames[:], name))) }

// Health is what a container's own health check says. The zero value is
// HealthUnknown, which is never healthy.
type Health uint8

// The verdicts of a health check.
const (
	HealthUnknown Health = iota
	HealthNone           // the container has no health check
	HealthStarting
	Healthy
	Unhealthy
)

var healthNames = [...]string{"unknown", "none", "starting", "healthy", "unhealthy"}

// String returns the verdict's name, or "Health(n)".
func (h Health) String() string {
	if int(h) < len(healthNames) {
		return healthNames[h]
	}
	return fmt.Sprintf("Health(%d)", uint8(h))
}

// MarshalText writes the verdict's name.
func (h Health) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads a verdict's name. One that is not known is HealthUnknown.
func (h *Health) UnmarshalText(b []byte) error {
	*h = Health(max(0, slices.Index(healthNames[:], string(b))))
	return nil
}

// Container is one container as the engine described it.
type Container struct {
	ID       string
	Name     string // without the leading slash
	Image    string // the ID of the image that it runs
	ImageRef string // what it was made from, such as "bot:stable"
	Labels   map[string]string

	State    State
	Health   Health
	ExitCode int
	OOMKill  bool   // the kernel ended it for want of memory
	Problem  string // why the engine could not start it
	Restarts int    // by the engine itself, since it was started
	Started  time.Time
	Finished time.Time

	Policy     RestartPolicy
	Limits     Limits
	AutoRemove bool // the engine removes it when it stops
	TTY        bool // its two streams are one

	// Raw is the whole answer of the engine. It holds the container's environment,
	// and with it whatever secrets are kept there.
	Raw json.RawMessage `json:"-"`
}

// Up reports whether the container runs and nothing says that it is unwell.
func (c Container) Up() bool {
	return c.State == Running && (c.Health == Healthy || c.Health == HealthNone)
}

// String returns one line for people, such as
// "bot (1f2e3d4c5b6a) running, healthy, image bot:stable".
func (c Container) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s) %v", c.Name, short(c.ID), c.State)
	if c.Health != HealthNone {
		fmt.Fprintf(&b, ", health %v", c.Health)
	}
	if c.State == Exited || c.State == Dead {
		fmt.Fprintf(&b, " with %d", c.ExitCode)
	}
	if c.OOMKill {
		b.WriteString(", out of memory")
	}
	if c.Restarts > 0 {
		fmt.Fprintf(&b, ", restarted %d times", c.Restarts)
	}
	if c.Problem != "" {
		fmt.Fprintf(&b, ", %s", c.Problem)
	}
	fmt.Fprintf(&b, ", image %s", c.ImageRef)
	return b.String()
}

// ReadContainer reads the engine's answer to an inspection; adapters use it. An
// answer without an ID, a name or a state is an error (law 1).
func ReadContainer(raw []byte) (Container, error) {
	var in inspected
	if err := json.Unmarshal(raw, &in); err != nil {
		return Container{}, fmt.Errorf("reading the engine's answer: %w", err)
	}
	c := Container{
		ID: in.ID, Name: strings.TrimPrefix(in.Name, "/"), Image: in.Image, ImageRef: in.Config.Image, Labels: in.Config.Labels,
		State: ParseState(in.State.Status), Health: HealthNone, ExitCode: in.State.ExitCode, OOMKill: in.State.OOMKilled,
		Problem: in.State.Error, Restarts: in.RestartCount, Started: moment(in.State.StartedAt), Finished: moment(in.State.FinishedAt),
		Policy: RestartPolicy{in.HostConfig.RestartPolicy.Name, in.HostConfig.RestartPolicy.MaximumRetryCount},
		Limits: Limits{in.HostConfig.Memory, in.HostConfig.MemorySwap, float64(in.HostConfig.NanoCpus) / 1e9},
		TTY:    in.Config.Tty, AutoRemove: in.HostConfig.AutoRemove, Raw: slices.Clone(raw),
	}
	if h := in.State.Health; h != nil {
		if err := c.Health.UnmarshalText([]byte(h.Status)); err != nil {
			return Container{}, err
		}
	}
	switch {
	case c.ID == "" || c.Name == "":
		return Container{}, errors.New("the engine's answer names no container")
	case c.State == Unknown:
		return c, fmt.Errorf("the engine's answer says that %s is %q, which is not a known state", c.Name, in.State.Status)
	}
	return c, nil
}

// inspected is the part of an inspection that is understood.
type inspected struct {
	ID, Name, Image string
	RestartCount    int
	State           struct {
		Status                string
		ExitCode              int
		OOMKilled             bool
		Error                 string
		StartedAt, FinishedAt string
		Health                *struct{ Status string }
	}
	Config struct {
		Image  string
		Labels map[string]string
		Tty    bool
	}
	HostConfig struct {
		RestartPolicy struct {
			Name              string
			MaximumRetryCount int
		}
		Memory, MemorySwap, NanoCpus int64
		AutoRemove                   bool
	}
}

// moment reads a time of the engine; its year 1 is the zero time.
func moment(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() <= 1 {
		return time.Time{} // only shown to people; a state never depends on it
	}
	return t
}

// short returns an ID as people write it.
func short(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(len(id), 12)]
}
