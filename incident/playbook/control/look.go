package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/andon-go/andon/incident/runbook"
)

// looks are what a bot can be asked to look at, by name. Nil: this bot cannot.
func (s *Server) looks(arg string) map[string]runbook.Look {
	d := s.cfg.Steps
	out := map[string]runbook.Look{
		"health": d.Bot.Health, "test-trade": d.Bot.TestTrade, "test-connection": d.Bot.Accounts, "ws-health": d.Bot.WebSocket,
		"audit": d.Bot.Audit, "threads": d.Bot.Threads, "cpu-profile": d.Bot.CPU, "heap-profile": d.Bot.Heap,
		"integrity": d.Database.Integrity, "totals": d.Database.Totals, "suspicious-trades": d.Database.Suspicious,
		"connections": d.Database.Connections, "cache": d.Database.CacheRates,
		"disk": d.Host.Disk, "memory": d.Host.Memory, "io": d.Host.IO, "processes": d.Host.Processes, "network": d.Host.Network,
		"logins": d.Host.Logins, "checksums": d.Host.Checksums,
		"api-usage": nil, "slow-queries": nil, "check-auth": nil, "containers": nil, "logs": nil, "releases": nil, "stable": nil,
		"export": nil,
	}
	if d.Bot.APIUsage != nil {
		out["api-usage"] = func(ctx context.Context) (string, error) {
			days, err := strconv.Atoi(arg)
			if err != nil || days < 1 {
				return "", as(ErrBad, fmt.Errorf("days are %q, want a whole number from 1", arg))
			}
			return d.Bot.APIUsage(ctx, days)
		}
	}
	if d.Database.SlowQueries != nil {
		out["slow-queries"] = func(ctx context.Context) (string, error) {
			threshold, err := time.ParseDuration(arg)
			if err != nil || threshold < 0 {
				return "", as(ErrBad, fmt.Errorf("threshold is %q, want a duration such as 100ms", arg))
			}
			return d.Database.SlowQueries(ctx, threshold)
		}
	}
	if d.Database.Export != nil {
		out["export"] = func(ctx context.Context) (string, error) { return d.Database.Export(ctx, arg) }
	}
	if d.Credentials != nil {
		out["check-auth"] = func(ctx context.Context) (string, error) { return d.Credentials.Check(ctx, arg) }
	}
	if d.Containers != nil {
		out["containers"] = d.Containers.Status
		out["logs"] = func(ctx context.Context) (string, error) { return d.Containers.Logs(ctx, false, 50, 0, "") }
	}
	if d.Releases != nil {
		out["releases"] = func(ctx context.Context) (string, error) { return d.Releases.Log(ctx, 10) }
		out["stable"] = d.Releases.Stable
	}
	return out
}

// look says what it saw. An error of the look is ErrUnwell, with what was seen beside it.
func (s *Server) look(ctx context.Context, req lookReq) (looked, error) {
	looks := s.looks(req.Arg)
	do, ok := looks[req.What]
	switch {
	case !ok:
		return looked{}, as(ErrBad, fmt.Errorf("nothing is called %q: it is one of %q", req.What, slices.Sorted(maps.Keys(looks))))
	case do == nil:
		return looked{}, missing(req.What)
	}
	text, err := do(ctx)
	if err != nil && !errors.Is(err, ErrBad) {
		err = &detailed{as(ErrUnwell, err), looked{text}}
	}
	return looked{text}, err
}
