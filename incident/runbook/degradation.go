package runbook

import (
	"context"
	"time"
)

// PerformanceDegradation is the Performance Degradation Runbook over what deps has. What
// it lowers temporarily stays low when it is done: a person lifts the hold and puts the
// settings back.
func PerformanceDegradation(deps Deps) Runbook {
	d := deps.withDefaults()
	const (
		reduce      = "Reduce Load: "
		diagnostics = "Performance Diagnostics: "
		bottlenecks = "Identify Bottlenecks: "
		resources   = "Resource Analysis: "
		wins        = "Quick Wins: "
		tuning      = "Configuration Tuning: "
		exec        = "docker-compose exec ai-trading-bot "
		postgres    = "docker-compose exec postgres "
	)
	return Runbook{Name: "Performance Degradation", Steps: []Step{
		act("throttle", reduce+"the gate holds to it at once", None, glance, d.throttle()),
		act("frequency", reduce+"Lower trading frequency", None, glance, d.setting(map[string]string{"TRADING__MIN_TIME_BETWEEN_TRADES": "300"}),
			"export TRADING__MIN_TIME_BETWEEN_TRADES=300"),
		act("features", reduce+"Disable non-critical features", None, glance,
			d.setting(map[string]string{"MCP_ENABLED": "false", "MONITORING__DETAILED_METRICS": "false"}),
			"export MCP_ENABLED=false", "export MONITORING__DETAILED_METRICS=false"),
		act("position-size", reduce+"Reduce position size temporarily", None, glance, d.setting(map[string]string{"RISK__MAX_POSITION_SIZE": "0.1"}),
			"export RISK__MAX_POSITION_SIZE=0.1"),
		see("cpu-profile", diagnostics+"CPU profiling", dig, d.Bot.CPU, exec+"py-spy top --pid 1"),
		see("memory-profile", diagnostics+"Memory profiling", dig, d.Bot.Heap, exec+"python -m memory_profiler bot.main"),
		see("process-io", diagnostics+"I/O analysis", dig, d.Host.ProcessIO, "iotop -b -n 5"),
		inTime(15 * time.Minute),

		see("profile", bottlenecks+"Run performance profiler", dig, d.Bot.Profile,
			"poetry run python -m cProfile -o profile.stats bot.main", "poetry run python -m pstats profile.stats"),
		see("slow-queries", bottlenecks+"Analyze slow queries", dig, given(d.Database.SlowQueries, 100*time.Millisecond),
			"poetry run python -m bot.utils.slow_query_log --threshold=100ms"),
		see("cache-rates", bottlenecks+"Check cache hit rates", dig, d.Database.CacheRates, "poetry run python -m bot.utils.cache_analysis"),
		see("connections", resources+"Database connections", dig, d.Database.Connections,
			postgres+`psql -c "SELECT count(*) FROM pg_stat_activity;"`),
		see("threads", resources+"Thread analysis", dig, d.Bot.Threads, exec+"python -m bot.utils.thread_dump"),
		see("latency", resources+"Network latency", dig, given(d.Host.Ping, 10), "ping -c 10 api.exchange.com | grep avg"),

		act("flush", wins+"Clear caches", One, time.Minute, d.Cache, exec+"redis-cli FLUSHALL"),
		goOn(act("vacuum", wins+"Optimize database", None, longHaul, d.vacuum(), postgres+"vacuumdb -z -d trading_bot")),
		act("resource-settings", wins+"Restart with increased resources", One, time.Minute,
			d.setting(map[string]string{"DOCKER_MEMORY": d.Resources.Memory, "DOCKER_CPUS": d.Resources.CPUs}),
			"export DOCKER_MEMORY=4g", "export DOCKER_CPUS=2"),
		act("resources", wins+"Restart with increased resources", One, change, d.limits(), "docker-compose down", "docker-compose up -d"),
		act("tuning", tuning+"Adjust performance settings", One, time.Minute, d.setting(map[string]string{
			"performance.websocket_buffer_size": "10000",
			"performance.indicator_cache_ttl":   "300",
			"performance.batch_size":            "100",
			"performance.parallel_workers":      "4",
			"performance.db_connection_pool":    "20",
		}), "{", `"performance": {`, `"websocket_buffer_size": 10000,`, `"indicator_cache_ttl": 300,`, `"batch_size": 100,`, `"parallel_workers": 4,`, `"db_connection_pool": 20`, "}"),
		d.watch(tuning + "watch what was changed"),
		d.order(),
		d.checklist(),
	}}
}

func (d Deps) vacuum() Action {
	if d.Database.Vacuum == nil {
		return Action{}
	}
	return Action{Again: true, Do: func(ctx context.Context, _ Call) (string, error) { return d.Database.Vacuum(ctx) }}
}
