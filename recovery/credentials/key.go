package credentials

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"time"
)

// Key is a key to a venue. However it is printed, its secret is hidden.
type Key struct {
	Name    string // what the venue calls it
	Made    time.Time
	Expires time.Time // zero where it is not known

	// secret is a pointer, of which fmt prints no more than the address: it does not call
	// the methods of a Key in an unexported field, nor for %d.
	secret *string
}

// Secret returns what the venue must not tell anybody.
func (k Key) Secret() string {
	if k.secret == nil {
		return ""
	}
	return *k.secret
}

// String returns the name and when it expires.
func (k Key) String() string {
	s := k.Name
	if !k.Made.IsZero() { // "no key" was never made
		s += ", of " + k.Made.UTC().Format(time.RFC3339)
	}
	if !k.Expires.IsZero() {
		s += ", expires " + k.Expires.UTC().Format(time.RFC3339)
	}
	return s
}

// GoString is String, so that no way of printing shows the secret.
func (k Key) GoString() string { return k.String() }

// Kind is a kind of key.
type Kind string

// The kinds that Generate makes.
const (
	Hex     Kind = "hex"     // 32 random bytes in hexadecimal
	P256    Kind = "p256"    // a pair; the secret is the PEM of SEC 1 (EC PRIVATE KEY)
	Ed25519 Kind = "ed25519" // a pair; the secret is the PEM of PKCS #8
)

// generate returns a secret, and the PEM of the public half of a pair.
func generate(kind Kind) (secret, public string, err error) {
	var block pem.Block
	var pub any
	switch kind {
	case Hex:
		b := make([]byte, 32)
		if _, err := rand.Read(b); err != nil {
			return "", "", err
		}
		return hex.EncodeToString(b), "", nil
	case P256:
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return "", "", err
		}
		block.Type, pub = "EC PRIVATE KEY", key.Public()
		if block.Bytes, err = x509.MarshalECPrivateKey(key); err != nil {
			return "", "", err
		}
	case Ed25519:
		p, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return "", "", err
		}
		block.Type, pub = "PRIVATE KEY", p
		if block.Bytes, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
			return "", "", err
		}
	default:
		return "", "", fmt.Errorf("kind: %q is none of hex, p256 and ed25519", kind)
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", "", err
	}
	return string(pem.EncodeToMemory(&block)), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}
