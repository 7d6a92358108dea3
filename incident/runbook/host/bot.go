package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon/incident/runbook"
)

// BotConfig says where a bot's profiles go and where its logs lie.
type BotConfig struct {
	// Dir is where profiles are written to, each into a new file. It is made, for its
	// owner alone, where it is not there. Empty: CPU, Heap, Profile and Threads are left
	// to a person.
	Dir string

	// ProfileFor is how long CPU and Profile watch the processors. Defaults to 10 s.
	ProfileFor time.Duration

	// Logs are the log files, and the folders whose files Grep and APIUsage read too, not
	// those of folders in them. Those that end in .gz are unpacked. Empty: Grep and
	// APIUsage are left to a person.
	Logs []string

	// Request finds a request to the exchange in a line of the log; its groups called
	// status have the answer's code. Defaults to one that finds status=200,
	// "status_code": 401, and the "HTTP/1.1" 200 of access logs.
	Request *regexp.Regexp

	// MaxLines is how many lines Grep returns at most: the last ones. Defaults to 1000.
	MaxLines int
}

// requestLine is the default of BotConfig.Request.
var requestLine = regexp.MustCompile(`(?i)\bstatus(?:[_ ]?code)?["']?\s*[=:]\s*["']?(?P<status>[1-5]\d\d)\b|\bHTTP/[0-9.]+"?\s+(?P<status>[1-5]\d\d)\b`)

// NewBot returns what is asked of this process and of its log files, or every problem of
// the configuration, joined. The fields of runbook.Bot that only the bot knows are nil.
func NewBot(cfg BotConfig) (runbook.Bot, error) {
	var errs []error
	if cfg.ProfileFor < 0 || cfg.MaxLines < 0 {
		errs = append(errs, fmt.Errorf("ProfileFor, MaxLines are %v and %d, want neither negative", cfg.ProfileFor, cfg.MaxLines))
	}
	if slices.Contains(cfg.Logs, "") {
		errs = append(errs, errors.New("Logs: holds an empty path"))
	}
	if cfg.Request == nil {
		cfg.Request = requestLine
	}
	if !slices.Contains(cfg.Request.SubexpNames(), "status") {
		errs = append(errs, fmt.Errorf("Request: %q has no group called status", cfg.Request))
	}
	if err := errors.Join(errs...); err != nil {
		return runbook.Bot{}, err
	}
	if cfg.ProfileFor == 0 {
		cfg.ProfileFor = 10 * time.Second
	}
	if cfg.MaxLines == 0 {
		cfg.MaxLines = 1000
	}
	var b runbook.Bot
	if cfg.Dir != "" {
		b.CPU, b.Heap, b.Profile, b.Threads = cfg.cpu, cfg.heap, cfg.profile, cfg.threads
	}
	if len(cfg.Logs) > 0 {
		b.Grep, b.APIUsage = cfg.grep, cfg.apiUsage
	}
	return b, nil
}

// state is how this process stands.
func state() string {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return fmt.Sprintf("%d goroutines on %d processors; heap %d KiB in use, %d KiB of the system; %d collections\n",
		runtime.NumGoroutine(), runtime.GOMAXPROCS(0), m.HeapInuse>>10, m.Sys>>10, m.NumGC)
}

func (c BotConfig) cpu(ctx context.Context) (string, error) {
	return c.write("cpu", ".pprof", func(w io.Writer) error {
		if err := pprof.StartCPUProfile(w); err != nil {
			return err // one at a time, of all who ask
		}
		defer pprof.StopCPUProfile()
		return wait(ctx, c.ProfileFor)
	})
}

func (c BotConfig) heap(context.Context) (string, error) {
	return c.write("heap", ".pprof", func(w io.Writer) error { return pprof.Lookup("heap").WriteTo(w, 0) })
}

func (c BotConfig) threads(context.Context) (string, error) {
	return c.write("goroutines", ".txt", func(w io.Writer) error { return pprof.Lookup("goroutine").WriteTo(w, 1) })
}

// profile takes all of them, and what waits for what; each whatever becomes of the others.
func (c BotConfig) profile(ctx context.Context) (string, error) {
	looks := []runbook.Look{c.cpu, c.heap, c.threads}
	for _, name := range []string{"mutex", "block", "allocs"} {
		looks = append(looks, func(context.Context) (string, error) {
			return c.write(name, ".pprof", func(w io.Writer) error { return pprof.Lookup(name).WriteTo(w, 0) })
		})
	}
	var out strings.Builder
	var errs []error
	for _, look := range looks {
		text, err := look(ctx)
		out.WriteString(text)
		errs = append(errs, err)
	}
	return out.String(), errors.Join(errs...)
}

// write writes a new file of Dir and says where it lies. It leaves none behind when it fails.
func (c BotConfig) write(name, ext string, write func(io.Writer) error) (string, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return "", fmt.Errorf("profile %s: %w", name, err)
	}
	f, err := os.CreateTemp(c.Dir, name+"-"+time.Now().UTC().Format("20060102_150405")+"-*"+ext)
	if err != nil {
		return "", fmt.Errorf("profile %s: %w", name, err)
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("profile %s: %w", name, err), os.Remove(f.Name()))
	}
	return state() + name + " is in " + filepath.Clean(f.Name()) + "\n", nil
}
