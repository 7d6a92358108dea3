package bluefin

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Key is a Sui Ed25519 key. However it is printed, marshalled or logged, alone or within
// what holds it, at most its public part is seen. The zero Key is none.
type Key struct {
	public ed25519.PublicKey

	// sign has the secret to itself: what prints by reflection, as fmt does with the
	// unexported fields of whoever holds a Key, does not see into a function.
	sign func(message []byte) []byte
}

// ParseKey reads a key as Sui's tools write it: suiprivkey1 and the rest of it, 32 bytes
// as hex, or 33 bytes as base64, of which the first says Ed25519. The error says what is
// wrong and nothing of the secret.
func ParseKey(secret string) (Key, error) {
	seed, err := parseSeed(strings.TrimSpace(secret))
	if err != nil {
		return Key{}, fmt.Errorf("bluefin key: %w", err)
	}
	private := ed25519.NewKeyFromSeed(seed)
	return Key{
		public: private.Public().(ed25519.PublicKey),
		sign:   func(message []byte) []byte { return ed25519.Sign(private, message) },
	}, nil
}

func parseSeed(secret string) ([]byte, error) {
	if prefix, data, err := bech32(secret); err == nil {
		if prefix != "suiprivkey" {
			return nil, fmt.Errorf("it begins with %.20q, want suiprivkey", prefix)
		}
		return flagged(data)
	}
	if len(secret) >= 2 && secret[0] == '0' && (secret[1] == 'x' || secret[1] == 'X') {
		secret = secret[2:]
	}
	if seed, err := hex.DecodeString(secret); err == nil {
		if len(seed) != ed25519.SeedSize {
			return nil, fmt.Errorf("it has %d bytes, want 32", len(seed))
		}
		return seed, nil
	}
	raw, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		return nil, errors.New("it is neither suiprivkey1..., nor hex, nor base64, or it is damaged")
	}
	return flagged(raw)
}

// flagged reads a seed with the scheme before it.
func flagged(raw []byte) ([]byte, error) {
	switch {
	case len(raw) != 1+ed25519.SeedSize:
		return nil, fmt.Errorf("it has %d bytes, want 33", len(raw))
	case raw[0] != flagEd25519:
		return nil, fmt.Errorf("its scheme is %d, want 0 for Ed25519", raw[0])
	}
	return raw[1:], nil
}

const bech32Letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

// bech32 decodes a text of BIP 173 into its prefix and bytes.
func bech32(text string) (prefix string, data []byte, err error) {
	failed := errors.New("no bech32")
	lower := strings.ToLower(text)
	if text != lower && text != strings.ToUpper(text) || len(text) > 200 {
		return "", nil, failed
	}
	prefix, rest, ok := cutLast(lower, "1")
	if !ok || prefix == "" || len(rest) < 6 {
		return "", nil, failed
	}
	sum := uint32(1)
	step := func(v byte) {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range []uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	for i := range len(prefix) {
		step(prefix[i] >> 5)
	}
	step(0)
	for i := range len(prefix) {
		step(prefix[i] & 31)
	}
	var bits, n uint32
	for i := range len(rest) {
		v := strings.IndexByte(bech32Letters, rest[i])
		if v < 0 {
			return "", nil, failed
		}
		step(byte(v))
		if i >= len(rest)-6 {
			continue // the checksum
		}
		bits, n = bits<<5|uint32(v), n+5
		if n >= 8 {
			n -= 8
			data = append(data, byte(bits>>n))
			bits &= 1<<n - 1
		}
	}
	if sum != 1 || n >= 5 || bits != 0 {
		return "", nil, failed
	}
	return prefix, data, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// Address returns the key's address on Sui, which is no secret; empty for the zero Key.
func (k Key) Address() string {
	if k.sign == nil {
		return ""
	}
	return "0x" + hex.EncodeToString(k.address())
}

// String returns "bluefin key" and the key's address.
func (k Key) String() string { return "bluefin key " + k.Address() }

// Format writes String whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) } // fmt takes no error here

// MarshalText writes String, so that a config that is dumped stays harmless.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// LogValue is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }
