package notify_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
	_ "time/tzdata" // a machine without zones must not skip these tests

	"github.com/andon-go/andon/notify"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func zone(t testing.TB, name string) *time.Location {
	z, err := time.LoadLocation(name)
	require.NoError(t, err)
	return z
}

// changes are the times at which clocks were changed, with what is odd about them.
var changes = []struct {
	name, zone string
	day        notify.Date // near the change, in UTC
}{
	{"Europe, spring", "Europe/Paris", notify.Date{Year: 2026, Month: 3, Day: 29}},
	{"Europe, autumn", "Europe/Paris", notify.Date{Year: 2026, Month: 10, Day: 25}},
	{"US, spring", "America/New_York", notify.Date{Year: 2026, Month: 3, Day: 8}},
	{"US, autumn", "America/New_York", notify.Date{Year: 2026, Month: 11, Day: 1}},
	{"half an hour, spring", "Australia/Lord_Howe", notify.Date{Year: 2026, Month: 10, Day: 3}},
	{"half an hour, autumn", "Australia/Lord_Howe", notify.Date{Year: 2026, Month: 4, Day: 4}},
	{"a skipped day", "Pacific/Apia", notify.Date{Year: 2011, Month: 12, Day: 30}},
	{"a repeated day", "Pacific/Kwajalein", notify.Date{Year: 1969, Month: 9, Day: 30}},
	{"negative daylight saving", "Europe/Dublin", notify.Date{Year: 2026, Month: 10, Day: 25}},
	{"at midnight", "America/Havana", notify.Date{Year: 2026, Month: 3, Day: 8}},
	{"a zone that moved", "Asia/Pyongyang", notify.Date{Year: 2015, Month: 8, Day: 14}},
	{"none", "UTC", notify.Date{Year: 2026, Month: 3, Day: 14}},
}

func utc(d notify.Date) time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }

func clocks() *rapid.Generator[notify.Clock] {
	return rapid.Custom(func(t *rapid.T) notify.Clock {
		// Most handoffs are in the small hours, where clocks are changed.
		return notify.Clock{Hour: rapid.OneOf(rapid.IntRange(0, 3), rapid.IntRange(0, 23)).Draw(t, "hour"), Minute: rapid.SampledFrom([]int{0, 15, 30, 59}).Draw(t, "minute")}
	})
}

var crew = []string{"Ada", "Ben", "Cyd"}

func rotations(z *time.Location, near notify.Date) *rapid.Generator[notify.Rotation] {
	return rapid.Custom(func(t *rapid.T) notify.Rotation {
		first := utc(near).AddDate(0, 0, -rapid.IntRange(-1, 20).Draw(t, "days before"))
		r := notify.Rotation{Name: "r", Role: notify.OnCallEngineer, Members: crew[:rapid.IntRange(1, 3).Draw(t, "members")],
			First: notify.Date{Year: first.Year(), Month: first.Month(), Day: first.Day()}, Handoff: clocks().Draw(t, "handoff"),
			Days: rapid.SampledFrom([]int{0, 1, 1, 2, 7}).Draw(t, "days"), Zone: z}
		for range rapid.IntRange(0, 2).Draw(t, "windows") {
			r.Windows = append(r.Windows, notify.Window{From: clocks().Draw(t, "from"), Until: clocks().Draw(t, "until"),
				Days: rapid.SliceOfDistinct(rapid.Map(rapid.IntRange(0, 6), func(d int) time.Weekday { return time.Weekday(d) }), rapid.ID).Draw(t, "on")})
		}
		for range rapid.IntRange(0, 2).Draw(t, "overrides") {
			from := utc(near).Add(time.Duration(rapid.IntRange(-2000, 2000).Draw(t, "override")) * time.Minute)
			r.Overrides = append(r.Overrides, notify.Override{Contact: "Eve", From: from, Until: from.Add(time.Duration(rapid.IntRange(1, 600).Draw(t, "for")) * time.Minute)})
		}
		return r
	})
}

// oracle is the rotation's rules applied to each minute in turn, by somebody who
// watches the clock on the wall and remembers the latest time that it has shown.
// What a clock shows is a number: as many seconds as Unix time has where it is UTC.
type oracle struct {
	rotation notify.Rotation
	handoffs []int64 // Members[0] first
	windows  [][2]int64
	shown    int64
}

func newOracle(r notify.Rotation, until time.Time) *oracle {
	o := &oracle{rotation: r, shown: math.MinInt64}
	shows := func(d time.Time, c notify.Clock) int64 { return d.Unix() + int64(c.Hour*3600+c.Minute*60) }
	days := r.Days
	if days == 0 {
		days = 7
	}
	for d := utc(r.First); d.Before(until.Add(48 * time.Hour)); d = d.AddDate(0, 0, days) {
		o.handoffs = append(o.handoffs, shows(d, r.Handoff))
	}
	for d := until.Truncate(24*time.Hour).AddDate(0, 0, -8); d.Before(until.Add(48 * time.Hour)); d = d.AddDate(0, 0, 1) {
		for _, w := range r.Windows {
			last := d
			if w.Until.String() <= w.From.String() {
				last = d.AddDate(0, 0, 1)
			}
			if len(w.Days) == 0 || slices.Contains(w.Days, d.Weekday()) {
				o.windows = append(o.windows, [2]int64{shows(d, w.From), shows(last, w.Until)})
			}
		}
	}
	return o
}

func (o *oracle) onCall(at time.Time) string {
	_, offset := at.In(o.rotation.Zone).Zone()
	o.shown = max(o.shown, at.Unix()+int64(offset))
	for i := len(o.rotation.Overrides) - 1; i >= 0; i-- {
		if v := o.rotation.Overrides[i]; !at.Before(v.From) && at.Before(v.Until) {
			return v.Contact
		}
	}
	if len(o.windows) > 0 || len(o.rotation.Windows) > 0 {
		if !slices.ContainsFunc(o.windows, func(w [2]int64) bool { return w[0] <= o.shown && o.shown < w[1] }) {
			return ""
		}
	}
	contact := ""
	for i, handoff := range o.handoffs {
		if handoff <= o.shown {
			contact = o.rotation.Members[i%len(o.rotation.Members)]
		}
	}
	return contact
}

// TestComplaintIncident5_RotationsAreRightWhereClocksChange watches the clock for
// two days around each change and compares each minute.
func TestComplaintIncident5_RotationsAreRightWhereClocksChange(t *testing.T) {
	for _, tc := range changes {
		t.Run(tc.name, func(t *testing.T) {
			z, near := zone(t, tc.zone), utc(tc.day)
			rapid.Check(t, func(t *rapid.T) {
				r := rotations(z, tc.day).Draw(t, "rotation")
				from, until := near.Add(-12*time.Hour), near.Add(36*time.Hour)
				shifts := r.Shifts(from, until)
				o := newOracle(r, until)
				for at := from.Add(-25 * time.Hour); at.Before(from); at = at.Add(time.Minute) {
					o.onCall(at) // what the clock has shown before
				}
				for at, i := from, 0; at.Before(until); at = at.Add(time.Minute) {
					for !at.Before(shifts[i].Until) {
						i++
					}
					want := o.onCall(at)
					if got := r.OnCall(at); got != want || shifts[i].Contact != want {
						t.Fatalf("at %v: OnCall %q, Shifts %q, by the clock on the wall %q", at.In(z), got, shifts[i].Contact, want)
					}
				}
			})
		})
	}
}

func TestComplaintIncident5_ShiftsHaveNoOverlapAndNoGapThatNobodyWanted(t *testing.T) {
	for _, tc := range changes {
		z := zone(t, tc.zone)
		rapid.Check(t, func(t *rapid.T) {
			r := rotations(z, tc.day).Draw(t, "rotation")
			from := utc(tc.day).Add(time.Duration(rapid.IntRange(-3000, 3000).Draw(t, "from")) * time.Minute)
			until := from.Add(time.Duration(rapid.IntRange(1, 40_000).Draw(t, "minutes")) * time.Minute)
			shifts := r.Shifts(from, until)
			require.Equal(t, from, shifts[0].From)
			require.Equal(t, until, shifts[len(shifts)-1].Until)
			for i, s := range shifts {
				require.True(t, s.From.Before(s.Until), "%v is empty", s)
				require.Equal(t, s.Contact, r.OnCall(s.From))
				require.Equal(t, s.Contact, r.OnCall(s.Until.Add(-1)))
				if i > 0 {
					require.Equal(t, shifts[i-1].Until, s.From)
					require.NotEqual(t, shifts[i-1].Contact, s.Contact)
				}
				if s.Contact == "" && len(r.Windows) == 0 {
					shown := s.Until.Add(-1).In(z).Format("2006-01-02 15:04")
					require.Less(t, shown, r.First.String()+" "+r.Handoff.String(), "only the time before First may be a gap")
				}
			}
		})
	}
}

// The rules as sentences, each with the change that it is about.
func TestRotationRules(t *testing.T) {
	daily := func(name string, first notify.Date, handoff notify.Clock) notify.Rotation {
		return notify.Rotation{Role: notify.OnCallEngineer, Members: crew, First: first, Handoff: handoff, Days: 1, Zone: zone(t, name)}
	}
	handoffs := func(r notify.Rotation, from string, days int) (all []string) {
		begin, err := time.ParseInLocation(time.DateTime, from, r.Zone)
		require.NoError(t, err)
		for _, s := range r.Shifts(begin, begin.AddDate(0, 0, days)) {
			all = append(all, s.From.In(r.Zone).Format("Jan 2 15:04 -0700 ")+s.Contact)
		}
		return all
	}
	t.Run("a handoff keeps its time of day", func(t *testing.T) {
		require.Equal(t, []string{"Mar 28 09:00 +0100 Ada", "Mar 29 09:00 +0200 Ben", "Mar 30 09:00 +0200 Cyd"},
			handoffs(daily("Europe/Paris", notify.Date{Year: 2026, Month: 3, Day: 28}, notify.Clock{Hour: 9}), "2026-03-28 09:00:00", 3))
	})
	t.Run("one that is skipped takes place when the clock has jumped", func(t *testing.T) {
		require.Equal(t, []string{"Mar 28 02:30 +0100 Ada", "Mar 29 03:00 +0200 Ben", "Mar 30 02:30 +0200 Cyd"},
			handoffs(daily("Europe/Paris", notify.Date{Year: 2026, Month: 3, Day: 28}, notify.Clock{Hour: 2, Minute: 30}), "2026-03-28 02:30:00", 3))
		require.Equal(t, []string{"Oct 3 02:15 +1030 Ada", "Oct 4 02:30 +1100 Ben", "Oct 5 02:15 +1100 Cyd"},
			handoffs(daily("Australia/Lord_Howe", notify.Date{Year: 2026, Month: 10, Day: 3}, notify.Clock{Hour: 2, Minute: 15}), "2026-10-03 02:15:00", 3))
	})
	t.Run("one that is repeated takes place the first time round", func(t *testing.T) {
		require.Equal(t, []string{"Oct 31 01:30 -0400 Ada", "Nov 1 01:30 -0400 Ben", "Nov 2 01:30 -0500 Cyd"},
			handoffs(daily("America/New_York", notify.Date{Year: 2026, Month: 10, Day: 31}, notify.Clock{Hour: 1, Minute: 30}), "2026-10-31 01:30:00", 3))
		require.Equal(t, []string{"Apr 4 01:45 +1100 Ada", "Apr 5 01:45 +1100 Ben", "Apr 6 01:45 +1030 Cyd"},
			handoffs(daily("Australia/Lord_Howe", notify.Date{Year: 2026, Month: 4, Day: 4}, notify.Clock{Hour: 1, Minute: 45}), "2026-04-04 01:45:00", 3))
	})
	t.Run("a shift in a day that is skipped is not held", func(t *testing.T) {
		require.Equal(t, []string{"Dec 29 00:00 -1000 Ada", "Dec 31 00:00 +1400 Cyd", "Jan 1 00:00 +1400 Ada"},
			handoffs(daily("Pacific/Apia", notify.Date{Year: 2011, Month: 12, Day: 29}, notify.Clock{}), "2011-12-29 00:00:00", 4))
		require.Equal(t, []string{"Dec 29 09:00 -1000 Ada", "Dec 31 00:00 +1400 Ben", "Dec 31 09:00 +1400 Cyd"},
			handoffs(daily("Pacific/Apia", notify.Date{Year: 2011, Month: 12, Day: 29}, notify.Clock{Hour: 9}), "2011-12-29 09:00:00", 3))
	})
	t.Run("a window that is skipped does not open", func(t *testing.T) {
		r := daily("Europe/Paris", notify.Date{Year: 2026, Month: 3, Day: 1}, notify.Clock{})
		r.Members, r.Windows = []string{"Ada"}, []notify.Window{{From: notify.Clock{Hour: 2}, Until: notify.Clock{Hour: 3}}}
		require.Equal(t, []string{"Mar 28 00:00 +0100 ", "Mar 28 02:00 +0100 Ada", "Mar 28 03:00 +0100 ", "Mar 30 02:00 +0200 Ada", "Mar 30 03:00 +0200 "},
			handoffs(r, "2026-03-28 00:00:00", 3))
	})
	t.Run("an override wins, the later in the list over the earlier", func(t *testing.T) {
		r := daily("UTC", notify.Date{Year: 2026, Month: 3, Day: 15}, notify.Clock{})
		r.Overrides = []notify.Override{{From: start, Until: start.Add(4 * time.Hour), Contact: "Eve"}, {From: start.Add(time.Hour), Until: start.Add(2 * time.Hour), Contact: "Dev"}}
		require.Equal(t, []string{"Mar 14 08:00 +0000 ", "Mar 14 09:00 +0000 Eve", "Mar 14 10:00 +0000 Dev", "Mar 14 11:00 +0000 Eve", "Mar 14 13:00 +0000 ", "Mar 15 00:00 +0000 Ada"},
			handoffs(r, "2026-03-14 08:00:00", 1))
	})
}

// Who is on call is found by the role, beside those who always play it.
func TestTheDirectoryKnowsWhoIsOnCall(t *testing.T) {
	office := []notify.Window{{Days: []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday},
		From: notify.Clock{Hour: 9}, Until: notify.Clock{Hour: 17}}}
	d := team()
	d.Contacts[0].Roles = nil // Ada is on call by rotation alone
	d.Rotations = []notify.Rotation{{Name: "office hours", Role: notify.OnCallEngineer, Members: []string{"Ada", "Ben"}, Windows: office,
		First: notify.Date{Year: 2026, Month: 3, Day: 9}, Handoff: notify.Clock{Hour: 9}}}
	require.NoError(t, d.Validate())
	friday, saturday := start.AddDate(0, 0, -1), start
	require.Equal(t, "Ada", d.Find(friday.Add(time.Hour), notify.OnCallEngineer)[0].Name)
	require.Empty(t, d.Find(saturday, notify.OnCallEngineer))
	require.Equal(t, "Ben", d.Find(saturday.AddDate(0, 0, 2), notify.OnCallEngineer)[0].Name)

	monday := saturday.AddDate(0, 0, 2)
	require.Equal(t, []notify.Shift{{From: friday.Add(8 * time.Hour), Until: monday}, {From: monday.Add(8 * time.Hour), Until: monday.Add(10 * time.Hour)}},
		d.Gaps(notify.OnCallEngineer, friday, monday.Add(10*time.Hour)))
	require.Empty(t, d.Gaps(notify.LeadEngineer, friday, monday), "Ben always is")
	require.Len(t, d.Gaps("Astronaut", friday, monday), 1)

	// The gap is a step with nobody: it is skipped at once, and filled when the window opens.
	due, next := notify.DefaultPolicy().Due(opened(1), d, saturday)
	require.Equal(t, []notify.Role{notify.LeadEngineer}, due[0].Roles)
	require.Equal(t, saturday.Add(15*time.Minute), next)
	pr := opened(3)
	pr.OpenedAt, pr.Done = monday.Add(-time.Minute), []int{1, 2}
	pr.Level = 1
	policy := notify.DefaultPolicy()
	policy.RepeatAfter = nil
	pr.UpdatedAt = pr.OpenedAt
	due, next = policy.Due(pr, d, pr.OpenedAt)
	require.Empty(t, due)
	require.Equal(t, monday, next, "then Ben comes on call, and has not been paged")
	due, _ = policy.Due(pr, d, next)
	require.Len(t, due, 1)
}

func TestEachMemberOfARotationMustBeReachable(t *testing.T) {
	d := team()
	d.Contacts[0].Roles = []notify.Role{notify.PrimaryEngineer, notify.AnyEngineer}
	d.Contacts = append(d.Contacts, notify.Contact{Name: "Fay", Addresses: []notify.Address{{Channel: notify.Telephone, To: "+1-555-010-0123"}}})
	d.Rotations = []notify.Rotation{{Role: notify.OnCallEngineer, Members: []string{"Ada", "Fay"}, First: notify.Date{Year: 2026, Month: 1, Day: 1}}}
	require.ErrorContains(t, notify.DefaultPolicy().Validate(d, "pager"), "Steps[SEV-1][0]: Fay, who may be the only On-Call Eng, cannot be reached on pager")

	d.Pager = notify.Address{Channel: "pager", To: "trading-bot-oncall"}
	require.NoError(t, notify.DefaultPolicy().Validate(d, "pager"), "a bare telephone number goes through the pager")
	fay := d.Find(time.Date(2026, 1, 9, 0, 0, 0, 0, time.UTC), notify.OnCallEngineer)
	require.Equal(t, []notify.Address{d.Pager}, fay[0].Addresses)
	require.ErrorContains(t, notify.DefaultPolicy().Validate(d, "email"), "Steps[SEV-1][0]: Ada or Fay")
}

func TestValidateNamesEveryProblemOfARotation(t *testing.T) {
	d := team()
	d.Pager = notify.Address{Channel: "pager"}
	d.Rotations = []notify.Rotation{{Name: "bad", Members: []string{"Zoe"}, First: notify.Date{Year: 2026, Month: 2, Day: 30}, Handoff: notify.Clock{Hour: 24}, Days: -1,
		Windows: []notify.Window{{From: notify.Clock{Minute: 60}, Days: []time.Weekday{7}}}, Overrides: []notify.Override{{Contact: "Yan", From: start, Until: start}}},
		{Role: "x", First: notify.Date{Year: 2026, Month: 1, Day: 1}}}
	for _, want := range []string{
		"Pager: needs both", `Rotations[0] "bad": Role is empty`, `Members[0]: "Zoe" is no contact`, "First: is 2026-02-30", "Handoff: time of day is 24:00",
		"Days: is -1", "Windows[0]: time of day is 00:60", "Days holds what is no day of the week", `Overrides[0]: "Yan" is no contact`, "Overrides[0]: From is",
		`Rotations[1] "": Members is empty`,
	} {
		require.ErrorContains(t, d.Validate(), want)
	}
}

func ExampleRotation() {
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		fmt.Println(err)
		return
	}
	week := notify.Rotation{Name: "on call", Role: notify.OnCallEngineer, Members: []string{"Ada", "Ben"},
		First: notify.Date{Year: 2026, Month: 3, Day: 23}, Handoff: notify.Clock{Hour: 9}, Zone: paris}
	for _, s := range week.Shifts(time.Date(2026, 3, 23, 8, 0, 0, 0, time.UTC), time.Date(2026, 4, 6, 7, 0, 0, 0, time.UTC)) {
		fmt.Println(s.Contact, s.From.In(paris).Format("Mon 15:04"), s.Until.Sub(s.From)) // the clocks change on 29 March
	}
	// Output:
	// Ada Mon 09:00 167h0m0s
	// Ben Mon 09:00 168h0m0s
}

func BenchmarkOnCall(b *testing.B) {
	r := notify.Rotation{Members: crew, First: notify.Date{Year: 2026, Month: 1, Day: 1}, Handoff: notify.Clock{Hour: 9}, Zone: zone(b, "Europe/Paris")}
	b.ReportAllocs()
	for b.Loop() {
		if r.OnCall(start) == "" {
			b.Fatal("nobody")
		}
	}
}
