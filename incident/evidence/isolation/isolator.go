package isolation

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// The errors of an Isolator.
var (
	ErrIsolated   = errors.New("the machine is isolated under another key")
	ErrIncomplete = errors.New("the isolation is not whole any more")
)

// Plan is what Block would do.
type Plan struct {
	Isolated bool  // it is in force already, under whatever key
	Rules    Rules // without a mark
	Script   string
}

// String returns the plan for people: who stays reachable, then the script.
func (p Plan) String() string {
	var b strings.Builder
	if p.Isolated {
		b.WriteString("The machine is isolated already.\n")
	}
	b.WriteString("What leaves this machine, or its containers, is dropped. Reachable stay:\n")
	admin := false
	for _, pass := range p.Rules.Pass {
		fmt.Fprintf(&b, "  %-40s %s", pass.Note, pass.To)
		if pass.Port != 0 {
			fmt.Fprintf(&b, " %s/%d", pass.Proto, pass.Port)
		}
		if pass.Reply {
			b.WriteString(" (answers only)")
			admin = true
		}
		b.WriteByte('\n')
	}
	if !admin {
		b.WriteString("No admin is allowed: whoever is logged in over the network is cut off too.\n")
	}
	b.WriteString("\n" + p.Script)
	return b.String()
}

// Plan resolves the names and says what would be in force, changing nothing. A name that
// cannot be resolved is an error: a venue that is not reachable traps an exit.
func (i *Isolator) Plan(ctx context.Context) (Plan, error) {
	var p Plan
	mark, err := i.cfg.Filter.Read(ctx)
	if err != nil && !errors.Is(err, ErrIncomplete) {
		return p, fmt.Errorf("isolation: %w", err)
	}
	p.Isolated = mark != "" || err != nil
	if p.Rules.Pass, err = i.passes(ctx); err != nil {
		return p, err
	}
	p.Script = i.cfg.Filter.Script(p.Rules)
	return p, nil
}

// Preview is Plan as text.
func (i *Isolator) Preview(ctx context.Context) (string, error) {
	p, err := i.Plan(ctx)
	if err != nil {
		return "", err
	}
	return p.String(), nil
}

func (i *Isolator) passes(ctx context.Context) ([]Pass, error) {
	var all []Pass
	var errs []error
	for _, a := range i.cfg.Allow {
		if a.Kind == Loopback {
			continue
		}
		note := string(a.Kind) + " " + a.Host
		proto := a.Proto
		if a.Port != 0 {
			proto = cmp.Or(proto, "tcp")
		}
		add := func(p netip.Prefix) {
			all = append(all, Pass{To: p, Proto: proto, Port: a.Port, Reply: a.Kind == Admin, Note: note})
		}
		if p, err := prefix(a.Host); err == nil {
			add(p)
			continue
		}
		addrs, err := i.cfg.Resolve(ctx, a.Host)
		if err == nil && len(addrs) == 0 {
			err = errors.New("it has no address")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("isolation: %s cannot be resolved, and would be cut off; give its addresses: %w", note, err))
			continue
		}
		for _, addr := range addrs {
			addr = addr.Unmap().WithZone("")
			add(netip.PrefixFrom(addr, addr.BitLen()))
		}
	}
	slices.SortStableFunc(all, func(x, y Pass) int {
		return cmp.Or(strings.Compare(x.Note, y.Note), x.To.Addr().Compare(y.To.Addr()))
	})
	return slices.Compact(all), errors.Join(errs...)
}

// Block isolates the machine: by says so, for the reason why. Under one key it is done
// once; where the machine is isolated under another, that is ErrIsolated. The evidence is
// the plan as it was put in force.
func (i *Isolator) Block(ctx context.Context, key, by, why string) (evidence string, err error) {
	if err := said(key, by, why); err != nil {
		return "", err
	}
	done, err := i.lock(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	had, err := i.cfg.Filter.Read(ctx)
	switch {
	case errors.Is(err, ErrIncomplete) && had == mark(key): // ours: put it right
	case err != nil:
		return "", fmt.Errorf("isolation: %w", err)
	case had == mark(key):
		return "isolated under this key already", nil
	case had != "":
		return "", fmt.Errorf("isolation: %w, with the mark %s; lift that one first", ErrIsolated, had)
	}
	p, err := i.Plan(ctx)
	if err != nil {
		return "", err
	}
	p.Rules.Mark = mark(key)
	p.Script = i.cfg.Filter.Script(p.Rules)
	if err := i.cfg.Filter.Apply(ctx, p.Rules); err != nil {
		return "", i.back(ctx, err)
	}
	if got, err := i.cfg.Filter.Read(ctx); err != nil || got != p.Rules.Mark {
		return "", i.back(ctx, fmt.Errorf("the rules are not in force as they were put, mark %q: %w", got, cmp.Or(err, ErrIncomplete)))
	}
	p.Isolated = false // as it was found
	i.record(ctx, by, "isolated the machine: "+p.allowed(), why)
	return p.String(), nil
}

// back takes away what a Block that failed may have left, which is not stopped by the
// end of its time.
func (i *Isolator) back(ctx context.Context, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if e := i.cfg.Filter.Remove(ctx); e != nil {
		return fmt.Errorf("isolation: %w; and what is in force of it could not be taken back: %w", err, e)
	}
	return fmt.Errorf("isolation: nothing is in force: %w", err)
}

// Done says whether the machine is isolated under the key, whole.
func (i *Isolator) Done(ctx context.Context, key string) (done bool, evidence string, err error) {
	had, err := i.cfg.Filter.Read(ctx)
	switch {
	case errors.Is(err, ErrIncomplete):
		return false, err.Error(), nil
	case err != nil:
		return false, "", fmt.Errorf("isolation: %w", err)
	case had == "":
		return false, "the machine is not isolated", nil
	case had != mark(key):
		return false, "the machine is isolated under another key, with the mark " + had, nil
	}
	return true, "the rules are in force, with the mark " + had, nil
}

// Undo lifts the isolation that has the key, and what is left of it. Where there is none
// it does nothing.
func (i *Isolator) Undo(ctx context.Context, key, by, why string) (evidence string, err error) {
	if err := said(key, by, why); err != nil {
		return "", err
	}
	done, err := i.lock(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	had, err := i.cfg.Filter.Read(ctx)
	switch {
	case err != nil && !errors.Is(err, ErrIncomplete):
		return "", fmt.Errorf("isolation: %w", err)
	case had == "" && err == nil:
		return "the machine was not isolated", nil
	case had != "" && had != mark(key):
		return "", fmt.Errorf("isolation: %w, with the mark %s", ErrIsolated, had)
	}
	if err := i.cfg.Filter.Remove(ctx); err != nil {
		return "", fmt.Errorf("isolation: %w", err)
	}
	i.record(ctx, by, "lifted the isolation of the machine", why)
	return "the rules are gone, and what was there before them is as it was", nil
}

func (i *Isolator) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case <-i.turn:
		return func() { i.turn <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("isolation: another change is under way: %w", ctx.Err())
	}
}

// record puts it on the timeline; that it could not be does not undo it.
func (i *Isolator) record(ctx context.Context, by, what, why string) {
	i.cfg.Log.WarnContext(ctx, "isolation: "+what, "by", by, "why", why)
	if i.cfg.Recorder == nil {
		return
	}
	if err := i.cfg.Recorder.Record(ctx, time.Now(), by, what, why); err != nil {
		i.cfg.Log.ErrorContext(ctx, "isolation: not on the timeline", "what", what, "error", err)
	}
}

func (p Plan) allowed() string {
	var notes []string
	for _, pass := range p.Rules.Pass {
		notes = append(notes, pass.Note)
	}
	return "reachable stay itself, " + strings.Join(slices.Compact(notes), ", ")
}

func said(key, by, why string) error {
	var errs []error
	for _, f := range []struct{ name, value string }{{"key", key}, {"by", by}, {"why", why}} {
		if strings.TrimSpace(f.value) == "" {
			errs = append(errs, fmt.Errorf("isolation: %s is empty", f.name))
		}
	}
	return errors.Join(errs...)
}

// mark is what the kernel keeps of a key: it fits a comment whatever the key is.
func mark(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:8])
}
