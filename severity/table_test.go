package severity_test

import (
	"testing"
	"time"

	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func table(t require.TestingT, cfg severity.TableConfig) *severity.Table {
	table, err := severity.NewTable(cfg)
	require.NoError(t, err)
	return table
}

func TestEachConditionHasItsLevel(t *testing.T) {
	classifier := table(t, severity.TableConfig{Rules: []severity.Rule{}})
	for _, d := range severity.Definitions() {
		a := classifier.Assess(start, severity.Signal{Condition: d.Condition, Component: "bot"})
		require.Equal(t, d.Level, a.Level, d.Condition)
		require.Contains(t, a.Why, d.Text)
		require.Contains(t, a.Why, d.Reason)
		require.Empty(t, a.Rule)
	}
}

func TestLaw1_WhatIsUnclassifiedIsSEV1AndHalts(t *testing.T) {
	classifier := table(t, severity.TableConfig{PageOnly: []string{"canary"}})
	strange := severity.Signal{Condition: "never-heard-of", Component: "bot", Source: "probe"}

	a := classifier.Assess(start, strange)
	require.Equal(t, severity.SEV1, a.Level)
	require.True(t, a.Halts())
	for _, fact := range []string{"never-heard-of", "bot", "probe"} {
		require.Contains(t, a.Why, fact)
	}
	require.True(t, classifier.Assess(start, severity.Signal{}).Halts(), "a signal without any content")

	canary := strange
	canary.Source = "canary"
	a = classifier.Assess(start, canary)
	require.Equal(t, severity.SEV1, a.Level, "a page-only source pages as SEV-1")
	require.False(t, a.Halts())

	require.True(t, classifier.Assess(start, canary, strange).Halts(), "one source that may halt is enough")
	require.True(t, classifier.Assess(start, canary, severity.Signal{Condition: severity.AuthFailure}).Halts())
	known := severity.Signal{Condition: severity.AuthFailure, Source: "canary"}
	require.True(t, classifier.Assess(start, known).Halts(), "page-only is for what is unclassified")

	require.True(t, severity.Assessment{}.Halts(), "an assessment that nobody made")
}

func TestLaw1_AValueThatCannotBeReadGradesAsTheWorst(t *testing.T) {
	classifier := table(t, severity.TableConfig{})
	for _, r := range severity.PlaybookRules() {
		for name, v := range map[string]severity.Value{"unknown": {}, "another unit": severity.Number(0)} {
			a := classifier.Assess(start, severity.Signal{Condition: r.Condition, Component: "bot", Value: v})
			require.Equal(t, r.Level, a.Level, "%s: %s", r.Name, name)
			require.Equal(t, r.Name, a.Rule)
			require.Contains(t, a.Why, "counts as the worst")
		}
	}
}

func TestValuesAreGradedByTheRules(t *testing.T) {
	classifier := table(t, severity.TableConfig{})
	for _, tc := range []struct {
		name      string
		condition severity.Condition
		value     severity.Value
		want      severity.Level
		why       string
	}{
		{"exactly 20 % is SEV-2", severity.TradingFailures, severity.Part(2, 10), severity.SEV2, "at or above"},
		{"below 20 % is SEV-3", severity.TradingFailures, severity.Part(19, 100), severity.SEV3, "below"},
		{"one failure of one", severity.TradingFailures, severity.Part(1, 1), severity.SEV3, "fewer than the 2"},
		{"impact of exactly 20 % is not minor", severity.MinorDegradation, severity.Percent(20), severity.SEV2, "at or above"},
		{"minor impact", severity.MinorDegradation, severity.Percent(19), severity.SEV3, "below"},
		{"slow", severity.SlowExecution, severity.Took(500 * time.Millisecond), severity.SEV2, "at or above"},
		{"not slow", severity.SlowExecution, severity.Took(500*time.Millisecond - 1), severity.SEV4, "below"},
		{"memory", severity.HighMemory, severity.Percent(90), severity.SEV2, "at or above"},
		{"CPU", severity.HighCPU, severity.Percent(81), severity.SEV3, "at or above"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := classifier.Assess(start, severity.Signal{Condition: tc.condition, Component: "bot", Value: tc.value})
			require.Equal(t, tc.want, a.Level)
			require.Contains(t, a.Why, tc.value.String())
			require.Contains(t, a.Why, tc.why)
			require.NotEmpty(t, a.Rule)
		})
	}
}

func TestTheWorstOfSeveralRulesWins(t *testing.T) {
	classifier := table(t, severity.TableConfig{Rules: append(severity.PlaybookRules(), severity.Rule{
		Name: "stalled execution", Condition: severity.SlowExecution, AtLeast: severity.Took(5 * time.Second), Level: severity.SEV1, Below: severity.SEV4})})
	slow := severity.Signal{Condition: severity.SlowExecution, Value: severity.Took(time.Second)}
	a := classifier.Assess(start, slow)
	require.Equal(t, severity.SEV2, a.Level)
	require.Equal(t, "execution latency", a.Rule)

	slow.Value = severity.Took(5 * time.Second)
	a = classifier.Assess(start, slow)
	require.Equal(t, severity.SEV1, a.Level)
	require.Equal(t, "stalled execution", a.Rule)
}

func TestOurOwnHaltIsNoIncident(t *testing.T) {
	classifier := table(t, severity.TableConfig{})
	own := severity.Signal{Condition: severity.TradingHalted, Component: "bot", OurOwnHalt: true}
	foreign := severity.Signal{Condition: severity.TradingHalted, Component: "bot"}

	a := classifier.Assess(start, own)
	require.True(t, a.Nothing)
	require.False(t, a.Halts())
	require.True(t, classifier.Assess(start).Nothing)
	require.Equal(t, severity.SEV1, classifier.Assess(start, foreign).Level)

	a = classifier.Assess(start, own, severity.Signal{Condition: severity.DashboardIssue})
	require.Equal(t, severity.SEV3, a.Level, "our own halt neither raises nor hides anything")
	require.Len(t, a.Decided, 1)

	claimed := severity.Signal{Condition: severity.CannotClose, OurOwnHalt: true}
	require.Equal(t, severity.SEV1, classifier.Assess(start, claimed).Level, "it says nothing about other conditions")
}

func TestDeadlinesCountFromNow(t *testing.T) {
	classifier := table(t, severity.TableConfig{})
	a := classifier.Assess(start, severity.Signal{Condition: severity.PartialCorruption, At: start.Add(-time.Hour)})
	require.Equal(t, start, a.At)
	require.Equal(t, start.Add(15*time.Minute), a.RespondBy)
	require.Equal(t, start.Add(4*time.Hour), a.ResolveBy)
}

func TestTheAssessmentSaysWhatDecided(t *testing.T) {
	classifier := table(t, severity.TableConfig{})
	mild := severity.Signal{Condition: severity.DashboardIssue, Component: "ui"}
	late := severity.Signal{Condition: severity.AuthFailure, Component: "venue/b", At: start.Add(time.Second)}
	early := severity.Signal{Condition: severity.CannotClose, Component: "venue/a", At: start}
	a := classifier.Assess(start, mild, late, early)
	require.Equal(t, severity.SEV1, a.Level)
	require.Equal(t, []severity.Signal{early, late}, a.Decided)
	require.Equal(t, "SEV-1: cannot-close of venue/a: Unable to close open positions, and 1 more", a.Why)
}

func signals() *rapid.Generator[severity.Signal] {
	conditions := []severity.Condition{"", "never-heard-of"}
	for _, d := range severity.Definitions() {
		conditions = append(conditions, d.Condition)
	}
	return rapid.Custom(func(t *rapid.T) severity.Signal {
		return severity.Signal{
			Condition:  rapid.SampledFrom(conditions).Draw(t, "condition"),
			Component:  rapid.SampledFrom([]string{"a", "b"}).Draw(t, "component"),
			Source:     rapid.SampledFrom([]string{"probe", "canary"}).Draw(t, "source"),
			At:         start.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "at")) * time.Second),
			Value:      severity.Part(rapid.Int64Range(0, 10).Draw(t, "n"), rapid.Int64Range(0, 10).Draw(t, "of")),
			OurOwnHalt: rapid.Bool().Draw(t, "own"),
		}
	})
}

func TestTheWorstSignalWinsInAnyOrder(t *testing.T) {
	classifier := table(t, severity.TableConfig{PageOnly: []string{"canary"}})
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SliceOfN(signals(), 0, 5).Draw(t, "signals")
		a := classifier.Assess(start, some...)
		b := classifier.Assess(start, rapid.Permutation(some).Draw(t, "shuffled")...)
		// Two signals that compare alike may change places: what was decided may not.
		require.ElementsMatch(t, a.Decided, b.Decided)
		a.Decided, b.Decided = nil, nil
		require.Equal(t, a, b)

		more := classifier.Assess(start, append(some, signals().Draw(t, "one more"))...)
		if !a.Nothing {
			require.False(t, more.Nothing)
			require.True(t, more.Level.AtLeast(a.Level), "one more signal never makes it milder")
		}
		require.True(t, more.Halts() || !a.Halts(), "nor lets trading go on")
		require.Equal(t, more.Nothing, more.Level == severity.Unclassified, "an incident has a real level")
	})
}

func TestNewTableNamesEveryProblem(t *testing.T) {
	_, err := severity.NewTable(severity.TableConfig{
		Levels:   map[severity.Condition]severity.Level{"mine": severity.Unclassified, severity.HighCPU: severity.SEV1},
		PageOnly: []string{""},
		Rules: []severity.Rule{
			{Name: "twice", Condition: severity.HighCPU, AtLeast: severity.Percent(1), Level: severity.SEV2, Below: severity.SEV1},
			{Name: "twice", Window: -1},
			{},
		},
	})
	for _, want := range []string{
		`Levels["mine"]: is unclassified`,
		`Levels["high-cpu"]: the rule "twice" grades this condition`,
		"PageOnly: holds an empty source",
		`Rules[0] "twice": Below: is SEV-1`,
		`Rules[1] "twice": Condition: is empty`,
		"AtLeast: is unknown",
		"Level: is unclassified",
		"Window, For, Silence, Min: are -1ns",
		`Rules[1] "twice": Name is used twice`,
		`Rules[2] "": Name: is empty`,
	} {
		require.ErrorContains(t, err, want)
	}
}

func TestLevelsAddAndChange(t *testing.T) {
	classifier := table(t, severity.TableConfig{Levels: map[severity.Condition]severity.Level{
		"gpu-hot": severity.SEV3, severity.ConfigModified: severity.SEV1}})
	require.Equal(t, severity.SEV3, classifier.Assess(start, severity.Signal{Condition: "gpu-hot"}).Level)
	a := classifier.Assess(start, severity.Signal{Condition: severity.ConfigModified})
	require.Equal(t, severity.SEV1, a.Level)
	require.Contains(t, a.Why, "Configuration file modifications: configured as such")
}

func BenchmarkAssess(b *testing.B) {
	classifier := table(b, severity.TableConfig{})
	s := severity.Signal{Condition: severity.TradingFailures, Component: "venue/coinbase", Value: severity.Part(3, 12)}
	b.ReportAllocs()
	for b.Loop() {
		if classifier.Assess(start, s).Level != severity.SEV2 {
			b.Fatal("wrong level")
		}
	}
}
