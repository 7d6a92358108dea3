package docker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Repositories of references that this package makes. An image that bears one is
// not dangling, so that docker image prune leaves it alone, whatever becomes of its
// other references. docker system prune -a takes it all the same once no container
// uses it; Prune never does.
const (
	pinRepository  = "andon-pin"  // images that a person or a check called good
	keepRepository = "andon-keep" // images that an unfinished or undoable recreation needs
)

// Pin says that the image which a container runs is a good one to go back to, by
// giving it a reference of our own, such as "andon-pin:bot.20260304-150405". When
// that image is the newest pinned one already its reference is returned.
func (s *Stack) Pin(ctx context.Context, name string, now time.Time) (ref string, err error) {
	c, err := s.find(ctx, name)
	if err != nil {
		return "", fmt.Errorf("pinning the image of %s: %w", name, err)
	}
	pins, err := s.pins(ctx, c.Name)
	if err != nil {
		return "", err
	}
	if len(pins) > 0 && pins[0].Image == c.Image {
		return pins[0].Ref, nil
	}
	ref = pinPrefix(c.Name) + now.UTC().Format(pinTime)
	if err := s.tag(ctx, c.Image, ref); err != nil {
		return "", fmt.Errorf("pinning the image of %s: %w", name, err)
	}
	return ref, nil
}

const pinTime = "20060102-150405"

func pinPrefix(container string) string { return pinRepository + ":" + container + "." }

// Pinned is an image that was called good.
type Pinned struct {
	Ref   string
	Image string // its ID
	At    time.Time
}

// Pins lists the images that were pinned for a container, newest first.
func (s *Stack) Pins(ctx context.Context, name string) ([]Pinned, error) {
	c, err := s.find(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.pins(ctx, c.Name)
}

func (s *Stack) pins(ctx context.Context, container string) ([]Pinned, error) {
	images, err := s.objects(ctx, KindImage)
	if err != nil {
		return nil, err
	}
	var pins []Pinned
	for _, img := range images {
		for _, ref := range img.Names {
			stamp, ok := strings.CutPrefix(ref, pinPrefix(container))
			if at, err := time.Parse(pinTime, stamp); ok && err == nil {
				pins = append(pins, Pinned{ref, img.ID, at})
			}
		}
	}
	slices.SortFunc(pins, func(a, b Pinned) int { return b.At.Compare(a.At) })
	return pins, nil
}

func (s *Stack) tag(ctx context.Context, image, ref string) error {
	return s.call(ctx, "tag", image, 0, func(ctx context.Context) error { return s.e.Tag(ctx, image, ref) })
}

func (s *Stack) remove(ctx context.Context, kind Kind, name string) error {
	return s.call(ctx, "remove", name, 0, func(ctx context.Context) error { return s.e.Remove(ctx, kind, name) })
}

// kept reports whether one of an image's references is ours.
func kept(refs []string) bool {
	return slices.ContainsFunc(refs, func(r string) bool {
		return strings.HasPrefix(r, pinRepository+":") || strings.HasPrefix(r, keepRepository+":")
	})
}
