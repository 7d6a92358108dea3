package pgstore

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Config says where the events are. ConnString has no default.
type Config struct {
	// ConnString is PostgreSQL's, as a URL or as keywords and values. Only a server
	// that takes writes is talked to.
	ConnString string

	// Schema is where the tables are; each schema is a store of its own. Lower-case
	// letters, digits and _. Defaults to "andon".
	Schema string

	// AnswerWithin bounds each call, the wait for a connection included. Defaults to 3 s.
	AnswerWithin time.Duration

	// LeaseFor is how long the responder stays it without renewing. A process that
	// dies is followed by another in at most twice that. The same for all processes.
	// Defaults to 2 s, at least 100 ms.
	LeaseFor time.Duration

	// PollEvery is how often Watch looks by itself. Defaults to 1 s.
	PollEvery time.Duration
}

func (c Config) withDefaults() Config {
	c.Schema = cmp.Or(c.Schema, "andon")
	c.AnswerWithin = cmp.Or(c.AnswerWithin, 3*time.Second)
	c.LeaseFor = cmp.Or(c.LeaseFor, 2*time.Second)
	c.PollEvery = cmp.Or(c.PollEvery, time.Second)
	return c
}

var schemaForm = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,50}$`)

func (c Config) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.ConnString == "" {
		add("ConnString is empty")
	}
	if !schemaForm.MatchString(c.Schema) {
		add("Schema %q: want a name of lower-case letters, digits and _", c.Schema)
	}
	if c.AnswerWithin < 0 {
		add("AnswerWithin is %v, want more than zero", c.AnswerWithin)
	}
	if c.LeaseFor < 100*time.Millisecond {
		add("LeaseFor is %v, want at least 100 ms", c.LeaseFor)
	}
	if c.PollEvery < 0 {
		add("PollEvery is %v, want more than zero", c.PollEvery)
	}
	return errors.Join(errs...)
}
