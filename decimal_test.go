package andon_test

import (
	"encoding/json"
	"math/big"
	"testing"

	"github.com/andon-go/andon"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseDecimal(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "-0": "0", "0.000": "0", "1": "1", "+1.50": "1.5", ".5": "0.5", "5.": "5",
		"1.035e-05": "0.00001035", "1E3": "1000", "-12.5e-1": "-1.25", "0e999": "0",
		"340282366920938463463374607431768211455": "340282366920938463463374607431768211455",
		"0.0000000000000000001":                   "0.0000000000000000001",
		"1.00000000000000000000000000000000000":   "1",
		"100e-21":                                 "0.0000000000000000001",
	} {
		d, err := andon.ParseDecimal(in)
		require.NoError(t, err, in)
		require.Equal(t, want, d.String(), in)
	}
	for in, want := range map[string]error{
		"": andon.ErrSyntax, "-": andon.ErrSyntax, ".": andon.ErrSyntax, "1e": andon.ErrSyntax, "1e+": andon.ErrSyntax,
		"1.2.3": andon.ErrSyntax, " 1": andon.ErrSyntax, "1 ": andon.ErrSyntax, "NaN": andon.ErrSyntax, "Inf": andon.ErrSyntax, "0x1": andon.ErrSyntax, "1_000": andon.ErrSyntax, "e5": andon.ErrSyntax,
		"340282366920938463463374607431768211456": andon.ErrTooManyDigits,
		"0.00000000000000000001":                  andon.ErrTooManyDigits,
		"1e39":                                    andon.ErrTooManyDigits,
		"1e-99999999999999999999":                 andon.ErrTooManyDigits,
	} {
		_, err := andon.ParseDecimal(in)
		require.ErrorIs(t, err, want, "%q", in)
	}
}

// decimals draws numbers over the whole range that a Decimal holds.
func decimals() *rapid.Generator[andon.Decimal] {
	return rapid.Custom(func(t *rapid.T) andon.Decimal {
		coef := rapid.Int64().Draw(t, "coef")
		return andon.NewDecimal(coef, rapid.IntRange(0, andon.MaxDecimals).Draw(t, "decimals"))
	})
}

func rat(t require.TestingT, d andon.Decimal) *big.Rat {
	r, ok := new(big.Rat).SetString(d.String())
	require.True(t, ok, d)
	return r
}

func TestDecimalArithmeticIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := decimals().Draw(t, "a"), decimals().Draw(t, "b")
		x, y := rat(t, a), rat(t, b)
		require.Zero(t, rat(t, a.Add(b)).Cmp(new(big.Rat).Add(x, y)), "%v + %v", a, b)
		require.Zero(t, rat(t, a.Sub(b)).Cmp(new(big.Rat).Sub(x, y)), "%v - %v", a, b)
		require.Equal(t, x.Cmp(y), a.Cmp(b))
		require.Equal(t, a, a.Add(b).Sub(b), "lowest terms: == agrees with Equal")
		product := new(big.Rat).Mul(x, y)
		if p, err := a.Mul(b); err == nil {
			require.Zero(t, rat(t, p).Cmp(product), "%v × %v", a, b)
		} else {
			require.ErrorIs(t, err, andon.ErrTooManyDigits)
			scaled := new(big.Rat).Mul(product, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(andon.MaxDecimals), nil)))
			require.False(t, scaled.IsInt() && new(big.Int).Abs(scaled.Num()).BitLen() < 128, "%v × %v fits and was refused", a, b)
		}
		if b.IsZero() {
			_, err := a.Quo(b, 2, andon.Down)
			require.ErrorIs(t, err, andon.ErrDivideByZero)
			return
		}
		places := rapid.IntRange(0, andon.MaxDecimals).Draw(t, "places")
		quo := new(big.Rat).Quo(x, y)
		down, err := a.Quo(b, places, andon.Down)
		if err != nil {
			require.ErrorIs(t, err, andon.ErrTooManyDigits)
			return
		}
		unit := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil))
		diff := new(big.Rat).Sub(new(big.Rat).Abs(quo), new(big.Rat).Abs(rat(t, down)))
		require.True(t, diff.Sign() >= 0 && diff.Cmp(unit) < 0, "%v / %v = %v", a, b, down)
		exact, err := a.Quo(b, places, andon.Exact)
		if diff.Sign() == 0 {
			require.NoError(t, err)
			require.Equal(t, down, exact)
		} else {
			require.ErrorIs(t, err, andon.ErrInexact)
		}
	})
}

func TestDecimalJSONIsExactAndNullIsAnError(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := decimals().Draw(t, "a")
		b, err := json.Marshal(a)
		require.NoError(t, err)
		var back, number andon.Decimal
		require.NoError(t, json.Unmarshal(b, &back))
		require.Equal(t, a, back)
		require.NoError(t, json.Unmarshal([]byte(a.String()), &number), "a JSON number")
		require.Equal(t, a, number)
	})
	d := andon.MustDecimal("7")
	for _, bad := range []string{"null", `""`, `"x"`, `{}`, `[1]`, `true`, `"0.00000000000000000001"`} {
		require.Error(t, json.Unmarshal([]byte(bad), &d), bad)
		require.Equal(t, "7", d.String(), "left as it was")
	}
}

func TestQuoRounds(t *testing.T) {
	for _, c := range []struct {
		a, b string
		n    int
		r    andon.Rounding
		want string
	}{
		{"1", "3", 2, andon.Down, "0.33"}, {"1", "3", 2, andon.Up, "0.34"}, {"-1", "3", 2, andon.Up, "-0.34"},
		{"1", "8", 2, andon.HalfEven, "0.12"}, {"3", "8", 2, andon.HalfEven, "0.38"}, {"2", "3", 0, andon.HalfEven, "1"},
		{"10", "4", 1, andon.Exact, "2.5"}, {"0", "4", 1, andon.Exact, "0"},
	} {
		got, err := andon.MustDecimal(c.a).Quo(andon.MustDecimal(c.b), c.n, c.r)
		require.NoError(t, err)
		require.Equal(t, c.want, got.String(), "%s / %s", c.a, c.b)
	}
}

func FuzzParseDecimal(f *testing.F) {
	for _, s := range []string{"1.035e-05", "-.5", "340282366920938463463374607431768211455", "1e-19", "00.10", "9e19", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := andon.ParseDecimal(s)
		if err != nil {
			return
		}
		want, ok := new(big.Rat).SetString(s)
		require.True(t, ok, "%q is no number and was read as %v", s, d)
		require.Zero(t, rat(t, d).Cmp(want), "%q read as %v", s, d)
	})
}
