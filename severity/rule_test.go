package severity_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var start = time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)

// at returns a sample some seconds after start.
func at(seconds int, v severity.Value) severity.Sample {
	return severity.Sample{At: start.Add(time.Duration(seconds) * time.Second), Value: v}
}

// rule returns the playbook's rule for a condition.
func rule(t *testing.T, c severity.Condition) severity.Rule {
	rules := severity.PlaybookRules()
	i := slices.IndexFunc(rules, func(r severity.Rule) bool { return r.Condition == c })
	require.NotEqual(t, -1, i, c)
	return rules[i]
}

func TestPlaybookRules(t *testing.T) {
	pct, ms := severity.Percent, func(n int64) severity.Value { return severity.Took(time.Duration(n) * time.Millisecond) }
	failed, done := severity.Part(1, 1), severity.Part(0, 1)
	unread := severity.Value{}
	for _, tc := range []struct {
		name      string
		condition severity.Condition
		samples   []severity.Sample
		now       int
		want      bool
	}{
		{"failure rate exactly 20 %", severity.TradingFailures, []severity.Sample{at(0, severity.Part(2, 10))}, 1, true},
		{"failure rate of 2 in 11", severity.TradingFailures, []severity.Sample{at(0, severity.Part(2, 11))}, 1, false},
		{"failures add up over the window", severity.TradingFailures, []severity.Sample{at(0, failed), at(1, done), at(2, failed), at(3, done)}, 4, true},
		{"a single failure is no rate", severity.TradingFailures, []severity.Sample{at(0, failed)}, 1, false},
		{"one failure in the window, one before it", severity.TradingFailures, []severity.Sample{at(0, failed), at(299, failed)}, 300, false},
		{"both failures in the window", severity.TradingFailures, []severity.Sample{at(0, failed), at(299, failed)}, 299, true},
		{"no orders", severity.TradingFailures, nil, 1, false},
		{"one unread outcome", severity.TradingFailures, []severity.Sample{at(0, unread), at(1, done), at(2, done)}, 3, true},
		{"one unread outcome among others", severity.TradingFailures, []severity.Sample{at(0, done), at(1, unread), at(2, done)}, 3, true},

		{"latency exactly 500 ms", severity.SlowExecution, []severity.Sample{at(0, ms(400)), at(1, ms(600))}, 2, true},
		{"latency 499 ms on average", severity.SlowExecution, []severity.Sample{at(0, ms(398)), at(1, ms(600))}, 2, false},
		{"slow trades a minute ago", severity.SlowExecution, []severity.Sample{at(0, ms(9000))}, 60, false},

		{"CPU at 80 % for five minutes", severity.HighCPU, every(10, 0, 300, pct(80)), 300, true},
		{"CPU at 79 %", severity.HighCPU, every(10, 0, 300, pct(79)), 300, false},
		{"CPU high a second short of five minutes", severity.HighCPU, every(10, 0, 300, pct(99)), 299, false},
		{"CPU with one dip", severity.HighCPU, append(every(10, 0, 300, pct(99)), at(155, pct(10))), 300, false},
		{"CPU not readable for five minutes", severity.HighCPU, every(10, 0, 300, unread), 300, true},
		{"CPU silent for a minute", severity.HighCPU, []severity.Sample{at(0, pct(1))}, 60, true},
		{"CPU silent for less", severity.HighCPU, []severity.Sample{at(0, pct(1))}, 59, false},
		{"CPU never sampled", severity.HighCPU, nil, 0, true},
		{"CPU measured in another unit", severity.HighCPU, every(10, 0, 300, severity.Number(1)), 300, true},

		{"memory at 90 %", severity.HighMemory, []severity.Sample{at(0, pct(10)), at(1, pct(90))}, 2, true},
		{"memory back below", severity.HighMemory, []severity.Sample{at(0, pct(95)), at(1, pct(89))}, 2, false},
		{"memory sampled twice at once, the worse counts", severity.HighMemory, []severity.Sample{at(1, pct(95)), at(1, pct(10))}, 2, true},
		{"memory sampled in the future", severity.HighMemory, []severity.Sample{at(0, pct(10)), at(99, pct(95))}, 2, true},
		{"impact below 20 %", severity.MinorDegradation, []severity.Sample{at(0, pct(19))}, 1, false},
		{"impact of 20 %", severity.MinorDegradation, []severity.Sample{at(0, pct(20))}, 1, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rule(t, tc.condition)
			v := r.Judge(tc.samples, start.Add(time.Duration(tc.now)*time.Second))
			require.Equal(t, tc.want, v.Fires, v.Why)
			require.Contains(t, v.Why, r.Name)
		})
	}
}

// every returns a sample every so many seconds, both ends included.
func every(step, from, to int, v severity.Value) []severity.Sample {
	var samples []severity.Sample
	for s := from; s <= to; s += step {
		samples = append(samples, at(s, v))
	}
	return samples
}

func TestASumThatDoesNotFitIsUnknown(t *testing.T) {
	r := rule(t, severity.TradingFailures)
	v := r.Judge([]severity.Sample{at(0, severity.Part(0, math.MaxInt64)), at(1, severity.Part(0, math.MaxInt64))}, start.Add(2*time.Second))
	require.True(t, v.Fires)
	require.False(t, v.Value.Known())
}

func TestCountsAddUpOverTheWindow(t *testing.T) {
	r := severity.Rule{Name: "timeouts", Condition: severity.VenueTimeouts, AtLeast: severity.Number(3), Level: severity.SEV1, Below: severity.SEV3, Window: time.Minute}
	one := severity.Number(1)
	require.False(t, r.Judge([]severity.Sample{at(0, one), at(1, one)}, start.Add(2*time.Second)).Fires)
	v := r.Judge([]severity.Sample{at(0, one), at(1, one), at(2, one)}, start.Add(2*time.Second))
	require.True(t, v.Fires)
	require.Equal(t, severity.Number(3), v.Value)

	s := r.Signal("venue/x", "probe", v, start)
	require.Equal(t, severity.Signal{Condition: severity.VenueTimeouts, Component: "venue/x", Value: severity.Number(3), At: start, Source: "probe", Detail: v.Why}, s)
}

// TestJudgeAgreesWithLookingAtEverySecond compares Judge, which looks only where
// something changes, with looking at each second of the period.
func TestJudgeAgreesWithLookingAtEverySecond(t *testing.T) {
	fired := 0
	rapid.Check(t, func(t *rapid.T) {
		r := severity.Rule{Name: "r", AtLeast: severity.Percent(50),
			Window: time.Duration(rapid.IntRange(0, 6).Draw(t, "window")) * time.Second,
			For:    time.Duration(rapid.IntRange(0, 6).Draw(t, "for")) * time.Second}
		samples := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) severity.Sample {
			value := severity.Part(rapid.Int64Range(0, 3).Draw(t, "n"), rapid.Int64Range(0, 3).Draw(t, "of"))
			return at(rapid.IntRange(0, 12).Draw(t, "at"), value)
		}), 0, 10).Draw(t, "samples")
		now := start.Add(12 * time.Second)
		want := true
		for ago := time.Duration(0); ago <= r.For; ago += time.Second {
			want = want && reachedAt(r, samples, now.Add(-ago))
		}
		if want {
			fired++
		}
		require.Equal(t, want, r.Judge(samples, now).Fires)
		require.Equal(t, want, r.Judge(rapid.Permutation(samples).Draw(t, "shuffled"), now).Fires, "the order of samples does not matter")
	})
	require.NotZero(t, fired, "the comparison must have met rules that fire")
}

// reachedAt is the definition, written as plainly as can be.
func reachedAt(r severity.Rule, samples []severity.Sample, t time.Time) bool {
	var n, of int64
	var newest time.Time
	unknown, worst := false, severity.Value{}
	for _, s := range samples {
		if s.At.After(t) {
			continue
		}
		if s.At.After(newest) {
			newest, worst = s.At, s.Value
		} else if s.At.Equal(newest) && s.Value.Reaches(worst) && worst.Known() {
			worst = s.Value
		}
		if s.At.After(t.Add(-r.Window)) {
			n, of, unknown = n+s.Value.N, of+s.Value.Of, unknown || !s.Value.Known()
		}
	}
	switch {
	case r.Window == 0:
		return !newest.IsZero() && worst.Reaches(r.AtLeast)
	case unknown:
		return true
	}
	return of > 0 && 2*n >= of
}

func BenchmarkJudge(b *testing.B) {
	for name, samples := range map[string][]severity.Sample{
		"60 samples":   every(5, 0, 300, severity.Percent(81)),
		"3000 samples": every(1, 0, 3000, severity.Percent(81)),
	} {
		b.Run(name, func(b *testing.B) {
			r := severity.PlaybookRules()[3]
			now := samples[len(samples)-1].At
			b.ReportAllocs()
			for b.Loop() {
				if !r.Judge(samples, now).Fires {
					b.Fatal("did not fire")
				}
			}
		})
	}
}
