package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/andon-go/andon/incident/playbook/control"
	"github.com/andon-go/andon/recovery/diagnose"
)

// look has the bot look, and shows what it saw whether it is well or not.
func (a *app) look(what, arg string) error {
	text, err := a.bot.Look(a.ctx, what, arg)
	if err != nil && !errors.Is(err, control.ErrUnwell) {
		return err
	}
	if serr := a.out.show(map[string]any{"well": err == nil, "text": text}, func() {
		a.out.text(text)
		a.out.line("%s: %s", what, a.out.judge(err == nil, "well", "NOT WELL"))
	}); serr != nil {
		return errors.Join(err, serr)
	}
	return err
}

type lookCmd struct{}

func (lookCmd) Run(a *app) error { return a.look(a.word, "") }

type checkAuthCmd struct {
	Exchange   string `help:"Which one." default:"coinbase"`
	Connection bool   `help:"Walk over the API too: the document's test_connection."`
}

func (c checkAuthCmd) Run(a *app) error {
	e, ok := a.cfg.Exchanges[c.Exchange]
	if !ok {
		if c.Connection {
			return a.look("test-connection", "")
		}
		return a.look("check-auth", c.Exchange)
	}
	v, err := e.open(c.Exchange)
	if err != nil {
		return err
	}
	ask := v.auth
	if c.Connection {
		ask = v.connection
	}
	text, err := ask(a.ctx)
	if serr := a.out.show(map[string]any{"well": err == nil, "text": text}, func() {
		a.out.text(text)
		a.out.line("%s: %s", c.Exchange, a.out.judge(err == nil, "well", "NOT WELL"))
	}); serr != nil {
		return errors.Join(err, serr)
	}
	return as(control.ErrUnwell, err)
}

type apiUsageCmd struct {
	Days int `help:"How many days back." default:"7"`
}

func (c apiUsageCmd) Run(a *app) error {
	if c.Days < 1 {
		return as(errUsage, fmt.Errorf("--days is %d, want at least 1", c.Days))
	}
	return a.look("api-usage", strconv.Itoa(c.Days))
}

type slowQueriesCmd struct {
	Threshold time.Duration `help:"From which time on a statement is slow." default:"100ms"`
	Sample    time.Duration `help:"How long to look where the server keeps no statistics." default:"2s"`
}

func (c slowQueriesCmd) Run(a *app) error {
	if c.Threshold < 0 || c.Sample < 0 {
		return as(errUsage, errors.New("--threshold and --sample are not negative"))
	}
	pool, err := a.pool()
	if errors.Is(err, control.ErrNotWired) {
		return a.look("slow-queries", c.Threshold.String())
	}
	if err != nil {
		return err
	}
	defer pool.Close()
	s, err := diagnose.Slow(a.ctx, pool, c.Threshold, c.Sample)
	if err != nil {
		return err
	}
	return a.out.show(s, func() {
		var rows [][]any
		for _, q := range s.All {
			rows = append(rows, []any{q.Mean, q.Max, q.Calls, strings.Join(strings.Fields(q.Query), " ")})
		}
		a.out.table([]any{"mean", "max", "calls", "statement"}, rows...)
		a.out.line("source: %s %s", s.Source, s.Why)
	})
}

type cacheCmd struct{}

func (cacheCmd) Run(a *app) error {
	pool, err := a.pool()
	if errors.Is(err, control.ErrNotWired) {
		return a.look("cache", "")
	}
	if err != nil {
		return err
	}
	defer pool.Close()
	all, err := diagnose.Cache(a.ctx, pool)
	if err != nil {
		return err
	}
	return a.out.show(all, func() {
		var rows [][]any
		for _, r := range all {
			rate := "not known"
			if v, ok := r.Rate(); ok {
				rate = fmt.Sprintf("%.1f %%", v*100)
			}
			rows = append(rows, []any{r.Name, rate, r.Hits, r.Read})
		}
		a.out.table([]any{"table", "hit rate", "hits", "read"}, rows...)
	})
}

type rotateCmd struct {
	Exchange string `help:"Which one." default:"coinbase"`
	DryRun   bool   `help:"Only say what would be done." default:"true" negatable:""`
	Why      string `help:"The reason." default:"rotate_credentials"`
	Key      string `help:"The same key is the same rotation: give it again after an answer that did not come."`
}

func (c rotateCmd) Run(a *app) error {
	return a.change(c.DryRun, c.Key, func(key string) (string, error) {
		return a.bot.Rotate(a.ctx, key, a.by, c.Why, c.Exchange, !c.DryRun)
	})
}

type rollbackCmd struct {
	Revision string `arg:"" help:"A commit or a tag." default:"stable-latest"`
	DryRun   bool   `help:"Only say what would be done." default:"true" negatable:""`
	Why      string `help:"The reason." default:"rollback"`
	Key      string `help:"The same key is the same rollback: give it again after an answer that did not come."`
}

func (c rollbackCmd) Run(a *app) error {
	return a.change(c.DryRun, c.Key, func(key string) (string, error) {
		return a.bot.Rollback(a.ctx, key, a.by, c.Why, c.Revision, !c.DryRun)
	})
}

// change does something once for a key, which it makes where none was given.
func (a *app) change(dry bool, key string, do func(key string) (string, error)) error {
	if key == "" {
		key = "botops-" + time.Now().UTC().Format("20060102T150405.000000000Z")
	}
	text, err := do(key)
	if errors.Is(err, control.ErrOutcome) {
		return fmt.Errorf("%w: give --key %s to do the same again", err, key)
	}
	if err != nil {
		return err
	}
	return a.out.show(map[string]any{"text": text, "key": key, "dry_run": dry}, func() {
		a.out.text(text)
		if dry {
			a.out.dryRun()
		} else {
			a.out.line("%s, key %s", a.out.good("done"), key)
		}
	})
}
