// Package host is what the runbooks look at on the machine that the bot runs on, and in
// the bot's own process and log files: ready-made fields of runbook.Host and runbook.Bot.
//
// # Promise
//
//   - It looks and changes nothing, but for new files: the copies of the network and the
//     process state, and profiles. No file is replaced, and no link followed to make one.
//   - What cannot be seen is an error that names it, never an empty table (law 1). What
//     was seen all the same stands beside it.
//   - Every look ends with its context, and what it returns is bounded: a cut says so.
//   - It runs no shell. The one program that it calls is journalctl, with arguments.
//
// # Usage
//
//	machine, err := host.New(host.Config{Exchange: "api.exchange.com:443", Checksums: "/app/checksums.txt", Roots: []string{"/app"}})
//	own, err := host.NewBot(host.BotConfig{Dir: "/var/lib/bot/profiles", Logs: []string{"/logs"}})
//	books, err := runbook.Playbook(runbook.Deps{Host: machine, Bot: own})
//
// The fields that only the bot can fill, such as Bot.Health, are left nil, and whatever is
// nil a person attests.
//
//	Disk, Memory            df -h, free -m
//	IO, ProcessIO           iostat -x, iotop -b: what was read and written meanwhile
//	Network, Processes      netstat -tulpn, ps aux: into /tmp/network_state.txt and
//	                        /tmp/process_state.txt too
//	Logins, History         last -f /var/log/wtmp, history | tail -100
//	Checksums, Changed      sha256sum -c, find -mtime -ls
//	SystemLog               journalctl -u docker --since
//	Ping                    ICMP where this process may, else TCP connections, and it says which
//	Route, DNS              traceroute (on Linux; it needs no right), nslookup
//	CPU, Heap, Profile      files for go tool pprof, of this process
//	Threads                 every goroutine of this process
//	Grep                    grep -E over log files, compressed ones too
//	APIUsage                api_usage_analysis: requests by day and status, from the log
//
// # Failure
//
// The error is the system's, with what was asked. Checksums names each file that differs,
// is missing or cannot be read.
//
// # Testing
//
// The tests look at the machine that they run on and at files of their own.
package host
