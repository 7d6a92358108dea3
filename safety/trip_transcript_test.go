package safety

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the transcripts anew")

// Each file in testdata/trips is a story: what is fed, and below it, indented, the holds
// that come of it. A line "+" and what follows is a condition that began, "-" one that
// ended.
func TestTripTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/trips/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			got := tell(t, string(b))
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
			}
			require.Equal(t, string(b), got, "go test -run TripTranscripts -update writes it anew")
		})
	}
}

// A teller runs a story.
type teller struct {
	t       *testing.T
	cfg     TripConfig
	m       *tripMachine
	now     tripNow
	present map[string]condition
	out     strings.Builder
}

func tell(t *testing.T, story string) string {
	begin := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	tl := &teller{t: t, cfg: TripConfig{NoSymbols: true}, now: tripNow{begin, begin}, present: map[string]condition{}}
	for line := range strings.Lines(story) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "  ") {
			continue
		}
		tl.out.WriteString(line + "\n")
		if f := strings.Fields(line); len(f) > 0 && f[0] != "#" {
			tl.do(f)
		}
	}
	return tl.out.String()
}

func (tl *teller) say(format string, args ...any) { fmt.Fprintf(&tl.out, "  "+format+"\n", args...) }

func (tl *teller) span(s string) time.Duration {
	d, err := time.ParseDuration(s)
	require.NoError(tl.t, err)
	return d
}

func (tl *teller) do(f []string) {
	switch {
	case f[0] == "config":
		tl.configure(f[1:])
		return
	case tl.m == nil:
		tl.m = newTripMachine(tl.cfg, nil, tl.now)
		tl.report(nil)
	}
	d := andon.MustDecimal
	var err error
	switch f[0] {
	case "pass": // both clocks go on, tick by tick
		for left := tl.span(f[1]); left > 0; left -= time.Second {
			step := min(left, time.Second)
			tl.now.clock, tl.now.wall = tl.now.clock.Add(step), tl.now.wall.Add(step)
			tl.m.tick(tl.now)
			tl.report(nil)
		}
		return
	case "jump": // both clocks go on and nobody looks: the process is stopped
		tl.now.clock, tl.now.wall = tl.now.clock.Add(tl.span(f[1])), tl.now.wall.Add(tl.span(f[1]))
	case "wall": // somebody moves the wall clock
		tl.now.wall = tl.now.wall.Add(tl.span(f[1]))
	case "restart":
		s := tl.m.snapshot(tripClock{last: tl.now.clock})
		require.NoError(tl.t, s.validate())
		tl.m = newTripMachine(tl.cfg, s, tl.now)
	case "tick":
		tl.m.tick(tl.now)
	case "equity":
		tl.m.equity(tl.now, d(f[1]))
	case "trade":
		err = tl.m.trade(tl.now, Trade{ID: f[1], Profit: d(f[2]), Fee: d(f[3]), At: tl.now.wall})
	case "transfer":
		err = tl.m.transfer(tl.now, Transfer{ID: f[1], Amount: d(f[2]), At: tl.now.wall})
	case "order":
		out := map[string]Outcome{"accepted": Accepted, "refused": Refused, "unknown": OutcomeUnknown}[f[1]]
		err = tl.m.order(tl.now, out, tl.span(f[2]))
	case "failure":
		err = tl.m.venueError(tl.now, f[1], errors.New(strings.Join(f[2:], " ")))
	case "margin":
		err = tl.m.margin(tl.now, f[1], d(f[2]), d(f[3]))
	case "data":
		then := tripNow{tl.now.clock.Add(-tl.span(f[2])), tl.now.wall.Add(-tl.span(f[2]))}
		tl.m.hear(feedData+f[1], tl.m.cfg.MaxDataAge, then, tl.now)
	case "fill":
		side := andon.Buy
		if d(f[3]).Sign() < 0 {
			side = andon.Sell
		}
		err = tl.m.fill(tl.now, andon.Fill{ID: f[1], ClientID: "c", Venue: "sim", Symbol: f[2], Side: side,
			Quantity: d(f[3]).Abs(), Price: d("1"), At: tl.now.wall})
	case "view":
		v := View{Venue: "sim", Asked: tl.now.wall}
		for _, p := range f[1:] {
			symbol, quantity, _ := strings.Cut(p, "=")
			v.Positions = append(v.Positions, andon.Position{Venue: "sim", Symbol: symbol, Quantity: d(quantity)})
		}
		err = tl.m.view(tl.now, v)
	case "status":
		for _, s := range tl.m.status(tl.now) {
			if !s.Limit.IsZero() && s.On {
				tl.say("%v: %v of %v, fired %d times", s.Trip, s.Level, s.Limit, s.Times)
			}
		}
	default:
		tl.t.Fatalf("the story says %q", f)
	}
	tl.report(err)
}

func (tl *teller) configure(words []string) {
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "off":
			for name := range strings.SplitSeq(v, ",") {
				var trip Trip
				require.NoError(tl.t, trip.UnmarshalText([]byte(name)))
				tl.cfg.Off = append(tl.cfg.Off, trip)
			}
		case "symbols":
			tl.cfg.Symbols, tl.cfg.NoSymbols = strings.Split(v, ","), false
		case "zone":
			zone, err := time.LoadLocation(v)
			require.NoError(tl.t, err)
			tl.cfg.Zone = zone
		case "tolerance":
			symbol, q, _ := strings.Cut(v, ":")
			tl.cfg.PositionTolerance = map[string]andon.Decimal{symbol: andon.MustDecimal(q)}
		default:
			tl.t.Fatalf("config %q", w)
		}
	}
	tl.cfg = tl.cfg.withDefaults()
	require.NoError(tl.t, tl.cfg.validate())
}

// report says what came of the last event.
func (tl *teller) report(err error) {
	at := ""
	if err != nil {
		tl.say("error: %v", err)
	}
	for _, f := range tl.m.take() {
		tl.say("%s%v, %v: %s", at, tl.cfg.state(f.trip), f.trip, f.reason)
	}
	var lines []string
	for by, c := range tl.m.present {
		if tl.present[by] != c {
			lines = append(lines, "+ "+c.reason)
		}
	}
	for by, c := range tl.present {
		if _, ok := tl.m.present[by]; !ok {
			lines = append(lines, "- "+c.reason)
		}
	}
	slices.Sort(lines)
	for _, l := range lines {
		tl.say("%s", l)
	}
	tl.present = map[string]condition{}
	maps.Copy(tl.present, tl.m.present)
}
