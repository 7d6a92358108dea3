package journal

import (
	"errors"
	"fmt"

	"github.com/andon-go/andon/incident"
)

// Config says where a journal lies and how it is kept. Path has no default.
type Config struct {
	// Path is the journal's first file; its directory has to be there. The later
	// ones lie beside it, and have the number of their first record behind the name.
	Path string

	// SegmentBytes is how long a file gets before the next one is begun; the append
	// that fills it is still whole. Defaults to 64 MiB, at least 1.
	SegmentBytes int64

	// Anchor, where it is given, is asked for the tips that were published when the
	// journal is opened, and each has to be in it. See incident.Anchoring for the
	// other direction.
	Anchor incident.Anchor
}

func (c Config) withDefaults() Config {
	if c.SegmentBytes == 0 {
		c.SegmentBytes = 64 << 20
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.Path == "" {
		errs = append(errs, errors.New("Path is empty"))
	}
	if c.SegmentBytes < 1 {
		errs = append(errs, fmt.Errorf("SegmentBytes is %d, want at least 1", c.SegmentBytes))
	}
	return errors.Join(errs...)
}
