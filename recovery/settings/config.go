package settings

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/andon-go/andon/internal/ledger"
	"github.com/andon-go/andon/recovery"
)

// Config says where the variables are and who hears of a change.
type Config struct {
	// Env is the file of environment variables. It has to be there, if only empty.
	// Defaults to .env in the working directory.
	Env string

	// JSON is the bot's configuration. Defaults to /config/production.json.
	JSON string

	// Dir holds the journal of changes, which has the files as they were: it is made
	// readable by its owner only. Defaults to /var/lib/andon/settings.
	Dir string

	// Extra lets in variables that the playbook does not have, as text: by name, or all
	// that begin with one that ends in "__" or "." (TRADING__, RISK__, MONITORING__). A
	// limit among them cannot be judged, so that a change of TRADING__ and RISK__ and of
	// a path outside performance has to be named in Request.Loosen. Without any only
	// Variables are known.
	Extra []string

	// Defaults is what the bot takes for a limit that the files do not set. A limit with
	// neither has an unknown value, and a change of it counts as loosening.
	Defaults map[string]string

	// FollowLinks lets Env and JSON be symbolic links; the file that they lead to is
	// replaced, and plans name it. Without it a link is refused.
	FollowLinks bool

	// Service is what has to restart, for plans to say. Defaults to ai-trading-bot.
	Service string

	// Changed tells the running bot, after the files are durable. It is called once
	// more where a crash or an error came before its success was kept. Nil means that the bot
	// hears of it when it restarts.
	Changed func(ctx context.Context, changes []Change) error

	// Recorder puts changes on the timeline before they are made. Without one only
	// looking is possible.
	Recorder recovery.Recorder
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		p *string
		v string
	}{{&c.Env, ".env"}, {&c.JSON, "/config/production.json"}, {&c.Dir, "/var/lib/andon/settings"}, {&c.Service, "ai-trading-bot"}} {
		if *d.p == "" {
			*d.p = d.v
		}
	}
	c.Extra, c.Defaults = slices.Clone(c.Extra), maps.Clone(c.Defaults)
	return c
}

// Store is the variables of one bot. It keeps nothing in memory: each answer is read
// from the files. It is safe for concurrent use, and for several processes.
type Store struct {
	cfg     Config
	journal *ledger.Ledger[entry]
}

// New returns a store, or every problem of the configuration, joined. It reads
// nothing, so that a bot starts while its files are being put right.
func New(cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	var errs []error
	for _, p := range []struct {
		name string
		p    *string
	}{{"Env", &cfg.Env}, {"JSON", &cfg.JSON}, {"Dir", &cfg.Dir}} {
		abs, err := filepath.Abs(*p.p)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
		}
		*p.p = abs
	}
	if cfg.Env == cfg.JSON {
		errs = append(errs, errors.New("JSON: is the same file as Env"))
	}
	for _, e := range cfg.Extra {
		if envName.FindString(e) != e && !pathName.MatchString(e+"x") {
			errs = append(errs, fmt.Errorf("Extra: %q is not a name or the beginning of one", e))
		}
	}
	s := &Store{cfg: cfg, journal: ledger.Open[entry](cfg.Dir)}
	for _, name := range slices.Sorted(maps.Keys(cfg.Defaults)) {
		v, err := s.variable(name)
		if err == nil {
			err = v.check(cfg.Defaults[name])
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("Defaults: %s: %w", name, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}
