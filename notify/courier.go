package notify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Config is what a Courier needs. Only Channels has no default.
type Config struct {
	// Channels are the ways out, by the name that Address.Channel uses.
	Channels map[string]Notifier

	// Timeout bounds one try. Defaults to 10 s.
	Timeout time.Duration

	// Patience is how long the first try on one channel may take before the next
	// channel starts beside it. A try that fails starts it at once. Defaults to 3 s.
	Patience time.Duration

	// Tries is the most tries on one channel for one message. Defaults to 6.
	Tries int

	// FirstWait is the wait before the second try; each later one is about twice
	// as long, up to MaxWait. Defaults to 500 ms.
	FirstWait time.Duration

	// MaxWait is the longest wait that is computed; a receiver's Retry-After may be
	// longer. Defaults to 30 s.
	MaxWait time.Duration

	// Budget bounds one delivery to one contact over all its channels. A wait that
	// would end after it is not begun. Defaults to 5 min.
	Budget time.Duration
}

// withDefaults returns the config with each unset field at its default.
func (c Config) withDefaults() Config {
	setDefault(&c.Timeout, 10*time.Second)
	setDefault(&c.Patience, 3*time.Second)
	setDefault(&c.Tries, 6)
	setDefault(&c.FirstWait, 500*time.Millisecond)
	setDefault(&c.MaxWait, 30*time.Second)
	setDefault(&c.Budget, 5*time.Minute)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var unset T
	if *field == unset {
		*field = value
	}
}

// validate joins everything that is wrong with a config that has its defaults.
func (c Config) validate() error {
	var problems []error
	if len(c.Channels) == 0 {
		problems = append(problems, errors.New("Channels: is empty: no message could ever be sent"))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Channels)) {
		if name == "" || c.Channels[name] == nil {
			problems = append(problems, fmt.Errorf("Channels[%q]: needs a name and a Notifier", name))
		}
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{{"Timeout", c.Timeout}, {"Patience", c.Patience}, {"FirstWait", c.FirstWait}, {"MaxWait", c.MaxWait}, {"Budget", c.Budget}} {
		if f.value < 0 {
			problems = append(problems, fmt.Errorf("%s: is %v, want a positive duration", f.name, f.value))
		}
	}
	if c.Tries < 0 {
		problems = append(problems, fmt.Errorf("Tries: is %d, want at least 1", c.Tries))
	}
	if c.MaxWait < c.FirstWait {
		problems = append(problems, fmt.Errorf("MaxWait: is %v, want at least FirstWait, %v", c.MaxWait, c.FirstWait))
	}
	return errors.Join(problems...)
}

// Courier delivers messages to contacts. It keeps nothing: what must survive the
// process is the caller's record of intents and receipts. Safe for concurrent use.
type Courier struct {
	cfg Config
}

// NewCourier returns a Courier, or an error that names every field that is wrong.
// It starts nothing.
func NewCourier(cfg Config) (*Courier, error) {
	cfg = cfg.withDefaults()
	cfg.Channels = maps.Clone(cfg.Channels)
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Courier{cfg: cfg}, nil
}

// Channels returns the names of the channels, sorted: what Policy.Validate takes.
func (c *Courier) Channels() []string { return slices.Sorted(maps.Keys(c.cfg.Channels)) }

// Broadcast delivers the message to all contacts at the same time and returns a
// receipt for each, in their order, once the last one is settled. No contact waits
// for another. It takes at most Config.Budget and one Config.Timeout.
func (c *Courier) Broadcast(ctx context.Context, to []Contact, m Message) []Receipt {
	receipts := make([]Receipt, len(to))
	var wg sync.WaitGroup
	for i, contact := range to {
		wg.Go(func() { receipts[i] = c.Deliver(ctx, contact, m) })
	}
	wg.Wait()
	return receipts
}

// Deliver sends the message to one contact and returns when the first of its
// channels has taken it, or when none will. Channels are tried in the contact's
// order; each starts as soon as the one before has failed once or has used up
// Config.Patience, and the earlier ones go on trying beside it. So a contact may
// get the same message twice, under the same key, and never less than once for a
// channel that works.
func (c *Courier) Deliver(ctx context.Context, to Contact, m Message) Receipt {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Budget)
	defer cancel() // once one channel has taken it, the others stop
	receipt := Receipt{Contact: to.Name, Key: m.Key}
	d := delivery{courier: c, message: m, routes: to.Addresses,
		ended: make(chan Attempt, len(to.Addresses)), struck: make(chan int, len(to.Addresses))}
	for a := range d.run(ctx) {
		if a.Err == nil {
			return receipt.accepted(a)
		}
		receipt.Failed = append(receipt.Failed, a)
	}
	return receipt.undelivered(time.Now(), c.cfg.MaxWait)
}
