// Gameday breaks a real stack on purpose and scores the response.
//
// It builds the stack itself, anew for each drill: a PostgreSQL server, a container on the
// machine's Docker Engine, an exchange behind a port, and a bot that embeds the whole
// playbook over them. Then it kills, freezes, corrupts, leaks or cuts, and lets the bot
// notice, halt and page, and people go through the runbook; each time is compared with the
// playbook's target.
//
//	go run ./examples/gameday                          all drills
//	go run ./examples/gameday kill leak                these
//	go run ./examples/gameday --report=day.md          and day.svg beside it
//
// Nothing outside of it is touched, and nothing is left. It needs the programs of
// PostgreSQL and a Docker Engine.
//
// Exit status: 0 when every target was met, 1 when one was missed or a drill was none, 2
// for a mistake in the command line.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/andon-go/andon/internal/atomicfile"
	"github.com/andon-go/andon/notify/notifytest"
)

type flags struct {
	Drills []string      `arg:"" optional:"" help:"Which drills, in this order: ${drills}. Defaults to all."`
	Report string        `help:"Where the report is written; it ends in .md, and the drawing beside it in .svg."`
	Within time.Duration `help:"How long one drill may take." default:"2m"`
	Log    bool          `help:"Show what the bot logs."`
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	var f flags
	parser, err := kong.New(&f, kong.Name("gameday"), kong.Description("Breaks a real stack on purpose and scores the response."),
		kong.Writers(stdout, stderr), kong.Vars{"drills": strings.Join(names(), ", ")})
	if err != nil {
		fmt.Fprintln(stderr, "gameday:", err)
		return 2
	}
	exited := -1
	parser.Exit = func(code int) { exited = code }
	_, err = parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	var chosen []game
	if err == nil {
		chosen, err = choose(f)
	}
	if err != nil {
		fmt.Fprintln(stderr, "gameday:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.DiscardHandler)
	if f.Log {
		log = slog.New(slog.NewTextHandler(stderr, nil))
	}
	return play(ctx, chosen, f, log, stdout, stderr)
}

func names() []string {
	var all []string
	for _, g := range games {
		all = append(all, g.name)
	}
	return all
}

func choose(f flags) ([]game, error) {
	if f.Within <= 0 {
		return nil, fmt.Errorf("--within is %v, want more than zero", f.Within)
	}
	if f.Report != "" && filepath.Ext(f.Report) != ".md" {
		return nil, fmt.Errorf("--report is %q, want a name that ends in .md", f.Report)
	}
	if dir := filepath.Dir(f.Report); f.Report != "" {
		// A game day takes minutes: it is not played for a report that has no place.
		if at, err := os.Stat(dir); err != nil || !at.IsDir() {
			return nil, fmt.Errorf("--report is %q, and %s is no folder", f.Report, dir)
		}
	}
	if len(f.Drills) == 0 {
		return games, nil
	}
	var chosen []game
	for _, name := range f.Drills {
		i := slices.IndexFunc(games, func(g game) bool { return g.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no drill %q, want one of %s", name, strings.Join(names(), ", "))
		}
		chosen = append(chosen, games[i])
	}
	return chosen, nil
}

// play plays the games one after another and writes the report.
func play(ctx context.Context, chosen []game, f flags, log *slog.Logger, stdout, stderr io.Writer) int {
	began := time.Now()
	var results []result
	code := 0
	for _, g := range chosen {
		if ctx.Err() != nil {
			results = append(results, result{game: g, err: errNotPlayed})
			continue
		}
		fmt.Fprintf(stderr, "%s: %s\n", g.name, g.what)
		r := g.play(ctx, f.Within, log)
		if !r.passed() {
			code = 1
		}
		fmt.Fprintf(stderr, "%s: %s\n", g.name, r.verdict())
		results = append(results, r)
	}
	if ctx.Err() != nil {
		code = 1
	}
	if f.Report == "" {
		fmt.Fprint(stdout, markdown(results, began, ""))
		return code
	}
	drawing := strings.TrimSuffix(f.Report, ".md") + ".svg"
	if err := errors.Join(
		atomicfile.Write(f.Report, []byte(markdown(results, began, filepath.Base(drawing))), 0o644),
		atomicfile.Write(drawing, []byte(svg(results)), 0o644),
	); err != nil {
		fmt.Fprintln(stderr, "gameday:", err)
		return 1
	}
	return code
}

// play builds a stack, breaks it, and takes it down.
func (g game) play(ctx context.Context, within time.Duration, log *slog.Logger) (r result) {
	r.game = g
	s := &stage{ctx: ctx}
	defer func() { r.err = errors.Join(r.err, s.strike()) }()
	b, err := newBot(ctx, s, log, &notifytest.Recorder{})
	if err != nil {
		r.err = fmt.Errorf("the stack cannot be built: %w", err)
		return r
	}
	d := g.drill(b)
	d.Within = within
	r.score, r.err = d.Run(ctx, b.Incidents)
	r.err = errors.Join(r.err, b.close())
	return r
}
