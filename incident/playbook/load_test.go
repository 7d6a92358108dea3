package playbook_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/incident/playbook"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the files of testdata anew")

func load(text string) (playbook.Playbook, error) { return playbook.Load(strings.NewReader(text)) }

func TestAnEmptyFileIsTheDocument(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "{}", "null"} {
		p, err := load(text)
		if text == "null" {
			require.ErrorContains(t, err, "is empty, want a map")
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, playbook.Default(), p, text)
	}
}

func TestAFileSaysOnlyWhatDiffers(t *testing.T) {
	p, err := load(`
contacts:
  on_call_rotation:
    primary: "ada@example.com | +1-555-010-0199"
  vendors:
    aws_support: null
roles:
  Vendor Support: [openai_support, monitoring_vendor]
indicators:
  high-cpu: {at_least: 85%, clear_below: 50/100}
  slow-execution:
    at_least: 300ms
    clear_below: unknown
conditions:
  oracle-stale: {level: SEV-2, text: The price oracle is stale}
rotations:
  - {name: nights, role: On-Call Eng, members: [primary, secondary], first: 2026-03-02, handoff: "09:30", zone: Europe/Berlin,
     windows: [{days: [Monday], from: "22:00", until: "06:00"}],
     overrides: [{from: 2026-03-14T09:00:00Z, until: 2026-03-15T09:00:00+01:00, contact: secondary}]}
runbooks:
  Performance Degradation:
    start: [high-memory]
settings:
  resources: {memory: 8g}
  reduce_load: {limits: {max_position_size: 0.10}}
escalation:
  repeat_after: {SEV-1: 10m}
`)
	require.NoError(t, err)
	want := playbook.Default()
	want.Contacts["on_call_rotation"]["primary"] = "ada@example.com | +1-555-010-0199"
	delete(want.Contacts["vendors"], "aws_support")
	want.Roles[notify.VendorSupport] = []string{"openai_support", "monitoring_vendor"}
	cpu := want.Indicators[severity.HighCPU]
	cpu.AtLeast, cpu.ClearBelow = severity.Percent(85), severity.Percent(50)
	want.Indicators[severity.HighCPU] = cpu
	slow := want.Indicators[severity.SlowExecution]
	slow.AtLeast, slow.ClearBelow = severity.Took(300*time.Millisecond), severity.Value{}
	want.Indicators[severity.SlowExecution] = slow
	want.Conditions["oracle-stale"] = playbook.Condition{Level: severity.SEV2, Text: "The price oracle is stale"}
	zone, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	want.Rotations = []notify.Rotation{{Name: "nights", Role: notify.OnCallEngineer, Members: []string{"primary", "secondary"},
		First: notify.Date{Year: 2026, Month: 3, Day: 2}, Handoff: notify.Clock{Hour: 9, Minute: 30}, Zone: zone,
		Windows:   []notify.Window{{Days: []time.Weekday{time.Monday}, From: notify.Clock{Hour: 22}, Until: notify.Clock{Hour: 6}}},
		Overrides: []notify.Override{{From: at("2026-03-14T09:00:00Z"), Until: at("2026-03-15T09:00:00+01:00"), Contact: "secondary"}}}}
	want.Runbooks["Performance Degradation"] = playbook.Runbook{Within: 15 * time.Minute, Start: []severity.Condition{severity.HighMemory}}
	want.Settings.Resources = runbook.Resources{Memory: "8g", CPUs: "2"}
	want.Escalation.RepeatAfter[severity.SEV1] = 10 * time.Minute
	require.Equal(t, p.Rotations[0].Overrides[0].From.UnixNano(), want.Rotations[0].Overrides[0].From.UnixNano())
	require.Equal(t, p.Rotations[0].Overrides[0].Until.UnixNano(), want.Rotations[0].Overrides[0].Until.UnixNano())
	p.Rotations[0].Overrides, want.Rotations[0].Overrides = nil, nil // pointers to zones
	require.Equal(t, want, p)
	require.True(t, p.Settings.ReduceLoad.Limits.MaxPositionSize.Equal(andon.MustDecimal("0.1")), "exact, and no float")
}

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

// faults are files that Load refuses, each with the place, the field and a part of the text.
// Those of the form are seen by the schema too.
var faults = []struct {
	name, file, want string
	form             bool
}{
	{"unknown field", "checklists: []", "line 1, column 1: checklists: there is no such field, want one of principles", true},
	{"unknown field inside", "recovery:\n  watch: 1m", "line 2, column 3: recovery.watch: there is no such field", true},
	{"key twice", "files: {}\nurls: {}\nfiles: {}", "line 3, column 1: files: stands in line 1 already", false},
	{"key twice inside", "urls:\n  a: http://a\n  a: http://b", "line 3, column 3: urls.a: stands in line 2 already", false},
	{"list for a map", "urls: [a]", "line 1, column 7: urls: is a list, want a map", true},
	{"map for a list", "checklist: {a: b}", "checklist: is a map, want a list", true},
	{"text for a map", "urls: none", `urls: is "none", want a map`, true},
	{"nothing for a map", "urls:", "urls: is empty, want a map", true},
	{"nothing for a list", "checklist: ~", "checklist: is empty, want a list", true},
	{"nothing for a text", "files:\n  log:", "files.log: is empty, want a text", true},
	{"number for a text", "files:\n  log: 5", "line 2, column 8: files.log: is the number 5, want a text: put it in quotes", true},
	{"truth for a text", "checklist: [true]", "checklist[0]: is the truth value true, want a text: put it in quotes", true},
	{"map for a text", "checklist: [{a: b}]", "checklist[0]: is a map, want a text", true},
	{"number for a time", "recovery: {watch_for: 15}", "recovery.watch_for: is the number 15, want a time such as 500ms, 30s or 1h30m", true},
	{"time without a unit", `recovery: {watch_for: "15"}`, `recovery.watch_for: is "15", want a time`, true},
	{"negative time", "recovery: {watch_for: -15m}", "recovery.watch_for: is \"-15m\", want a time", true},
	{"time beyond all", "recovery: {watch_for: 99999999999h}", "recovery.watch_for: is \"99999999999h\": time:", false},
	{"no level", "conditions:\n  high-cpu:\n    level: SEV-5", `line 3, column 12: conditions.high-cpu.level: is "SEV-5", want one of unclassified, SEV-1`, true},
	{"no level as a key", "severities: {SEV-0: {title: x}}", `severities.SEV-0: is the key "SEV-0", want one of`, true},
	{"fraction for a number", "indicators: {high-cpu: {min: 1.5}}", "indicators.high-cpu.min: is the number 1.5, want a whole number from 0", true},
	{"negative number", "indicators: {high-cpu: {min: -1}}", "indicators.high-cpu.min: is the number -1, want a whole number from 0", true},
	{"number beyond all", "indicators: {high-cpu: {min: 99999999999999999999}}", "indicators.high-cpu.min: is the number 99999999999999999999", false},
	{"no value", "indicators: {high-cpu: {at_least: much}}", `indicators.high-cpu.at_least: is "much", want a share`, true},
	{"negative value", "indicators: {high-cpu: {at_least: -1}}", "indicators.high-cpu.at_least: is the number -1, want a share", true},
	{"no decimal", "settings: {reduce_load: {limits: {max_position_size: x}}}", `settings.reduce_load.limits.max_position_size: is "x", want a number such as 0.1`, true},
	{"not a day", "rotations: [{first: tomorrow}]", `rotations[0].first: is "tomorrow", want a day such as 2026-03-14`, true},
	{"no such day", "rotations: [{first: 2026-02-30}]", "rotations[0].first: is", false},
	{"not a time of day", `rotations: [{handoff: "9:30"}]`, `rotations[0].handoff: is "9:30", want a time of day`, true},
	{"no day of the week", "rotations: [{windows: [{days: [Someday]}]}]", "rotations[0].windows[0].days[0]: is \"Someday\", want one of Sunday", true},
	{"no zone", "rotations: [{zone: Mars/Phobos}]", "rotations[0].zone: is \"Mars/Phobos\": unknown time zone", false},
	{"zone of the machine", "rotations: [{zone: Local}]", "Local is another zone on each machine", false},
	{"set what is fixed", "severities:\n  SEV-1:\n    respond: 1m", "line 3, column 14: severities.SEV-1.respond: is \"1m\" and cannot be set, it is 5m: package severity keeps the targets", true},
	{"set a number that is fixed", "looks: {log_lines: 200}", "looks.log_lines: is the number 200 and cannot be set, it is 100", true},
	{"set a decimal that is fixed", "looks: {suspicious_size: 4}", "looks.suspicious_size: is the number 4 and cannot be set, it is 3", true},
	{"set a truth that is fixed", "settings: {enable_2fa: false}", "settings.enable_2fa: is the truth value false and cannot be set, it is true", true},
	{"set a list that is fixed", "flow: [Panic]", "flow: cannot be set: it is what Declare does", true},
	{"set a list of things that is fixed", "post_mortem: [{heading: Blame}]", "post_mortem: cannot be set: package postmortem writes it", true},
	{"key of nothing", "urls: {\"\": http://a}", `urls[""]: has no name`, true},
	{"take away what is not there", "urls: {nowhere: null}", "urls.nowhere: is null, which takes an entry away, and there is none", true},
	{"alias", "a: &a {}\nfiles: *a", "files: is an alias: write the value out", false},
	{"anchor", "files: &f {}", "files: has an anchor", false},
	{"tag", "files: {log: !!str /x}", "files.log: has the tag", false},
	{"merge", "files:\n  <<: {log: /x}", "files: has a key that is", false},
	{"key that is a number", "urls: {1: http://a}", "urls: has a key that is the number 1, want a text", false},
	{"two documents", "urls: {}\n---\nurls: {}", "line 2, column 1: a second document begins here", false},
	{"not YAML", "urls: {", "no valid YAML", false},
	{"not YAML, by a tab", "\turls: {}", "line 1, column 1: no valid YAML", false},
	{"not UTF-8", "urls: {a: \xff}", "no valid YAML", false},
	{"a list as a whole", "[1]", "line 1, column 1: is a list, want a map", true},
	{"a text as a whole", "hello", `line 1, column 1: is "hello", want a map`, true},

	{"condition without a level", "conditions: {oracle-stale: {text: x}}", "line 1, column 28: conditions.oracle-stale.level: is unclassified, want SEV-1 to SEV-4", false},
	{"two levels for one condition", "conditions:\n  user-reports:\n    level: SEV-1", "indicators.user-reports.level: is SEV-2 and conditions has SEV-1: give both the same", false},
	{"threshold below its own end", "indicators: {high-cpu: {at_least: 60%}}", "indicators.high-cpu.clear_below: is 70 %, want no more than at_least, 60 %", false},
	{"threshold of nothing", "indicators: {high-cpu: {at_least: unknown}}", "AtLeast: is unknown", false},
	{"indicator of no condition", "indicators: {oracle-stale: {name: x, at_least: 1, level: SEV-2, below: SEV-2}}", "indicators.oracle-stale: there is no such condition in conditions", false},
	{"pattern that nobody counts", `patterns: [{name: x, expr: y}]`, `patterns[0].name: no indicator is named "x"`, false},
	{"pattern that is none", `patterns: [{name: rising-errors, expr: "("}]`, "patterns: ", false},
	{"role of nobody", "roles: {CTO: [nobody]}", `roles.CTO[0]: there is no contact "nobody"`, false},
	{"role of a service", "roles: {CTO: [pagerduty]}", "roles.CTO[0]: pagerduty is a service", false},
	{"contact of no role", "contacts: {management: {cfo: cfo@example.com}}", "contacts.management.cfo: plays no role and is in no rotation", false},
	{"contact twice", "contacts: {management: {primary: p@example.com}}", "contacts.on_call_rotation.primary: is in the group \"management\" too", false},
	{"objective without an RTO", "objectives: {Oracle: {rpo: 1m}}", "objectives.Oracle: rto of Oracle is 0s", false},
	{"step before what it needs", "priority: [{name: a, needs: [b]}, {name: b}]", `priority[0].needs[0]: "b" is no earlier step`, false},
	{"item twice", "checklist: [a, a]", `checklist[1]: is "a", want a text that no other item has`, false},
	{"watch longer than itself", "recovery: {watch_every: 20m}", "recovery.watch_every: is 20m0s, longer than watch_for", false},
	{"flag that is relative", "files: {emergency_stop: STOP}", `files.emergency_stop: is "STOP", want an absolute path`, false},
	{"one flag for both", "files: {read_only: /tmp/EMERGENCY_STOP}", "files.read_only: is the file of emergency_stop too", false},
	{"URL that is none", "urls: {Alerts: monitoring}", `urls.Alerts: is "monitoring", want an http or https URL`, false},
	{"runbook that there is not", "runbooks: {Fire: {}}", "runbooks.Fire: there is no such runbook", false},
	{"start by nothing", "runbooks:\n  Service Outage:\n    start:\n    - fire", `line 4, column 7: runbooks["Service Outage"].start[0]: there is no condition "fire"`, false},
	{"level taken away", "severities: {SEV-4: null}", "line 1, column 13: severities: SEV-4 is missing", false},
	{"objectives that nobody tells", "indicators: {recovery-objective-missed: null}", "recovery-objective-missed is missing", false},
}

func TestLoadRefuses(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			p, err := load(f.file)
			require.Error(t, err)
			require.Zero(t, p)
			require.Contains(t, err.Error(), f.want)
			problem, ok := errors.AsType[*playbook.Problem](err)
			require.True(t, ok)
			require.NotEmpty(t, problem.Text)
		})
	}
}

func TestLoadNamesEverythingAtOnce(t *testing.T) {
	_, err := load("files: {logs: 5}\nurls: none\nchecklists: []\nseverities:\n  SEV-1:\n    respond: soon\n")
	var lines []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		lines = append(lines, strings.SplitN(e.Error(), ", want", 2)[0])
	}
	require.Equal(t, []string{
		"line 1, column 15: files.logs: is the number 5",
		`line 2, column 7: urls: is "none"`,
		"line 3, column 1: checklists: there is no such field",
		`line 6, column 14: severities.SEV-1.respond: is "soon"`,
	}, lines)
}

func TestLoadRefusesWhatIsTooLarge(t *testing.T) {
	_, err := load("# " + strings.Repeat("x", 1<<20))
	require.ErrorContains(t, err, "more than 1048576 bytes")
}

func TestLoadFileNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "andon.yaml")
	_, err := playbook.LoadFile(path)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(path, []byte("urls: none"), 0o600))
	_, err = playbook.LoadFile(path)
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "line 1, column 7")
}

func TestEncodeWritesWhatDiffers(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, playbook.Default().Encode(&b))
	require.Equal(t, "{}\n", b.String())

	p := playbook.Default()
	p.Recovery.WatchFor = time.Hour
	delete(p.Contacts["vendors"], "openai_support")
	p.Roles[notify.VendorSupport] = []string{"aws_support", "monitoring_vendor"}
	p.Checklist = nil
	b.Reset()
	require.NoError(t, p.Encode(&b))
	require.Equal(t, `contacts:
  vendors:
    openai_support: null
roles:
  Vendor Support:
  - aws_support
  - monitoring_vendor
checklist: []
recovery:
  watch_for: 1h
`, b.String())
}

func TestEncodeRefusesWhatLoadWould(t *testing.T) {
	p := playbook.Default()
	p.Looks.LogLines = 200
	var b bytes.Buffer
	require.ErrorContains(t, p.Encode(&b), "looks.log_lines")
	require.Zero(t, b.Len())
}

// TestWhatIsEncodedIsLoaded changes a playbook at random and reads back what was written of
// it, whole and as far as it differs.
func TestWhatIsEncodedIsLoaded(t *testing.T) {
	written := 0
	rapid.Check(t, func(t *rapid.T) {
		p := playbook.Default()
		for range rapid.IntRange(0, 6).Draw(t, "changes") {
			change(t, &p)
		}
		if p.Validate() != nil {
			t.Skip("it cannot be meant")
		}
		written++
		for name, encode := range map[string]func(*bytes.Buffer) error{
			"what differs": func(b *bytes.Buffer) error { return p.Encode(b) },
			"all":          func(b *bytes.Buffer) error { return p.EncodeAll(b) },
		} {
			var b bytes.Buffer
			require.NoError(t, encode(&b), name)
			q, err := playbook.Load(&b)
			require.NoError(t, err, name)
			require.Equal(t, p, q, name)
		}
	})
	require.Positive(t, written)
}

// A share that is no whole percentage is written as what it is: a third is not 33 %.
func TestWhatIsEncodedIsLoaded_AThird(t *testing.T) {
	p := playbook.Default()
	i := p.Indicators[severity.HighCPU]
	i.AtLeast, i.ClearBelow = severity.Part(1, 3), severity.Part(2, 7)
	p.Indicators[severity.HighCPU] = i
	var b bytes.Buffer
	require.NoError(t, p.Encode(&b))
	require.Contains(t, b.String(), "1/3")
	q, err := playbook.Load(&b)
	require.NoError(t, err)
	require.Equal(t, i, q.Indicators[severity.HighCPU])
}

// change makes one change that a bot might.
func change(t *rapid.T, p *playbook.Playbook) {
	word := rapid.OneOf(rapid.StringMatching(`[a-z0-9 :#'"{}|>\-]{1,12}`), rapid.SampledFrom([]string{
		"null", "~", "true", "5", "0.10", "- x", "a: b", " x ", "🚨 alarm", "two\nlines\n", "<<", "2026-03-14", "", "*a", "!x", "%", "\ttab", "x\r\ny", "\u0085", "é",
	}))
	span := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.Int64Range(0, int64(1000*time.Hour)).Draw(t, "ns"))
	})
	value := rapid.Custom(func(t *rapid.T) severity.Value {
		n, of := rapid.Int64Range(0, 1000).Draw(t, "n"), rapid.Int64Range(1, 200).Draw(t, "of")
		return rapid.SampledFrom([]severity.Value{{}, severity.Percent(n), severity.Part(n, of), severity.Number(n), severity.Took(time.Duration(n)), {N: n, Of: of, Unit: severity.Nanos}}).Draw(t, "value")
	})
	switch rapid.IntRange(0, 15).Draw(t, "change") {
	case 0:
		c := rapid.SampledFrom([]severity.Condition{severity.HighCPU, severity.SlowExecution, severity.QueueBacklog}).Draw(t, "indicator")
		i := p.Indicators[c]
		i.AtLeast, i.ClearBelow, i.For, i.Window = value.Draw(t, "at"), value.Draw(t, "below"), span.Draw(t, "for"), span.Draw(t, "window")
		i.Min, i.ClearFor = rapid.Int64Range(0, 9).Draw(t, "min"), span.Draw(t, "clear")
		p.Indicators[c] = i
	case 1:
		p.Conditions[severity.Condition(word.Draw(t, "condition"))] = playbook.Condition{Level: severity.SEV2, Text: word.Draw(t, "text"), Reason: word.Draw(t, "reason")}
	case 2:
		p.Contacts["management"]["cto"] = word.Draw(t, "line")
	case 3:
		p.Roles[notify.Role(word.Draw(t, "role"))] = []string{"primary", "cto"}
	case 4:
		p.Rotations = append(p.Rotations, notify.Rotation{Name: word.Draw(t, "name"), Role: notify.OnCallEngineer, Members: []string{"primary"},
			First: notify.Date{Year: 2026, Month: 3, Day: rapid.IntRange(1, 28).Draw(t, "day")}, Handoff: notify.Clock{Hour: 9, Minute: rapid.IntRange(0, 59).Draw(t, "minute")},
			Days: rapid.IntRange(0, 9).Draw(t, "days"), Windows: []notify.Window{{Days: []time.Weekday{time.Friday}, From: notify.Clock{Hour: 1}}}})
	case 5:
		p.Objectives[recovery.Component(word.Draw(t, "component"))] = playbook.Objective{RTO: span.Draw(t, "rto"), RPO: span.Draw(t, "rpo"), Frequency: word.Draw(t, "frequency")}
	case 6:
		p.Priority = p.Priority[:rapid.IntRange(1, len(p.Priority)).Draw(t, "steps")]
	case 7:
		p.Checklist = rapid.SliceOfN(word, 1, 4).Draw(t, "checklist")
	case 8:
		p.Recovery = playbook.Recovery{ErrorWindow: span.Draw(t, "error"), WatchFor: span.Draw(t, "for"), WatchEvery: span.Draw(t, "every")}
	case 9:
		name := rapid.SampledFrom([]string{"Service Outage", "Data Corruption", playbook.Disconnection}).Draw(t, "runbook")
		r := p.Runbooks[name]
		r.Start = []severity.Condition{severity.QueueBacklog}
		p.Runbooks[name] = r
	case 10:
		p.Settings.Whitelist, p.Settings.Resources.Memory = []string{word.Draw(t, "address")}, word.Draw(t, "memory")
	case 11:
		p.Evidence = playbook.Evidence{Paths: []string{word.Draw(t, "path")}, Place: word.Draw(t, "place")}
	case 12:
		p.Templates.Alert = word.Draw(t, "alert")
	case 13:
		delete(p.URLs, "Alerts")
		p.URLs[word.Draw(t, "url")] = "https://example.com/" + rapid.StringMatching(`[a-z]{3}`).Draw(t, "path")
	case 14:
		p.Files.Env, p.Files.Log = word.Draw(t, "env"), "/"+word.Draw(t, "log")
	case 15:
		p.Escalation.AckTimeout[severity.SEV3] = span.Draw(t, "ack")
		delete(p.Escalation.RepeatAfter, severity.SEV2)
		p.Principles = nil
	}
}

// FuzzLoad shows that no file makes Load panic, that what it refuses has a place or a field,
// and that what it takes can be written and read again.
func FuzzLoad(f *testing.F) {
	for _, fault := range faults {
		f.Add(fault.file)
	}
	var b bytes.Buffer
	require.NoError(f, playbook.Default().EncodeAll(&b))
	f.Add(b.String())
	f.Fuzz(func(t *testing.T, text string) {
		p, err := load(text)
		if err != nil {
			require.Zero(t, p)
			return
		}
		require.NoError(t, p.Validate())
		var b bytes.Buffer
		require.NoError(t, p.Encode(&b))
		q, err := playbook.Load(&b)
		require.NoError(t, err)
		var first, second bytes.Buffer
		require.NoError(t, p.EncodeAll(&first))
		require.NoError(t, q.EncodeAll(&second))
		require.Equal(t, first.String(), second.String())
	})
}
