package notify_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func opened(l severity.Level) notify.Progress {
	return notify.Progress{Key: notify.Key{Condition: severity.AuthFailure, Component: "venue/coinbase", Episode: 1},
		Level: l, DeclaredAt: start, OpenedAt: start, Round: 1}
}

func pages(due []notify.Due) []notify.Due { return kind(notify.PageDue, due) }

func kind(k notify.DueKind, due []notify.Due) []notify.Due {
	return slices.DeleteFunc(slices.Clone(due), func(d notify.Due) bool { return d.Kind != k })
}

func progresses() *rapid.Generator[notify.Progress] {
	return rapid.Custom(func(t *rapid.T) notify.Progress {
		minutes := func(name string) time.Duration {
			return time.Duration(rapid.IntRange(0, 90).Draw(t, name)) * time.Minute
		}
		pr := opened(severity.Level(rapid.IntRange(0, 5).Draw(t, "level")))
		pr.Round = rapid.IntRange(1, 3).Draw(t, "round")
		pr.OpenedAt = start.Add(minutes("opened"))
		pr.Done = rapid.SliceOfNDistinct(rapid.IntRange(0, 2), 0, 3, rapid.ID).Draw(t, "done")
		if rapid.Bool().Draw(t, "updated") {
			pr.UpdatedAt = start.Add(minutes("update"))
		}
		return pr
	})
}

func directories() *rapid.Generator[notify.Directory] {
	return rapid.Custom(func(t *rapid.T) notify.Directory {
		d := team()
		d.Contacts = slices.DeleteFunc(d.Contacts, func(c notify.Contact) bool { return rapid.Bool().Draw(t, "without "+c.Name) })
		return d
	})
}

func TestLaw7_EveryStepFallsDueAndStaysDueUntilItIsDone(t *testing.T) {
	p := notify.DefaultPolicy()
	rapid.Check(t, func(t *rapid.T) {
		pr, d := progresses().Draw(t, "progress"), directories().Draw(t, "directory")
		late := pr.OpenedAt.Add(time.Duration(rapid.IntRange(30, 6000).Draw(t, "late")) * time.Minute)
		due, _ := p.Due(pr, d, late)
		keys := map[string]bool{}
		for i, s := range p.For(pr.Level) {
			owed := len(d.Find(late, s.Roles...)) > 0 && !slices.Contains(pr.Done, i)
			is := slices.ContainsFunc(pages(due), func(d notify.Due) bool { return d.Step == i })
			require.Equal(t, owed, is, "step %d: whoever is late, each step that can reach somebody is due", i)
		}
		for _, x := range due {
			require.False(t, keys[x.Key], "key %q twice", x.Key)
			keys[x.Key] = true
			require.False(t, x.At.After(late))
		}
		again, _ := p.Due(pr, d, late)
		require.Equal(t, due, again, "the same events give the same answer")
	})
}

func TestLaw7_NoPageIsDueAfterTheAcknowledgement(t *testing.T) {
	p := notify.DefaultPolicy()
	rapid.Check(t, func(t *rapid.T) {
		pr, d := progresses().Draw(t, "progress"), directories().Draw(t, "directory")
		now := start.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "now")) * time.Minute)
		before, _ := p.Due(pr, d, now)
		pr.AckedAt = start.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "acked")) * time.Minute)
		after, next := p.Due(pr, d, now)
		require.Empty(t, pages(after), "not even once it has expired: that is an event of its own")
		require.ElementsMatch(t, kind(notify.StatusDue, before), kind(notify.StatusDue, after), "status updates go on")
		expires := p.AckExpires(pr)
		expired := !expires.IsZero() && !expires.After(now)
		require.Equal(t, expired, len(kind(notify.ReopenDue, after)) == 1)
		if pr.Level.Targets().StatusEvery > 0 {
			require.False(t, next.IsZero())
		}
		pr.ResolvedAt = now
		after, next = p.Due(pr, d, now)
		require.Empty(t, after)
		require.True(t, next.IsZero())
	})
}

// TestNextIsWhenSomethingNewFallsDue shows that a caller who sleeps until next
// misses nothing and never wakes for nothing.
func TestNextIsWhenSomethingNewFallsDue(t *testing.T) {
	p := notify.DefaultPolicy()
	rapid.Check(t, func(t *rapid.T) {
		pr, d := progresses().Draw(t, "progress"), directories().Draw(t, "directory")
		if rapid.Bool().Draw(t, "acked") {
			pr.AckedAt = start
		}
		now := start.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "now")) * time.Minute)
		due, next := p.Due(pr, d, now)
		if next.IsZero() {
			later, _ := p.Due(pr, d, now.Add(1000*time.Hour))
			require.Equal(t, due, later)
			return
		}
		require.True(t, next.After(now))
		justBefore, _ := p.Due(pr, d, next.Add(-1))
		require.Equal(t, due, justBefore)
		at, _ := p.Due(pr, d, next)
		require.NotEqual(t, due, at)
	})
}

func TestLaw7_KeysTellRoundsAndStepsAndEpisodesApart(t *testing.T) {
	k := notify.Key{Condition: "a/b", Component: "c d/é", Episode: 1}
	require.Equal(t, "a%2Fb/c%20d%2F%C3%A9/1", k.String())
	seen := map[string]bool{}
	for _, k := range []notify.Key{k, {"a", "b/c d/é", 1}, {"a/b", "c d/é", 2}, {"a/b", "c d", 1}} {
		for _, key := range []string{k.String(), k.Page(1, 0), k.Page(1, 1), k.Page(2, 0), k.Status(start), k.Status(start.Add(time.Minute)),
			k.Breach("response"), k.Breach("resolution"), k.Resolution()} {
			require.False(t, seen[key], key)
			seen[key] = true
		}
	}
	elsewhere := start.In(time.FixedZone("elsewhere", 3600))
	require.Equal(t, k.Status(start), k.Status(elsewhere), "the zone of the process does not matter")
}

// An upgrade or an ack that expired begins another round: the same people are
// paged again, under other keys.
func TestANewRoundPagesAgain(t *testing.T) {
	p := notify.DefaultPolicy()
	pr := opened(severity.SEV3)
	first, _ := p.Due(pr, team(), start)
	pr.Done, pr.AckedAt = []int{0}, start.Add(time.Minute)
	quiet, _ := p.Due(pr, team(), start.Add(25*time.Minute))
	require.Empty(t, quiet)

	upgraded := start.Add(20 * time.Minute)
	pr.Level, pr.Round, pr.OpenedAt, pr.Done, pr.AckedAt = severity.SEV1, 2, upgraded, nil, time.Time{}
	second, next := p.Due(pr, team(), upgraded)
	require.Len(t, second, 1)
	require.NotEqual(t, first[0].Key, second[0].Key)
	require.Equal(t, start.Add(30*time.Minute), next, "status updates still count from the declaration")
}

// Of the repetitions that were missed only the latest is due; of the first pass each
// step. Whoever sleeps until next is woken for each of them.
func TestARoundIsRepeatedUntilSomebodyAcknowledges(t *testing.T) {
	p := notify.DefaultPolicy()
	for level, every := range map[severity.Level]time.Duration{severity.SEV1: 45 * time.Minute, severity.SEV2: time.Hour} {
		rapid.Check(t, func(t *rapid.T) {
			pr := opened(level)
			pr.Done = rapid.SliceOfNDistinct(rapid.IntRange(0, 30), 0, 20, rapid.ID).Draw(t, "done")
			now := start.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "now")) * time.Minute)
			latest := int(now.Sub(start) / every)
			var want []int
			for step := range 3 * (latest + 1) {
				at := start.Add(time.Duration(step/3)*every + time.Duration(step%3)*15*time.Minute)
				if (step < 3 || step/3 == latest) && !at.After(now) && !slices.Contains(pr.Done, step) {
					want = append(want, step)
				}
			}
			var got []int
			due, _ := p.Due(pr, team(), now)
			for _, d := range pages(due) {
				got = append(got, d.Step)
				require.Equal(t, p.For(level)[d.Step%3].Roles, d.Roles)
				require.Equal(t, pr.Key.Page(1, d.Step), d.Key)
			}
			require.Equal(t, want, got)
		})
	}
	p.RepeatAfter = nil
	due, _ := p.Due(opened(severity.SEV1), team(), start.Add(1000*time.Hour))
	require.Len(t, pages(due), 3)
}

// A second acknowledgement renews the first.
func TestAnAcknowledgementThatExpiresIsAnEventToRecord(t *testing.T) {
	p, pr := notify.DefaultPolicy(), opened(severity.SEV3)
	pr.AckedAt = start.Add(time.Minute)
	require.True(t, p.AckExpires(pr).IsZero(), "none at SEV-3")
	pr.Level = severity.Unclassified
	expires := pr.AckedAt.Add(time.Hour)
	require.Equal(t, expires, p.AckExpires(pr), "as at SEV-1")
	pr.UpdatedAt = expires
	due, next := p.Due(pr, team(), expires.Add(-1))
	require.Empty(t, due)
	require.Equal(t, expires, next)
	due, _ = p.Due(pr, team(), expires.Add(time.Minute))
	require.Equal(t, []notify.Due{{Kind: notify.ReopenDue, At: expires, Key: pr.Key.Reopen(1)}}, due)
	pr.AckedAt = expires.Add(-time.Minute)
	due, _ = p.Due(pr, team(), expires.Add(time.Minute))
	require.Empty(t, due)
	require.True(t, p.AckExpires(opened(severity.SEV1)).IsZero(), "nobody has acknowledged")
}

func TestAStepWithNobodyDelaysNobody(t *testing.T) {
	p := notify.DefaultPolicy()
	d := team()
	d.Contacts = d.Contacts[1:] // nobody is on call
	due, next := p.Due(opened(severity.SEV1), d, start)
	require.Len(t, due, 1)
	require.Equal(t, 1, due[0].Step, "the lead is paged at once, not after 15 minutes")
	require.Equal(t, start.Add(15*time.Minute), next)

	due, next = p.Due(opened(severity.SEV1), notify.Directory{}, start.Add(29*time.Minute))
	require.Empty(t, due)
	require.Equal(t, start.Add(30*time.Minute), next, "the status update is still owed")
}

func TestOfSeveralMissedUpdatesOnlyTheLatestIsDue(t *testing.T) {
	p := notify.DefaultPolicy()
	pr := opened(severity.SEV2)
	pr.AckedAt, pr.Done = start, []int{0, 1}
	due, next := p.Due(pr, team(), start.Add(100*time.Minute))
	require.Equal(t, []notify.Due{{Kind: notify.StatusDue, At: start.Add(90 * time.Minute),
		Roles: []notify.Role{notify.OnCallEngineer, notify.LeadEngineer}, Key: pr.Key.Status(start.Add(90 * time.Minute))}}, due)
	require.Equal(t, start.Add(120*time.Minute), next)
	pr.UpdatedAt = due[0].At
	due, next = p.Due(pr, team(), start.Add(100*time.Minute))
	require.Empty(t, due)
	require.Equal(t, start.Add(120*time.Minute), next, "a late update does not move the cadence")
}

func ExamplePolicy_Due() {
	now := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	directory := notify.Directory{Contacts: []notify.Contact{
		{Name: "Ada", Roles: []notify.Role{notify.OnCallEngineer}, Addresses: []notify.Address{{Channel: "terminal", To: "ada"}}},
		{Name: "Ben", Roles: []notify.Role{notify.LeadEngineer}, Addresses: []notify.Address{{Channel: "terminal", To: "ben"}}},
	}}
	progress := notify.Progress{
		Key:   notify.Key{Condition: severity.AuthFailure, Component: "coinbase", Episode: 1},
		Level: severity.SEV1, DeclaredAt: now, OpenedAt: now, Round: 1,
		Done: []int{0}, // Ada was reached at once
	}
	due, next := notify.DefaultPolicy().Due(progress, directory, now.Add(16*time.Minute))
	for _, d := range due {
		fmt.Println(d.At.Format(time.TimeOnly), directory.Find(d.At, d.Roles...)[0].Name, d.Key)
	}
	fmt.Println("then", next.Format(time.TimeOnly))
	// Output:
	// 09:15:00 Ben auth-failure/coinbase/1/page/1/1
	// then 09:30:00
}

func BenchmarkDue(b *testing.B) {
	p, d, pr := notify.DefaultPolicy(), team(), opened(severity.SEV1)
	now := start.Add(40 * time.Minute)
	b.ReportAllocs()
	for b.Loop() {
		if due, _ := p.Due(pr, d, now); len(due) != 4 {
			b.Fatal(cmp.Or(len(due), -1))
		}
	}
}
