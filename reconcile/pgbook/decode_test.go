package pgbook_test

import (
	"context"
	"encoding/binary"
	"math/big"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile/pgbook"
)

// TestNumericsAreReadAsTheServerWritesThem compares with the text of the same number, on
// a real server.
func TestNumericsAreReadAsTheServerWritesThem(t *testing.T) {
	pool := connect(t, newDatabase(t, ""))
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	same := func(t require.TestingT, text string) {
		rr := conn.Conn().PgConn().ExecParams(context.Background(), "SELECT $1::text::numeric", [][]byte{[]byte(text)}, nil, nil, []int16{1})
		require.True(t, rr.NextRow())
		got, err := pgbook.DecodeNumeric(rr.Values()[0])
		_, closed := rr.Close()
		require.NoError(t, closed)
		want, wantErr := andon.ParseDecimal(text)
		if wantErr != nil {
			require.Error(t, err, text)
			return
		}
		require.NoError(t, err, text)
		require.Equal(t, want.String(), got.String(), text)
	}
	for _, text := range []string{
		"0", "-0", "0.000", "1", "-1", "10000", "1e20", "123456789012345678901234567890", "0.0000000000000000001", "-0.33375687", "9999.9999", "12345678.9",
		"340282366920938463463374607431768211455", "340282366920938463463374607431768211456", "1e-20", "NaN", "Infinity", "-Infinity", "1e100", "100000000.00000001",
	} {
		same(t, text)
	}
	rapid.Check(t, func(r *rapid.T) {
		same(r, rapid.StringMatching(`-?[0-9]{1,25}(\.[0-9]{1,22})?`).Draw(r, "number"))
	})
}

// FuzzDecodeNumeric: no bytes make it panic, and what it accepts is the sum of its digits.
func FuzzDecodeNumeric(f *testing.F) {
	m := pgtype.NewMap()
	for _, text := range []string{"0", "1.5", "-123456789.987654321", "1000000000000000000000000000000", "NaN", "Infinity"} {
		var n pgtype.Numeric
		require.NoError(f, n.Scan(text))
		b, err := m.Encode(pgtype.NumericOID, pgtype.BinaryFormatCode, n, nil)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Add([]byte{0, 1, 0x7f, 0xff, 0, 0, 0, 0, 0, 1})
	f.Add([]byte{0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := pgbook.DecodeNumeric(b)
		if err != nil {
			return
		}
		want, ten := new(big.Rat), big.NewInt(10000)
		weight := int64(int16(binary.BigEndian.Uint16(b[2:])))
		for i := 8; i < len(b); i += 2 {
			digit := binary.BigEndian.Uint16(b[i:])
			require.Less(t, digit, uint16(10000), "no digit")
			if digit == 0 {
				continue
			}
			place := weight - int64(i-8)/2
			value := new(big.Rat).SetInt(new(big.Int).Exp(ten, big.NewInt(max(place, -place)), nil))
			if place < 0 {
				value.Inv(value)
			}
			want.Add(want, value.Mul(value, new(big.Rat).SetInt64(int64(digit))))
		}
		if b[4] == 0x40 {
			want.Neg(want)
		}
		read, ok := new(big.Rat).SetString(got.String())
		require.True(t, ok)
		require.Zero(t, want.Cmp(read), "%v and %v", want, got)
	})
}
