package slack

import (
	"context"
	"fmt"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/slack-go/slack"
)

// place is an incident in a channel.
type place struct{ channel, incident string }

// thread is what is known of an incident's thread in a channel.
type thread struct {
	turn                   // one message at a time: the second waits for the first to begin the thread
	root   string          // timestamp of the first message; empty: none is known
	asked  bool            // whether Slack has been asked for an older one
	posted map[string]bool // dedup keys of what certainly is there
	doubt  map[string]bool // of what was tried without an answer
	used   time.Time
}

// mostRemembered bounds the threads and rooms that are remembered; older ones are
// found again by asking.
const mostRemembered = 1000

func (n *Notifier) thread(p place) *thread {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.threads[p]
	if t == nil {
		if len(n.threads) >= mostRemembered {
			oldest := p
			for q, x := range n.threads {
				if oldest == p || x.used.Before(n.threads[oldest].used) {
					oldest = q
				}
			}
			delete(n.threads, oldest)
		}
		t = &thread{turn: newTurn(), posted: map[string]bool{}, doubt: map[string]bool{}}
		n.threads[p] = t
	}
	t.used = time.Now()
	return t
}

// turn is a lock that is waited for no longer than a context lasts.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) pass() { <-t }

// event is the type of our messages' metadata.
const event = "andon"

// post posts a message into the incident's thread, unless it is there already.
func (n *Notifier) post(ctx context.Context, channel string, m notify.Message) error {
	t := n.thread(place{channel, m.Incident})
	if err := t.take(ctx); err != nil {
		return &notify.DeliveryError{Err: fmt.Errorf("slack: another message of the incident is on its way: %w", err)}
	}
	defer t.pass()
	if t.posted[m.Key] && m.Key != "" {
		return nil
	}
	n.look(ctx, channel, m, t)
	if t.posted[m.Key] && m.Key != "" {
		return nil
	}
	options := []slack.MsgOption{
		slack.MsgOptionText(text(m.Text), true),
		slack.MsgOptionDisableLinkUnfurl(),
		slack.MsgOptionMetadata(slack.SlackMetadata{EventType: event, EventPayload: map[string]any{"incident": m.Incident, "key": m.Key}}),
	}
	if t.root != "" && m.Incident != "" {
		options = append(options, slack.MsgOptionTS(t.root))
		if m.Kind != notify.StatusUpdate {
			options = append(options, slack.MsgOptionBroadcast()) // a page is not to hide in a thread
		}
	}
	_, at, err := n.api.PostMessageContext(ctx, channel, options...)
	if err != nil {
		err = n.failed("post", err)
		t.doubt[m.Key] = true
		return err
	}
	if t.root == "" {
		t.root = at
	}
	t.posted[m.Key] = true
	delete(t.doubt, m.Key)
	return nil
}

// look asks Slack for the incident's thread, once, and for a message that may have
// been posted. It asks in vain where Slack does not answer in time: then the message is posted.
func (n *Notifier) look(ctx context.Context, channel string, m notify.Message, t *thread) {
	if m.Incident == "" || t.asked && !t.doubt[m.Key] {
		return
	}
	search, cancel := context.WithTimeout(ctx, n.cfg.SearchWithin)
	defer cancel()
	if err := n.search(search, channel, m.Incident, t); err != nil {
		n.cfg.Trouble(m.Incident, fmt.Errorf("slack: older messages of %s could not be looked for, and one may be posted twice: %w", m.Incident, withoutURL(err)))
		return
	}
	t.asked = true
}

// searched is how many of a channel's latest messages are looked through, and how
// many of a thread's.
const searched = 200

// search reads what is there of an incident.
func (n *Notifier) search(ctx context.Context, channel, incident string, t *thread) error {
	if t.root == "" {
		history, err := n.api.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{
			ChannelID: channel, Limit: searched, IncludeAllMetadata: true})
		if err != nil {
			return err
		}
		for _, x := range history.Messages { // the latest first, so that the oldest is kept
			if key, ok := ours(x, incident); ok && (x.ThreadTimestamp == "" || x.ThreadTimestamp == x.Timestamp) {
				t.root, t.posted[key] = x.Timestamp, true
			}
		}
		if t.root == "" {
			return nil
		}
	}
	for cursor := ""; ; {
		replies, more, next, err := n.api.GetConversationRepliesContext(ctx, &slack.GetConversationRepliesParameters{
			ChannelID: channel, Timestamp: t.root, Limit: searched, Cursor: cursor, IncludeAllMetadata: true})
		if err != nil {
			return err
		}
		for _, x := range replies {
			if key, ok := ours(x, incident); ok {
				t.posted[key] = true
			}
		}
		if !more || next == "" {
			return nil
		}
		cursor = next
	}
}

// ours returns the dedup key of a message that was posted for the incident.
func ours(x slack.Message, incident string) (key string, ok bool) {
	if x.Metadata.EventType != event || x.Metadata.EventPayload["incident"] != incident {
		return "", false
	}
	key, ok = x.Metadata.EventPayload["key"].(string)
	return key, ok
}
