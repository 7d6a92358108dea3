package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/andon-go/andon/incident/playbook/control"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/reconcile/pgbook"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/pgbackup"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

func (a *app) dsn() (string, error) {
	if a.cfg.DSNEnv != "" {
		if dsn := os.Getenv(a.cfg.DSNEnv); dsn != "" {
			return dsn, nil
		}
		return "", as(control.ErrNotWired, fmt.Errorf("dsn_env: the variable %s is empty", a.cfg.DSNEnv))
	}
	if a.cfg.DSN == "" {
		return "", unwired("dsn or dsn_env")
	}
	return a.cfg.DSN, nil
}

func (a *app) pool() (*pgxpool.Pool, error) {
	dsn, err := a.dsn()
	if err != nil {
		return nil, err
	}
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, as(errUsage, err)
	}
	cfg.ConnConfig.ConnectTimeout = 10 * time.Second
	return pgxpool.NewWithConfig(a.ctx, cfg)
}

func (a *app) book(pool *pgxpool.Pool, venue string) (*pgbook.Book, error) {
	return pgbook.Open(a.ctx, pgbook.Config{DB: pool, Venue: venue, CheckWrite: func() error {
		if _, err := os.Lstat(a.cfg.ReadOnly); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there: writes are held", a.cfg.ReadOnly)
		}
		return nil
	}})
}

// comparer is an exchange's reconciler where no bot runs. What it stands on is let go of by
// done, which is never nil.
func (a *app) comparer(exchange string) (r *reconcile.Reconciler, done func(), err error) {
	done = func() {}
	pool, err := a.pool()
	if err != nil {
		return nil, done, err
	}
	done = pool.Close
	e, ok := a.cfg.Exchanges[exchange]
	if !ok {
		return nil, done, as(errUsage, fmt.Errorf("the configuration has no exchange %q", exchange))
	}
	v, err := e.open(exchange)
	if err != nil {
		return nil, done, err
	}
	if err := pgbook.Migrate(a.ctx, pool, ""); err != nil {
		return nil, done, err
	}
	b, err := a.book(pool, exchange)
	if err != nil {
		return nil, done, err
	}
	r, err = reconcile.New(reconcile.Config{Venue: exchange, Account: v, Book: b, Recorder: a.recorder(), Log: quiet()})
	return r, done, err
}

type reconcileCmd struct {
	Exchange string `help:"Which one; all of them by default."`
	Output   string `help:"File for the plan of repairs, for apply --plan." placeholder:"FILE"`
}

func (c reconcileCmd) Run(a *app) error {
	all, err := a.bot.Reconcile(a.ctx, c.Exchange)
	if noBot(err) && c.Exchange != "" {
		r, done, rerr := a.comparer(c.Exchange)
		defer done()
		if rerr != nil {
			return errors.Join(err, rerr)
		}
		all, err = []control.Comparison{control.Compare(a.ctx, c.Exchange, r)}, nil
	}
	if err != nil {
		return err
	}
	if c.Output != "" {
		if len(all) != 1 || all[0].Plan == nil {
			return as(errUsage, errors.New("--output takes the plan of one exchange that has answered: name it with --exchange"))
		}
		var b strings.Builder
		if err := all[0].Plan.WriteJSON(&b); err != nil {
			return err
		}
		if err := writeNew(c.Output, b.String()); err != nil {
			return err
		}
	}
	if err := a.out.show(all, func() {
		for _, r := range all {
			a.out.text(r.Text)
			verdict := "THEY DO NOT AGREE"
			if r.Problem != "" {
				verdict = "NOT KNOWN whether they agree"
			}
			a.out.line("%s: %s", r.Venue, a.out.judge(r.Clean, "book and exchange agree", verdict))
			if r.Problem != "" {
				a.out.line("%s", a.out.bad(r.Problem))
			}
		}
	}); err != nil {
		return err
	}
	known, clean := true, true
	for _, r := range all {
		known, clean = known && r.Problem == "", clean && r.Clean
	}
	switch {
	case !known:
		return as(control.ErrUnwell, errors.New("it is not known whether book and exchange agree"))
	case !clean:
		return as(control.ErrUnwell, errors.New("book and exchange do not agree"))
	}
	return nil
}

// writeNew writes a file that nobody has, for its owner alone.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return as(errUsage, err)
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

type applyCmd struct {
	Exchange string `help:"Whose book."`
	Plan     string `help:"The plan that reconcile --output wrote; by default what a comparison gives now." placeholder:"FILE"`
	DryRun   bool   `help:"Only say what would be done." default:"true" negatable:""`
	Why      string `help:"The reason." default:"apply_reconciliation"`
}

func (c applyCmd) Run(a *app) error {
	var plan *reconcile.Plan
	if c.Plan != "" {
		b, err := os.ReadFile(c.Plan)
		if err != nil {
			return as(errUsage, err)
		}
		if plan, err = reconcile.DecodePlan(b); err != nil {
			return as(errUsage, fmt.Errorf("%s: %w", c.Plan, err))
		}
		c.Exchange = plan.Venue
	}
	approval := reconcile.Approval{By: a.by, Note: c.Why, Commit: !c.DryRun}
	var apply func() (reconcile.Result, error)
	all, err := a.bot.Reconcile(a.ctx, c.Exchange)
	switch {
	case err == nil:
		apply = func() (reconcile.Result, error) { return a.bot.Apply(a.ctx, plan, approval) }
	case noBot(err) && c.Exchange != "":
		r, done, rerr := a.comparer(c.Exchange)
		defer done()
		if rerr != nil {
			return errors.Join(err, rerr)
		}
		all = []control.Comparison{control.Compare(a.ctx, c.Exchange, r)}
		apply = func() (reconcile.Result, error) { return control.Apply(a.ctx, r, *plan, approval) }
	default:
		return err
	}
	if plan == nil {
		if len(all) != 1 {
			return as(errUsage, fmt.Errorf("there are %d exchanges: name one with --exchange", len(all)))
		}
		if plan = all[0].Plan; plan == nil {
			return as(control.ErrUnwell, fmt.Errorf("there is no plan: %s", all[0].Problem))
		}
	}
	r, err := apply()
	if err != nil {
		return err
	}
	return a.out.show(r, func() {
		var b strings.Builder
		if err := plan.WriteTable(&b); err != nil {
			a.out.note("%v", err)
		}
		a.out.text(b.String())
		switch {
		case r.Already:
			a.out.line("it was applied before: nothing was changed")
		case r.DryRun:
			a.out.line("%s: %d repairs would be made: say --dry-run=false", a.out.warn("DRY RUN"), r.Repairs)
		default:
			a.out.line("%s: %d repairs", a.out.good("applied"), r.Repairs)
		}
	})
}

// integrity checks the tables of the configuration.
func (a *app) integrity() (*pgbook.Integrity, error) {
	pool, err := a.pool()
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	b, err := a.book(pool, "all")
	if errors.Is(err, pgbook.ErrSchema) {
		if err = pgbook.Migrate(a.ctx, pool, ""); err == nil {
			b, err = a.book(pool, "all")
		}
	}
	if err != nil {
		return nil, err
	}
	return b.CheckIntegrity(a.ctx, time.Now())
}

type integrityCmd struct{}

func (integrityCmd) Run(a *app) error {
	found, err := a.integrity()
	if errors.Is(err, control.ErrNotWired) {
		return a.look("integrity", "")
	}
	if found == nil {
		return err
	}
	if serr := a.out.show(found, func() { a.out.text(found.String()) }); serr != nil {
		return errors.Join(err, serr)
	}
	if !found.Clean() {
		return as(control.ErrUnwell, errors.Join(fmt.Errorf("%d rows fail a check", found.Found()), err))
	}
	return err
}

type exportCmd struct {
	Output string `help:"Where to." default:"/tmp/corrupted_data.json" placeholder:"FILE"`
}

// Run writes what could be found. A check that cannot run is said, and keeps nothing back.
func (c exportCmd) Run(a *app) error {
	path, err := filepath.Abs(c.Output)
	if err != nil {
		return err
	}
	found, err := a.integrity()
	if errors.Is(err, control.ErrNotWired) {
		return a.look("export", path)
	}
	if found == nil {
		return err
	}
	if err := found.Export(path); err != nil {
		return err
	}
	if err := a.out.show(map[string]any{"path": path, "rows": found.Found()}, func() {
		a.out.line("%d rows in %s", found.Found(), path)
	}); err != nil {
		return err
	}
	if err != nil {
		a.out.note("%v", err)
	}
	return nil
}

// store is the backups of the configuration's database.
func (a *app) store(progress func(recovery.Progress)) (*pgbackup.Store, error) {
	dsn, err := a.dsn()
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, as(errUsage, err)
	}
	storage, err := recovery.NewDirStorage(a.cfg.Backup)
	if err != nil {
		return nil, err
	}
	repo, err := recovery.NewRepository(recovery.RepositoryConfig{Component: recovery.PositionDatabase, Storage: storage, OnProgress: progress})
	if err != nil {
		return nil, err
	}
	return pgbackup.New(pgbackup.Config{Conn: conn, Repository: repo, Tables: a.cfg.Tables, Recorder: a.recorder(), Idle: a.writesHeld, Logger: quiet()})
}

// bar shows how far a backup is, on a terminal.
func (a *app) bar(name string) (progress func(recovery.Progress), done func()) {
	if !a.out.terminal {
		return nil, func() {}
	}
	p := mpb.New(mpb.WithOutput(a.out.bars))
	b := p.AddBar(0, mpb.PrependDecorators(decor.Name(name+" ")), mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f")), mpb.BarRemoveOnComplete())
	return func(r recovery.Progress) {
			b.SetTotal(max(r.WantBytes, r.Bytes+1), false)
			b.SetCurrent(r.Bytes)
		}, func() {
			b.Abort(true)
			p.Wait()
		}
}

// ofComponent is the flag of what a backup is of.
type ofComponent struct {
	Component component `help:"What: a component of the playbook." default:"Position Database"`
}

type component recovery.Component

// UnmarshalText takes a row of the playbook's table, in any case.
func (c *component) UnmarshalText(b []byte) error {
	for _, o := range recovery.Objectives() {
		if strings.EqualFold(string(o.Component), string(b)) {
			*c = component(o.Component)
			return nil
		}
	}
	return fmt.Errorf("component is %q, want a row of the playbook's table, such as %q", b, recovery.PositionDatabase)
}

// own reports whether backups of that are the configuration's; they are the bot's else.
func (a *app) own(of recovery.Component) bool {
	_, err := a.dsn()
	return err == nil && of == recovery.PositionDatabase
}

type backupCmd struct{ ofComponent }

func (c backupCmd) Run(a *app) error {
	b, err := a.takeBackup(recovery.Component(c.Component))
	if err != nil {
		return err
	}
	return a.out.show(b, func() {
		a.out.line("%s: %s (%d rows, %d bytes, %s)", a.out.good("verified"), b.Name, b.Rows, b.Bytes, b.Place)
	})
}

func (a *app) takeBackup(of recovery.Component) (recovery.Backup, error) {
	if !a.own(of) {
		return a.bot.Backup(a.ctx, of, a.by)
	}
	progress, done := a.bar("backup")
	defer done()
	s, err := a.store(progress)
	if err != nil {
		return recovery.Backup{}, err
	}
	b, err := s.Backup(a.ctx, time.Now())
	if err != nil {
		return b, err
	}
	return s.Verify(a.ctx, b.Name, time.Now())
}

type backupsCmd struct{ ofComponent }

func (c backupsCmd) Run(a *app) error {
	list := a.bot.Backups
	if a.own(recovery.Component(c.Component)) {
		s, err := a.store(nil)
		if err != nil {
			return err
		}
		list = func(ctx context.Context, _ recovery.Component) ([]recovery.Backup, error) { return s.Backups(ctx) }
	}
	all, err := list(a.ctx, recovery.Component(c.Component))
	if err != nil {
		return err
	}
	return a.out.show(all, func() {
		var rows [][]any
		for _, b := range all {
			rows = append(rows, []any{b.Name, a.out.judge(b.Good(), fmt.Sprint(b.State), fmt.Sprint(b.State)), when(b.At), b.Rows, b.Bytes, b.Problem})
		}
		a.out.table([]any{"backup", "state", "of", "rows", "bytes", "problem"}, rows...)
	})
}

type verifyCmd struct {
	Backup      string `arg:"" optional:"" help:"Which backup; the newest by default."`
	Restoration bool   `help:"Compare the tables with the backup too."`
}

func (c verifyCmd) Run(a *app) error {
	s, err := a.store(nil)
	if err != nil {
		return err
	}
	if c.Backup == "" {
		if c.Backup, err = newest(a.ctx, s, c.Restoration); err != nil {
			return err
		}
	}
	b, err := s.Verify(a.ctx, c.Backup, time.Now())
	switch {
	case errors.Is(err, recovery.ErrNotFound):
		return as(errUsage, err)
	case errors.Is(err, recovery.ErrDamaged):
		return as(control.ErrUnwell, err)
	case err != nil:
		return err
	}
	text := ""
	if c.Restoration {
		dir, derr := os.MkdirTemp("", "botops")
		if derr != nil {
			return derr
		}
		defer os.RemoveAll(dir)
		r := &pgbackup.Rescue{Store: s, Request: pgbackup.Request{Tables: a.cfg.Tables}, Dir: dir}
		if text, err = r.Verify(a.ctx, b.Name); err != nil {
			return as(control.ErrUnwell, err)
		}
	}
	return a.out.show(map[string]any{"backup": b, "restoration": text}, func() {
		a.out.line("%s: %s", a.out.good("verified"), b)
		a.out.text(text)
	})
}

// newest is the newest backup, in any state or of those that count.
func newest(ctx context.Context, s *pgbackup.Store, good bool) (string, error) {
	all, err := s.Backups(ctx)
	if err != nil {
		return "", err
	}
	for _, b := range all {
		if b.Good() || !good {
			return b.Name, nil
		}
	}
	return "", as(control.ErrUnwell, recovery.ErrNoBackup)
}

type restoreCmd struct {
	Backup string   `arg:"" optional:"" help:"Which backup; the newest that counts by default."`
	Tables []string `help:"Which tables; those of the configuration by default."`
	DryRun bool     `help:"Only say what would be done." default:"true" negatable:""`
	Why    string   `help:"The reason." default:"restore_from_secure_backup"`
}

func (c restoreCmd) Run(a *app) error {
	s, err := a.store(nil)
	if err != nil {
		return err
	}
	tables := c.Tables
	if len(tables) == 0 {
		tables = a.cfg.Tables
	}
	plan, err := s.PlanRestore(a.ctx, pgbackup.Request{Backup: c.Backup, Tables: tables}, time.Now())
	switch {
	case errors.Is(err, recovery.ErrNotFound):
		return as(errUsage, err)
	case errors.Is(err, recovery.ErrNotVerified):
		return as(control.ErrRefused, err)
	case err != nil:
		return err
	}
	if c.DryRun {
		return a.out.show(plan, func() {
			a.out.text(plan.String())
			a.out.dryRun()
		})
	}
	r, err := s.Restore(a.ctx, plan, a.by, c.Why, time.Now())
	switch {
	case errors.Is(err, pgbackup.ErrLive), errors.Is(err, pgbackup.ErrMoved), errors.Is(err, recovery.ErrNotRecorded):
		return as(control.ErrRefused, err)
	case errors.Is(err, pgbackup.ErrOutcomeUnknown):
		return as(control.ErrOutcome, err)
	case err != nil:
		return err
	}
	return a.out.show(r, func() {
		a.out.line("%s: %d rows; what was replaced is kept in %s", a.out.good("restored"), r.Rows, strings.Join(r.Kept, ", "))
	})
}

type drillCmd struct{ ofComponent }

func (c drillCmd) Run(a *app) error {
	d, err := a.bot.Drill(a.ctx, recovery.Component(c.Component), a.by)
	if d.Component == "" {
		return err
	}
	if serr := a.out.show(d, func() { a.out.line("%s: %s", a.out.judge(d.Passed, "passed", "NOT PASSED"), d) }); serr != nil {
		return errors.Join(err, serr)
	}
	return err
}
