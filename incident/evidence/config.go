package evidence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"filippo.io/age"
)

// DefaultDir is where the playbook keeps incident logs.
const DefaultDir = "/var/log/incidents"

// Recorder puts what was collected on the timeline. *incident.Manager is one.
type Recorder interface {
	Record(ctx context.Context, at time.Time, who, what, why string) error
}

// Config is what a Collector needs.
type Config struct {
	// Dir is where archives are put. It is made where it is not there, for its owner
	// alone. Defaults to DefaultDir.
	Dir string

	// Recipients are the age public keys, such as "age1...", of those who may open an
	// archive. Required: the keys lie somewhere else than the evidence.
	Recipients []string

	// Items are what is collected, in order. Required; names differ.
	Items []Item

	// Within is how long one item may take that says nothing else. Defaults to 2 min.
	Within time.Duration

	// Place is where the machine stands, for the chain of custody. Defaults to the
	// machine's name.
	Place string

	// Recorder is told of each archive. Nil: nobody is.
	Recorder Recorder

	Log *slog.Logger // defaults to slog.Default()
}

// Item is something to collect.
type Item struct {
	Name string // of its folder in the archive: letters, digits, ".", "_" and "-"

	// Collect puts it into the sink. What was put before an error, or before ctx was
	// done, is kept.
	Collect func(ctx context.Context, s *Sink) error

	Within time.Duration // defaults to Config.Within
}

// Collector makes archives. Safe for concurrent use.
type Collector struct {
	cfg        Config
	host       string
	recipients []age.Recipient
}

// New returns a Collector, or an error that names every field that cannot be meant.
func New(cfg Config) (*Collector, error) {
	if cfg.Dir == "" {
		cfg.Dir = DefaultDir
	}
	if cfg.Within == 0 {
		cfg.Within = 2 * time.Minute
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	c := &Collector{}
	var errs []error
	var err error
	if c.host, err = os.Hostname(); err != nil {
		errs = append(errs, fmt.Errorf("the machine's name cannot be read: %w", err))
	}
	if cfg.Place == "" {
		cfg.Place = c.host
	}
	if len(cfg.Recipients) == 0 {
		errs = append(errs, errors.New("Recipients is empty: nobody could open the archive"))
	}
	for i, r := range cfg.Recipients {
		one, err := age.ParseRecipients(strings.NewReader(r))
		if err != nil || len(one) != 1 {
			errs = append(errs, fmt.Errorf("Recipients[%d] is no age public key", i))
			continue
		}
		c.recipients = append(c.recipients, one[0])
	}
	if len(cfg.Items) == 0 {
		errs = append(errs, errors.New("Items is empty: nothing would be collected"))
	}
	seen := map[string]bool{}
	for i, item := range cfg.Items {
		switch {
		case !plain(item.Name):
			errs = append(errs, fmt.Errorf("Items[%d]: Name is %q, want letters, digits, \".\", \"_\" and \"-\"", i, item.Name))
		case seen[item.Name]:
			errs = append(errs, fmt.Errorf("Items[%d]: %q is there twice", i, item.Name))
		case item.Collect == nil:
			errs = append(errs, fmt.Errorf("Items[%d] %q: Collect is nil", i, item.Name))
		case item.Within < 0:
			errs = append(errs, fmt.Errorf("Items[%d] %q: Within is %v", i, item.Name, item.Within))
		}
		seen[item.Name] = true
	}
	if cfg.Within < 0 {
		errs = append(errs, fmt.Errorf("Within is %v, want more than zero", cfg.Within))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	c.cfg = cfg
	return c, nil
}

// plain reports whether a text can be a name in an archive and in a file system.
func plain(s string) bool {
	if s == "" || s == "." || s == ".." {
		return false
	}
	for _, r := range s {
		if !(r == '.' || r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') {
			return false
		}
	}
	return true
}
