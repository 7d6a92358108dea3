package notify

import (
	"errors"
	"fmt"
	"strings"
)

// The playbook's three communication templates, word for word, and three of ours
// for what it has none for. What stands in brackets is filled in. A template of your own uses the same brackets; where one
// of them stands twice, as [List] does, the label before it tells them apart.
const (
	DefaultAlert = `🚨 INCIDENT ALERT - SEV-[X]
Time: [TIMESTAMP]
System: AI Trading Bot
Impact: [Brief description]
Status: Investigating
IC: [Name]
Channel: #incident-[YYYYMMDD-XXX]`

	DefaultUpdate = `📊 INCIDENT UPDATE - SEV-[X]
Time: [TIMESTAMP]
Current Status: [Status]
Actions Taken: [List]
Next Steps: [List]
ETA: [Time estimate]`

	DefaultResolution = `✅ INCIDENT RESOLVED - SEV-[X]
Time: [TIMESTAMP]
Duration: [X hours Y minutes]
Root Cause: [Brief summary]
Impact: [Financial/operational impact]
Post-Mortem: [Scheduled date/time]`

	DefaultReminder = `⏰ INCIDENT REMINDER - SEV-[X]
Time: [TIMESTAMP]
System: AI Trading Bot
Impact: [Brief description]
Reason: [Why again]
Open For: [X hours Y minutes]
Channel: #incident-[YYYYMMDD-XXX]`

	DefaultBreach = `⌛ INCIDENT TARGET MISSED - SEV-[X]
Time: [TIMESTAMP]
Target: [Target]
Due: [Target time]
Status: [Status]
Channel: #incident-[YYYYMMDD-XXX]`

	DefaultAck = `👀 INCIDENT ACKNOWLEDGED - SEV-[X]
Time: [TIMESTAMP]
Acknowledged By: [Name]
Channel: #incident-[YYYYMMDD-XXX]`
)

// Templates is the text of the messages. The zero value is the playbook's.
type Templates struct {
	Alert      string // Defaults to DefaultAlert
	Update     string // Defaults to DefaultUpdate
	Resolution string // Defaults to DefaultResolution
	Reminder   string // Defaults to DefaultReminder
	Breach     string // Defaults to DefaultBreach
	Ack        string // Defaults to DefaultAck
}

// field is one thing that a template can show.
type field struct {
	label string // what stands before the bracket on its line, and names the fact in a plain message
	name  string // what stands in the bracket
	value string // already on one line
}

// fill replaces each bracket of a template by its field, in one pass, so that
// brackets in a value stay what they are. An unknown or open bracket is an error.
func fill(template string, fields []field) (string, error) {
	var out strings.Builder
	for i, line := range strings.Split(template, "\n") {
		if i > 0 {
			out.WriteByte('\n')
		}
		if err := fillLine(&out, line, fields); err != nil {
			return "", fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if strings.TrimSpace(out.String()) == "" {
		return "", errors.New("it says nothing")
	}
	return out.String(), nil
}

func fillLine(out *strings.Builder, line string, fields []field) error {
	var label strings.Builder
	for {
		before, rest, found := strings.Cut(line, "[")
		out.WriteString(before)
		if !found {
			return nil
		}
		name, after, closed := strings.Cut(rest, "]")
		if !closed {
			return fmt.Errorf("bracket of %q is not closed", "["+name)
		}
		label.WriteString(before)
		value, ok := lookUp(fields, label.String(), name)
		if !ok {
			return fmt.Errorf("there is no field [%s] for this message", name)
		}
		out.WriteString(value)
		line = after
	}
}

// lookUp finds a field by its name and, where several have that name, by the
// label too.
func lookUp(fields []field, label, name string) (string, bool) {
	value, matches := "", 0
	for _, f := range fields {
		if f.name != name {
			continue
		}
		if strings.HasSuffix(strings.TrimRight(label, ": "), f.label) {
			return f.value, true
		}
		value, matches = f.value, matches+1
	}
	return value, matches == 1
}

// plain is the message for when there is no template, or none that can be
// rendered: the facts, one a line.
func plain(title string, fields []field) string {
	lines := []string{title}
	for _, f := range fields {
		lines = append(lines, f.label+": "+f.value)
	}
	return strings.Join(lines, "\n")
}
