package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/andon-go/andon"
	"github.com/andon-go/andon/incident/playbook/control"
	"github.com/andon-go/andon/safety"
)

type stopCmd struct {
	Words  []string      `arg:"" optional:"" help:"The reason, as it comes."`
	Why    string        `help:"The reason."`
	Within time.Duration `help:"How long to wait for a closed gate, and for the orders in flight." default:"10s"`
}

// stopWithin is what a stop waits for where it was told to wait for no time at all.
const stopWithin = 10 * time.Second

// stopWords makes a stop of a command line that is one and has a mistake: flags that are
// none, or whose values are none, become words of the reason. A mistake must not keep
// trading open. It is nil where the command is another.
func stopWords(parser *kong.Kong, args []string) []string {
	at := slices.IndexFunc(args, func(a string) bool {
		return slices.ContainsFunc(parser.Model.Children, func(n *kong.Node) bool { return n.Name == a })
	})
	if at < 0 || args[at] != "stop" {
		return nil
	}
	good, words := []string{"stop"}, []string{}
	rest := slices.Concat(args[:at], args[at+1:])
	for i := 0; i < len(rest); i++ {
		a := rest[i]
		if !strings.HasPrefix(a, "-") || a == "--" {
			words = append(words, a)
			continue
		}
		if _, err := parser.Parse(append(slices.Clone(good), a)); err == nil {
			good = append(good, a)
			continue
		}
		if i+1 < len(rest) {
			if _, err := parser.Parse(append(slices.Clone(good), a, rest[i+1])); err == nil {
				good = append(good, a, rest[i+1])
				i++
				continue
			}
		}
		words = append(words, a)
	}
	return append(append(good, "--"), words...)
}

// stopped is what came of a stop.
type stopped struct {
	State     string   `json:"state"`             // halted, or unconfirmed
	How       string   `json:"how"`               // by which the closed gate is known
	Flag      string   `json:"flag,omitempty"`    // that was placed
	Durable   bool     `json:"durable"`           //
	InFlight  []string `json:"in_flight"`         // client ids of orders that are not settled
	GateAfter string   `json:"closed,omitempty"`  // how long the gate took in the bot
	Problem   string   `json:"problem,omitempty"` // what could not be done
}

// Run asks the bot. Where no closed gate comes of that it places the flag, which every bot
// watches, and looks again: a stop must not depend on the bot being well.
func (c stopCmd) Run(a *app) error {
	c.Why = strings.TrimSpace(strings.Join(append([]string{c.Why}, c.Words...), " "))
	if c.Why == "" {
		c.Why = "stopped by botops"
	}
	if strings.TrimSpace(a.by) == "" {
		a.by = "somebody"
	}
	if c.Within <= 0 {
		c.Within = stopWithin
	}
	ctx, cancel := context.WithTimeout(a.ctx, c.Within)
	defer cancel()
	r, err := a.bot.Stop(ctx, a.by, c.Why)
	if err == nil && r.State == safety.Halted {
		return a.sayStopped(stopped{State: "halted", How: "the running bot says so", Durable: r.Durable, InFlight: r.InFlight, GateAfter: r.Closed.String(), Problem: r.Problem})
	}
	s := stopped{State: "unconfirmed", Flag: a.cfg.StopFlag, InFlight: []string{}}
	if err != nil {
		s.Problem = err.Error()
	}
	flag := placeFlag(a.cfg.StopFlag, a.by+": "+c.Why)
	if flag != nil {
		s.Flag, s.Problem = "", errors.Join(err, flag).Error()
	}
	if how := a.confirmStop(c); how != "" {
		s.State, s.How, s.Durable = "halted", how, true
		return a.sayStopped(s)
	}
	if err := a.sayStopped(s); err != nil {
		return err
	}
	if flag != nil {
		// Whatever the reasons are: nothing was placed, and that is what the status says.
		return fmt.Errorf("STOP NOT CONFIRMED, and the flag could not be placed: %v", errors.Join(err, flag))
	}
	return as(errUnconfirmed, fmt.Errorf("%s was placed, and NOTHING CONFIRMS that a gate is closed: %s", a.cfg.StopFlag, cmp.Or(s.Problem, "the bot says that it is not halted")))
}

// placeFlag places a flag as any shell would, and follows no link. What lies there already
// is the flag too.
func placeFlag(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// An empty file is a flag too: on a full disk the text may be lost and the stop not.
	_, werr := f.WriteString(text + "\n")
	if err := f.Close(); err != nil && werr == nil {
		return err
	}
	return nil
}

// confirmStop says by what it is known that the gate is closed; empty: it is not known.
func (a *app) confirmStop(c stopCmd) string {
	end := time.Now().Add(c.Within)
	for {
		ctx, cancel := context.WithDeadline(a.ctx, end)
		st, err := a.bot.Status(ctx)
		cancel()
		if err == nil && st.State == safety.Halted {
			return "the running bot has seen the flag"
		}
		if noBot(err) && a.cfg.StateDir != "" {
			// The lock on the state is free only where no bot runs: a stop in the state itself
			// is then what its next start finds.
			if err := a.haltState(c.Why); err == nil {
				return "no bot is running, and its saved state is halted"
			}
		}
		if !time.Now().Before(end) || a.ctx.Err() != nil {
			return ""
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (a *app) sayStopped(s stopped) error {
	return a.out.show(s, func() {
		if s.State == "halted" {
			a.out.line("%s: %s", a.out.good("TRADING IS HALTED"), s.How)
		} else {
			a.out.line("%s", a.out.bad("STOP NOT CONFIRMED"))
		}
		if s.Flag != "" {
			a.out.line("flag: %s", s.Flag)
		}
		if len(s.InFlight) > 0 {
			a.out.line("%s: %s", a.out.warn("orders still in flight"), strings.Join(s.InFlight, ", "))
		}
		if s.Problem != "" && s.State == "halted" {
			a.out.line("%s: %s", a.out.warn("but"), s.Problem)
		}
	})
}

type resumeCmd struct {
	Why  string `help:"The note: why trading is safe again." required:""`
	Seen string `help:"Numbers of the holds that you have seen, as status shows them: 3,4."`
}

func (c resumeCmd) Run(a *app) error {
	st, err := a.bot.Status(a.ctx)
	if err != nil {
		return err
	}
	var seen []uint64
	switch {
	case c.Seen != "":
		for f := range strings.SplitSeq(c.Seen, ",") {
			id, err := strconv.ParseUint(strings.TrimSpace(f), 10, 64)
			if err != nil {
				return as(errUsage, fmt.Errorf("--seen %q: want numbers such as 3,4", c.Seen))
			}
			seen = append(seen, id)
		}
	case confirmed():
		for _, h := range st.Holds {
			seen = append(seen, h.ID)
		}
	default:
		return as(control.ErrRefused, fmt.Errorf("nothing was lifted: %d holds are in force:\n%ssay CONFIRM=yes, or --seen with the numbers of those that you have seen", len(st.Holds), holds(st)))
	}
	if st, err = a.bot.Resume(a.ctx, a.by, c.Why, seen...); err != nil {
		return err
	}
	return a.showStatus(st)
}

func holds(st control.Status) string {
	var b strings.Builder
	for _, h := range st.Holds {
		fmt.Fprintf(&b, "  %d  %v\n", h.ID, h)
	}
	return b.String()
}

type statusCmd struct{}

func (statusCmd) Run(a *app) error {
	st, err := a.bot.Status(a.ctx)
	if err == nil {
		return a.showStatus(st)
	}
	if !noBot(err) && !errors.Is(err, control.ErrOutcome) {
		return err
	}
	alone := a.stateAlone()
	alone.Problem = err.Error()
	if err := a.out.show(alone, func() {
		a.out.line("%s: %s", a.out.bad("NO BOT ANSWERS"), alone.Problem)
		a.out.line("saved state: %s", alone.Saved)
		for _, f := range alone.Flags {
			a.out.line("flag %s: %s", f.Path, a.out.judge(!f.Present, "not there", "PRESENT"))
		}
	}); err != nil {
		return err
	}
	return err
}

// alone is what is known without a bot.
type alone struct {
	Saved   string         `json:"saved_state"`
	Holds   []safety.Hold  `json:"holds"`
	Flags   []control.Flag `json:"flags"`
	Problem string         `json:"problem"`
}

func (a *app) stateAlone() alone {
	out := alone{Saved: "not known: the configuration has no state_dir", Holds: []safety.Hold{}}
	for _, p := range []string{a.cfg.StopFlag, a.cfg.ReadOnly} {
		_, err := os.Lstat(p)
		f := control.Flag{Path: p, Watched: p, Present: !errors.Is(err, fs.ErrNotExist)}
		if err != nil && f.Present {
			f.Problem = err.Error()
		}
		out.Flags = append(out.Flags, f)
	}
	if a.cfg.StateDir == "" {
		return out
	}
	if _, err := os.Stat(a.cfg.StateDir); err != nil {
		out.Saved = "not known: " + err.Error()
		return out
	}
	store, err := safety.OpenFileStore(a.cfg.StateDir)
	if err != nil {
		out.Saved = "not known: " + err.Error()
		return out
	}
	s, err := store.Load(a.ctx)
	err = errors.Join(err, store.Close())
	switch {
	case errors.Is(err, safety.ErrNoState), errors.Is(err, safety.ErrStateDamaged):
		out.Saved = "halted: " + err.Error()
	case err != nil:
		out.Saved = "not known: " + err.Error()
	default:
		out.Holds = append(out.Holds, s.Holds...)
		out.Saved = fmt.Sprintf("%d holds", len(s.Holds))
		for _, h := range s.Holds {
			out.Saved += fmt.Sprintf("; %v", h)
		}
	}
	return out
}

func (a *app) showStatus(st control.Status) error {
	return a.out.show(st, func() {
		state := strings.ToUpper(st.State.String())
		a.out.line("trading: %s%s", a.out.judge(st.State == safety.Active, state, state), map[bool]string{false: " (not on disk yet)"}[st.Durable])
		if st.Writes != "" {
			a.out.line("writes: %s: %s", a.out.warn("HELD"), st.Writes)
		}
		if len(st.Holds) > 0 {
			var rows [][]any
			for _, h := range st.Holds {
				rows = append(rows, []any{h.ID, h.State, h.By, h.Reason, when(h.At)})
			}
			a.out.table([]any{"hold", "state", "by", "reason", "since"}, rows...)
		}
		for _, f := range st.Flags {
			a.out.line("flag %s: %s", f.Path, a.out.judge(!f.Present && f.Problem == "", "not there", strings.TrimSpace("PRESENT "+f.Problem)))
		}
		a.out.line("orders in flight: %d, unresolved: %d", st.InFlight, len(st.Unresolved))
		if len(st.Incidents) > 0 {
			a.incidentTable(st.Incidents)
		}
		for _, r := range st.Runs {
			a.out.line("runbook %s (%s): %s %s", r.ID, r.Runbook, r.Status, r.For)
		}
	})
}

type positionsCmd struct {
	Check bool `help:"Fail unless every position is closed or protected."`
}

func (c positionsCmd) Run(a *app) error {
	all, err := a.bot.Positions(a.ctx)
	if noBot(err) {
		d, lerr := a.venues()
		if lerr != nil {
			return errors.Join(err, lerr)
		}
		all, err = control.ReadPositions(a.ctx, d, safety.Requirements{}), nil
	}
	if err != nil {
		return err
	}
	var bad []string
	if err := a.out.show(all, func() {
		var rows [][]any
		for _, v := range all {
			for _, p := range v.Positions {
				rows = append(rows, []any{v.Venue, p.Symbol, p.Leg, p.Quantity, p.Entry, p.Mark, a.out.judge(v.Protected, "yes", "NO")})
			}
		}
		a.out.table([]any{"exchange", "symbol", "leg", "quantity", "entry", "mark", "all protected"}, rows...)
		for _, v := range all {
			switch {
			case v.Problem != "":
				a.out.line("%s: %s", v.Venue, a.out.bad("NOT KNOWN: "+v.Problem))
			case v.Flat:
				a.out.line("%s: %s", v.Venue, a.out.good("flat"))
			default:
				a.out.line("%s: %d orders live; %s", v.Venue, v.Orders, v.Detail)
			}
		}
	}); err != nil {
		return err
	}
	for _, v := range all {
		if v.Problem != "" || c.Check && len(v.Positions) > 0 && !v.Protected {
			bad = append(bad, v.Venue)
		}
	}
	if len(bad) > 0 {
		return as(control.ErrUnwell, fmt.Errorf("not known, or not protected: %s", strings.Join(bad, ", ")))
	}
	return nil
}

type closeAllCmd struct {
	Why     string `help:"The reason."`
	Foreign bool   `help:"Close what the bot did not open too."`
}

func (c closeAllCmd) Run(a *app) error {
	var closer interface {
		Plan(context.Context, time.Time, ...andon.LegKey) (safety.ClosePlan, error)
		Apply(context.Context, safety.ClosePlan, safety.Confirmation, time.Time) (safety.CloseReport, error)
	} = overSocket{a.bot}
	plan, err := closer.Plan(a.ctx, time.Now())
	if noBot(err) {
		l, lerr := a.local()
		if lerr != nil {
			return errors.Join(err, lerr)
		}
		defer l.close(a)
		closer = l.closer
		plan, err = closer.Plan(a.ctx, time.Now())
	}
	if err == nil && c.Foreign {
		var foreign []andon.LegKey
		for _, v := range plan.Venues {
			for _, l := range v.Legs {
				if !l.Keep.IsZero() {
					foreign = append(foreign, andon.LegKey{Venue: v.Venue, Symbol: l.Symbol, Leg: l.Leg})
				}
			}
		}
		plan, err = closer.Plan(a.ctx, time.Now(), foreign...)
	}
	if err != nil {
		return err
	}
	if !confirmed() {
		// The plan ends with how a person confirms it by its token; here that is CONFIRM=yes.
		text, _, _ := strings.Cut(plan.String(), "\nto confirm, type ")
		if err := a.out.show(plan, func() { a.out.text(text) }); err != nil {
			return err
		}
		return as(control.ErrRefused, errors.New("nothing was closed: say CONFIRM=yes to do what the plan says"))
	}
	if strings.TrimSpace(c.Why) == "" {
		return as(errUsage, errors.New("--why is empty: nothing was closed"))
	}
	a.out.note("closing by plan %s: trading is halted first", plan.Token())
	r, err := closer.Apply(a.ctx, plan, safety.Confirmation{By: a.by, Note: c.Why, Token: plan.Token()}, time.Now())
	if r.Plan != "" {
		if err := a.out.show(r, func() { a.out.text(r.String()) }); err != nil {
			return err
		}
	}
	if errors.Is(err, safety.ErrLeftOpen) || errors.Is(err, safety.ErrPlanMoved) {
		err = as(control.ErrUnwell, err)
	}
	return err
}

// overSocket is the running bot's Closer.
type overSocket struct{ *control.Client }

func (o overSocket) Plan(ctx context.Context, _ time.Time, foreign ...andon.LegKey) (safety.ClosePlan, error) {
	return o.ClosePlan(ctx, foreign...)
}

func (o overSocket) Apply(ctx context.Context, p safety.ClosePlan, by safety.Confirmation, _ time.Time) (safety.CloseReport, error) {
	return o.CloseAll(ctx, p, by)
}

type protectCmd struct {
	DryRun bool `help:"Only say which stops would be placed." default:"true" negatable:""`
}

func (c protectCmd) Run(a *app) error {
	all, err := a.bot.Protect(a.ctx, a.by, !c.DryRun)
	if err != nil {
		return err
	}
	if err := a.out.show(all, func() {
		for _, p := range all {
			a.out.line("%s:", p.Venue)
			a.out.text(p.Text)
			if p.After != "" { // which begins with the verdict
				a.out.line("placed %d; %s", p.Placed, a.out.judge(p.Good, p.After, p.After))
			}
			if p.Problem != "" {
				a.out.line("%s", a.out.bad(p.Problem))
			}
		}
		if c.DryRun && slices.ContainsFunc(all, func(p control.Protection) bool { return len(p.Plan.Steps) > 0 }) {
			a.out.dryRun()
		}
	}); err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(p control.Protection) bool { return !p.Good || p.Problem != "" }) {
		return as(control.ErrUnwell, errors.New("not every position is protected"))
	}
	return nil
}
