package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v4"
)

// config is the file of the command line. What is secret is in the environment, and named
// here.
type config struct {
	Name     string `yaml:"name"`      // of the bot, as in its safety.Config
	Socket   string `yaml:"socket"`    // of the running bot
	StateDir string `yaml:"state_dir"` // the bot's safety.Config.Dir
	StopFlag string `yaml:"stop_flag"` // defaults to /tmp/EMERGENCY_STOP
	ReadOnly string `yaml:"read_only_flag"`
	Timeline string `yaml:"timeline"` // the bot's journal, read where no bot runs
	Journal  string `yaml:"journal"`  // what is done without a bot is recorded here

	DSN    string   `yaml:"dsn"`     // without a password
	DSNEnv string   `yaml:"dsn_env"` // the variable that has it; goes before DSN
	Tables []string `yaml:"tables"`  // that are backed up; defaults to all
	Backup string   `yaml:"backups"` // folder of backups; defaults to /backups/postgres

	Exchanges map[string]exchange `yaml:"exchanges"`

	Page struct {
		URLs      []string `yaml:"urls"` // webhooks
		SecretEnv string   `yaml:"secret_env"`
	} `yaml:"page"`

	Evidence struct {
		Dir        string   `yaml:"dir"`
		Recipients []string `yaml:"recipients"`
		Paths      []string `yaml:"paths"`
	} `yaml:"evidence"`
}

// exchange is an account: its keys are read from the environment.
type exchange struct {
	Kind          string `yaml:"kind"` // coinbase or bluefin; defaults to the exchange's name
	KeyNameEnv    string `yaml:"key_name_env"`
	PrivateKeyEnv string `yaml:"private_key_env"`
	Spot          bool   `yaml:"spot"`
	Futures       bool   `yaml:"futures"`
	Perpetuals    string `yaml:"perpetuals"`
	URL           string `yaml:"url"` // of the API; defaults to the exchange's own
}

// defaults are what a configuration has that says nothing.
func defaults() config {
	return config{StopFlag: "/tmp/EMERGENCY_STOP", ReadOnly: "/tmp/READONLY_MODE", Backup: "/backups/postgres"}
}

// remains is what can be read of a configuration that has mistakes, for a stop alone: every
// field that was not read, or that no bot can have meant, is as if it were not there.
func remains(path string) config {
	read, c := config{}, defaults()
	b, err := os.ReadFile(path)
	if err != nil {
		return c // which was said
	}
	_ = yaml.Load(b, &read) // what is wrong with it was said too
	for to, from := range map[*string]string{&c.Socket: read.Socket, &c.StateDir: read.StateDir, &c.StopFlag: read.StopFlag} {
		if filepath.IsAbs(from) {
			*to = from
		}
	}
	c.Name = read.Name
	return c
}

// load reads the configuration. A file that was not named need not be there.
func load(path string, must bool) (c config, err error) {
	c = defaults()
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !must:
		return c, nil
	case err != nil:
		return c, as(errUsage, fmt.Errorf("configuration: %w", err))
	}
	if err := yaml.Load(b, &c, yaml.WithKnownFields(), yaml.WithUniqueKeys()); err != nil {
		return c, as(errUsage, fmt.Errorf("configuration %s: %w", path, err))
	}
	var errs []error
	for name, p := range map[string]string{"socket": c.Socket, "state_dir": c.StateDir, "stop_flag": c.StopFlag, "read_only_flag": c.ReadOnly} {
		if p != "" && !filepath.IsAbs(p) {
			errs = append(errs, fmt.Errorf("%s is %q, want an absolute path", name, p))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return c, as(errUsage, fmt.Errorf("configuration %s: %w", path, err))
	}
	return c, nil
}
