package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// PruneRequest says what may go.
type PruneRequest struct {
	// Labels have to be carried, every one of them, by whatever goes. Defaults to the
	// label of Config.Project; without either nothing can be pruned.
	Labels []string

	Containers bool // that do not run
	Images     bool // that no container uses
	Networks   bool // that no container is in, running or not

	// Volumes are the names of volumes that may go. No other volume ever does.
	Volumes []string
}

// PruneItem is one thing that goes.
type PruneItem struct {
	Kind  Kind     `json:"kind"`
	ID    string   `json:"id"`
	Names []string `json:"names,omitempty"` // none for a dangling image
	Bytes int64    `json:"bytes,omitempty"` // 0 where the engine does not say
}

// PrunePlan is what a prune removes and what it leaves. It can be printed, reviewed,
// sent as JSON and refused; it is a value and is not to be edited.
type PrunePlan struct {
	ID      string       `json:"id"` // SHA-256 of all the rest
	At      time.Time    `json:"at"`
	Request PruneRequest `json:"request"`
	Items   []PruneItem  `json:"items,omitempty"`
	Left    []string     `json:"left,omitempty"` // what carries the labels and stays, and why
}

// Bytes returns how much the engine says that the images take.
func (p PrunePlan) Bytes() (n int64) {
	for _, i := range p.Items {
		n += i.Bytes
	}
	return n
}

// String returns the plan for people, a line for each thing.
func (p PrunePlan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan %s: prune %d things labelled %s, %d bytes of images\n", short(p.ID), len(p.Items), strings.Join(p.Request.Labels, " and "), p.Bytes())
	for _, i := range p.Items {
		fmt.Fprintf(&b, "  remove %v\n", i)
	}
	for _, l := range p.Left {
		fmt.Fprintf(&b, "  leave  %s\n", l)
	}
	return b.String()
}

// String returns the thing for people.
func (i PruneItem) String() string {
	if len(i.Names) == 0 {
		return fmt.Sprintf("%s %s", i.Kind, short(i.ID))
	}
	return fmt.Sprintf("%s %s (%s)", i.Kind, strings.Join(i.Names, ", "), short(i.ID))
}

func (p PrunePlan) id() (string, error) {
	p.ID = ""
	text, err := json.Marshal(p)
	return digest(text), err
}

// PlanPrune lists what may be removed, and what stays and why. It changes nothing.
//
// These stay: the bot's own containers, running or not; containers that a recreation
// keeps; whatever carries Config.EvidenceLabel; images that any container on the
// engine uses, or that are pinned; networks that any container is in, one that does not
// run included; and every volume that is not named. A volume that is named and in use is
// an error. The build cache is left alone: its records carry no labels, and an engine
// takes a label for its prune and removes everything all the same.
func (s *Stack) PlanPrune(ctx context.Context, req PruneRequest, now time.Time) (PrunePlan, error) {
	if len(req.Labels) == 0 && s.cfg.Project != "" {
		req.Labels = []string{labelProject + "=" + s.cfg.Project}
	}
	p := PrunePlan{At: now.UTC(), Request: req}
	var err error
	if p.Items, p.Left, err = s.prunable(ctx, req); err == nil {
		p.ID, err = p.id()
	}
	if err != nil {
		return PrunePlan{}, fmt.Errorf("planning a prune: %w", err)
	}
	return p, nil
}

func (s *Stack) prunable(ctx context.Context, req PruneRequest) (items []PruneItem, left []string, err error) {
	if len(req.Labels) == 0 || slices.Contains(req.Labels, "") {
		return nil, nil, errors.New("no label, or an empty one: everything on the engine would go")
	}
	every, err := s.objects(ctx, KindContainer)
	if err != nil {
		return nil, nil, err
	}
	consider := func(o Object, why string) {
		i := PruneItem{o.Kind, o.ID, o.Names, o.Bytes}
		if _, evidence := o.Labels[s.cfg.EvidenceLabel]; evidence {
			why = "it is evidence"
		}
		if why != "" {
			left = append(left, fmt.Sprintf("%v: %s", i, why))
			return
		}
		items = append(items, i)
	}
	if req.Containers {
		for _, o := range every {
			if carries(o, req.Labels) {
				consider(o, s.needed(o))
			}
		}
	}
	if req.Images {
		images, err := s.objects(ctx, KindImage, req.Labels...)
		if err != nil {
			return nil, nil, err
		}
		for _, o := range images {
			consider(o, imageNeeded(o, every))
		}
	}
	if req.Networks {
		networks, err := s.objects(ctx, KindNetwork, req.Labels...)
		if err != nil {
			return nil, nil, err
		}
		for _, o := range networks {
			consider(o, networkNeeded(o, every))
		}
	}
	volumes, err := s.namedVolumes(ctx, req, every)
	if err != nil {
		return nil, nil, err
	}
	for _, o := range volumes {
		consider(o, "")
	}
	slices.SortFunc(items, func(a, b PruneItem) int { return strings.Compare(string(a.Kind)+a.ID, string(b.Kind)+b.ID) })
	slices.Sort(left)
	return items, left, nil
}

// needed says why a container stays; empty when it may go.
func (s *Stack) needed(o Object) string {
	switch {
	case o.State != Exited && o.State != Created && o.State != Dead:
		return "it is " + o.State.String()
	case aside(o):
		return "a recreation keeps it: discard its plan"
	case slices.ContainsFunc(o.Names, func(n string) bool { return slices.Contains(s.cfg.Names, n) }),
		s.cfg.Project != "" && o.Labels[labelProject] == s.cfg.Project && o.Labels[labelService] != "" && !oneOff(o):
		return "it is one of the bot's own"
	}
	return ""
}

// imageNeeded says why an image stays.
func imageNeeded(o Object, containers []Object) string {
	if kept(o.Names) {
		return "it is pinned"
	}
	for _, c := range containers {
		if c.Image == o.ID {
			return "container " + strings.Join(c.Names, ",") + " uses it"
		}
	}
	return ""
}

// networkNeeded says why a network stays. A container that does not run needs its own
// too: without it, it could not be started again.
func networkNeeded(o Object, containers []Object) string {
	for _, c := range containers {
		if slices.Contains(c.Networks, o.ID) || slices.ContainsFunc(o.Names, func(n string) bool { return slices.Contains(c.Networks, n) }) {
			return "container " + strings.Join(c.Names, ",") + " is in it"
		}
	}
	return ""
}

func (s *Stack) namedVolumes(ctx context.Context, req PruneRequest, containers []Object) ([]Object, error) {
	if len(req.Volumes) == 0 {
		return nil, nil
	}
	all, err := s.objects(ctx, KindVolume)
	if err != nil {
		return nil, err
	}
	var out []Object
	for _, name := range req.Volumes {
		i := slices.IndexFunc(all, func(o Object) bool { return o.ID == name })
		if i < 0 {
			continue // gone already
		}
		if !carries(all[i], req.Labels) {
			return nil, fmt.Errorf("volume %s does not carry %v: %w", name, req.Labels, ErrNotOurs)
		}
		for _, c := range containers {
			if slices.Contains(c.Volumes, name) {
				return nil, fmt.Errorf("volume %s: container %s uses it: %w", name, strings.Join(c.Names, ","), ErrConflict)
			}
		}
		out = append(out, all[i])
	}
	return out, nil
}

// carries reports whether an object has every one of the labels.
func carries(o Object, labels []string) bool {
	for _, l := range labels {
		key, value, valued := strings.Cut(l, "=")
		is, ok := o.Labels[key]
		if !ok || (valued && is != value) {
			return false
		}
	}
	return true
}

// Pruned is what a prune did.
type Pruned struct {
	Removed   []PruneItem
	Bytes     int64 // of the removed images, as the engine counted them
	Unchanged bool  // there was nothing left to remove
}

// Prune applies a plan for by, a named person, for a reason, which go on the timeline
// first. ErrIncident refuses it while an incident may be open, before each removal
// too: what is removed may be evidence. ErrMoved refuses a plan of which something
// has come into use, and removes nothing. Applied again it removes what is left.
func (s *Stack) Prune(ctx context.Context, p PrunePlan, by, why string, now time.Time) (done Pruned, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("pruning by plan %s: %w", short(p.ID), err)
		}
	}()
	if id, err := p.id(); err != nil || id != p.ID {
		return done, errors.Join(fmt.Errorf("the plan is not as it was made: %w", ErrMoved), err)
	}
	if err := s.quiet(ctx); err != nil {
		return done, err
	}
	todo, err := s.remaining(ctx, p)
	if err != nil {
		return done, err
	}
	if len(todo) == 0 {
		return Pruned{Unchanged: true}, nil
	}
	if err := s.record(ctx, now, by, fmt.Sprintf("prune of %d things, plan %s", len(todo), p.ID), why); err != nil {
		return done, err
	}
	var errs []error
	for _, i := range todo {
		if err := s.quiet(ctx); err != nil {
			return done, errors.Join(append(errs, err)...)
		}
		if err := s.removeItem(ctx, i); err != nil {
			errs = append(errs, err)
			continue
		}
		done.Removed = append(done.Removed, i)
		done.Bytes += i.Bytes
	}
	return done, errors.Join(errs...)
}

// remaining returns the plan's things that are still there. Each must be as planned.
func (s *Stack) remaining(ctx context.Context, p PrunePlan) ([]PruneItem, error) {
	items, _, err := s.prunable(ctx, p.Request)
	if err != nil {
		return nil, err
	}
	var todo []PruneItem
	for _, was := range p.Items {
		i := slices.IndexFunc(items, func(is PruneItem) bool { return is.Kind == was.Kind && is.ID == was.ID })
		if i >= 0 && slices.Equal(items[i].Names, was.Names) {
			todo = append(todo, was)
			continue
		}
		there, err := s.exists(ctx, was)
		if err != nil {
			return nil, err
		}
		if there {
			return nil, fmt.Errorf("%v is not what it was, or has come into use: %w: make a new plan", was, ErrMoved)
		}
	}
	return todo, nil
}

func (s *Stack) exists(ctx context.Context, i PruneItem) (bool, error) {
	all, err := s.objects(ctx, i.Kind)
	return slices.ContainsFunc(all, func(o Object) bool { return o.ID == i.ID }), err
}

// removeItem removes one thing; an image goes by each of its references.
func (s *Stack) removeItem(ctx context.Context, i PruneItem) error {
	names := []string{i.ID}
	if i.Kind == KindImage && len(i.Names) > 0 {
		names = i.Names
	}
	for _, n := range names {
		if err := s.remove(ctx, i.Kind, n); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}
