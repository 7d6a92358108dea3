package bluefin

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/blake2b"
)

// flagEd25519 is the scheme that stands before keys and signatures.
const flagEd25519 = 0

// address is the hash of the scheme and the public key.
func (k Key) address() []byte {
	sum := blake2b.Sum256(append([]byte{flagEd25519}, k.public...))
	return sum[:]
}

// signMessage signs bytes as a Sui personal message: the intent of three bytes, the
// length, the bytes. The signature carries the scheme and the public key.
func (k Key) signMessage(message []byte) string {
	digest := blake2b.Sum256(append(appendLength([]byte{3, 0, 0}, len(message)), message...))
	signature := append([]byte{flagEd25519}, k.sign(digest[:])...)
	return base64.StdEncoding.EncodeToString(append(signature, k.public...))
}

// appendLength appends a length as BCS has it: 7 bits a byte, the lowest first.
func appendLength(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)) }

// signedFields are the parts of an order that are signed, as POST /trade/orders has them.
type signedFields struct {
	Symbol          string `json:"symbol"`
	AccountAddress  string `json:"accountAddress"`
	PriceE9         string `json:"priceE9"`
	QuantityE9      string `json:"quantityE9"`
	Side            string `json:"side"`
	LeverageE9      string `json:"leverageE9"`
	IsIsolated      bool   `json:"isIsolated"`
	Salt            string `json:"salt"`
	IdsID           string `json:"idsId"`
	ExpiresAtMillis int64  `json:"expiresAtMillis"`
	SignedAtMillis  int64  `json:"signedAtMillis"`
}

func (s signedFields) positionType() string {
	if s.IsIsolated {
		return "ISOLATED"
	}
	return "CROSS"
}

// message is what a wallet shows of an order and signs: JSON, indented by two, its
// fields in this order.
func (s signedFields) message() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(struct {
		Type         string `json:"type"`
		IDs          string `json:"ids"`
		Account      string `json:"account"`
		Market       string `json:"market"`
		Price        string `json:"price"`
		Quantity     string `json:"quantity"`
		Leverage     string `json:"leverage"`
		Side         string `json:"side"`
		PositionType string `json:"positionType"`
		Expiration   string `json:"expiration"`
		Salt         string `json:"salt"`
		SignedAt     string `json:"signedAt"`
	}{
		"Bluefin Pro Order", s.IdsID, s.AccountAddress, s.Symbol, s.PriceE9, s.QuantityE9, s.LeverageE9, s.Side,
		s.positionType(), strconv.FormatInt(s.ExpiresAtMillis, 10), s.Salt, strconv.FormatInt(s.SignedAtMillis, 10),
	})
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// hash is the venue's id of the order, which is known before it is sent: the hash of
// the fields in BCS.
func (s signedFields) hash() (string, error) {
	var b []byte
	var errs []error
	address := func(name, text string) {
		raw, err := parseAddress(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		b = append(b, raw...)
	}
	text := func(s string) { b = append(appendLength(b, len(s)), s...) }
	number := func(name, s string) {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %q is no number of 64 bits", name, s))
		}
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	address("idsId", s.IdsID)
	address("accountAddress", s.AccountAddress)
	text(s.Symbol)
	number("priceE9", s.PriceE9)
	number("quantityE9", s.QuantityE9)
	number("leverageE9", s.LeverageE9)
	text(s.Side)
	text(s.positionType())
	number("expiresAtMillis", strconv.FormatInt(s.ExpiresAtMillis, 10))
	number("salt", s.Salt)
	number("signedAtMillis", strconv.FormatInt(s.SignedAtMillis, 10))
	if len(errs) > 0 {
		return "", errs[0]
	}
	sum := blake2b.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// parseAddress reads 0x and 64 hex digits.
func parseAddress(text string) ([]byte, error) {
	digits, ok := strings.CutPrefix(text, "0x")
	raw, err := hex.DecodeString(digits)
	if !ok || err != nil || len(raw) != 32 {
		return nil, fmt.Errorf("%.80q is no address: want 0x and 64 hex digits", text)
	}
	return raw, nil
}

// sameHash reports whether two texts are the same hash; 0x and case do not matter.
func sameHash(a, b string) bool { return a != "" && bareHash(a) == bareHash(b) }

func bareHash(h string) string { return strings.TrimPrefix(strings.ToLower(h), "0x") }
