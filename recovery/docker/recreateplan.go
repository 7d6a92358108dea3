package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// RecreatePlan is the replacement of a container by one with the same settings on
// another image. It can be printed, reviewed, sent as JSON and refused. It holds the
// facts that it was made for; it is a value and is not to be edited.
type RecreatePlan struct {
	ID        string    `json:"id"` // SHA-256 of all the rest
	At        time.Time `json:"at"`
	Name      string    `json:"name"`      // the container's, which stays the canonical one
	Container string    `json:"container"` // the ID of the one that is replaced

	From    string `json:"from"` // the ID of the image that it runs
	FromRef string `json:"from_ref"`
	To      string `json:"to"` // the ID of the image that it will run
	ToRef   string `json:"to_ref"`

	Policy   RestartPolicy `json:"policy"`   // of both, as long as they are in charge
	Settings string        `json:"settings"` // SHA-256 of what the new one is made of
}

// String returns the plan for people.
func (p RecreatePlan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan %s: recreate %s (%s)\n", short(p.ID), p.Name, short(p.Container))
	fmt.Fprintf(&b, "  image:    %s (%s) instead of %s (%s)\n", p.ToRef, short(p.To), p.FromRef, short(p.From))
	fmt.Fprintf(&b, "  settings: the same (%s), restart policy %s\n", short(p.Settings), p.Policy.Name)
	fmt.Fprintf(&b, "  the old container is stopped and kept as %s; it runs again if the new one is not well\n", p.aside("old"))
	return b.String()
}

// aside is the name of the container that is not in charge: the "new" one at first,
// the "old" one afterwards, or the "failed" one.
func (p RecreatePlan) aside(which string) string {
	return fmt.Sprintf("%s.andon-%s-%s", p.Name, which, short(p.ID))
}

// keep is a reference of our own to one of the two images.
func (p RecreatePlan) keep(which string) string {
	return fmt.Sprintf("%s:%s-%s", keepRepository, short(p.ID), which)
}

func (p RecreatePlan) id() (string, error) {
	p.ID = ""
	text, err := json.Marshal(p)
	return digest(text), err
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// PlanRecreate plans to replace a container of the bot. With an image it is that
// one; without, the newest pinned image that it does not run now: a rollback.
// ErrNoPrevious says that there is none. It changes nothing.
func (s *Stack) PlanRecreate(ctx context.Context, name, image string, now time.Time) (RecreatePlan, error) {
	p, err := s.planRecreate(ctx, name, image, now)
	if err != nil {
		return RecreatePlan{}, fmt.Errorf("planning to recreate %s: %w", name, err)
	}
	return p, nil
}

func (s *Stack) planRecreate(ctx context.Context, name, image string, now time.Time) (p RecreatePlan, err error) {
	c, err := s.find(ctx, name)
	if err != nil {
		return p, err
	}
	if image == "" {
		if image, err = s.previous(ctx, c); err != nil {
			return p, err
		}
	}
	to, err := s.image(ctx, image)
	if err != nil {
		return p, err
	}
	p = RecreatePlan{
		At: now.UTC(), Name: c.Name, Container: c.ID, From: c.Image, FromRef: c.ImageRef, To: to.ID, ToRef: image, Policy: c.Policy,
	}
	body, err := s.body(ctx, c, image, "")
	if err != nil {
		return p, err
	}
	p.Settings = digest(body)
	p.ID, err = p.id()
	return p, err
}

// previous returns the newest pinned image that a container does not run.
func (s *Stack) previous(ctx context.Context, c Container) (string, error) {
	pins, err := s.pins(ctx, c.Name)
	if err != nil {
		return "", err
	}
	for _, pin := range pins {
		if pin.Image != c.Image {
			return pin.Ref, nil
		}
	}
	return "", fmt.Errorf("%s runs %s, and %d images are pinned for it: %w", c.Name, c.ImageRef, len(pins), ErrNoPrevious)
}

// body returns what the new container is made of. Without a plan's ID it is the form
// of which the plan keeps the digest.
func (s *Stack) body(ctx context.Context, c Container, ref, plan string) ([]byte, error) {
	old, err := s.image(ctx, c.Image)
	if err != nil {
		return nil, fmt.Errorf("the image that it runs: %w", err)
	}
	return successor(c, old, ref, map[string]string{labelPlan: plan, labelReplaces: c.ID})
}

// facts compares a plan with what there is now.
func (s *Stack) facts(ctx context.Context, p RecreatePlan) error {
	c, err := s.inspect(ctx, p.Container)
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("container %s vanished: %w: make a new plan", short(p.Container), ErrMoved)
	}
	if err != nil {
		return err
	}
	to, err := s.image(ctx, p.ToRef)
	if err != nil {
		return err
	}
	body, err := s.body(ctx, c, p.ToRef, "")
	if err != nil {
		return err
	}
	for _, f := range []struct {
		what    string
		is, was any
	}{
		{"its name", c.Name, p.Name}, {"its image", c.Image, p.From}, {"its restart policy", c.Policy, p.Policy},
		{"what " + p.ToRef + " refers to", to.ID, p.To}, {"its settings", digest(body), p.Settings},
	} {
		if f.is != f.was {
			return fmt.Errorf("%s: %v now, %v then: %w: make a new plan", f.what, f.is, f.was, ErrMoved)
		}
	}
	for _, which := range []string{"new", "old", "failed"} {
		if _, err := s.inspect(ctx, p.aside(which)); !errors.Is(err, ErrNotFound) {
			return errors.Join(fmt.Errorf("a container is called %s already: %w", p.aside(which), ErrMoved), err)
		}
	}
	return nil
}
