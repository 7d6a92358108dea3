package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon/internal/frame"
)

// ErrMoved says that a plan was made for facts that are no longer so.
var ErrMoved = errors.New("the facts have moved since the plan was made")

// Keep says which backups are kept. Only verified ones count towards it: seven bad
// backups push no good one out. The zero value keeps the defaults.
type Keep struct {
	// Verified is how many of the newest verified backups are kept whatever their
	// age. Defaults to 3; the least is 1.
	Verified int

	// Within is how long every backup is kept, in any state. Defaults to 7 days.
	Within time.Duration
}

func (k Keep) withDefaults() Keep {
	if k.Verified == 0 {
		k.Verified = 3
	}
	if k.Within == 0 {
		k.Within = 7 * 24 * time.Hour
	}
	return k
}

func (k Keep) validate() error {
	var errs []error
	if k.Verified < 1 {
		errs = append(errs, fmt.Errorf("Keep.Verified: %d", k.Verified))
	}
	if k.Within < 0 {
		errs = append(errs, fmt.Errorf("Keep.Within: %v", k.Within))
	}
	return errors.Join(errs...)
}

// Retired is a backup in a plan to delete it.
type Retired struct {
	Name  string    `json:"name"`
	State State     `json:"state"`
	At    time.Time `json:"at"`
	Bytes int64     `json:"bytes,omitempty"`
}

// Retirement is a plan to delete backups, which can be printed, sent as JSON and
// refused. It holds the facts that it was made for and is not to be edited.
type Retirement struct {
	ID        string    `json:"id"` // SHA-256 of all the rest
	Component Component `json:"component"`
	At        time.Time `json:"at"`
	Delete    []Retired `json:"delete,omitempty"` // oldest first
	Verified  []string  `json:"verified"`         // those that count and stay, newest first
}

// String returns the plan for people, a line for each backup.
func (p Retirement) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan %s: delete %d backups of %s; %d verified ones stay\n", p.ID[:min(12, len(p.ID))], len(p.Delete), p.Component, len(p.Verified))
	for _, r := range p.Delete {
		fmt.Fprintf(&b, "  delete %s, %v, %d bytes\n", r.Name, r.State, r.Bytes)
	}
	return b.String()
}

func (p Retirement) id() (string, error) {
	p.ID = ""
	text, err := json.Marshal(p)
	return frame.Digest(text), err
}

// Plan returns what is deleted so that a policy is kept. Nothing is unless a newer
// verified backup stays, and nothing of which it is not known how old it is.
// *ClockError is for a backup dated after now.
func (k Keep) Plan(component Component, now time.Time, backups []Backup) (Retirement, error) {
	k = k.withDefaults()
	if err := errors.Join(k.validate(), CheckClock(now, backups)); err != nil {
		return Retirement{}, err
	}
	backups = slices.Clone(backups)
	SortBackups(backups)
	p := Retirement{Component: component, At: now.UTC()}
	for _, b := range backups {
		stays := b.At.IsZero() || now.Sub(b.At) <= k.Within
		if b.Good() {
			stays = stays || len(p.Verified) < k.Verified
		} else {
			stays = stays || len(p.Verified) == 0 // it may be all that is left of its time
		}
		switch {
		case !stays:
			p.Delete = append(p.Delete, Retired{b.Name, b.State, b.At, b.Bytes})
		case b.Good():
			p.Verified = append(p.Verified, b.Name)
		}
	}
	slices.Reverse(p.Delete)
	var err error
	p.ID, err = p.id()
	return p, err
}

// PlanRetirement lists the backups of a component and returns what would be deleted
// by a policy. It changes nothing.
func (c *Catalog) PlanRetirement(ctx context.Context, component Component, keep Keep, now time.Time) (Retirement, error) {
	backups, err := c.Backups(ctx, component)
	if err != nil {
		return Retirement{}, err
	}
	p, err := keep.Plan(component, now, backups)
	if err != nil {
		return Retirement{}, fmt.Errorf("planning which backups of %s are deleted: %w", component, err)
	}
	return p, nil
}

// Retire applies a plan for by, a named person or component, for a reason, which go
// on the timeline first. It is ErrMoved when a backup that is to go has changed its
// state or none of those that were to stay counts any more. Applied again it
// deletes what a crash left, and then nothing. It waits for a drill of the same
// component.
func (c *Catalog) Retire(ctx context.Context, p Retirement, by, why string, now time.Time) (deleted []string, err error) {
	defer c.lock(p.Component)()
	return c.retire(ctx, p, by, why, now)
}

// retire is Retire for one who holds the component's lock.
func (c *Catalog) retire(ctx context.Context, p Retirement, by, why string, now time.Time) (deleted []string, err error) {
	defer c.span(&ctx, "recovery.retire", p.Component)(&err)
	if err := p.check(by, why); err != nil {
		return nil, err
	}
	target, err := c.target(p.Component)
	if err != nil {
		return nil, err
	}
	backups, err := c.Backups(ctx, p.Component)
	if err != nil {
		return nil, err
	}
	doomed, err := p.doomed(backups)
	if err != nil {
		return nil, fmt.Errorf("deleting backups of %s: %w", p.Component, err)
	}
	if len(doomed) == 0 {
		return nil, nil
	}
	if c.cfg.Recorder == nil {
		return nil, fmt.Errorf("deleting backups of %s: %w: CatalogConfig.Recorder is nil", p.Component, ErrNotRecorded)
	}
	what := fmt.Sprintf("backups of %s deleted: %s", p.Component, strings.Join(doomed, ", "))
	if err := record(ctx, c.cfg.Recorder, now, by, what, fmt.Sprintf("%s (plan %s)", why, p.ID)); err != nil {
		return nil, err
	}
	for _, name := range doomed {
		if err := target.Delete(ctx, name); err != nil && !errors.Is(err, ErrNotFound) {
			return deleted, fmt.Errorf("deleting %s of %s: %w", name, p.Component, err)
		}
		deleted = append(deleted, name)
	}
	return deleted, nil
}

func (p Retirement) check(by, why string) error {
	id, err := p.id()
	switch {
	case err != nil:
		return err
	case id != p.ID:
		return fmt.Errorf("the plan is not as it was made: %w", ErrMoved)
	case by == "":
		return errors.New("deleting backups: who does it is empty")
	case why == "":
		return errors.New("deleting backups: why is empty")
	}
	return nil
}

// doomed returns what of a plan is still there, if the plan still holds.
func (p Retirement) doomed(backups []Backup) ([]string, error) {
	var names []string
	counts := false
	for _, b := range backups {
		counts = counts || b.Good() && slices.Contains(p.Verified, b.Name)
	}
	for _, r := range p.Delete {
		i := slices.IndexFunc(backups, func(b Backup) bool { return b.Name == r.Name })
		if i < 0 {
			continue
		}
		// A deletion that was cut off leaves it as one that was never finished.
		if is := backups[i].State; is != r.State && is != Writing {
			return nil, fmt.Errorf("%s was %v and is %v: %w", r.Name, r.State, is, ErrMoved)
		}
		names = append(names, r.Name)
	}
	if len(names) > 0 && !counts {
		return nil, fmt.Errorf("no backup that was to stay counts any more: %w", ErrMoved)
	}
	return names, nil
}
