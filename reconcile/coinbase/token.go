package coinbase

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// tokenLife is how long a token is good for, which the venue bounds at two minutes.
// orderTokenLife is shorter: once it is over, an order whose answer was lost cannot
// arrive any more.
const (
	tokenLife      = 2 * time.Minute
	orderTokenLife = 30 * time.Second
)

type tokenHeader struct {
	Alg   string `json:"alg"`
	Kid   string `json:"kid"`
	Nonce string `json:"nonce"`
	Typ   string `json:"typ"`
}

type tokenClaims struct {
	Sub string `json:"sub"`
	Iss string `json:"iss"`
	Nbf int64  `json:"nbf"`
	Exp int64  `json:"exp"`
	URI string `json:"uri"`
}

// token returns a JWT for one request: uri is its method, a space, host and path. Each
// has a nonce of its own.
func (k Key) token(uri string, now time.Time, life time.Duration) (string, error) {
	nonce := make([]byte, 16)
	rand.Read(nonce) // never fails
	header, err := json.Marshal(tokenHeader{Alg: k.alg, Kid: k.name, Nonce: hex.EncodeToString(nonce), Typ: "JWT"})
	if err != nil {
		return "", err
	}
	// A second of slack, since the venue's clock is known only so well.
	nbf := now.Add(-time.Second).Unix()
	claims, err := json.Marshal(tokenClaims{Sub: k.name, Iss: "cdp", Nbf: nbf, Exp: nbf + int64(life/time.Second), URI: uri})
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	signature, err := k.sign([]byte(signed))
	if err != nil {
		return "", fmt.Errorf("%v cannot sign: %w", k, err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// signEC returns a signature as JWS wants it for ES256: r and s of 32 bytes each.
func signEC(key *ecdsa.PrivateKey, message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return nil, err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signature, nil
}
