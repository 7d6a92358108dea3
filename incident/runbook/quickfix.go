package runbook

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// AuthenticationFailure is the quick fix of an Exchange API Authentication Failure over
// what deps has. The new key is tested before it takes the place of the old one, which is
// revoked by a person in the vendor's dashboard once the connection was tested.
func AuthenticationFailure(deps Deps) Runbook {
	d := deps.withDefaults()
	return Runbook{Name: "Exchange API Authentication Failure", Steps: []Step{
		see("key", "Check API key expiration", glance, d.keys(), "poetry run python -m bot.utils.check_auth"),
		d.rotateStep("rotate", "Rotate API keys", true,
			`export EXCHANGE__CDP_API_KEY_NAME="new-key-name"`, `export EXCHANGE__CDP_PRIVATE_KEY="$(cat new-private-key.pem)"`),
		tries(3, prove("test-connection", "Test connection", glance, d.connection(), "poetry run python -m bot.exchange.test_connection")),
	}}
}

// connection tests the connection: the key in use works, and the exchange answers with it.
func (d Deps) connection() Look {
	keys := d.keys()
	switch {
	case keys == nil:
		return d.Bot.Accounts
	case d.Bot.Accounts == nil:
		return keys
	}
	return func(ctx context.Context) (string, error) {
		a, err := keys(ctx)
		b, berr := d.Bot.Accounts(ctx)
		return a + "\n" + b, errors.Join(err, berr)
	}
}

// MemoryDatabase is the quick fix of Memory/Database Issues over what deps has.
func MemoryDatabase(deps Deps) Runbook {
	d := deps.withDefaults()
	return Runbook{Name: "Memory/Database Issues", Steps: []Step{
		see("memory", "Check memory usage", glance, d.stats(), "docker stats ai-trading-bot"),
		act("clear-cache", "Clear cache and restart", None, time.Minute,
			d.again(d.would("what lies in its cache folder would be removed"), func(b Containers, ctx context.Context, c Call) (string, error) {
				return b.ClearCache(ctx, c.By, why(c))
			}),
			"docker-compose exec ai-trading-bot rm -rf /tmp/cache/*"),
		act("restart", "Clear cache and restart", One, change, d.restart(), "docker-compose restart ai-trading-bot"),
		act("rebuild-indices", "Rebuild memory indices", None, longHaul,
			d.again(d.would("the memory's indices would be made anew"), func(b Containers, ctx context.Context, c Call) (string, error) {
				return b.RebuildIndices(ctx, c.By, why(c))
			}),
			"docker-compose exec mcp-memory python rebuild_indices.py"),
	}}
}

// would is the plan of what needs no look.
func (d Deps) would(what string) Look {
	return func(context.Context) (string, error) { return what, nil }
}

// WebSocketDisconnection is the quick fix of a WebSocket Disconnection over what deps has.
func WebSocketDisconnection(deps Deps) Runbook {
	d := deps.withDefaults()
	return Runbook{Name: "WebSocket Disconnection", Steps: []Step{
		see("connection", "Check connection status", glance, d.Bot.WebSocket, "poetry run python -m bot.utils.websocket_health"),
		act("reconnect", "Force reconnection", None, time.Minute,
			d.again(d.would("the bot would be sent SIGUSR1, and connect anew"), func(b Containers, ctx context.Context, c Call) (string, error) {
				return b.Signal(ctx, "SIGUSR1", c.By, why(c))
			}),
			"docker-compose exec ai-trading-bot kill -USR1 1"),
		act("timeouts", "Increase timeout settings", None, time.Minute,
			d.setting(map[string]string{"EXCHANGE__WEBSOCKET_TIMEOUT": "60", "EXCHANGE__WEBSOCKET_PING_INTERVAL": "20"}),
			"export EXCHANGE__WEBSOCKET_TIMEOUT=60", "export EXCHANGE__WEBSOCKET_PING_INTERVAL=20"),
		tries(3, prove("connected", "Check connection status: it is connected again", glance, d.Bot.WebSocket)),
	}}
}

// HighUsage is the quick fix of High CPU/Memory Usage over what deps has.
func HighUsage(deps Deps) Runbook {
	d := deps.withDefaults()
	return Runbook{Name: "High CPU/Memory Usage", Steps: []Step{
		see("processes", "Identify resource-heavy processes", glance, d.top(), "docker-compose exec ai-trading-bot top"),
		act("limits", fmt.Sprintf("Adjust resource limits: %s of memory and %s CPUs", d.Resources.Memory, d.Resources.CPUs), One, change, d.limits(),
			"docker-compose down", "Edit docker-compose.yml resource limits", "docker-compose up -d"),
		act("prune", "Emergency resource cleanup", Two, change, d.prune(), "docker system prune -a --volumes"),
	}}
}
