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

// known reports whether l is one of the four levels of the playbook.
func (l Level) known() bool { return SEV1 <= l && l <= SEV4 }

// effective is the level that l is treated as: itself, or SEV1 where l is none.
func (l Level) effective() Level {
	if l.known() {
		return l
	}
	return SEV1
}

// AtLeast reports whether l is as bad as m or worse. Unclassified, and any value
// that is no level, counts as SEV1 on either side.
func (l Level) AtLeast(m Level) bool { return l.effective() <= m.effective() }

// Worst returns the worse of the two. Of two that are equally bad it returns the
// one that is a real level, so that Unclassified stays only where both are.
func Worst(a, b Level) Level {
	if a.AtLeast(b) && (a.known() || !b.AtLeast(a)) {
		return a
	}
	return b
}

// String returns "SEV-1" to "SEV-4", "unclassified" or "Level(n)".
func (l Level) String() string {
	switch {
	case l == Unclassified:
		return "unclassified"
	case l.known():
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
