package rediscache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/andon-go/andon/recovery"
)

// Request says what may be lost.
type Request struct {
	// Permanent allows to remove keys that never expire from a server that does not
	// evict them by itself: somebody may have meant to keep them.
	Permanent bool `json:"permanent,omitempty"`
}

// Plan is the emptying of a server that can be printed, reviewed, sent as JSON and
// refused. It is a value and is not to be edited.
type Plan struct {
	ID        string     `json:"id"` // SHA-256 of all the rest
	At        time.Time  `json:"at"`
	Request   Request    `json:"request"`
	Run       string     `json:"run"` // the run of the server that it was made for
	Evicts    bool       `json:"evicts"`
	Databases []Database `json:"databases,omitempty"`
	Bytes     int64      `json:"bytes"` // the memory in use
}

// Keys returns how many keys there were when the plan was made.
func (p Plan) Keys() (n int64) {
	for _, d := range p.Databases {
		n += d.Keys
	}
	return n
}

// String returns the plan for people.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan %s: FLUSHALL removes every key of the server, %d now, %d bytes in use\n", p.short(), p.Keys(), p.Bytes)
	for _, d := range p.Databases {
		fmt.Fprintf(&b, "  db%d: %d keys, of which %d never expire\n", d.Number, d.Keys, d.Permanent())
	}
	return b.String()
}

func (p Plan) short() string { return p.ID[:min(len(p.ID), 12)] }

// mark is the key by which the server remembers that the plan was applied.
func (p Plan) mark() string { return "andon:flushed:" + p.ID }

func (p Plan) id() (string, error) {
	p.ID = ""
	text, err := json.Marshal(p)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), err
}

// PlanFlush reads what FLUSHALL would remove. It changes nothing.
func (c *Cache) PlanFlush(ctx context.Context, req Request, now time.Time) (Plan, error) {
	i, err := c.Info(ctx)
	if err != nil {
		return Plan{}, fmt.Errorf("planning a flush: %w", err)
	}
	switch {
	case i.Cluster:
		return Plan{}, fmt.Errorf("planning a flush: %w", ErrCluster)
	case i.Role != "master":
		return Plan{}, fmt.Errorf("planning a flush: its role is %q: %w", i.Role, ErrReplica)
	}
	p := Plan{At: now.UTC(), Request: req, Run: i.Run, Evicts: i.Evicts(), Databases: i.Databases, Bytes: i.MemoryUsed}
	for _, d := range i.Databases {
		if d.Permanent() > 0 && !p.Evicts && !req.Permanent {
			return Plan{}, fmt.Errorf("planning a flush: db%d has %d keys that never expire, and the policy is %s: %w: allow it by Request.Permanent",
				d.Number, d.Permanent(), i.Policy, ErrNotACache)
		}
	}
	p.ID, err = p.id()
	return p, err
}

// Flushed is what a flush did.
type Flushed struct {
	Plan      string // the plan's ID
	Keys      int64  // removed
	Unchanged bool   // the plan had been applied before
}

// Flush applies a plan for by, a named person, for a reason, which go on the timeline
// first. ErrMoved, ErrReplica and recovery.ErrNotRecorded mean that nothing was
// removed. After ErrOutcomeUnknown it can be applied again.
//
// The server remembers for a day that the plan was applied, in a key that begins with
// "andon:flushed:"; one that was not applied is refused long before that.
func (c *Cache) Flush(ctx context.Context, p Plan, by, why string, now time.Time) (f Flushed, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("flushing redis by plan %s: %w", p.short(), err)
		}
	}()
	if err := check(p, by, why); err != nil {
		return f, err
	}
	cmd, err := c.do(ctx, "EXISTS", p.mark())
	if err != nil {
		return f, err
	}
	if n, err := cmd.Int64(); err != nil || n != 0 {
		return Flushed{Plan: p.ID, Unchanged: n != 0}, err
	}
	// Only now: a plan that was applied is not too old, and a new one would flush again.
	if age := now.Sub(p.At); age > c.cfg.ValidFor || age < -c.cfg.ValidFor {
		return f, fmt.Errorf("the plan is of %v, and holds for %v: %w: make a new one", p.At, c.cfg.ValidFor, ErrMoved)
	}
	if _, err := c.apply(ctx, p, "look"); err != nil {
		return f, err
	}
	if c.cfg.Recorder == nil {
		return f, fmt.Errorf("%w: Config.Recorder is nil", recovery.ErrNotRecorded)
	}
	if err := c.cfg.Recorder.Record(ctx, now, by, fmt.Sprintf("redis FLUSHALL of %d keys, plan %s", p.Keys(), p.ID), why); err != nil {
		return f, fmt.Errorf("%w: %w", recovery.ErrNotRecorded, err)
	}
	f, err = c.apply(ctx, p, "flush")
	if errors.Is(err, ErrUnreachable) {
		err = fmt.Errorf("%w: apply the plan again: %w", ErrOutcomeUnknown, err)
	}
	return f, err
}

func check(p Plan, by, why string) error {
	id, err := p.id()
	switch {
	case err != nil:
		return err
	case id != p.ID:
		return fmt.Errorf("the plan is not as it was made: %w", ErrMoved)
	case by == "":
		return errors.New("who flushes is empty")
	case why == "":
		return errors.New("why it is flushed is empty")
	}
	return nil
}

// apply runs the script, which compares the facts and, unless it is only to look,
// flushes and leaves the mark, all in one step.
func (c *Cache) apply(ctx context.Context, p Plan, mode string) (Flushed, error) {
	permanent := map[string]int64{}
	for _, d := range p.Databases {
		permanent[fmt.Sprint(d.Number)] = d.Permanent()
	}
	limits, err := json.Marshal(permanent)
	if err != nil {
		return Flushed{}, err
	}
	evicts := "no"
	if p.Evicts {
		evicts = "yes"
	}
	cmd, err := c.do(ctx, "EVAL", script, 1, p.mark(), mode, p.Run, string(limits), evicts)
	if err != nil {
		return Flushed{}, err
	}
	answer, err := cmd.Slice()
	if err != nil || len(answer) != 2 {
		return Flushed{}, fmt.Errorf("the server's answer is %v: %w", answer, errors.Join(err, ErrOutcomeUnknown))
	}
	switch said, detail := fmt.Sprint(answer[0]), answer[1]; said {
	case "flushed":
		n, ok := detail.(int64)
		if !ok {
			return Flushed{}, fmt.Errorf("the server says that it removed %v keys", detail)
		}
		return Flushed{Plan: p.ID, Keys: n}, nil
	case "done":
		return Flushed{Plan: p.ID, Unchanged: true}, nil
	case "same":
		return Flushed{}, nil
	case "replica":
		return Flushed{}, fmt.Errorf("its role is %v by now: %w", detail, ErrReplica)
	default:
		return Flushed{}, fmt.Errorf("%v: %w: make a new plan", detail, ErrMoved)
	}
}
