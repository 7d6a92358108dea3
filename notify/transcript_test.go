package notify_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

// TestTranscripts runs each testdata/escalation/*.txt: the script above the line
// says what happens at which minute, what stands below is who is told when.
//
//	declare SEV-1          at minute 0
//	without NAME           who is not in the directory
//	15 unreachable         pages and updates fail from here on
//	20 reachable           and succeed again
//	25 ack
//	40 upgrade SEV-1       opens another round
//	95 resolve
//	120 end
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/escalation/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			script, want, found := strings.Cut(string(content), "----\n")
			require.True(t, found, "no line ---- between script and transcript")
			got := play(t, script)
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(script+"----\n"+got), 0o644))
				return
			}
			require.Equal(t, want, got)
		})
	}
}

// incident is one escalation as a transcript plays it.
type incident struct {
	t        *testing.T
	out      strings.Builder
	dir      notify.Directory
	progress notify.Progress
	fails    bool
}

func play(t *testing.T, script string) string {
	in := &incident{t: t, dir: team(), progress: opened(severity.Unclassified)}
	now := start
	for line := range strings.Lines(script) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "#":
		case words[0] == "declare":
			require.NoError(t, in.progress.Level.UnmarshalText([]byte(words[1])))
		case words[0] == "without":
			in.dir.Contacts = slices.DeleteFunc(in.dir.Contacts, func(c notify.Contact) bool { return c.Name == words[1] })
		default:
			minute, err := strconv.Atoi(words[0])
			require.NoError(t, err, line)
			at := start.Add(time.Duration(minute) * time.Minute)
			in.advance(now, at)
			now = at
			in.event(at, words[1:])
		}
	}
	return in.out.String()
}

// advance does what is due from now on, up to just before an event.
func (in *incident) advance(now, until time.Time) {
	for now.Before(until) {
		due, next := notify.DefaultPolicy().Due(in.progress, in.dir, now)
		for _, d := range due {
			in.send(now, d)
		}
		if in.fails && len(due) > 0 && (next.IsZero() || next.After(now.Add(5*time.Minute))) {
			next = now.Add(5 * time.Minute) // what failed is tried again
		}
		if slices.ContainsFunc(due, func(d notify.Due) bool { return d.Kind == notify.ReopenDue }) {
			continue // which makes pages due at once
		}
		if next.IsZero() {
			return
		}
		require.True(in.t, next.After(now))
		now = next
	}
}

func (in *incident) send(now time.Time, d notify.Due) {
	if pr := &in.progress; d.Kind == notify.ReopenDue {
		in.say(now, "the ack has expired [%s]", strings.TrimPrefix(d.Key, pr.Key.String()+"/"))
		pr.Round, pr.OpenedAt, pr.Done, pr.AckedAt = pr.Round+1, d.At, nil, time.Time{}
		return
	}
	var names []string
	for _, c := range in.dir.Find(now, d.Roles...) {
		names = append(names, c.Name)
	}
	what := "update"
	if d.Kind == notify.PageDue {
		what = "page"
	}
	outcome := ""
	if in.fails {
		outcome = " FAILED"
	}
	in.say(now, "%s %s [%s]%s", what, strings.Join(names, ", "), strings.TrimPrefix(d.Key, in.progress.Key.String()+"/"), outcome)
	switch {
	case in.fails:
	case d.Kind == notify.PageDue:
		in.progress.Done = append(in.progress.Done, d.Step)
	default:
		in.progress.UpdatedAt = d.At
	}
}

func (in *incident) event(at time.Time, words []string) {
	pr := &in.progress
	switch words[0] {
	case "ack":
		pr.AckedAt = at
	case "upgrade":
		require.NoError(in.t, pr.Level.UnmarshalText([]byte(words[1])))
		pr.Round, pr.OpenedAt, pr.Done, pr.AckedAt = pr.Round+1, at, nil, time.Time{}
	case "resolve":
		pr.ResolvedAt = at
	case "unreachable", "reachable":
		in.fails = words[0] == "unreachable"
	case "end":
	default:
		in.t.Fatalf("unknown event %q", words)
	}
	in.say(at, "-- %s", strings.Join(words, " "))
}

func (in *incident) say(at time.Time, format string, args ...any) {
	fmt.Fprintf(&in.out, "%3d min  %s\n", int(at.Sub(start).Minutes()), fmt.Sprintf(format, args...))
}
