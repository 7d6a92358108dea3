package notify

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a token, a password or a signing key. However it is printed, marshalled
// or logged, only "[secret]" is seen.
type Secret []byte

const hidden = "[secret]"

// Format writes "[secret]" whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) } // fmt takes no error here

// String returns "[secret]".
func (s Secret) String() string { return hidden }

// MarshalText writes "[secret]", so that a config that is dumped stays harmless.

func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue is "[secret]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }
