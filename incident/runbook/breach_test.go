package runbook_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/incident/evidence"
	"github.com/andon-go/andon/incident/evidence/isolation"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/recovery/docker/dockertest"
)

const recipient = "ANDON_RUNBOOK_RECIPIENT"

var (
	_ runbook.Isolation = (*isolation.Isolator)(nil)
	_ runbook.Evidence  = evidence.Vault{}
)

// namespace makes a network namespace, in which a drill may cut off what it likes.
func namespace(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Base(dir)
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		needs.Missing(t, "a network namespace (root and iproute2): %v: %s", err, out)
	}
	t.Cleanup(func() { sh(t, "ip", "netns", "del", name) })
	sh(t, "ip", "netns", "exec", name, "ip", "link", "set", "lo", "up")
	return name
}

func sh(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	require.NoError(t, err, "%q: %s", args, out)
	return string(out)
}

// An unknown key is in use: trading halts, the position gets its stop, that is verified,
// the evidence is sealed, the machine cut off, and only then keys are revoked by a person
// and containers stopped; new keys, and the bot is started.
func TestSecurityBreachOnTheRealThings(t *testing.T) {
	var box *dockertest.Sandbox
	var key *age.X25519Identity
	var ns string
	drill{
		runbook: "Security Breach", skip: []string{"close-all"}, params: map[string]string{runbook.Whitelist: "192.0.2.7"},
		fault: func(t *testing.T, dir string, _ *andontest.Venue) []string {
			if _, err := exec.LookPath("nft"); err != nil {
				needs.Missing(t, "nftables: %v", err)
			}
			var env []string
			box, env = sandbox(t)
			ns = namespace(t, dir)
			var err error
			key, err = age.GenerateX25519Identity()
			require.NoError(t, err)
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "bot", "logs"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "bot", "logs", "trading_bot.log"), []byte("401 Unauthorized from 203.0.113.9\n"), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "bot", ".env"), []byte("EXCHANGE__CDP_PRIVATE_KEY=hunter2\n"), 0o600))
			hold(t, dir)
			repository(t, dir)
			return append(env, netns+"="+ns, recipient+"="+key.Recipient().String())
		},
		deps: func(t *testing.T, dir string, b *bot) {
			s := stack(t, dir, b)
			b.Containers, b.Credentials, b.Settings = s, keysOf(t, dir, b.manager, "none"), variables(t, dir, b.manager)
			b.Releases = releasesOf(t, dir, b.manager)
			c, err := evidence.New(evidence.Config{
				Dir: filepath.Join(dir, "incidents"), Recipients: []string{os.Getenv(recipient)}, Log: quiet, Place: "rack 4", Recorder: b.manager,
				Items: []evidence.Item{evidence.Files("logs", filepath.Join(dir, "bot", "logs")), evidence.Files("config", filepath.Join(dir, "bot", ".env"))},
			})
			require.NoError(t, err)
			b.Evidence = evidence.Vault{Collector: c}
			b.Isolation, err = isolation.New(isolation.Config{Filter: isolation.NFT{}, Recorder: b.manager, Log: quiet, Allow: []isolation.Allow{
				{Kind: isolation.Loopback}, {Kind: isolation.Venue, Host: "192.0.2.1", Port: 443}, {Kind: isolation.Channel, Host: "192.0.2.2", Port: 443}, {Kind: isolation.Database, Host: "192.0.2.3", Port: 5432},
			}})
			require.NoError(t, err)
			b.Bot.Grep = func(_ context.Context, _ string) (string, error) {
				text, err := os.ReadFile(filepath.Join(dir, "bot", "logs", "trading_bot.log"))
				return string(text), err
			}
			b.proofs.StakeholdersNotified = nil
		},
		end: func(t *testing.T, dir string) string {
			state, ok := box.State(box.Name("ai-trading-bot"))
			require.True(t, ok)
			archives, err := filepath.Glob(filepath.Join(dir, "incidents", "*.age"))
			require.NoError(t, err)
			var files []string
			for _, a := range archives {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				r, err := evidence.Verify(ctx, a, "Grace", key)
				cancel()
				require.NoError(t, err)
				require.True(t, r.Opened)
				for _, e := range r.Manifest.Entries {
					files = append(files, filepath.Base(e.Path))
				}
			}
			rules := sh(t, "ip", "netns", "exec", ns, "nft", "list", "ruleset")
			return fmt.Sprintf("running %v, started %d times; %d archives of %v; tables %d, allows the venue %v; key %s; version %s; settings %s",
				state.State.Running, starts(t, box), len(archives), files, strings.Count(rules, "table "), strings.Contains(rules, "192.0.2.1"), inUse(t, dir), running(t, dir), set(t, dir))
		},
		want: func(t *testing.T, dir, end string) {
			require.Contains(t, end, "running true, started 2 times; 1 archives of [trading_bot.log .env]")
			require.Contains(t, end, "allows the venue true")
			require.Contains(t, end, "key new; version bad of 1; settings SECURITY__ENABLE_2FA=true SECURITY__IP_WHITELIST=192.0.2.7")
			require.Contains(t, end, "stop-market sell 2 live")
			sealed, err := os.ReadDir(filepath.Join(dir, "incidents"))
			require.NoError(t, err)
			for _, f := range sealed {
				text, err := os.ReadFile(filepath.Join(dir, "incidents", f.Name()))
				require.NoError(t, err)
				require.NotContains(t, string(text), "hunter2", "%s: no secret lies in the clear", f.Name())
			}
		},
	}.run(t)
}
