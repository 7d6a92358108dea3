package safety

import (
	"math/big"
	"testing"

	"github.com/andon-go/andon"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// fraction returns the number that n / 10^decimals is.
func fraction(n *big.Int, decimals int64) *big.Rat {
	return new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(decimals), nil))
}

func decimalRat(t require.TestingT, d andon.Decimal) *big.Rat {
	r, ok := new(big.Rat).SetString(d.String())
	require.True(t, ok)
	return r
}

func unitsRat(u units) *big.Rat { return fraction(big1(u), andon.MaxDecimals) }

func valueRat(v value) *big.Rat {
	n := new(big.Int)
	for i := len(v) - 1; i >= 0; i-- {
		n.Add(n.Lsh(n, 64), new(big.Int).SetUint64(v[i]))
	}
	return fraction(n, 2*andon.MaxDecimals)
}

// Decimals of every size that the gate counts, and some that it does not.
func anyDecimal() *rapid.Generator[andon.Decimal] {
	return rapid.Custom(func(t *rapid.T) andon.Decimal {
		d, err := andon.ParseDecimal(rapid.StringMatching(`-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,19})?`).Draw(t, "decimal"))
		if err != nil {
			t.Skip("more digits than a decimal holds")
		}
		return d
	})
}

// The gate's integers are the decimals, exactly: what they add, compare and multiply
// to is what math/big says, and what they do not hold is refused.
func TestLaw1_UnitsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyDecimal().Draw(t, "a"), anyDecimal().Draw(t, "b")
		most := big.NewRat(1e15, 1)
		x, okA := toUnits(a)
		y, okB := toUnits(b)
		ra, rb := decimalRat(t, a), decimalRat(t, b)
		require.Equal(t, new(big.Rat).Abs(ra).Cmp(most) < 0, okA, "%v", a)
		require.Equal(t, new(big.Rat).Abs(rb).Cmp(most) < 0, okB, "%v", b)
		if !okA || !okB {
			return
		}
		require.Zero(t, ra.Cmp(unitsRat(x)))
		require.Zero(t, new(big.Rat).Add(ra, rb).Cmp(unitsRat(x.add(y))))
		require.Zero(t, new(big.Rat).Sub(ra, rb).Cmp(unitsRat(x.sub(y))))
		require.Equal(t, ra.Cmp(rb), x.cmp(y))
		require.Equal(t, ra.Sign(), x.sign())
		require.Equal(t, ra.Sign() != 0, x.some())
		require.Zero(t, new(big.Rat).Abs(ra).Cmp(unitsRat(x.abs())))
		require.Equal(t, a.String(), x.String())
		v, w := x.worth(y), x.worth(x)
		product := new(big.Rat).Abs(new(big.Rat).Mul(ra, rb))
		square := new(big.Rat).Mul(ra, ra)
		require.Zero(t, product.Cmp(valueRat(v)))
		require.Equal(t, product.Cmp(square) > 0, v.exceeds(&w))
		require.Equal(t, product.Cmp(square) > 0, x.worthMore(y, &w))
		require.False(t, x.worthMore(y, &v), "on its bound it is not more")
		if v != (value{}) {
			below := v.minus(value{1})
			require.True(t, x.worthMore(y, &below), "by the smallest step")
		}
		sum := v.plus(w)
		require.Zero(t, new(big.Rat).Add(product, square).Cmp(valueRat(sum)))
		require.Equal(t, v, sum.minus(w))
		text, ok := new(big.Rat).SetString(v.String())
		require.True(t, ok)
		require.Zero(t, product.Cmp(text))
	})
}

func TestLaw1_AValueThatDoesNotFitIsTheLargest(t *testing.T) {
	top := value{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
	require.Equal(t, top, top.plus(value{1}))
	require.Equal(t, top, value{0, 0, 0, 1 << 63}.plus(value{0, 0, 0, 1 << 63}))
}
