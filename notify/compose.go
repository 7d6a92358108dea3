package notify

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/andon-go/andon/severity"
)

// Alert is what an initial alert says. An empty field is shown as "unknown".
type Alert struct {
	Key       string // dedup key, such as Due.Key
	Incident  string // number, such as INC-20260314-001
	Level     severity.Level
	At        time.Time
	Impact    string // brief description
	Commander string // the incident's commander; empty: nobody yet
	Warning   string // stands above everything else, such as "STOP NOT CONFIRMED: ..."; empty: none
	First     bool   // nobody has been told of the incident yet
}

// Reminder is what a page says that repeats. An empty field is shown as "unknown".
type Reminder struct {
	Key      string
	Incident string
	Level    severity.Level
	At       time.Time
	Impact   string
	Reason   string        // why it is sent again, such as "nobody has acknowledged"
	OpenFor  time.Duration // since the declaration
	Warning  string
}

// Acknowledgement is what the notice says that somebody has taken the incident.
type Acknowledgement struct {
	Key      string
	Incident string
	Level    severity.Level
	At       time.Time
	By       string
	Pages    []string // dedup keys of the pages that it answers
}

// Update is what a status update says. An empty field is shown as "unknown", an
// empty list as "none".
type Update struct {
	Key          string
	Incident     string
	Level        severity.Level
	At           time.Time
	Status       string
	ActionsTaken []string
	NextSteps    []string
	ETA          string // time estimate
	Warning      string
}

// Resolution is what a resolution notice says. An empty field is shown as "unknown".
type Resolution struct {
	Key        string
	Incident   string
	Level      severity.Level
	At         time.Time
	Duration   time.Duration // from declaration to resolution
	RootCause  string
	Impact     string    // financial and operational
	PostMortem time.Time // when it is held; zero: not scheduled
	Pages      []string  // dedup keys of the pages that it puts an end to
}

// Breach is what the notice of a missed target says.
type Breach struct {
	Key      string
	Incident string
	Level    severity.Level
	At       time.Time
	Target   string    // "response" or "resolution"
	Due      time.Time // when the target was to be met
	Status   string    // of the incident
}

// Message writes an initial alert. The message is always complete: an error says
// that the template could not be rendered and that the text is plain.
func (a Alert) Message(t Templates) (Message, error) {
	m := Message{Key: a.Key, Incident: a.Incident, Kind: InitialAlert, Level: a.Level, At: a.At, First: a.First}
	err := m.write(cmp.Or(t.Alert, DefaultAlert), "INCIDENT ALERT", a.Warning, []field{
		{"Impact", "Brief description", oneLine(a.Impact)},
		{"IC", "Name", oneLine(a.Commander)},
	})
	return m, err
}

// Message writes a status update, as Alert.Message does an alert.
func (u Update) Message(t Templates) (Message, error) {
	m := Message{Key: u.Key, Incident: u.Incident, Kind: StatusUpdate, Level: u.Level, At: u.At}
	err := m.write(cmp.Or(t.Update, DefaultUpdate), "INCIDENT UPDATE", u.Warning, []field{
		{"Current Status", "Status", oneLine(u.Status)},
		{"Actions Taken", "List", list(u.ActionsTaken)},
		{"Next Steps", "List", list(u.NextSteps)},
		{"ETA", "Time estimate", oneLine(u.ETA)},
	})
	return m, err
}

// Message writes a resolution notice, as Alert.Message does an alert.
func (r Resolution) Message(t Templates) (Message, error) {
	m := Message{Key: r.Key, Incident: r.Incident, Kind: ResolutionNotice, Level: r.Level, At: r.At, Pages: r.Pages}
	scheduled := "not scheduled"
	if !r.PostMortem.IsZero() {
		scheduled = stamp(r.PostMortem)
	}
	err := m.write(cmp.Or(t.Resolution, DefaultResolution), "INCIDENT RESOLVED", "", []field{
		{"Duration", "X hours Y minutes", hoursMinutes(r.Duration)},
		{"Root Cause", "Brief summary", oneLine(r.RootCause)},
		{"Impact", "Financial/operational impact", oneLine(r.Impact)},
		{"Post-Mortem", "Scheduled date/time", scheduled},
	})
	return m, err
}

// Message writes the notice that a target was missed, as Alert.Message does an alert.
func (b Breach) Message(t Templates) (Message, error) {
	m := Message{Key: b.Key, Incident: b.Incident, Kind: BreachNotice, Level: b.Level, At: b.At}
	err := m.write(cmp.Or(t.Breach, DefaultBreach), "INCIDENT TARGET MISSED", "", []field{
		{"Target", "Target", oneLine(b.Target)},
		{"Due", "Target time", stamp(b.Due)},
		{"Status", "Status", oneLine(b.Status)},
	})
	return m, err
}

// Message writes a reminder, as Alert.Message does an alert.
func (r Reminder) Message(t Templates) (Message, error) {
	m := Message{Key: r.Key, Incident: r.Incident, Kind: PageReminder, Level: r.Level, At: r.At}
	err := m.write(cmp.Or(t.Reminder, DefaultReminder), "INCIDENT REMINDER", r.Warning, []field{
		{"Impact", "Brief description", oneLine(r.Impact)},
		{"Reason", "Why again", oneLine(r.Reason)},
		{"Open For", "X hours Y minutes", hoursMinutes(r.OpenFor)},
	})
	return m, err
}

// Message writes the notice, as Alert.Message does an alert.
func (a Acknowledgement) Message(t Templates) (Message, error) {
	m := Message{Key: a.Key, Incident: a.Incident, Kind: AckNotice, Level: a.Level, At: a.At, Pages: a.Pages}
	err := m.write(cmp.Or(t.Ack, DefaultAck), "INCIDENT ACKNOWLEDGED", "", []field{
		{"Acknowledged By", "Name", oneLine(a.By)},
	})
	return m, err
}

// write fills in Text from the template, or plainly where that fails.
func (m *Message) write(template, title, warning string, own []field) error {
	fields := append(m.fields(), own...)
	text, err := fill(template, fields)
	if err != nil {
		err = fmt.Errorf("template of the %s, plain text is used instead: %w", m.Kind, err)
		text = plain(title, fields)
	}
	if warning != "" {
		m.Warning = oneLine(warning)
		text = m.Warning + "\n" + text
	}
	m.Text = text
	return err
}

// fields returns the facts that every message has.
func (m *Message) fields() []field {
	return []field{
		{"Severity", "X", levelDigit(m.Level)},
		{"Time", "TIMESTAMP", stamp(m.At)},
		{"Incident", "YYYYMMDD-XXX", oneLine(strings.TrimPrefix(m.Incident, "INC-"))},
	}
}

func levelDigit(l severity.Level) string {
	if digit, ok := strings.CutPrefix(l.String(), "SEV-"); ok {
		return digit
	}
	return "1 (unclassified)"
}

// stamp writes a time for people on several continents: UTC, to the second.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// hoursMinutes writes a duration as the playbook does, whole minutes, cut off.
func hoursMinutes(d time.Duration) string {
	if d < 0 {
		return "unknown"
	}
	return fmt.Sprintf("%s %s", counted(int(d/time.Hour), "hour"), counted(int(d%time.Hour/time.Minute), "minute"))
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func list(items []string) string {
	if len(items) == 0 {
		return "none"
	}
	lines := make([]string, len(items))
	for i, s := range items {
		lines[i] = oneLine(s)
	}
	return strings.Join(lines, "; ")
}

// longestField is in characters. A page is read on a telephone; the timeline has
// the rest.
const longestField = 1000

// oneLine makes what somebody wrote safe to show: one line, so that it cannot pose
// as another field, no control or direction characters, not without bound.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "�")), " ")
	s = strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return -1
	}, s)
	if runes := []rune(s); len(runes) > longestField {
		s = string(runes[:longestField]) + "…"
	}
	return cmp.Or(s, "unknown")
}
