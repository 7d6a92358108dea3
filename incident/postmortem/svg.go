package postmortem

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/notify"
)

// The drawing's measures, in pixels.
const (
	width      = 960
	left       = 120 // where the lanes begin
	right      = 940
	top        = 56 // the lanes' upper edge: above it are the moments' names
	laneHeight = 34
)

// axis puts time on a line: by the logarithm, since what matters of the first seconds
// and of the last hours is to be seen on one page.
type axis struct {
	start time.Time
	span  float64 // log1p of all seconds
}

func (a axis) x(t time.Time) float64 {
	at := math.Log1p(max(0, t.Sub(a.start).Seconds()))
	return left + (right-left)*min(1, at/a.span)
}

var ticks = []time.Duration{
	0, time.Second, 5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 24 * time.Hour, 3 * 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour,
}

// tick names a time on the axis.
func tick(d time.Duration) string {
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%d d", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// drawing is an SVG being written.
type drawing struct {
	strings.Builder
	axis axis
	lane int             // how many there are
	bad  strings.Builder // the lane's crosses, drawn last so that no dot hides one
}

func (g *drawing) y() float64 { return top + laneHeight*float64(g.lane) }

// begin begins a lane.
func (g *drawing) begin(name string) {
	fmt.Fprintf(g, `<text x="%d" y="%.0f" class="lane">%s</text><line x1="%d" x2="%d" y1="%.0f" y2="%.0f" class="rule"/>`+"\n",
		left-10, g.y()+21, html.EscapeString(name), left, right, g.y()+17, g.y()+17)
}

func (g *drawing) end() {
	g.WriteString(g.bad.String())
	g.bad.Reset()
	g.lane++
}

func (g *drawing) bar(from, to time.Time, class, title string) {
	x, w := g.axis.x(from), g.axis.x(to)-g.axis.x(from)
	fmt.Fprintf(g, `<rect x="%.1f" y="%.0f" width="%.1f" height="18" rx="3" class="%s"><title>%s</title></rect>`+"\n",
		x, g.y()+8, max(2, w), class, html.EscapeString(clean(title)))
	if name, _, _ := strings.Cut(title, ":"); w > 7*float64(len(name))+8 {
		fmt.Fprintf(g, `<text x="%.1f" y="%.0f" class="in">%s</text>`+"\n", x+6, g.y()+21, html.EscapeString(clean(name)))
	}
}

// dot marks an instant. A cross is what did not succeed: not by its colour alone.
func (g *drawing) dot(at time.Time, ok bool, title string) {
	x, y := g.axis.x(at), g.y()+17
	if ok {
		fmt.Fprintf(g, `<circle cx="%.1f" cy="%.0f" r="5" class="ok"><title>%s</title></circle>`+"\n", x, y, html.EscapeString(clean(title)))
		return
	}
	fmt.Fprintf(&g.bad, `<path d="M%.1f %.0fl10 10m0-10l-10 10" class="bad"><title>%s</title></path>`+"\n", x-5, y-5, html.EscapeString(clean(title)))
}

// SVG returns the timeline as a drawing, a whole SVG document of 960 pixels width: the
// phases, the stop, the pages, the people and the runbook's steps against the targets.
// Its colours are those of the page that it stands in, light or dark.
func (r Report) SVG() string {
	in := r.Incident
	end := in.ResolvedAt
	if end.IsZero() {
		end = r.At
	}
	for _, e := range r.Events {
		if e.At.After(end) {
			end = e.At
		}
	}
	start := in.SignalAt
	if start.IsZero() || start.After(in.DeclaredAt) {
		start = in.DeclaredAt
	}
	g := &drawing{axis: axis{start: start, span: math.Log1p(max(1, end.Sub(start).Seconds()))}}
	r.phases(g, end)
	r.stop(g, end)
	r.pages(g)
	r.people(g)
	r.steps(g, end)
	body := g.String()
	g.Reset()
	r.moments(g)
	r.targets(g, end)
	g.scale(end)
	height := g.y() + 44
	title := html.EscapeString("Timeline of " + clean(in.Number))
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" width="%d" height="%.0f" role="img" aria-label="%s">`+"\n<title>%s</title>\n<style>%s</style>\n",
		width, height, width, height, title, title, svgStyle) + g.String() + body + "</svg>\n"
}

const svgStyle = `text{font:12px system-ui,sans-serif;fill:CanvasText}.lane{text-anchor:end}.mid{text-anchor:middle}.in{fill:#fff}` +
	`.rule,.tick{stroke:#8888;stroke-width:1}.target{stroke:#c62828;stroke-width:1.5;stroke-dasharray:5 4}.late{fill:#c62828;font-weight:600}` +
	`.detect{fill:#6a4fb3}.answer{fill:#b3261e}.fix{fill:#a84b00}.close{fill:#1f6f43}.halt{fill:#b3261e}.step{fill:#1d5fa8}.broken{fill:#b3261e}` +
	`.ok{fill:#1f6f43;stroke:Canvas;stroke-width:1.5}.bad{stroke:#c62828;stroke-width:3;fill:none}`

// moments names the instants that the template asks for, above the lanes, in two rows so
// that neighbours do not lie over each other; what has no room is in the table.
func (r Report) moments(g *drawing) {
	in := r.Incident
	var free [3]float64
	for _, m := range []struct {
		at   time.Time
		name string
	}{
		{in.DeclaredAt, "declared"}, {in.HaltedAt, "halted"}, {in.AckedAt, "acknowledged"}, {in.MitigatedAt, "mitigated"}, {in.ResolvedAt, "resolved"},
	} {
		if m.at.IsZero() {
			continue
		}
		x, half := g.axis.x(m.at), 3.4*float64(len(m.name))
		x0 := min(max(x, left+half), right-half)
		row := slices.IndexFunc(free[:], func(f float64) bool { return x0-half > f })
		if row < 0 {
			continue
		}
		free[row] = x0 + half + 6
		y := float64(top-8) - 15*float64(row)
		fmt.Fprintf(g, `<text x="%.1f" y="%.0f" class="mid">%s</text><line x1="%.1f" x2="%.1f" y1="%.0f" y2="%.0f" class="tick"/>`+"\n",
			x0, y, m.name, x, x, y+3, g.y())
	}
}

// targets draws until when somebody had to answer, and when it had to be over.
func (r Report) targets(g *drawing, end time.Time) {
	in := r.Incident
	for _, t := range []struct {
		at   time.Time
		name string
		late bool
	}{
		{in.RespondBy, "respond", r.judge(in.AckedAt, in.RespondBy) == missed},
		{in.ResolveBy, "resolve", r.judge(in.ResolvedAt, in.ResolveBy) == missed},
	} {
		if t.at.IsZero() || t.at.After(end) {
			continue
		}
		x, name, class := g.axis.x(t.at), t.name+" by", "mid"
		if t.late {
			name, class = name+" (missed)", "mid late"
		}
		half := 3.4 * float64(len(name))
		fmt.Fprintf(g, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%.0f" class="target"/><text x="%.1f" y="%.0f" class="%s">%s</text>`+"\n",
			x, x, top, g.y()+4, min(max(x, left+half), right-half), g.y()+38, class, name)
	}
}

// scale draws the axis under the lanes.
func (g *drawing) scale(end time.Time) {
	last := math.Inf(-1)
	for _, d := range ticks {
		at := g.axis.start.Add(d)
		x := g.axis.x(at)
		if at.After(end) || x-last < 46 {
			continue
		}
		last = x
		fmt.Fprintf(g, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%.0f" class="tick" opacity=".5"/><text x="%.1f" y="%.0f" class="mid">%s</text>`+"\n",
			x, x, top, g.y()+6, x, g.y()+21, tick(d))
	}
}

func (r Report) phases(g *drawing, end time.Time) {
	in := r.Incident
	g.begin("phase")
	defer g.end()
	from := g.axis.start
	for _, p := range []struct {
		until       time.Time
		class, name string
	}{
		{in.DeclaredAt, "detect", "to detect"}, {in.AckedAt, "answer", "to acknowledge"},
		{in.MitigatedAt, "fix", "to mitigate"}, {in.ResolvedAt, "close", "to resolve"},
	} {
		until := p.until
		if until.IsZero() || until.Before(from) {
			continue
		}
		g.bar(from, until, p.class, p.name+": "+took(until.Sub(from)))
		from = until
	}
	if in.Status != incident.Closed && end.After(from) {
		g.bar(from, end, "answer", "open: still, at "+stamp(r.At))
	}
}

// stop draws from when to when the timeline knows trading halted: to the end, since who
// resumes is on record as a decision of safety's.
func (r Report) stop(g *drawing, end time.Time) {
	in := r.Incident
	g.begin("trading")
	defer g.end()
	if !in.HaltedAt.IsZero() {
		g.bar(in.HaltedAt, end, "halt", "halted: at "+stamp(in.HaltedAt))
	}
	for _, e := range r.Events {
		switch e.Kind {
		case incident.Unconfirmed:
			g.dot(e.At, false, line(e))
		case incident.Drained, incident.Decision:
			g.dot(e.At, true, line(e))
		}
	}
}

func (r Report) pages(g *drawing) {
	g.begin("pages")
	defer g.end()
	for _, e := range r.Events {
		switch e.Kind {
		case incident.Paged, incident.Notified:
			g.dot(e.At, true, line(e))
		case incident.PageFailed, incident.NoticeFailed, incident.ResponseBreach, incident.ResolutionBreach:
			g.dot(e.At, false, line(e))
		}
	}
}

func (r Report) people(g *drawing) {
	g.begin("people")
	defer g.end()
	for _, e := range r.Events {
		switch e.Kind {
		case incident.Acknowledged, incident.RoleGiven, incident.Noted, incident.Updated, incident.ItemProven, incident.Mitigated, incident.Resolved:
			g.dot(e.At, true, line(e))
		case incident.AckExpired, incident.Reopened:
			g.dot(e.At, false, line(e))
		}
	}
}

// steps draws what runbooks did, if there was one, from the intent of a step to its outcome.
func (r Report) steps(g *drawing, end time.Time) {
	key := func(e incident.Event) string { return e.Data.Run.ID + " " + e.Data.Run.Step }
	began := map[string]incident.Event{}
	var order []string
	finish := func(k string, at time.Time, class, how string) {
		b, ok := began[k]
		if !ok {
			return
		}
		delete(began, k)
		g.bar(b.At, at, class, b.Data.Run.Step+": "+how+", "+took(at.Sub(b.At)))
	}
	drawn := false
	for _, e := range r.Events {
		if e.Data.Run == nil {
			continue
		}
		if !drawn {
			g.begin("runbook")
			defer g.end()
			drawn = true
		}
		switch { // an intent ends in -due, and what did not succeed has an error
		case strings.HasSuffix(string(e.Kind), "-due"):
			began[key(e)] = e
			order = append(order, key(e))
		case e.Data.Error != "":
			finish(key(e), e.At, "broken", string(e.Kind))
		default:
			finish(key(e), e.At, "step", string(e.Kind))
		}
	}
	for _, k := range order {
		finish(k, end, "broken", "no outcome on record")
	}
}

func line(e incident.Event) string {
	return fmt.Sprintf("%s %s: %s: %s", e.At.UTC().Format("15:04:05"), e.Kind, e.By, e.What)
}

// clean takes out what XML must not hold, whoever wrote it, and what looks like a secret.
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' && c != '\t' || c == 0xFFFE || c == 0xFFFF || 0x202A <= c && c <= 0x202E || 0x2066 <= c && c <= 0x2069 {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(notify.Redact(s), "\uFFFD"))
}
