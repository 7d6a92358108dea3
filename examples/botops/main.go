package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/andon-go/andon/incident/playbook/control"
	"golang.org/x/term"
)

// globals are the flags of every command.
type globals struct {
	Config  string `help:"Configuration file." placeholder:"FILE" env:"ANDON_CONFIG" default:"/etc/andon/botops.yaml"`
	Socket  string `help:"Control socket of the bot; goes before the configuration's." placeholder:"PATH" env:"ANDON_SOCKET"`
	By      string `help:"Who you are." placeholder:"NAME" env:"ANDON_BY" default:"${user}"`
	JSON    bool   `help:"Answer in JSON, for programs." name:"json"`
	NoColor bool   `help:"No colours; NO_COLOR does the same."`
}

// commandLine is every command, in the order in which an incident needs them.
type commandLine struct {
	globals

	Stop   stopCmd   `cmd:"" help:"Stop trading now. Done once the gate is closed." group:"trading"`
	Resume resumeCmd `cmd:"" help:"Trade again, by a named person who has seen every hold. CONFIRM=yes lifts those that are shown." group:"trading"`
	Status statusCmd `cmd:"" help:"How the bot stands: state, holds, flags, incidents, runbooks." group:"trading"`

	Positions positionsCmd `cmd:"" help:"What is open at every exchange, and whether it is protected. [show_positions, position_safety_check]" group:"trading"`
	CloseAll  closeAllCmd  `cmd:"" help:"Close every position. Shows the plan; CONFIRM=yes does it. [close_all_positions]" group:"trading"`
	Protect   protectCmd   `cmd:"" help:"Place the stops that are missing. A dry run unless --dry-run=false." group:"trading"`

	Declare    declareCmd    `cmd:"" help:"Declare an incident." group:"incident"`
	Page       pageCmd       `cmd:"" help:"Page whoever is on call: \"SEV-1: text\". [page_oncall]" group:"incident"`
	Ack        ackCmd        `cmd:"" help:"Acknowledge an incident: paging ends." group:"incident"`
	Update     updateCmd     `cmd:"" help:"Put a status update on the timeline." group:"incident"`
	Attest     attestCmd     `cmd:"" help:"Prove an item of the checklist by your word." group:"incident"`
	Resolve    resolveCmd    `cmd:"" help:"Run the checklist and end an incident." group:"incident"`
	Incidents  incidentsCmd  `cmd:"" help:"All incidents." group:"incident"`
	Timeline   timelineCmd   `cmd:"" help:"The timeline of an incident, or of everything." group:"incident"`
	Runbook    runbookCmd    `cmd:"" help:"Plan, start and follow runbooks; approve and attest their steps." group:"incident"`
	Evidence   evidenceCmd   `cmd:"" help:"Seal evidence into one archive, or verify one." group:"incident"`
	Postmortem postmortemCmd `cmd:"" help:"Write the report on an incident; human text in it is kept." group:"incident"`

	Reconcile reconcileCmd `cmd:"" help:"Compare the book with the exchanges. [reconcile_positions]" group:"data"`
	Apply     applyCmd     `cmd:"" help:"Repair the book by a plan. A dry run unless --dry-run=false. [apply_reconciliation]" group:"data"`
	Integrity integrityCmd `cmd:"" help:"Check the tables. [data_integrity_check]" group:"data"`
	Export    exportCmd    `cmd:"" help:"Export suspicious rows. [export_corrupted_data]" group:"data"`
	Backup    backupCmd    `cmd:"" help:"Back up and read back. [emergency_backup]" group:"data"`
	Backups   backupsCmd   `cmd:"" help:"List the backups." group:"data"`
	Verify    verifyCmd    `cmd:"" help:"Read a backup back; --restoration compares the tables with it. [verify_restoration]" group:"data"`
	Restore   restoreCmd   `cmd:"" help:"Restore tables from a backup. A dry run unless --dry-run=false. [restore_from_secure_backup]" group:"data"`
	Drill     drillCmd     `cmd:"" help:"Restore the newest backup for practice." group:"data"`

	Health      lookCmd        `cmd:"" help:"Ask the bot for its health. [health_check]" group:"look"`
	WsHealth    lookCmd        `cmd:"" help:"Age and backlog of the WebSockets. [websocket_health]" group:"look"`
	TestTrade   lookCmd        `cmd:"" help:"A test trade in paper mode. [test_trade]" group:"look"`
	Audit       lookCmd        `cmd:"" help:"Security audit. [security_audit]" group:"look"`
	Threads     lookCmd        `cmd:"" help:"Dump the bot's goroutines. [thread_dump]" group:"look"`
	CheckAuth   checkAuthCmd   `cmd:"" help:"Does the key work, and when does it expire. [check_auth]" group:"look"`
	APIUsage    apiUsageCmd    `cmd:"" name:"api-usage" help:"How the exchange's API was used. [api_usage_analysis]" group:"look"`
	SlowQueries slowQueriesCmd `cmd:"" help:"Slow statements of the database. [slow_query_log]" group:"look"`
	Cache       cacheCmd       `cmd:"" help:"Cache hit rates of the database. [cache_analysis]" group:"look"`

	Rotate     rotateCmd     `cmd:"" help:"Rotate the keys to an exchange. A dry run unless --dry-run=false. [rotate_credentials]" group:"change"`
	Rollback   rollbackCmd   `cmd:"" help:"Deploy another revision of the bot. A dry run unless --dry-run=false." group:"change"`
	Completion completionCmd `cmd:"" help:"Completion for bash, zsh or fish." group:"change"`
}

// documented are the playbook's own names, and what they are here.
var documented = map[string][]string{
	"show_positions": {"positions"}, "position_safety_check": {"positions", "--check"}, "close_all_positions": {"close-all"},
	"page_oncall": {"page"}, "reconcile_positions": {"reconcile"}, "apply_reconciliation": {"apply"},
	"data_integrity_check": {"integrity"}, "export_corrupted_data": {"export"}, "emergency_backup": {"backup"},
	"verify_restoration": {"verify", "--restoration"}, "restore_from_secure_backup": {"restore"},
	"health_check": {"health"}, "websocket_health": {"ws-health"}, "test_trade": {"test-trade"}, "security_audit": {"audit"},
	"thread_dump": {"threads"}, "check_auth": {"check-auth"}, "test_connection": {"check-auth", "--connection"},
	"api_usage_analysis": {"api-usage"}, "slow_query_log": {"slow-queries"}, "cache_analysis": {"cache"}, "rotate_credentials": {"rotate"},
}

// translate turns a name of the document into the words for it here.
func translate(args []string) []string {
	for i, a := range args {
		if strings.HasPrefix(a, "-") {
			continue
		}
		name := strings.TrimPrefix(a, "./")
		for _, p := range []string{"bot.utils.", "bot.exchange.", "scripts/"} {
			name = strings.TrimPrefix(name, p)
		}
		if words, ok := documented[strings.TrimSuffix(name, ".sh")]; ok {
			return append(append(append([]string{}, args[:i]...), words...), args[i+1:]...)
		}
		return args // the first word is the command
	}
	return args
}

// app is what a command works with.
type app struct {
	ctx    context.Context
	cfg    config
	bot    *control.Client
	by     string
	out    *printer
	parser *kong.Kong
	word   string // the command
	sub    string // and the one below it
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

func newParser(cli *commandLine, stdout, stderr io.Writer) (*kong.Kong, error) {
	return kong.New(cli, kong.Name("botops"),
		kong.Description("The incident response playbook's quick-reference card as commands.\n\n"+exitText),
		kong.Writers(stdout, stderr), kong.Vars{"user": userName()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 110}),
		kong.ExplicitGroups([]kong.Group{
			{Key: "trading", Title: "Trading:"}, {Key: "incident", Title: "Incident:"}, {Key: "data", Title: "Data:"},
			{Key: "look", Title: "Look:"}, {Key: "change", Title: "Change:"},
		}))
}

// exited is how kong's --help ends the parsing.
type exited int

func run(args []string, stdout, stderr io.Writer) (code int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var cli commandLine
	parser, err := newParser(&cli, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "botops:", err)
		return exitFailed
	}
	parser.Exit = func(code int) { panic(exited(code)) }
	defer func() {
		switch r := recover().(type) {
		case nil:
		case exited:
			code = int(r)
		default:
			panic(r)
		}
	}()
	k, err := parser.Parse(translate(args))
	if stop := stopWords(parser, args); err != nil && stop != nil {
		fmt.Fprintf(stderr, "botops: %v: stopping all the same\n", err)
		k, err = parser.Parse(stop)
	}
	if err != nil {
		fmt.Fprintf(stderr, "botops: %v: see botops --help\n", err)
		return exitUsage
	}
	terminal := false
	if f, ok := stdout.(*os.File); ok {
		terminal = term.IsTerminal(int(f.Fd()))
	}
	a := &app{ctx: ctx, by: cli.By, parser: parser, word: word(k.Command(), 0), sub: word(k.Command(), 1), out: newPrinter(stdout, stderr, cli.JSON,
		terminal && !cli.JSON, terminal && !cli.JSON && !cli.NoColor && os.Getenv("NO_COLOR") == "")}
	if terminal {
		if columns, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil { // else it does not say how wide it is
			a.out.width = columns
		}
	}
	if a.word != "completion" {
		a.cfg, err = load(cli.Config, cli.Config != "/etc/andon/botops.yaml")
	}
	if err != nil && a.word == "stop" {
		// What is left of the file may name the socket; the flag is placed where every bot
		// looks by default.
		a.out.note("%v: stopping with what could be read of it", err)
		a.cfg, err = remains(cli.Config), nil
	}
	if err == nil {
		if cli.Socket != "" {
			a.cfg.Socket = cli.Socket
		}
		a.bot = control.Dial(a.cfg.Socket)
		err = k.Run(a)
	}
	if err != nil {
		a.out.fail(err)
	}
	return exitOf(err)
}

// fail says why it did not work.
func (p *printer) fail(err error) {
	if p.json {
		b, jerr := json.Marshal(map[string]any{"error": err.Error(), "exit": exitOf(err)})
		if jerr == nil {
			fmt.Fprintln(p.err, string(b))
			return
		}
	}
	fmt.Fprintf(p.err, "botops: %v\n", err)
}

// noBot reports whether nobody is there to be asked, or nobody who answers.
func noBot(err error) bool { return errors.Is(err, control.ErrNotRunning) }

// confirmed reports whether CONFIRM=yes was said, as the document has it.
func confirmed() bool { return os.Getenv("CONFIRM") == "yes" }

// word is the nth word of a command, or empty.
func word(command string, n int) string {
	if f := strings.Fields(command); n < len(f) {
		return f[n]
	}
	return ""
}
