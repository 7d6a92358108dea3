package slack_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/andon-go/andon/notify"
)

const token = "xoxb-very-secret"

// fake is an HTTP server that keeps channels, members and messages by Slack's
// documented rules. It is broken by setting answer, and single methods by setting fail.
type fake struct {
	*httptest.Server
	mu       sync.Mutex
	channels []*channel
	posts    []post
	calls    map[string]int
	answer   http.HandlerFunc            // nil: as Slack does
	fail     map[string]string           // method to error
	after    map[string]http.HandlerFunc // method: it is done, and answered by this
}

type channel struct {
	ID, Name, Topic string
	joined          bool
	archived        bool
	members         []string
}

type post struct {
	Channel, Text, TS, Thread string
	Broadcast                 bool
	Metadata                  json.RawMessage
}

func newFake(t *testing.T) *fake {
	f := &fake{calls: map[string]int{}, fail: map[string]string{}, after: map[string]http.HandlerFunc{},
		channels: []*channel{{ID: "C0OPS", Name: "ops", joined: true}}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Server.Close)
	return f
}

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := strings.TrimPrefix(r.URL.Path, "/api/")
	_ = r.ParseForm() // what cannot be parsed is missing below
	f.mu.Lock()
	answer, after := f.answer, f.after[method]
	f.calls[method]++
	var body map[string]any
	if answer == nil {
		body = f.do(method, r)
	}
	f.mu.Unlock()
	switch {
	case answer != nil:
		answer(w, r)
	case after != nil:
		after(w, r)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(body) // a client that has gone is the test's own doing
	}
}

func refuse(name string) map[string]any { return map[string]any{"ok": false, "error": name} }

func (f *fake) do(method string, r *http.Request) map[string]any {
	if r.Header.Get("Authorization") != "Bearer "+token && r.Form.Get("token") != token {
		return refuse("invalid_auth")
	}
	if name := f.fail[method]; name != "" {
		return refuse(name)
	}
	c := f.channel(r.Form.Get("channel"))
	if c == nil && method != "conversations.create" && method != "conversations.list" {
		return refuse("channel_not_found")
	}
	switch method {
	case "conversations.create":
		return f.create(r.Form.Get("name"))
	case "conversations.list":
		var all []map[string]any
		for _, x := range f.channels {
			if !x.archived {
				all = append(all, map[string]any{"id": x.ID, "name": x.Name})
			}
		}
		return map[string]any{"ok": true, "channels": all}
	case "conversations.join":
		c.joined = true
		return map[string]any{"ok": true, "channel": map[string]any{"id": c.ID}}
	case "conversations.setTopic":
		c.Topic = r.Form.Get("topic")
		return map[string]any{"ok": true, "channel": map[string]any{"id": c.ID}}
	case "conversations.invite":
		return c.invite(r.Form.Get("users"))
	case "chat.postMessage":
		return f.post(c, r)
	case "conversations.history":
		return f.list(r, func(p post) bool { return p.Channel == c.ID && (p.Thread == "" || p.Broadcast) })
	case "conversations.replies":
		ts := r.Form.Get("ts")
		return f.list(r, func(p post) bool { return p.Channel == c.ID && (p.TS == ts || p.Thread == ts) })
	}
	return refuse("unknown_method")
}

func (f *fake) channel(id string) *channel {
	for _, c := range f.channels {
		if c.ID == id {
			return c
		}
	}
	return nil
}

func (f *fake) create(name string) map[string]any {
	for _, r := range name {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_", r) {
			return refuse("invalid_name_specials")
		}
	}
	if len(name) == 0 || len(name) > 80 {
		return refuse("invalid_name")
	}
	if slices.ContainsFunc(f.channels, func(c *channel) bool { return c.Name == name }) {
		return refuse("name_taken")
	}
	c := &channel{ID: fmt.Sprintf("C%07d", len(f.channels)), Name: name, joined: true}
	f.channels = append(f.channels, c)
	return map[string]any{"ok": true, "channel": map[string]any{"id": c.ID, "name": c.Name}}
}

func (c *channel) invite(user string) map[string]any {
	switch {
	case slices.Contains(c.members, user):
		return refuse("already_in_channel")
	case user == "U0GONE":
		return refuse("user_not_found")
	}
	c.members = append(c.members, user)
	return map[string]any{"ok": true, "channel": map[string]any{"id": c.ID}}
}

func (f *fake) post(c *channel, r *http.Request) map[string]any {
	text := r.Form.Get("text")
	switch {
	case !c.joined:
		return refuse("not_in_channel")
	case len([]rune(text)) > 40_000:
		return refuse("msg_too_long")
	case text == "":
		return refuse("no_text")
	}
	p := post{Channel: c.ID, Text: html.UnescapeString(text), TS: fmt.Sprintf("1773480413.%06d", len(f.posts)),
		Thread: r.Form.Get("thread_ts"), Broadcast: r.Form.Get("reply_broadcast") == "true", Metadata: json.RawMessage(r.Form.Get("metadata"))}
	f.posts = append(f.posts, p)
	return map[string]any{"ok": true, "channel": c.ID, "ts": p.TS}
}

// list answers with the posts, the latest first as in a history.
func (f *fake) list(r *http.Request, want func(post) bool) map[string]any {
	var all []map[string]any
	for _, p := range slices.Backward(f.posts) {
		if !want(p) {
			continue
		}
		x := map[string]any{"type": "message", "text": p.Text, "ts": p.TS, "thread_ts": p.Thread}
		if r.Form.Get("include_all_metadata") == "1" || r.Form.Get("include_all_metadata") == "true" {
			x["metadata"] = p.Metadata
		}
		all = append(all, x)
	}
	return map[string]any{"ok": true, "messages": all}
}

// sent returns what is posted.
func (f *fake) sent() []post {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.posts)
}

func (f *fake) called(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

// took reports whether a message is there, with its key and its text.
func (f *fake) took(m notify.Message) bool {
	return slices.ContainsFunc(f.sent(), func(p post) bool {
		var meta struct {
			Payload struct{ Key string } `json:"event_payload"`
		}
		return json.Unmarshal(p.Metadata, &meta) == nil && meta.Payload.Key == m.Key && p.Text == m.Text
	})
}
