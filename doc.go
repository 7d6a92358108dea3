// Package andon is the trading vocabulary of an incident-safety library: exact
// amounts, positions, orders, fills, balances, instruments, and what a venue can be
// asked. The packages below it are what a trading bot embeds to live through an
// incident.
//
// # Map
//
//	safety               the emergency stop: switch, gate, limits, holds, flags, trips,
//	                     watchdog, position check, close-all
//	safety/fleet         one stop for many processes; pgfleet keeps it in PostgreSQL,
//	                     etcdfleet, a module of its own, in etcd
//	reconcile            the bot's book against the venue: compare, plan, apply, watch
//	reconcile/coinbase   Coinbase Advanced Trade as a venue
//	reconcile/bluefin    Bluefin Pro as a venue
//	reconcile/pgbook     the bot's own tables as a book; integrity checks, export
//	recovery             objectives, backups that count, recovery steps, checklist, watch
//	recovery/filebackup  backup, verify and restore of files and directories
//	recovery/diagnose    what is slow: database, host, process, way to the exchange
//	recovery/pgbackup    the same for tables in PostgreSQL, and repair by rows
//	recovery/docker      the bot's containers; mobyengine, a module of its own, for another client
//	recovery/rediscache  the bot's cache in Redis
//	recovery/settings    the variables of .env and production.json: plan, apply, undo
//	recovery/credentials the keys to a venue: the new one is tested before it replaces the old
//	recovery/gitrelease  versions of the bot, each in a checkout beside the running one
//	severity             levels, conditions, rules: how bad is it, and why
//	notify               escalation policy, messages, delivery
//	notify/webhook       signed messages over HTTP
//	notify/slack         a channel an incident, a thread for its messages
//	notify/pagerduty     pages that ring once and are resolved
//	notify/email         mail through STARTTLS
//	incident             the lifecycle: declare, halt, page, acknowledge, resolve
//	incident/journal     the timeline in hash-chained files that people can read
//	incident/pgstore     the timeline in PostgreSQL, for several processes
//	incident/fallback    both: a process goes on in its own while the shared one is away
//	incident/alertmanager  alerts of Alertmanager and Grafana become incidents
//	incident/detect      probes, samples and followed logs become incidents
//	incident/runbook     the playbook's four runbooks and four quick fixes, and their engine
//	incident/evidence    one sealed archive with a chain of custody; isolation of the machine
//	incident/postmortem  the report made from the timeline
//	incident/playbook    the whole playbook as one value, and the bot that is made of it
//	andontest            a venue for unit tests that fails as real ones do
//	examples/paperbot    a bot that embeds all of it and lives through an incident
//	incident/console     a status page for everybody, a console for those who may
//	examples/botops      the quick-reference card as a command line
//	examples/monitoring  dashboard and alert rules for what the library measures
//	examples/gameday     drills: break a real stack on purpose, score the response
//
// Packages named *test, such as safety/safetytest, hold what the unit tests of a bot
// need: fakes, and conformance suites for implementations of its own.
//
// Arrows point one way. The cores do not know each other: what one needs of another
// it declares as a small interface that the other happens to fit, so that a bot may
// take the stop alone.
//
// # Money
//
// [Decimal] is exact: it reads what venues write, exponents included, refuses more
// digits than it holds, and never rounds unless the caller names a [Rounding]. Nothing
// in this module keeps an amount of money in a float64.
//
// # Venues
//
// [Account] reads a venue and [Trader] changes it. An error from either means that
// the answer is not known: it never means that there is nothing, and
// [ErrOutcomeUnknown] is neither success nor failure.
//
// # Failure
//
// Types that are read from outside refuse what cannot be right, such as a position
// without a quantity, and Validate names every field that is wrong.
package andon
