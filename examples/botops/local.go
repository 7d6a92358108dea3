package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/journal"
	"github.com/andon-go/andon/incident/playbook/control"
	"github.com/andon-go/andon/reconcile/bluefin"
	"github.com/andon-go/andon/reconcile/coinbase"
	"github.com/andon-go/andon/safety"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// unwired says what the configuration lacks.
func unwired(what string) error {
	return as(control.ErrNotWired, fmt.Errorf("the configuration has no %s", what))
}

// ownState opens the bot's saved state, which no process has open: none of a bot that runs,
// and none that was never this bot's. A new one is not begun, since a path that is wrong
// must not look like a bot that is stopped.
func (a *app) ownState() (*safety.Switch, error) {
	if a.cfg.StateDir == "" || a.cfg.Name == "" {
		return nil, unwired("state_dir and name of the bot")
	}
	if _, err := os.Stat(filepath.Join(a.cfg.StateDir, safety.StateFile)); err != nil {
		return nil, fmt.Errorf("there is no saved state of a bot: %w", err)
	}
	store, err := safety.OpenFileStore(a.cfg.StateDir)
	if err != nil {
		return nil, err
	}
	s, err := store.Load(a.ctx)
	if err := errors.Join(err, store.Close()); err != nil {
		return nil, err
	}
	if s.Name != a.cfg.Name {
		return nil, fmt.Errorf("%s is the state of %q, not of %q", a.cfg.StateDir, s.Name, a.cfg.Name)
	}
	return safety.Open(a.ctx, safety.Config{Name: a.cfg.Name, Dir: a.cfg.StateDir, NoFlags: true, Log: quiet()})
}

// haltState stops a bot that does not run, in its saved state.
func (a *app) haltState(why string) error {
	sw, err := a.ownState()
	if err != nil {
		return err
	}
	_, err = sw.Halt(a.ctx, a.by, why)
	if sw.State() != safety.Halted {
		err = errors.Join(err, errors.New("it is not halted"))
	}
	return errors.Join(err, sw.Close())
}

// venues are the exchanges of the configuration.
func (a *app) venues() (map[string]andon.Venue, error) {
	if len(a.cfg.Exchanges) == 0 {
		return nil, unwired("exchanges")
	}
	out := map[string]andon.Venue{}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(a.cfg.Exchanges)) {
		v, err := a.cfg.Exchanges[name].open(name)
		if err != nil {
			errs = append(errs, fmt.Errorf("exchange %s: %w", name, err))
			continue
		}
		out[name] = v
	}
	return out, errors.Join(errs...)
}

// account is what both exchanges of the library have beside an andon.Venue.
type account interface {
	andon.Venue
	auth(ctx context.Context) (string, error)
	connection(ctx context.Context) (string, error)
}

type coinbaseAccount struct{ *coinbase.Venue }

func (c coinbaseAccount) auth(ctx context.Context) (string, error) {
	a, err := c.CheckAuth(ctx)
	return a.String(), errors.Join(err, a.Err())
}

func (c coinbaseAccount) connection(ctx context.Context) (string, error) {
	r := c.TestConnection(ctx)
	return r.String(), r.Err()
}

type bluefinAccount struct{ *bluefin.Venue }

func (b bluefinAccount) auth(ctx context.Context) (string, error) {
	a, err := b.CheckAuth(ctx)
	return a.String(), errors.Join(err, a.Err())
}

func (b bluefinAccount) connection(ctx context.Context) (string, error) {
	r := b.TestConnection(ctx)
	return r.String(), r.Err()
}

func (e exchange) open(name string) (account, error) {
	kind := e.Kind
	if kind == "" {
		kind = name
	}
	secret := os.Getenv(e.PrivateKeyEnv)
	if e.PrivateKeyEnv == "" || secret == "" {
		return nil, as(control.ErrNotWired, fmt.Errorf("private_key_env: the variable %q has no key", e.PrivateKeyEnv))
	}
	switch kind {
	case "coinbase":
		key, err := coinbase.ParseKey(os.Getenv(e.KeyNameEnv), secret)
		if err != nil {
			return nil, as(errUsage, err)
		}
		v, err := coinbase.New(coinbase.Config{Key: key, Name: name, Spot: e.Spot, Futures: e.Futures, Perpetuals: e.Perpetuals, BaseURL: e.URL})
		return coinbaseAccount{v}, as(errUsage, err)
	case "bluefin":
		key, err := bluefin.ParseKey(secret)
		if err != nil {
			return nil, as(errUsage, err)
		}
		cfg := bluefin.Config{Key: key, Name: name}
		if e.URL != "" {
			cfg.AuthURL, cfg.APIURL, cfg.TradeURL = e.URL, e.URL, e.URL
		}
		v, err := bluefin.New(cfg)
		return bluefinAccount{v}, as(errUsage, err)
	}
	return nil, as(errUsage, fmt.Errorf("kind is %q, want coinbase or bluefin", kind))
}

// local is a bot's kernel without the bot.
type local struct {
	sw     *safety.Switch
	closer *safety.Closer
	stop   context.CancelFunc
	ended  chan error
}

// local opens the bot's own state, and its exchanges, to close what a bot that died has left
// open.
func (a *app) local() (*local, error) {
	venues, err := a.venues()
	if err != nil {
		return nil, err
	}
	sw, err := a.ownState()
	if err != nil {
		return nil, err
	}
	close := map[string]safety.CloseVenue{}
	for name, v := range venues {
		close[name] = safety.CloseVenue{Venue: v}
	}
	closer, err := safety.NewCloser(safety.CloserConfig{Switch: sw, Venues: close})
	if err != nil {
		return nil, errors.Join(err, sw.Close())
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(a.ctx))
	l := &local{sw: sw, closer: closer, stop: stop, ended: make(chan error, 1)}
	go func() { l.ended <- sw.Run(ctx) }()
	return l, nil
}

func (l *local) close(a *app) {
	l.stop()
	if err := errors.Join(<-l.ended, l.sw.Close()); err != nil {
		a.out.note("the bot's state: %v", err)
	}
}

// recorder is the timeline: the running bot's, else a journal of what was done without one.
// What cannot be recorded is not done.
func (a *app) recorder() recorder { return recorder{a} }

type recorder struct{ a *app }

// Record is the Recorder of recovery and reconcile.
func (r recorder) Record(ctx context.Context, at time.Time, who, what, why string) error {
	err := r.a.bot.Record(ctx, at, who, what, why)
	if !noBot(err) && !errors.Is(err, control.ErrNotWired) {
		return err
	}
	if r.a.cfg.Journal == "" {
		return errors.Join(err, unwired("journal, in which to record it"))
	}
	j, err := journal.Open(r.a.cfg.Journal)
	if err != nil {
		return err
	}
	_, err = j.Append(ctx, incident.Any, incident.Event{At: at, Kind: incident.Decision, By: who, What: what, Why: why})
	return errors.Join(err, j.Close())
}

// writesHeld is nil where nobody writes: the running bot's write gate is shut, or no bot
// runs and the flag keeps a new one from writing.
func (a *app) writesHeld(ctx context.Context) error {
	st, err := a.bot.Status(ctx)
	switch {
	case err == nil && st.Writes == "":
		return fmt.Errorf("the bot may write: place %s first", a.cfg.ReadOnly)
	case err == nil:
		return nil
	case !noBot(err):
		return err
	}
	if _, err := os.Lstat(a.cfg.ReadOnly); err != nil {
		return fmt.Errorf("no bot is running, and nothing keeps one from writing: place %s first: %w", a.cfg.ReadOnly, err)
	}
	if a.cfg.StateDir == "" {
		return errors.Join(err, unwired("state_dir, by which it is known that no bot runs"))
	}
	store, err := safety.OpenFileStore(a.cfg.StateDir)
	if err != nil {
		return fmt.Errorf("a bot that does not answer may be writing: %w", err)
	}
	return store.Close()
}
