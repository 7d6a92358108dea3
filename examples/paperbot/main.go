// Paperbot is a trading bot that embeds andon, meets an incident, and handles it by
// the playbook while you watch. The exchange is simulated; everything else is what a
// real bot would run.
//
//	go run ./examples/paperbot                                  the main job
//	go run ./examples/paperbot -fault naked-position -seed 7    another day
//	go run ./examples/paperbot -http 127.0.0.1:8080             with the status page and the console
//	go run ./examples/paperbot -fills F -orders O -corrupt 3    recorded data
//
// While it runs, touch DIR/EMERGENCY_STOP from another shell stops it.
//
// Exit status: 0 when every item of the recovery checklist was proven, or, on
// recorded data, when book and venue agree at the end; 1 when not; 2 for a mistake in
// the flags.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// flags are the command line.
type flags struct {
	Seed     uint64        `help:"What decides prices, depth, lost answers and which rows are damaged." default:"1"`
	Fault    string        `help:"What goes wrong: ${enum}." enum:"${faults}" default:"data-corruption"`
	Operator string        `help:"The named person who resumes." default:"${operator}"`
	Note     string        `help:"The note of the last resume." default:"book repaired and compared, stops in place, checklist proven"`
	Window   time.Duration `help:"Length of every waiting period that the playbook gives as 5 or 15 minutes." default:"5s"`
	Dir      string        `help:"Where everything lies; it must not exist yet. Defaults to a new andon-DATE-TIME here."`
	HTTP     string        `name:"http" help:"Serve the status page and the console here, such as 127.0.0.1:8080, until Ctrl-C."`
	Fills    string        `help:"Recorded fills, as pages of JSON: they become the book."`
	Orders   string        `help:"Recorded orders, as pages of JSON: they are the venue's word."`
	Corrupt  int           `help:"How many rows of the book of recorded fills to damage."`
}

func (f flags) validate() error {
	var errs []error
	if strings.TrimSpace(f.Operator) == "" {
		errs = append(errs, errors.New("-operator is empty: only a named person may resume"))
	}
	if strings.TrimSpace(f.Note) == "" {
		errs = append(errs, errors.New("-note is empty: a resume needs one"))
	}
	if f.Window < 500*time.Millisecond || f.Window > time.Hour {
		errs = append(errs, fmt.Errorf("-window %v: want 500ms to 1h", f.Window))
	}
	if f.HTTP != "" && f.Fills != "" {
		errs = append(errs, errors.New("-http is for the main job, not for recorded data"))
	}
	if (f.Fills == "") != (f.Orders == "") {
		errs = append(errs, errors.New("-fills and -orders go together"))
	}
	if f.Corrupt < 0 || f.Corrupt > maxCorrupt {
		errs = append(errs, fmt.Errorf("-corrupt %d: want 0 to %d", f.Corrupt, maxCorrupt))
	}
	if f.Corrupt > 0 && f.Fills == "" {
		errs = append(errs, errors.New("-corrupt needs -fills and -orders"))
	}
	return errors.Join(errs...)
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	var f flags
	parser, err := kong.New(&f, kong.Name("paperbot"),
		kong.Description("A paper-trading bot that embeds andon and lives through an incident."),
		kong.Writers(stdout, stderr), kong.Vars{"faults": strings.Join(faultNames(), ","), "operator": operatorName()})
	if err != nil {
		fmt.Fprintln(stderr, "paperbot:", err)
		return 2
	}
	exited := -1
	parser.Exit = func(code int) { exited = code }
	_, err = parser.Parse(singleDash(args))
	if exited >= 0 { // -help
		return exited
	}
	if err == nil {
		err = f.validate()
	}
	if err != nil {
		fmt.Fprintf(stderr, "paperbot: %v\n", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	job := liveDay
	if f.Fills != "" {
		job = recordedDay
	}
	if err := job(ctx, f, stdout); err != nil {
		fmt.Fprintf(stderr, "paperbot: %v\n", err)
		return 1
	}
	return 0
}

// singleDash lets flags be written as Go programs write them: -seed 7 beside --seed 7.
func singleDash(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		if len(a) > 2 && a[0] == '-' && a[1] != '-' && (a[1] < '0' || a[1] > '9') {
			a = "-" + a
		}
		out[i] = a
	}
	return out
}

// operatorName is who sits in front of the machine.
func operatorName() string {
	for _, name := range []string{os.Getenv("USER"), os.Getenv("LOGNAME")} {
		if name != "" {
			return name
		}
	}
	return "operator"
}

// makeDir makes the folder that a run lies in. One that exists is refused: a simulated
// exchange does not outlive its run, so the book of another run would not fit it.
func makeDir(dir string, now time.Time) (string, error) {
	if dir == "" {
		dir = now.Format("andon-20060102-150405")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("-dir: %w: give one that does not exist, below one that does", err)
	}
	return dir, nil
}
