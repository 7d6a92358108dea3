package console_test

import (
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/andontest"
	"github.com/andon-go/andon/incident/console"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// held is a book that says what the bot opened.
type held []andon.Position

func (h held) Positions(context.Context) ([]andon.Position, error) { return h, nil }

func TestCloseAllTakesAPlanAndItsToken(t *testing.T) {
	venue := andontest.New(andontest.Config{Name: "sim"})
	own := andon.Position{Venue: "sim", Symbol: "BTC-USDT", Quantity: andon.MustDecimal("0.5"), Entry: andon.MustDecimal("100"), Mark: andon.MustDecimal("100"), At: time.Now()}
	venue.SetPosition(own)
	b := newBench(t, func(c *console.Config) {
		var err error
		c.Closer, err = safety.NewCloser(safety.CloserConfig{
			Switch: c.Switch, Venues: map[string]safety.CloseVenue{"sim": {Venue: venue}}, Book: held{own}, RetryEvery: time.Millisecond,
		})
		require.NoError(t, err)
	})
	token, session, _ := b.page()
	planned := b.form("plan", session, url.Values{"token": {token}})
	require.Equal(t, 200, planned.code, planned.body)
	require.Contains(t, planned.body, "BTC-USDT")
	require.Equal(t, safety.Active, b.sw.State(), "a plan does nothing")
	require.Len(t, venue.Truth().Positions, 1)
	field := func(pattern string) string {
		found := regexp.MustCompile(pattern).FindStringSubmatch(planned.body)
		require.NotNil(t, found, pattern)
		return html.UnescapeString(found[1])
	}
	plan, confirm := field(`name="plan" value="([^"]+)"`), field(`token is <code>([^<]+)</code>`)

	for name, fields := range map[string]url.Values{
		"no token": {"why": {"x"}}, "a wrong token": {"why": {"x"}, "confirm": {"yes"}}, "no note": {"confirm": {confirm}},
	} {
		token, session, _ = b.page()
		fields.Set("token", token)
		fields.Set("plan", plan)
		require.Equal(t, 409, b.form("close", session, fields).code, name)
		require.Len(t, venue.Truth().Positions, 1, name)
	}
	token, session, _ = b.page()
	require.Equal(t, 409, b.form("close", session, url.Values{"token": {token}, "plan": {"another"}, "why": {"x"}, "confirm": {confirm}}).code)

	token, session, _ = b.page()
	done := b.form("close", session, url.Values{"token": {token}, "plan": {plan}, "why": {"the venue is on fire"}, "confirm": {confirm}})
	require.Equal(t, 200, done.code, done.body)
	require.Empty(t, venue.Truth().Positions)
	require.Equal(t, safety.Halted, b.sw.State())
}

func TestTwoPeopleApproveAStep(t *testing.T) {
	var did atomic.Int32
	var engine *runbook.Engine
	b := newBench(t, func(c *console.Config) {
		var err error
		engine, err = runbook.New(t.Context(), runbook.Config{
			Incidents: c.Incidents, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
			Runbooks: []runbook.Runbook{{Name: "Security Breach", Steps: []runbook.Step{{
				Name: "revoke the keys", Purpose: "nobody trades with them", Approval: runbook.Two,
				Do: func(context.Context, runbook.Call) (string, error) { did.Add(1); return "revoked", nil },
			}}}},
		})
		require.NoError(t, err)
		c.Runbooks = engine
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	in := b.declare("somebody else has the keys", "keys")
	id, err := engine.Start(t.Context(), "Security Breach", in.Number, "Ada", "as the book says", nil)
	require.NoError(t, err)

	approve := func(who func(*http.Request)) int {
		got := b.do("GET", "/console", "", who)
		require.Contains(t, got.body, "Approve revoke the keys")
		token := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(got.body)[1]
		session := regexp.MustCompile(`^[^;]+`).FindString(got.header.Get("Set-Cookie"))
		return b.form("approve", session, url.Values{"token": {token}, "run": {id}, "step": {"revoke the keys"}, "why": {"looked at it"}}, who).code
	}
	require.Equal(t, 200, approve(ada))
	require.Equal(t, 409, approve(ada), "the same person is not a second one")
	require.Zero(t, did.Load())
	require.Equal(t, 200, approve(as("Grace", password+"2")))
	run, err := engine.Wait(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, runbook.Done, run.Status)
	require.EqualValues(t, 1, did.Load())
	require.Contains(t, b.do("GET", "/console", "", ada).body, "approved by Grace")
}
