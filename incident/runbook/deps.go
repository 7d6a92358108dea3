package runbook

import (
	"context"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/safety"
)

// Deps is what the playbook's runbooks act through. Every field may be left out: the
// steps that need it are then attested ones, which show the document's own command, and a
// named person does them. Nothing is left out silently.
//
// Whatever a field does is called from one step at a time of each run, and is safe for
// concurrent use, since several runs may go on at once.
type Deps struct {
	// Cord stops trading. *safety.Switch is one.
	Cord Cord
	// ReadOnlyFlag is the file that holds writes, which the bot's switch watches. Defaults
	// to /tmp/READONLY_MODE.
	ReadOnlyFlag string
	// Venues are the bot's, by name: whether positions are flat or protected is read from
	// them, and missing stops are placed on them through Cord.
	Venues map[string]andon.Venue
	// Requirements say which stops count; Protection how missing ones are placed. Without
	// a Distance none are: a person places them.
	Requirements safety.Requirements
	Protection   safety.ProtectionPolicy
	// Closer closes every position. *safety.Closer is one.
	Closer Closer
	// Recorder puts placed stops on the timeline. *incident.Manager is one.
	Recorder safety.Recorder

	// Books are what compares the bot's book with a venue, and repairs it, by the venue's
	// name. *reconcile.Reconciler is one.
	Books map[string]Reconciler

	// Backups takes, lists and reads back backups of the position database. Every
	// recovery.Target is one.
	Backups Backups
	// Restore brings the affected tables back from a verified backup.
	Restore Restore
	// SecureBackup brings back what a breach may have touched, from a backup that it
	// could not reach.
	SecureBackup Restore
	// Sequence brings the components back in the recovery priority order.
	// *recovery.Sequence is one.
	Sequence Sequence
	// Checklist is the Recovery Validation Checklist. *recovery.Checklist is one.
	Checklist Checklist

	Containers  Containers
	Settings    Settings
	Releases    Releases
	Credentials Credentials
	Isolation   Isolation
	Evidence    Evidence
	Database    Database
	Host        Host
	Bot         Bot
	Notify      Notify
	// Cache empties the bot's cache server: redis-cli FLUSHALL. Flush makes one.
	Cache Action

	// Revoke says where a person makes the keys to a venue worthless, by the venue's name.
	// Defaults to the playbook's two: Coinbase and Bluefin.
	Revoke map[string]string
	// SuspiciousFile is where suspicious rows are exported to. Defaults to
	// /tmp/corrupted_data.json.
	SuspiciousFile string
	// Whitelist is the value of SECURITY__IP_WHITELIST after a breach, such as
	// "192.0.2.1,192.0.2.2". Empty: a person decides.
	Whitelist string
	// Resources are the limits that a restart with more resources gives the bot. Defaults
	// to 4g of memory and 2 CPUs.
	Resources Resources
	// WatchFor and WatchEvery are how long the recovery is watched, and how often it is
	// looked at. Default to 15 min and 30 s.
	WatchFor, WatchEvery time.Duration
}

// Look looks, changes nothing, and says what it saw. The error says what is not well, or
// that it is not known.
type Look func(ctx context.Context) (evidence string, err error)

// Action changes something. An Action without Do is a person's.
type Action struct {
	// Plan says what Do would do now, and changes nothing. Nil: the step's purpose says it.
	Plan Look
	// Do does it, once for each Call.Key where it can tell.
	Do func(ctx context.Context, c Call) (evidence string, err error)
	// Done says whether it is done, for Call.Key or since Call.Since. Nil: only by Again.
	Done func(ctx context.Context, c Call) (done bool, evidence string, err error)
	// Undo takes it back. Nil: it stays.
	Undo func(ctx context.Context, c Call) (evidence string, err error)
	// Again says that doing it twice does no harm.
	Again bool
}

// Cord stops trading. *safety.Switch is one.
type Cord interface {
	Halt(ctx context.Context, by, reason string) (safety.Report, error)
	State() safety.TradingState
	Status() safety.Status
	CheckWrite() error
	Throttle(by, reason string, t safety.Throttle) error
	Submit(ctx context.Context, t andon.Trader, o andon.Order) (andon.Order, error)
}

// Closer closes every position of the bot. *safety.Closer is one.
type Closer interface {
	Plan(ctx context.Context, now time.Time, foreign ...andon.LegKey) (safety.ClosePlan, error)
	Apply(ctx context.Context, plan safety.ClosePlan, by safety.Confirmation, now time.Time) (safety.CloseReport, error)
}

// Reconciler compares the bot's book with a venue. *reconcile.Reconciler is one.
type Reconciler interface {
	Compare(ctx context.Context, now time.Time) (*reconcile.Report, error)
	Apply(ctx context.Context, p *reconcile.Plan, approval reconcile.Approval, now time.Time) (reconcile.Result, error)
}

// Backups takes, lists and reads back backups. Every recovery.Target is one.
type Backups interface {
	Backup(ctx context.Context, now time.Time) (recovery.Backup, error)
	Verify(ctx context.Context, name string, now time.Time) (recovery.Backup, error)
	Backups(ctx context.Context) ([]recovery.Backup, error)
}

// Restore brings data back from a verified backup. *pgbackup.Rescue is one, of tables, and
// *filebackup.Rescue of files. It is not taken
// back when a run is aborted: what it replaced was corrupt, and is kept for people.
type Restore interface {
	// Preview says what Restore would do, and changes nothing. backup names a backup;
	// empty is the one that the implementation takes by itself.
	Preview(ctx context.Context, backup string) (plan string, err error)
	Restore(ctx context.Context, key, by, why, backup string) (evidence string, err error) // once for a key
	Done(ctx context.Context, key string) (done bool, evidence string, err error)
	Verify(ctx context.Context, backup string) (evidence string, err error) // what is there is what was backed up
}

// Sequence brings the components back in their order. *recovery.Sequence is one.
type Sequence interface {
	Run(ctx context.Context, by string, proven []recovery.StepResult) ([]recovery.StepResult, error)
}

// Checklist is what shows that a recovery is one. *recovery.Checklist is one.
type Checklist interface {
	Run(ctx context.Context, by string) error
	Results() []recovery.ItemResult
	Unproven() []string
}

// Containers are the bot's containers, of which one is the bot itself. *docker.Service
// (recovery/docker) is one.
type Containers interface {
	Status(ctx context.Context) (string, error) // of all; the error names those that are not well
	// Logs returns lines of all containers' logs, or of the bot's alone: those that match
	// the regular expression, where it is not empty, of the newest tail lines, where it is
	// not 0, and not older than since, where that is not 0.
	Logs(ctx context.Context, bot bool, tail int, since time.Duration, pattern string) (string, error)
	Stats(ctx context.Context) (string, error)      // what the bot uses
	Top(ctx context.Context) (string, error)        // its processes
	Started(ctx context.Context) (time.Time, error) // when the bot's container was started; zero while it does not run
	// Limits returns those of the bot's container as SetLimits takes them; empty: none.
	Limits(ctx context.Context) (memory, cpus string, err error)
	PreviewPrune(ctx context.Context) (string, error) // what Prune would remove

	Restart(ctx context.Context, by, why string) (string, error)      // stop, start, and well again
	ForceRestart(ctx context.Context, by, why string) (string, error) // kill, up, and well again
	Down(ctx context.Context, by, why string) (string, error)         // every one is stopped, and stays there for forensics
	Up(ctx context.Context, by, why string) (string, error)           // every one is started
	ClearCache(ctx context.Context, by, why string) (string, error)   // rm -rf /tmp/cache/* in the bot's
	RebuildIndices(ctx context.Context, by, why string) (string, error)
	Signal(ctx context.Context, signal, by, why string) (string, error)          // to the bot, such as SIGUSR1
	SetLimits(ctx context.Context, memory, cpus, by, why string) (string, error) // an empty one stays as it is
	Prune(ctx context.Context, by, why string) (string, error)
}

// Resources are limits of a container as the playbook writes them: DOCKER_MEMORY=4g,
// DOCKER_CPUS=2. An empty one is no limit.
type Resources struct {
	Memory string // such as "4g", or a number of bytes
	CPUs   string // such as "2" or "1.5"
}

// Settings are the variables a bot runs by. *settings.Store (recovery/settings) is one.
type Settings interface {
	Preview(ctx context.Context, values map[string]string) (diff string, err error)                      // changes nothing; secrets hidden
	Set(ctx context.Context, key, by, why string, values map[string]string) (evidence string, err error) // all or none; once for a key
	Done(ctx context.Context, key string) (done bool, evidence string, err error)
	Undo(ctx context.Context, key, by, why string) (evidence string, err error) // puts back what Set found, where nobody has changed it since
}

// Releases are the versions of the bot. *gitrelease.Repo (recovery/gitrelease) is one.
type Releases interface {
	Log(ctx context.Context, n int) (string, error)            // git log --oneline -n
	Stable(ctx context.Context) (string, error)                // git log --oneline, the lines with "stable"
	Diff(ctx context.Context, paths ...string) (string, error) // git diff HEAD~1 -- paths; secrets of .env hidden
	Preview(ctx context.Context, revision string) (string, error)
	Deploy(ctx context.Context, key, by, why, revision string) (evidence string, err error) // a fresh checkout beside the running one, then the link `current` is switched
	Done(ctx context.Context, key string) (done bool, evidence string, err error)
	Undo(ctx context.Context, key, by, why string) (evidence string, err error)
}

// Credentials are the keys to a venue. *credentials.Store (recovery/credentials) is one.
type Credentials interface {
	Check(ctx context.Context, venue string) (string, error) // does the key in use work, when does it expire
	Preview(ctx context.Context, venue string) (string, error)
	Rotate(ctx context.Context, key, by, why, venue string) (evidence string, err error) // the new key is tested before it replaces the old; the old one is not revoked here
	Done(ctx context.Context, key string) (done bool, evidence string, err error)
	Undo(ctx context.Context, key, by, why string) (evidence string, err error)
}

// Isolation cuts the host's outbound traffic. *isolation.Isolator
// (incident/evidence/isolation) is one.
type Isolation interface {
	Preview(ctx context.Context) (string, error) // the rules; refuses an allow list without venues, channels, database and loopback
	Block(ctx context.Context, key, by, why string) (evidence string, err error)
	Done(ctx context.Context, key string) (done bool, evidence string, err error)
	Undo(ctx context.Context, key, by, why string) (evidence string, err error) // restores exactly what it found
}

// Evidence collects and seals what an incident leaves behind. evidence.Vault
// (incident/evidence) is one.
type Evidence interface {
	Preview(ctx context.Context) (string, error) // what would be collected
	Seal(ctx context.Context, by, incident, why string) (archive string, err error)
	// Sealed returns the archive of an incident that was sealed at or after since, and
	// reads it back. Empty: there is none.
	Sealed(ctx context.Context, incident string, since time.Time) (archive string, err error)
}

// Database is what is looked at in the bot's database. NewDatabase makes one of pgbook.Looks
// (reconcile/pgbook) and diagnose.Looks (recovery/diagnose).
type Database struct {
	Integrity   Look                                                             // nulls, statuses, every check; the error names what was found
	Totals      Look                                                             // quantity and value held, by symbol
	Export      func(ctx context.Context, path string) (string, error)           // suspicious rows into a new file
	Suspicious  Look                                                             // trades of the last 24 hours that are too large, too leveraged or from elsewhere
	Connections Look                                                             // count of pg_stat_activity
	SlowQueries func(ctx context.Context, atLeast time.Duration) (string, error) // slower than that
	CacheRates  Look                                                             // hits
	Vacuum      Look                                                             // vacuumdb -z: it changes no row, and may be done again
}

// Host is what is looked at on the machine. host.New (incident/runbook/host) makes one.
type Host struct {
	Disk      Look                                                            // df -h
	Memory    Look                                                            // free -m
	IO        Look                                                            // iostat -x 1 5
	ProcessIO Look                                                            // iotop -b -n 5
	Network   Look                                                            // netstat -tulpn, into /tmp/network_state.txt too
	Processes Look                                                            // ps aux, into /tmp/process_state.txt too
	Logins    Look                                                            // last -f /var/log/wtmp
	History   Look                                                            // history | tail -100
	Checksums Look                                                            // sha256sum -c checksums.txt; the error names what differs
	Changed   func(ctx context.Context, within time.Duration) (string, error) // find . -type f -mtime -1 -ls
	SystemLog func(ctx context.Context, since time.Duration) (string, error)  // journalctl -u docker --since
	Ping      func(ctx context.Context, tries int) (string, error)            // the exchange's host
	Route     Look                                                            // traceroute to it
	DNS       Look                                                            // nslookup of it
}

// Bot is what is asked of the bot itself, and of what watches it. host.NewBot
// (incident/runbook/host) makes one with APIUsage, Grep, CPU, Heap, Profile and Threads; the
// rest only the bot knows.
type Bot struct {
	Health    Look // bot.utils.health_check
	TestTrade Look // bot.utils.test_trade, in paper mode
	Accounts  Look // the exchange answers an authenticated request
	WebSocket Look // bot.utils.websocket_health
	Audit     Look // bot.utils.security_audit
	// APIUsage is bot.utils.api_usage_analysis.
	APIUsage func(ctx context.Context, days int) (string, error)
	// Grep returns the lines of the bot's own log files that match a regular expression.
	Grep func(ctx context.Context, pattern string) (string, error)
	// CPU and Heap profile the bot while it runs, Profile writes a whole profile to a
	// file, Threads dumps its goroutines. Each returns what it found, or where it lies.
	CPU, Heap, Profile, Threads Look
}

// Notify tells the stakeholders.
type Notify struct {
	Alert      Action // the initial alert, via the established channels
	Channel    Action // the incident's own channel; Channel makes one
	StatusPage Action // what customers read
}
