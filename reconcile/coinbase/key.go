package coinbase

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Key is a CDP API key. However it is printed, marshalled or logged, alone or within what
// holds it, at most its name is seen. The zero Key is none.
type Key struct {
	name string
	alg  string

	// sign has the secret to itself: what prints by reflection, as fmt does with the
	// unexported fields of whoever holds a Key, does not see into a function.
	sign func(message []byte) ([]byte, error)
}

// ParseKey reads a key: its name, such as organizations/{id}/apiKeys/{id}, and its
// secret as Coinbase gives it: a PEM block with a P-256 key, or an Ed25519 key as base64
// or PEM. Line ends written as \n, as environment variables have them, are read too.
// The error says what is wrong and nothing of the secret.
func ParseKey(name, secret string) (Key, error) {
	k, err := parseSecret(strings.TrimSpace(strings.ReplaceAll(secret, `\n`, "\n")))
	switch {
	case name == "":
		return Key{}, errors.New("coinbase key: its name is empty")
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return Key{}, errors.New("coinbase key: its name holds a control character")
	case err != nil:
		return Key{}, fmt.Errorf("coinbase key %s: %w", name, err)
	}
	k.name = name
	return k, nil
}

func parseSecret(secret string) (Key, error) {
	if strings.HasPrefix(secret, "-----BEGIN") {
		return parsePEM(secret)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(secret), ""))
	if err != nil {
		return Key{}, errors.New("its secret is neither PEM nor base64")
	}
	switch len(raw) {
	case ed25519.SeedSize:
		return edKey(ed25519.NewKeyFromSeed(raw)), nil
	case ed25519.PrivateKeySize:
		key := ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])
		if !key.Equal(ed25519.PrivateKey(raw)) {
			return Key{}, errors.New("its secret holds a public key that belongs to another")
		}
		return edKey(key), nil
	}
	return Key{}, fmt.Errorf("its secret has %d bytes, want 32 or 64 for Ed25519", len(raw))
}

func parsePEM(secret string) (Key, error) {
	block, _ := pem.Decode([]byte(secret))
	if block == nil {
		return Key{}, errors.New("its secret begins like PEM and is none: is it whole?")
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return ecKey(key)
	}
	// What x509 says of a key it cannot read may quote it.
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Key{}, fmt.Errorf("its PEM block of type %.30q holds no private key that can be read", block.Type)
	}
	switch key := any.(type) {
	case *ecdsa.PrivateKey:
		return ecKey(key)
	case ed25519.PrivateKey:
		return edKey(key), nil
	}
	return Key{}, fmt.Errorf("its secret is a %T, want ECDSA P-256 or Ed25519", any)
}

func ecKey(key *ecdsa.PrivateKey) (Key, error) {
	if key.Curve != elliptic.P256() {
		return Key{}, fmt.Errorf("its curve is %s, want P-256", key.Curve.Params().Name)
	}
	return Key{alg: "ES256", sign: func(message []byte) ([]byte, error) { return signEC(key, message) }}, nil
}

func edKey(key ed25519.PrivateKey) Key {
	return Key{alg: "EdDSA", sign: func(message []byte) ([]byte, error) { return ed25519.Sign(key, message), nil }}
}

// Name returns the key's name, which is no secret.
func (k Key) Name() string { return k.name }

// String returns "coinbase key" and the key's name.
func (k Key) String() string { return "coinbase key " + k.name }

// Format writes String whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) } // fmt takes no error here

// MarshalText writes String, so that a config that is dumped stays harmless.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// LogValue is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }
