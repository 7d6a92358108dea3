package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"math"
	"strings"
	"time"

	"github.com/andon-go/andon/incident/incidenttest"
)

// result is how one game went.
type result struct {
	game
	score incidenttest.Score
	err   error
}

func (r result) passed() bool { return r.err == nil && r.score.Passed() }

// errNotPlayed is of a drill before whose turn the game day was interrupted.
var errNotPlayed = errors.New("the game day was interrupted before it")

// cut reports whether somebody ended it: what had not happened by then might have.
func (r result) cut() bool { return errors.Is(r.err, context.Canceled) }

func (r result) verdict() string {
	switch {
	case errors.Is(r.err, errNotPlayed):
		return "not played"
	case r.cut():
		return "interrupted"
	case r.err != nil:
		return "not a drill"
	case r.score.Passed():
		return "passed"
	}
	return "missed"
}

// markdown is the report of a game day; svg is the path of its drawing beside it.
func markdown(results []result, at time.Time, svg string) string {
	var b strings.Builder
	good := 0
	for _, r := range results {
		if r.passed() {
			good++
		}
	}
	fmt.Fprintf(&b, "# Game day of %s\n\n%d of %d drills passed.\n\n", at.UTC().Format("2006-01-02 15:04 UTC"), good, len(results))
	if svg != "" {
		fmt.Fprintf(&b, "![Times since the fault, for each drill](%s)\n\n", svg)
	}
	b.WriteString("| Drill | What was broken | Detected | Halted | Paged | Recovered | Verdict |\n|---|---|---|---|---|---|---|\n")
	for _, r := range results {
		fmt.Fprintf(&b, "| %s | %s |", r.name, r.what)
		for _, name := range []string{"detect", "halt", "page", "recover"} {
			b.WriteString(" " + cell(r, name) + " |")
		}
		fmt.Fprintf(&b, " %s |\n", r.verdict())
	}
	b.WriteString("\nEach time is counted from the fault; in brackets the playbook's target, which it has to stay under: the response target\nof the incident's level for noticing, halting and paging, its resolution target for recovering.\n")
	for _, r := range results {
		if r.err != nil {
			fmt.Fprintf(&b, "\n## %s\n\n    %s\n", r.name, strings.ReplaceAll(r.err.Error(), "\n", "\n    "))
		}
	}
	return b.String()
}

func cell(r result, name string) string {
	for _, m := range r.score.Marks {
		switch {
		case m.Name != name:
		case m.Took < 0 && r.cut():
			return fmt.Sprintf("not yet (%v)", m.Target)
		case m.Took < 0:
			return fmt.Sprintf("**never** (%v)", m.Target)
		case !m.Met():
			return fmt.Sprintf("**%v** (%v)", m.Took.Round(time.Millisecond), m.Target)
		default:
			return fmt.Sprintf("%v (%v)", m.Took.Round(time.Millisecond), m.Target)
		}
	}
	return "not asked"
}

// svg draws when each thing happened, from 10 ms to the longest target, by the logarithm.
func svg(results []result) string {
	const left, right, row = 90.0, 900.0, 40.0
	longest := time.Hour
	x := func(d time.Duration) float64 {
		from, to := math.Log10(0.01), math.Log10(longest.Seconds())
		at := math.Log10(max(d.Seconds(), 0.01))
		return left + (right-left)*min(1, (at-from)/(to-from))
	}
	height := 60 + row*float64(len(results))
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 940 %.0f" role="img" aria-label="Times since the fault">`+"\n", height)
	b.WriteString(`<style>text{font:12px system-ui,sans-serif;fill:#333}.r{stroke:#ccc}.e{text-anchor:end}.m{text-anchor:middle}.late{fill:#c62828}` +
		`.detect{fill:#6a4fb3}.halt{fill:#b3261e}.page{fill:#a84b00}.recover{fill:#1f6f43}rect.bg{fill:#fff}</style><rect class="bg" width="940" height="100%"/>` + "\n")
	for _, t := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second, 10 * time.Second, time.Minute, 5 * time.Minute, time.Hour} {
		name := strings.TrimSuffix(strings.TrimSuffix(t.String(), "0s"), "0m")
		fmt.Fprintf(&b, `<line class="r" x1="%.1f" x2="%.1f" y1="24" y2="%.0f"/><text class="m" x="%.1f" y="16">%s</text>`+"\n", x(t), x(t), height-24, x(t), name)
	}
	for i, r := range results {
		y := 44 + row*float64(i)
		class := "e"
		if !r.passed() {
			class = "e late"
		}
		fmt.Fprintf(&b, `<text class="%s" x="%.0f" y="%.0f">%s</text><line class="r" x1="%.0f" x2="%.0f" y1="%.0f" y2="%.0f"/>`+"\n",
			class, left-8, y+4, html.EscapeString(r.name), left, right, y, y)
		for k, m := range r.score.Marks {
			if m.Took < 0 {
				continue
			}
			// The four stand a little above one another: what happens at once is still seen.
			fmt.Fprintf(&b, `<circle class="%s" cx="%.1f" cy="%.1f" r="5"><title>%s</title></circle>`+"\n", m.Name, x(m.Took), y-9+6*float64(k), html.EscapeString(m.String()))
		}
	}
	for i, name := range []string{"detect", "halt", "page", "recover"} {
		at := left + 110*float64(i)
		fmt.Fprintf(&b, `<circle class="%s" cx="%.0f" cy="%.0f" r="5"/><text x="%.0f" y="%.0f">%s</text>`+"\n", name, at, height-10, at+10, height-6, name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}
