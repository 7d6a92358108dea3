package runbook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/recovery"
)

// The parts that several runbooks are made of: one function for each thing that Deps does.

func (d Deps) status() Look {
	if d.Containers == nil {
		return nil
	}
	return d.Containers.Status
}

func (d Deps) stats() Look {
	if d.Containers == nil {
		return nil
	}
	return d.Containers.Stats
}

func (d Deps) top() Look {
	if d.Containers == nil {
		return nil
	}
	return d.Containers.Top
}

// logs looks at the containers' logs. What matches is a finding, and so is nothing.
func (d Deps) logs(bot bool, tail int, since time.Duration, pattern string) Look {
	if d.Containers == nil {
		return nil
	}
	return func(ctx context.Context) (string, error) {
		lines, err := d.Containers.Logs(ctx, bot, tail, since, pattern)
		if err == nil && lines == "" {
			return "no such line", nil
		}
		return lines, err
	}
}

func (d Deps) grep(pattern string) Look {
	if d.Bot.Grep == nil {
		return nil
	}
	return func(ctx context.Context) (string, error) {
		lines, err := d.Bot.Grep(ctx, pattern)
		if err == nil && lines == "" {
			return "no such line", nil
		}
		return lines, err
	}
}

// given binds the argument of a look.
func given[A any](look func(context.Context, A) (string, error), arg A) Look {
	if look == nil {
		return nil
	}
	return func(ctx context.Context) (string, error) { return look(ctx, arg) }
}

// started reports whether the bot's container lives since the step began.
func (d Deps) started(ctx context.Context, c Call) (bool, string, error) {
	return d.wellSince(ctx, c.Since)
}

// wellSince reports whether the bot's container was started at or after a time, and all
// are well.
func (d Deps) wellSince(ctx context.Context, since time.Time) (bool, string, error) {
	at, err := d.Containers.Started(ctx)
	if err != nil || at.IsZero() || at.Before(since) {
		return false, "", err
	}
	said, err := d.Containers.Status(ctx)
	if err != nil {
		return false, "", nil // it runs, and is not well yet: not done
	}
	return true, said, nil
}

func (d Deps) restart() Action {
	if d.Containers == nil {
		return Action{}
	}
	return Action{
		Plan: d.now("would be stopped and started"),
		Do:   func(ctx context.Context, c Call) (string, error) { return d.Containers.Restart(ctx, c.By, why(c)) },
		Done: d.started,
	}
}

// forceRestart kills and starts, where the graceful restart has not brought it back.
func (d Deps) forceRestart() Action {
	if d.Containers == nil {
		return Action{}
	}
	return Action{
		Plan: d.now("would be killed and started, if it is not well"),
		Do: func(ctx context.Context, c Call) (string, error) {
			if well, said, err := d.wellSince(ctx, c.Began); err == nil && well {
				return "not needed: " + said, nil
			}
			return d.Containers.ForceRestart(ctx, c.By, why(c))
		},
		Done: func(ctx context.Context, c Call) (bool, string, error) { return d.wellSince(ctx, c.Began) },
	}
}

// now says how the bot's container is, and what would become of it.
func (d Deps) now(would string) Look {
	return func(ctx context.Context) (string, error) {
		at, err := d.Containers.Started(ctx)
		switch {
		case err != nil:
			return "", err
		case at.IsZero():
			return "it does not run; " + would, nil
		}
		return fmt.Sprintf("it runs since %s; %s", at.UTC().Format(time.RFC3339), would), nil
	}
}

func (d Deps) down() Action {
	if d.Containers == nil {
		return Action{}
	}
	return Action{
		Plan: d.now("every container would be stopped"), Again: true,
		Do: func(ctx context.Context, c Call) (string, error) { return d.Containers.Down(ctx, c.By, why(c)) },
	}
}

func (d Deps) up() Action {
	if d.Containers == nil {
		return Action{}
	}
	return Action{
		Plan: d.now("what does not run would be started"), Again: true,
		Do: func(ctx context.Context, c Call) (string, error) { return d.Containers.Up(ctx, c.By, why(c)) },
	}
}

// again is an action on the containers that does no harm when it is done twice.
func (d Deps) again(plan Look, do func(Containers, context.Context, Call) (string, error)) Action {
	if d.Containers == nil {
		return Action{}
	}
	return Action{
		Plan: plan, Again: true,
		Do: func(ctx context.Context, c Call) (string, error) { return do(d.Containers, ctx, c) },
	}
}

// limits gives the bot's container more, which takes a restart. What it had is kept on the
// timeline, for Undo.
func (d Deps) limits() Action {
	if d.Containers == nil {
		return Action{}
	}
	return Action{
		Plan: func(ctx context.Context) (string, error) {
			memory, cpus, err := d.Containers.Limits(ctx)
			return fmt.Sprintf("memory and CPUs are %q and %q, would be %q and %q", memory, cpus, d.Resources.Memory, d.Resources.CPUs), err
		},
		Do: func(ctx context.Context, c Call) (string, error) {
			if len(c.Past) == 0 {
				memory, cpus, err := d.Containers.Limits(ctx)
				if err != nil {
					return "", err
				}
				b, err := json.Marshal(Resources{memory, cpus})
				if err != nil {
					return "", err
				}
				if err := c.Note(ctx, string(b)); err != nil {
					return "", err
				}
			}
			set, err := d.Containers.SetLimits(ctx, d.Resources.Memory, d.Resources.CPUs, c.By, why(c))
			if err != nil {
				return "", err
			}
			up, err := d.Containers.Restart(ctx, c.By, why(c))
			return set + "; " + up, err
		},
		Done: func(ctx context.Context, c Call) (bool, string, error) {
			if len(c.Past) == 0 {
				return false, "", nil // what it had comes first
			}
			return d.started(ctx, c) // it is started after the limits are set
		},
		Undo: func(ctx context.Context, c Call) (string, error) {
			if len(c.Past) == 0 {
				return "nothing was changed", nil
			}
			var had Resources
			if err := json.Unmarshal([]byte(c.Past[0]), &had); err != nil {
				return "", err
			}
			return d.Containers.SetLimits(ctx, had.Memory, had.CPUs, c.By, "taken back: "+why(c))
		},
	}
}

func (d Deps) prune() Action {
	if d.Containers == nil {
		return Action{}
	}
	return Action{
		Plan: d.Containers.PreviewPrune, Again: true, // what is gone is not removed twice
		Do: func(ctx context.Context, c Call) (string, error) { return d.Containers.Prune(ctx, approver(c), why(c)) },
	}
}

func (d Deps) setting(values map[string]string) Action {
	if d.Settings == nil {
		return Action{}
	}
	return Action{
		Plan: func(ctx context.Context) (string, error) { return d.Settings.Preview(ctx, values) },
		Do: func(ctx context.Context, c Call) (string, error) {
			return d.Settings.Set(ctx, c.Key, approver(c), why(c), values)
		},
		Done: func(ctx context.Context, c Call) (bool, string, error) { return d.Settings.Done(ctx, c.Key) },
		Undo: func(ctx context.Context, c Call) (string, error) {
			return d.Settings.Undo(ctx, c.Key, c.By, "taken back: "+why(c))
		},
	}
}

func (d Deps) gitLog(n int) Look {
	if d.Releases == nil {
		return nil
	}
	return func(ctx context.Context) (string, error) { return d.Releases.Log(ctx, n) }
}

func (d Deps) gitStable() Look {
	if d.Releases == nil {
		return nil
	}
	return d.Releases.Stable
}

func (d Deps) gitDiff(paths ...string) Look {
	if d.Releases == nil {
		return nil
	}
	return func(ctx context.Context) (string, error) { return d.Releases.Diff(ctx, paths...) }
}

// deploy brings out a version: the one that was named when the run was started, where the
// runbook lets it be named, or another.
func (d Deps) deploy(named bool, otherwise string) Action {
	if d.Releases == nil {
		return Action{}
	}
	revision := func(c Call) string {
		if r := c.Params[Revision]; named && r != "" {
			return r
		}
		return otherwise
	}
	return Action{
		Do: func(ctx context.Context, c Call) (string, error) {
			return d.Releases.Deploy(ctx, c.Key, approver(c), why(c), revision(c))
		},
		Done: func(ctx context.Context, c Call) (bool, string, error) { return d.Releases.Done(ctx, c.Key) },
		Undo: func(ctx context.Context, c Call) (string, error) {
			return d.Releases.Undo(ctx, c.Key, c.By, "taken back: "+why(c))
		},
	}
}

// deployStep is the step of deploy: its plan knows the version.
func (d Deps) deployStep(name, purpose string, named bool, otherwise string, commands ...string) Step {
	s := act(name, purpose, One, longHaul, d.deploy(named, otherwise), commands...)
	if d.Releases != nil {
		s.Plan = func(ctx context.Context, c Call) (string, error) {
			if r := c.Params[Revision]; named && r != "" {
				return d.Releases.Preview(ctx, r)
			}
			return d.Releases.Preview(ctx, otherwise)
		}
	}
	return s
}

// backup takes a backup and reads it back: one that was not read back does not count.
func (d Deps) backup() Action {
	if d.Backups == nil {
		return Action{}
	}
	return Action{
		Plan: func(ctx context.Context) (string, error) {
			all, err := d.Backups.Backups(ctx)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("would be beside %d others", len(all)), nil
		},
		Do: func(ctx context.Context, _ Call) (string, error) {
			b, err := d.Backups.Backup(ctx, time.Now())
			if err != nil {
				return "", err
			}
			b, err = d.Backups.Verify(ctx, b.Name, time.Now())
			return b.String(), err
		},
		Done: func(ctx context.Context, c Call) (bool, string, error) {
			all, err := d.Backups.Backups(ctx)
			if err != nil {
				return false, "", err
			}
			i := slices.IndexFunc(all, func(b recovery.Backup) bool { return b.Good() && !b.At.Before(c.Since.Truncate(time.Second)) })
			if i < 0 {
				return false, "", nil
			}
			return true, all[i].String(), nil
		},
	}
}

func (d Deps) backups() Look {
	if d.Backups == nil {
		return nil
	}
	return func(ctx context.Context) (string, error) {
		all, err := d.Backups.Backups(ctx)
		var lines []string
		for _, b := range all {
			lines = append(lines, b.String())
		}
		if err == nil && !slices.ContainsFunc(all, recovery.Backup.Good) {
			err = errors.New("no backup counts: none was read back whole")
		}
		return strings.Join(lines, "\n"), err
	}
}

// chosen names the backup to restore: the one that a person named when the run was
// started, or else the newest that counts of those from before the run. One that was taken
// since holds what is to be put right.
func (d Deps) chosen(ctx context.Context, c Call) (string, error) {
	if name := c.Params[Backup]; name != "" || d.Backups == nil {
		return name, nil
	}
	all, err := d.Backups.Backups(ctx)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(all, func(b recovery.Backup) bool { return b.Good() && b.At.Before(c.Began) })
	if i < 0 {
		return "", fmt.Errorf("no backup from before %s counts: start the run with the parameter backup", c.Began.UTC().Format(time.RFC3339))
	}
	return all[i].Name, nil
}

// restoreStep brings tables back, by the word of two.
func (d Deps) restoreStep(name, purpose string, r Restore, choose func(context.Context, Call) (string, error), commands ...string) Step {
	if r == nil {
		return act(name, purpose, Two, longHaul, Action{}, commands...)
	}
	s := act(name, purpose, Two, longHaul, Action{
		Do: func(ctx context.Context, c Call) (string, error) {
			backup, err := choose(ctx, c)
			if err != nil {
				return "", err
			}
			return r.Restore(ctx, c.Key, approver(c), why(c), backup)
		},
		Done: func(ctx context.Context, c Call) (bool, string, error) { return r.Done(ctx, c.Key) },
	}, commands...)
	s.Plan = func(ctx context.Context, c Call) (string, error) {
		backup, err := choose(ctx, c)
		if err != nil {
			return "", err
		}
		return r.Preview(ctx, backup)
	}
	return s
}

// restoration shows that what was restored is what was backed up.
func (d Deps) restoration(name, purpose string, commands ...string) Step {
	if d.Restore == nil {
		return person(name, purpose, commands...)
	}
	return Step{
		Name: name, Purpose: purpose, Commands: commands, Again: true, Timeout: longHaul,
		Do: func(ctx context.Context, c Call) (string, error) {
			backup, err := d.chosen(ctx, c)
			if err != nil {
				return "", err
			}
			return d.Restore.Verify(ctx, backup)
		},
		Plan: func(context.Context, Call) (string, error) { return looks, nil },
	}
}

// secure names the backup that a breach could not reach.
func secure(_ context.Context, c Call) (string, error) { return c.Params[SecureBackup], nil }

// books are those to reconcile: all, or the one of Params[Exchange].
func (d Deps) books(c Call) (map[string]Reconciler, error) {
	name := c.Params[Exchange]
	if name == "" {
		return d.Books, nil
	}
	b, ok := d.Books[name]
	if !ok {
		return nil, fmt.Errorf("no book of exchange %q", name)
	}
	return map[string]Reconciler{name: b}, nil
}

// compare says how book and venue differ. That they do is a finding; that one could not be
// read is an error.
func (d Deps) compare() Step {
	s := Step{
		Name: "compare", Purpose: "Reconciliation: Compare with exchange data", Again: true, GoOn: true, Timeout: change,
		Commands: []string{"poetry run python -m bot.utils.reconcile_positions --exchange=coinbase"},
	}
	if len(d.Books) == 0 {
		return person(s.Name, s.Purpose, s.Commands...)
	}
	s.Do = func(ctx context.Context, c Call) (string, error) {
		books, err := d.books(c)
		if err != nil {
			return "", err
		}
		return each(ctx, books, func(ctx context.Context, _ string, b Reconciler) (string, error) {
			r, err := b.Compare(ctx, time.Now())
			if err != nil {
				return "", err
			}
			return table(r), unread(r)
		})
	}
	s.Plan = s.Do
	return s
}

func table(r *reconcile.Report) string {
	if r.Clean() {
		return "book and venue agree"
	}
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil {
		return err.Error()
	}
	return b.String()
}

// unread returns why something was not compared.
func unread(r *reconcile.Report) error {
	var errs []error
	for _, q := range r.Failed {
		errs = append(errs, q)
	}
	return errors.Join(errs...)
}

// applyReconciliation repairs the book, and proves that it agrees with the venue then.
func (d Deps) applyReconciliation() Step {
	s := Step{
		Name: "apply-reconciliation", Purpose: "Reconciliation: Fix discrepancies", Approval: One, Timeout: change,
		Commands: []string{"poetry run python -m bot.utils.apply_reconciliation --dry-run=false"},
	}
	if len(d.Books) == 0 {
		p := person(s.Name, s.Purpose, s.Commands...)
		p.Approval = One
		return p
	}
	s.Plan = func(ctx context.Context, c Call) (string, error) {
		books, err := d.books(c)
		if err != nil {
			return "", err
		}
		return each(ctx, books, func(ctx context.Context, _ string, b Reconciler) (string, error) {
			r, err := b.Compare(ctx, time.Now())
			if err != nil {
				return "", err
			}
			p, err := r.Plan()
			if err != nil {
				return "", err
			}
			var w strings.Builder
			err = p.WriteTable(&w)
			return w.String(), err
		})
	}
	s.Do = func(ctx context.Context, c Call) (string, error) {
		books, err := d.books(c)
		if err != nil {
			return "", err
		}
		return each(ctx, books, func(ctx context.Context, _ string, b Reconciler) (string, error) { return repair(ctx, c, b) })
	}
	s.Done = func(ctx context.Context, c Call) (bool, string, error) {
		books, err := d.books(c)
		if err != nil {
			return false, "", err
		}
		all := true
		said, err := each(ctx, books, func(ctx context.Context, _ string, b Reconciler) (string, error) {
			r, err := b.Compare(ctx, time.Now())
			if err != nil {
				return "", err
			}
			all = all && r.Clean()
			return table(r), nil
		})
		return all && err == nil, said, err
	}
	return s
}

func repair(ctx context.Context, c Call, b Reconciler) (string, error) {
	r, err := b.Compare(ctx, time.Now())
	if err != nil {
		return "", err
	}
	if err := unread(r); err != nil {
		return "", err
	}
	p, err := r.Plan()
	if err != nil {
		return "", err
	}
	said := "there was nothing to repair"
	if !p.Empty() {
		res, err := b.Apply(ctx, p, reconcile.Approval{By: approver(c), Note: why(c), Commit: true}, time.Now())
		if err != nil {
			return "", err
		}
		said = fmt.Sprintf("%d repairs of plan %s", res.Repairs, res.Plan)
	}
	if r, err = b.Compare(ctx, time.Now()); err != nil {
		return said, err
	}
	if err := r.Err(); err != nil {
		return said, fmt.Errorf("after the repair: %w", err)
	}
	return said + "; book and venue agree", nil
}

// rotate makes a new key for each venue, or the one of Params[Exchange]. The old one is
// put back when the run is aborted only where it is worth something still.
func (d Deps) rotate(back bool) Action {
	if d.Credentials == nil || len(d.Venues) == 0 {
		return Action{}
	}
	a := Action{
		Do: func(ctx context.Context, c Call) (string, error) {
			return each(ctx, d.named(c), func(ctx context.Context, venue string, _ struct{}) (string, error) {
				return d.Credentials.Rotate(ctx, c.Key+"/"+venue, approver(c), why(c), venue)
			})
		},
		Done: func(ctx context.Context, c Call) (bool, string, error) {
			all := true
			said, err := each(ctx, d.named(c), func(ctx context.Context, venue string, _ struct{}) (string, error) {
				done, said, err := d.Credentials.Done(ctx, c.Key+"/"+venue)
				all = all && done && err == nil
				return said, err
			})
			return all, said, err
		},
	}
	if back {
		a.Undo = func(ctx context.Context, c Call) (string, error) {
			return each(ctx, d.named(c), func(ctx context.Context, venue string, _ struct{}) (string, error) {
				return d.Credentials.Undo(ctx, c.Key+"/"+venue, c.By, "taken back: "+why(c))
			})
		}
	}
	return a
}

// named are the venues whose keys are meant.
func (d Deps) named(c Call) map[string]struct{} {
	out := map[string]struct{}{}
	if e := c.Params[Exchange]; e != "" {
		out[e] = struct{}{}
		return out
	}
	for name := range d.Venues {
		out[name] = struct{}{}
	}
	return out
}

// rotateStep is the step of rotate: its plan knows the venues.
func (d Deps) rotateStep(name, purpose string, back bool, commands ...string) Step {
	s := act(name, purpose, One, change, d.rotate(back), commands...)
	if s.Do != nil {
		s.Plan = func(ctx context.Context, c Call) (string, error) {
			return each(ctx, d.named(c), func(ctx context.Context, venue string, _ struct{}) (string, error) {
				return d.Credentials.Preview(ctx, venue)
			})
		}
	}
	return s
}

// keys looks at the key of every venue.
func (d Deps) keys() Look {
	if d.Credentials == nil || len(d.Venues) == 0 {
		return nil
	}
	return func(ctx context.Context) (string, error) {
		return each(ctx, d.named(Call{}), func(ctx context.Context, venue string, _ struct{}) (string, error) {
			return d.Credentials.Check(ctx, venue)
		})
	}
}

// order brings everything back in the recovery priority order.
func (d Deps) order() Step {
	const name, purpose = "priority-order", "Recovery Priority Order: Stop Loss System, Position Tracking, Trading Engine, Risk Management, Market Data Feed, Decision Engine, Memory System, Monitoring"
	if d.Sequence == nil {
		return person(name, purpose)
	}
	return Step{
		Name: name, Purpose: purpose, Again: true, Timeout: longHaul,
		Do: func(ctx context.Context, c Call) (string, error) {
			results, err := d.Sequence.Run(ctx, c.By, nil)
			var lines []string
			for _, r := range results {
				lines = append(lines, r.String())
			}
			return strings.Join(lines, "\n"), err
		},
	}
}

// checklist proves that the recovery is one. What only a person can say of it is attested
// on the checklist, and the step then tried again.
func (d Deps) checklist() Step {
	const name, purpose = "checklist", "Recovery Validation Checklist"
	if d.Checklist == nil {
		return person(name, purpose, recovery.ItemServicesRunning, recovery.ItemNoErrorLogs, recovery.ItemTestTrade, recovery.ItemPositionsAccounted,
			recovery.ItemRiskLimitsEnforced, recovery.ItemAlertsCleared, recovery.ItemStakeholdersNotified, recovery.ItemPostMortemScheduled)
	}
	return Step{
		Name: name, Purpose: purpose, Again: true, Timeout: change,
		Do: func(ctx context.Context, c Call) (string, error) {
			err := d.Checklist.Run(ctx, c.By)
			var lines []string
			for _, r := range d.Checklist.Results() {
				lines = append(lines, r.String())
			}
			if open := d.Checklist.Unproven(); err == nil && len(open) > 0 {
				err = fmt.Errorf("unproven: %q", open)
			}
			return strings.Join(lines, "\n"), err
		},
		Plan: func(context.Context, Call) (string, error) {
			return fmt.Sprintf("looks at each item; unproven now: %q", d.Checklist.Unproven()), nil
		},
	}
}
