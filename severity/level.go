package severity

import "fmt"

// Level is how bad it is. The zero value is Unclassified and is treated as the
// worst, so that a level that was never set pages and halts as SEV-1 does.
//
// The numbers are those of the playbook, where 1 is the worst: compare with
// AtLeast, never with <.
type Level uint8

// The levels.
const (
	Unclassified Level = iota // not assessed yet: treated as SEV1
	SEV1                      // critical: system down, or significant loss possible
	SEV2                      // major: degraded trading
	SEV3                      // moderate: limited impact
	SEV4                      // minor: minimal impact
)

// rank orders levels from mildest to worst; what is unknown is the worst.
func (l Level) rank() int {
	if l < SEV1 || l > SEV4 {
		return 4
	}
	return 4 - int(l) + int(SEV1) - 1
}

// AtLeast reports whether l is as bad as m or worse. Unclassified, and any value
// that is no level, is at least everything.
func (l Level) AtLeast(m Level) bool { return l.rank() >= m.rank() }

// Worst returns the worse of the two.
func Worst(a, b Level) Level {
	if b.rank() > a.rank() {
		return b
	}
	return a
}

// String returns "SEV-1" to "SEV-4", "unclassified" or "Level(n)".
func (l Level) String() string {
	switch {
	case l == Unclassified:
		return "unclassified"
	case l <= SEV4:
		return fmt.Sprintf("SEV-%d", uint8(l))
	}
	return fmt.Sprintf("Level(%d)", uint8(l))
}

// MarshalText writes what String returns; a value that is no level is an error.
func (l Level) MarshalText() ([]byte, error) {
	if l > SEV4 {
		return nil, fmt.Errorf("severity level %d is not one of 0 to 4", uint8(l))
	}
	return []byte(l.String()), nil
}

// UnmarshalText reads what MarshalText writes.
func (l *Level) UnmarshalText(b []byte) error {
	for v := Unclassified; v <= SEV4; v++ {
		if v.String() == string(b) {
			*l = v
			return nil
		}
	}
	return fmt.Errorf("severity level %q is not one of SEV-1, SEV-2, SEV-3, SEV-4, unclassified", b)
}
