package slack_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/notifytest"
	"github.com/andon-go/andon/notify/slack"
	"github.com/andon-go/andon/severity"
	"github.com/slack-go/slack/slacktest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// slacktest leaves a goroutine behind for each message that no websocket reads.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/slack-go/slack/slacktest.(*Server).queueForWebsocket"))
}

// troubles keeps what a Notifier reports.
type troubles struct {
	mu  sync.Mutex
	all []string
}

func (x *troubles) hear(incident string, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.all = append(x.all, incident+": "+err.Error())
}

func newNotifier(t *testing.T, f *fake, change ...func(*slack.Config)) *slack.Notifier {
	cfg := slack.Config{Token: notify.Secret(token), URL: f.URL + "/api/"}
	for _, c := range change {
		c(&cfg)
	}
	n, err := slack.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	return n
}

func message(key string, kind notify.Kind) notify.Message {
	return notify.Message{Key: key, Incident: "INC-20260314-001", Kind: kind, Level: severity.SEV1, To: "C0OPS", Text: "text of " + key}
}

func conformance(to string) func(t *testing.T) notifytest.Channel {
	return func(t *testing.T) notifytest.Channel {
		f := newFake(t)
		fail := func(h http.HandlerFunc) { f.set(func() { f.answer = h }) }
		return notifytest.Channel{
			Notifier: newNotifier(t, f), To: to, Took: f.took, Secrets: []string{token},
			Break:  func() { fail(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }) },
			Refuse: func() { f.set(func() { f.fail["chat.postMessage"] = "channel_not_found" }) },
			Throttle: func(d time.Duration) {
				fail(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", strconv.Itoa(int(d/time.Second)))
					w.WriteHeader(http.StatusTooManyRequests)
				})
			},
			Hang: func() { fail(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }) },
		}
	}
}

func TestConformance(t *testing.T)          { notifytest.TestNotifier(t, conformance("C0OPS")) }
func TestConformanceOfTheRoom(t *testing.T) { notifytest.TestNotifier(t, conformance(slack.Room)) }

func TestOneThreadAnIncident(t *testing.T) {
	f := newFake(t)
	n := newNotifier(t, f)
	require.NoError(t, n.Notify(t.Context(), message("page", notify.InitialAlert)))
	require.NoError(t, n.Notify(t.Context(), message("update", notify.StatusUpdate)))
	require.NoError(t, n.Notify(t.Context(), message("breach", notify.BreachNotice)))
	other := message("other", notify.InitialAlert)
	other.Incident = "INC-20260314-002"
	require.NoError(t, n.Notify(t.Context(), other))

	// A new process finds the thread, and what is in it.
	n = newNotifier(t, f)
	require.NoError(t, n.Notify(t.Context(), message("update", notify.StatusUpdate)))
	require.NoError(t, n.Notify(t.Context(), message("resolved", notify.ResolutionNotice)))

	got := f.sent()
	require.Len(t, got, 5, "the update is not posted twice")
	require.Empty(t, got[0].Thread)
	require.Equal(t, got[0].TS, got[1].Thread)
	require.False(t, got[1].Broadcast)
	require.Equal(t, got[0].TS, got[2].Thread)
	require.True(t, got[2].Broadcast, "a breach is not to hide in a thread")
	require.Empty(t, got[3].Thread, "another incident has its own")
	require.Equal(t, got[0].TS, got[4].Thread)
	require.Equal(t, 2+1, f.called("conversations.history"), "asked once an incident and process")
}

func TestManyMessagesAtOnceAreOneThread(t *testing.T) {
	f := newFake(t)
	n := newNotifier(t, f)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := n.Notify(t.Context(), message(fmt.Sprint(i), notify.InitialAlert)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	roots := 0
	for _, p := range f.sent() {
		if p.Thread == "" {
			roots++
		}
	}
	require.Equal(t, 1, roots)
	require.Len(t, f.sent(), 20)
}

// A post that was made and not answered is found again, by this process and by another.
func TestAPostWithoutAnAnswerIsNotMadeTwice(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		f := newFake(t)
		n := newNotifier(t, f)
		f.set(func() {
			f.after["chat.postMessage"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGatewayTimeout) }
		})
		err := n.Notify(t.Context(), message("page", notify.InitialAlert))
		require.Error(t, err)
		require.NotErrorIs(t, err, notify.ErrPermanent)
		f.set(func() { delete(f.after, "chat.postMessage") })
		if restarted {
			n = newNotifier(t, f)
		}
		require.NoError(t, n.Notify(t.Context(), message("page", notify.InitialAlert)))
		require.Len(t, f.sent(), 1)
	}
}

// A search that fails or hangs keeps no page back.
func TestAPageIsPostedWhereThereIsNoLooking(t *testing.T) {
	f := newFake(t)
	var heard troubles
	n := newNotifier(t, f, func(c *slack.Config) { c.Trouble, c.SearchWithin = heard.hear, 50*time.Millisecond })
	f.set(func() { f.fail["conversations.history"] = "missing_scope" })
	require.NoError(t, n.Notify(t.Context(), message("1", notify.InitialAlert)))
	f.set(func() {
		delete(f.fail, "conversations.history")
		f.after["conversations.replies"] = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	})
	require.NoError(t, n.Notify(t.Context(), message("2", notify.InitialAlert)))
	require.Len(t, f.sent(), 2)
	require.Len(t, heard.all, 2)
	require.Contains(t, heard.all[0], "INC-20260314-001: slack: older messages of INC-20260314-001 could not be looked for, and one may be posted twice: missing_scope")
}

func TestTheRoomIsOpenedOnceAndFilled(t *testing.T) {
	f := newFake(t)
	invite := func(c *slack.Config) { c.Invite = []string{"U0ADA", "U0BEN"} }
	m := message("page", notify.InitialAlert)
	m.To = slack.Room
	n := newNotifier(t, f, invite)
	require.NoError(t, n.Notify(t.Context(), m))
	m.Key = "update"
	require.NoError(t, n.Notify(t.Context(), m))
	m.Key = "after a restart"
	require.NoError(t, newNotifier(t, f, invite).Notify(t.Context(), m))

	require.Len(t, f.channels, 2)
	room := f.channels[1]
	require.Equal(t, "incident-20260314-001", room.Name, "the playbook's #incident-[YYYYMMDD-XXX]")
	require.Equal(t, "INC-20260314-001", room.Topic)
	require.Equal(t, []string{"U0ADA", "U0BEN"}, room.members)
	got := f.sent()
	require.Len(t, got, 3)
	for _, p := range got {
		require.Equal(t, room.ID, p.Channel)
	}
	require.Equal(t, 2, f.called("conversations.create"), "one a process")
}

func TestARoomCanBeOpenedBeforeAnythingIsSaid(t *testing.T) {
	f := newFake(t)
	for range 2 { // the second finds it
		at, err := newNotifier(t, f).Open(t.Context(), "INC-20260314-001")
		require.NoError(t, err)
		require.Equal(t, "#incident-20260314-001 ("+f.channels[1].ID+")", at)
	}
	require.Len(t, f.channels, 2)
	require.Equal(t, "INC-20260314-001", f.channels[1].Topic)
	require.Empty(t, f.sent())
	_, err := newNotifier(t, f).Open(t.Context(), "")
	require.ErrorIs(t, err, notify.ErrPermanent)
}

func TestWhatFailsInTheRoomIsTriedAgainAndHoldsNoPageBack(t *testing.T) {
	f := newFake(t)
	var heard troubles
	f.fail["conversations.setTopic"] = "internal_error"
	n := newNotifier(t, f, func(c *slack.Config) { c.Trouble, c.Invite = heard.hear, []string{"U0ADA", "U0GONE", "U0BEN"} })
	m := message("1", notify.InitialAlert)
	m.To = slack.Room
	require.NoError(t, n.Notify(t.Context(), m))
	require.Equal(t, []string{"U0ADA", "U0BEN"}, f.channels[1].members, "one who cannot be invited keeps nobody out")
	require.Contains(t, strings.Join(heard.all, "\n"), "topic: internal_error\ninvite U0GONE: user_not_found")
	require.Empty(t, f.channels[1].Topic)
	f.set(func() { delete(f.fail, "conversations.setTopic") })
	m.Key = "2"
	require.NoError(t, n.Notify(t.Context(), m))
	require.Equal(t, "INC-20260314-001", f.channels[1].Topic)
	require.Equal(t, 2+2, f.called("conversations.invite"), "who is in is not invited again")

	// A channel that cannot be had is an error, and the Courier goes on to another address.
	f.set(func() { f.fail["conversations.create"] = "restricted_action" })
	m.Incident = "INC-20260314-009"
	require.ErrorIs(t, n.Notify(t.Context(), m), notify.ErrPermanent)
	m.Incident = ""
	require.ErrorIs(t, n.Notify(t.Context(), m), notify.ErrPermanent)
	f.set(func() {
		delete(f.fail, "conversations.create")
		f.channels = append(f.channels, &channel{ID: "C0OLD", Name: "incident-20260314-010", archived: true})
	})
	m.Incident = "INC-20260314-010"
	require.ErrorContains(t, n.Notify(t.Context(), m), "#incident-20260314-010 exists and is archived or private")
}

func TestErrorsAreToldApart(t *testing.T) {
	f := newFake(t)
	n := newNotifier(t, f)
	for name, permanent := range map[string]bool{
		"internal_error": false, "fatal_error": false, "service_unavailable": false, "request_timeout": false, "ratelimited": false,
		"invalid_auth": true, "token_revoked": true, "not_in_channel": true, "is_archived": true, "missing_scope": true, "what_nobody_knows": true,
	} {
		f.set(func() { f.fail["chat.postMessage"] = name })
		err := n.Notify(t.Context(), message("k", notify.InitialAlert))
		require.ErrorContains(t, err, name)
		require.Equal(t, permanent, errors.Is(err, notify.ErrPermanent), name)
	}
	for code, permanent := range map[int]bool{429: false, 408: false, 500: false, 503: false, 400: true, 403: true, 404: true} {
		f.set(func() { f.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) } })
		err := n.Notify(t.Context(), message("k", notify.InitialAlert))
		e, ok := errors.AsType[*notify.DeliveryError](err)
		require.True(t, ok)
		require.Equal(t, code, e.Status)
		require.Equal(t, permanent, e.Permanent, "%d", code)
	}
	require.ErrorIs(t, n.Notify(t.Context(), notify.Message{Key: "k"}), notify.ErrPermanent, "no address")
	f.Server.Close()
	err := n.Notify(t.Context(), message("k", notify.InitialAlert))
	require.Error(t, err)
	require.NotErrorIs(t, err, notify.ErrPermanent, "it may be back in a moment")
}

// What somebody wrote cannot call a whole channel.
// A redirect could hand the token and the message to somebody else.
func TestARedirectIsNotFollowed(t *testing.T) {
	var mu sync.Mutex
	followed := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		followed++
	}))
	defer elsewhere.Close()
	for _, code := range []int{http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		f := newFake(t)
		f.set(func() {
			f.answer = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, code) }
		})
		n := newNotifier(t, f)
		for _, to := range []string{"C0OPS", slack.Room} {
			m := message("page", notify.InitialAlert)
			m.To = to
			require.ErrorIs(t, n.Notify(t.Context(), m), notify.ErrPermanent, "status %d", code)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	require.Zero(t, followed)
}

func TestTextIsEscaped(t *testing.T) {
	f := newFake(t)
	var raw string
	f.after["chat.postMessage"] = func(w http.ResponseWriter, r *http.Request) {
		f.set(func() { raw = r.Form.Get("text") })
		w.WriteHeader(http.StatusOK)
	}
	m := message("k", notify.InitialAlert)
	m.Text = "<!channel> <https://evil.example|ok> & <@U0ADA>"
	require.Error(t, newNotifier(t, f).Notify(t.Context(), m), "the answer is empty")
	require.Equal(t, "&lt;!channel&gt; &lt;https://evil.example|ok&gt; &amp; &lt;@U0ADA&gt;", raw)
}

func TestNameIsFitForSlack(t *testing.T) {
	require.Equal(t, "incident-20260314-001", slack.Name("INC-20260314-001"))
	require.Equal(t, "incident-local-20260314-1--", slack.Name("INC-LOCAL-20260314-1./"))
	require.Len(t, slack.Name(strings.Repeat("x", 200)), 80)
}

func TestNewNamesEveryProblem(t *testing.T) {
	_, err := slack.New(slack.Config{URL: "https://slack.com/api", Timeout: -1, SearchWithin: -1, Invite: []string{""}})
	for _, want := range []string{"Token: is empty", "URL: is", "Timeout: is -1ns", "SearchWithin: is -1ns", "Invite: holds an empty id"} {
		require.ErrorContains(t, err, want)
	}
}

// TestAgainstSlackTest posts to slack-go's own test server, which answers as its own client expects it.
func TestAgainstSlackTest(t *testing.T) {
	var heard troubles
	server := slacktest.NewTestServer(func(c slacktest.Customize) {
		for _, method := range []string{"/conversations.history", "/conversations.replies"} {
			c.Handle(method, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"ok":true,"messages":[]}`) })
		}
	})
	server.Start()
	defer server.Stop()
	n, err := slack.New(slack.Config{Token: notify.Secret(token), URL: server.GetAPIURL(), Invite: []string{"U0ADA"}, Trouble: heard.hear})
	require.NoError(t, err)
	defer n.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, n.Notify(ctx, message("page", notify.InitialAlert)))
	room := message("in the room", notify.InitialAlert)
	room.To = slack.Room
	require.NoError(t, n.Notify(ctx, room))
	require.Empty(t, heard.all, "topic and invitation succeeded")
}

func Example() {
	n, err := slack.New(slack.Config{Token: notify.Secret("xoxb-..."), Invite: []string{"U024BE7LH"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	courier, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{"slack": n}})
	if err != nil {
		fmt.Println(err)
		return
	}
	room := notify.Contact{Name: "the incident's channel", Roles: []notify.Role{notify.OnCallEngineer},
		Addresses: []notify.Address{{Channel: "slack", To: slack.Room}}}
	fmt.Println(courier.Channels(), room.Addresses[0].To)
	// Output: [slack] #incident
}
