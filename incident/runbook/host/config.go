package host

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/andon-go/andon/incident/runbook"
)

// Config says what is looked at. Nothing in it is required.
type Config struct {
	// Paths are on the file systems that Disk tells of. Defaults to "/".
	Paths []string

	// Sample is how long IO and ProcessIO watch in each of Rounds. Default to 1 s and 5:
	// the playbook's iostat -x 1 5.
	Sample time.Duration
	Rounds int

	// NetworkCopy and ProcessCopy are where Network and Processes put a copy, as a new
	// file; where the name is taken, the next free one of NAME.1, NAME.2 and so on.
	// Default to /tmp/network_state.txt and /tmp/process_state.txt.
	NetworkCopy, ProcessCopy string

	// Wtmp is where the system keeps who has logged in. Defaults to /var/log/wtmp.
	Wtmp string

	// Histories are the files of the shells' histories. Defaults to those of bash, zsh
	// and ash in the home of the user that this process runs as.
	Histories []string

	// Checksums lists the SHA-256 of files that nobody changes, in the format of
	// sha256sum. Names in it are relative to its directory. Defaults to checksums.txt
	// in the working directory.
	Checksums string

	// Roots are the directories below which Changed looks. Defaults to ".".
	Roots []string

	// Unit is whose journal SystemLog reads. Defaults to docker.
	Unit string

	// Exchange is the exchange's host with its port, such as "api.exchange.com:443".
	// Empty: Ping, Route and DNS are left to a person.
	Exchange string

	// Within bounds each try of Ping and each hop of Route. Defaults to 2 s.
	Within time.Duration

	// MaxLines is how many lines a look returns at most. Defaults to 1000.
	MaxLines int
}

func (c Config) withDefaults() Config {
	if len(c.Paths) == 0 {
		c.Paths = []string{"/"}
	}
	if c.Sample == 0 {
		c.Sample = time.Second
	}
	if c.Rounds == 0 {
		c.Rounds = 5
	}
	if c.NetworkCopy == "" {
		c.NetworkCopy = "/tmp/network_state.txt"
	}
	if c.ProcessCopy == "" {
		c.ProcessCopy = "/tmp/process_state.txt"
	}
	if c.Wtmp == "" {
		c.Wtmp = "/var/log/wtmp"
	}
	if len(c.Histories) == 0 {
		// Where there is no home, no such file is found, and History says so.
		home, err := os.UserHomeDir()
		if err != nil {
			home = "/root"
		}
		for _, name := range []string{".bash_history", ".zsh_history", ".ash_history"} {
			c.Histories = append(c.Histories, filepath.Join(home, name))
		}
	}
	if c.Checksums == "" {
		c.Checksums = "checksums.txt"
	}
	if len(c.Roots) == 0 {
		c.Roots = []string{"."}
	}
	if c.Unit == "" {
		c.Unit = "docker"
	}
	if c.Within == 0 {
		c.Within = 2 * time.Second
	}
	if c.MaxLines == 0 {
		c.MaxLines = 1000
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.Sample < 0 || c.Rounds < 0 || c.Within < 0 || c.MaxLines < 0 {
		errs = append(errs, fmt.Errorf("Sample, Rounds, Within, MaxLines are %v, %d, %v, %d, want none negative", c.Sample, c.Rounds, c.Within, c.MaxLines))
	}
	if c.Unit != "" && c.Unit[0] == '-' {
		errs = append(errs, fmt.Errorf("Unit is %q, want the name of a unit", c.Unit))
	}
	if c.Exchange != "" {
		if host, port, err := net.SplitHostPort(c.Exchange); err != nil || host == "" || port == "" {
			errs = append(errs, fmt.Errorf("Exchange is %q, want a host with its port, such as api.exchange.com:443", c.Exchange))
		}
	}
	return errors.Join(errs...)
}

// New returns the looks at this machine, or every problem of the configuration, joined. It
// looks at nothing yet.
func New(cfg Config) (runbook.Host, error) {
	if err := cfg.validate(); err != nil {
		return runbook.Host{}, err
	}
	c := cfg.withDefaults()
	h := runbook.Host{
		Disk: c.disk, Memory: c.memory, IO: c.io, ProcessIO: c.processIO,
		Network: c.network, Processes: c.processes, Logins: c.logins, History: c.history,
		Checksums: c.checksums, Changed: c.changed, SystemLog: c.systemLog,
	}
	if c.Exchange != "" {
		h.Ping, h.Route, h.DNS = c.ping, c.route, c.dns
	}
	return h, nil
}
