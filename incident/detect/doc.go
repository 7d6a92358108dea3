// Package detect turns what can be measured into incidents: probes that look, samples
// that the bot feeds, and lines in log files.
//
// # Promise
//
//   - What cannot be read is the worst. A probe that fails, panics, takes too long or
//     falls silent reaches every threshold, and the incident says why.
//   - A flapping indicator is one incident. It fires when its threshold has been
//     reached for as long as its rule says, and has ended only when what is measured
//     stayed below a lower threshold for a while.
//   - One indicator never waits for another: neither for its probe nor for its
//     incident's declaration.
//   - What fires is said again until somebody has taken it, and every so often after
//     that, so that an incident that was resolved while its cause goes on is declared
//     anew.
//   - A line of a log is matched once, over rotation, truncation and a write that ends
//     in the middle of the line. Across a restart it is matched at least once.
//
// # Usage
//
// An [Indicator] is a severity.Rule with what feeds it. [Playbook] has those of the
// playbook's four runbooks, to which a bot adds its probes:
//
//	d, err := detect.New(detect.Config{Incidents: manager, Indicators: []detect.Indicator{
//		detect.Playbook(severity.HealthCheckFailed).On("engine", detect.HTTP("http://127.0.0.1:8080/health")),
//		detect.Playbook(severity.SlowExecution),
//	}})
//	go d.Run(ctx)
//	d.Sample(detect.Sample{Indicator: "execution latency", Component: "venue/coinbase", Value: severity.Took(rtt)})
//
// [Logs] follows files and counts the lines that match; [PlaybookPatterns] are those
// that the playbook greps for. Processor, memory, disks and sockets of this machine are
// probed by package host, below this one.
//
// What happens to one indicator of one component:
//
//	quiet    -> firing   the rule fires: declare
//	firing   -> firing   every Remind: declare again, which changes nothing while the incident is open
//	firing   -> quiet    below ClearBelow for ClearFor: clear
//
// # Failure
//
// New names every field that cannot be meant. Sample refuses an indicator that nobody
// configured. What Incidents returns as an error is said again 5 s later.
//
// # Testing
//
// Timers are those of package time: hours pass at once in a testing/synctest bubble.
// An incidenttest manager takes what is declared.
package detect
