package slack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/slack-go/slack"
)

// room is what is known of an incident's own channel.
type room struct {
	turn           // one opens it at a time
	id      string // empty: it is not known to exist
	topic   bool   // set
	invited map[string]bool
	used    time.Time
}

// Name returns the name of an incident's own channel: the playbook's
// incident-YYYYMMDD-XXX for INC-YYYYMMDD-XXX. Anything else is made fit for Slack.
func Name(incident string) string {
	name := "incident-" + strings.TrimPrefix(incident, "INC-")
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, name)
	return name[:min(len(name), 80)] // Slack's limit
}

func (n *Notifier) remembered(incident string) *room {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.rooms[incident]
	if r == nil {
		if len(n.rooms) >= mostRemembered {
			oldest := ""
			for name, x := range n.rooms {
				if oldest == "" || x.used.Before(n.rooms[oldest].used) {
					oldest = name
				}
			}
			delete(n.rooms, oldest)
		}
		r = &room{turn: newTurn(), invited: map[string]bool{}}
		n.rooms[incident] = r
	}
	r.used = time.Now()
	return r
}

// room returns the id of the incident's channel, and does what is not done yet to
// open it. Only a channel that cannot be had is an error.
func (n *Notifier) room(ctx context.Context, incident string) (string, error) {
	if incident == "" {
		return "", slack.SlackErrorResponse{Err: "the message belongs to no incident"}
	}
	r := n.remembered(incident)
	if err := r.take(ctx); err != nil {
		return "", err
	}
	defer r.pass()
	if r.id == "" {
		id, err := n.create(ctx, Name(incident))
		if err != nil {
			return "", err
		}
		r.id = id
	}
	if err := n.furnish(ctx, incident, r); err != nil {
		n.cfg.Trouble(incident, fmt.Errorf("slack: #%s is not complete: %w", Name(incident), withoutURL(err)))
	}
	return r.id, nil
}

// Open opens an incident's own channel, or finds it open: the topic is set, and who is to be
// there is invited. It may be called again, and returns the channel's name and id. What is
// not complete goes to Config.Trouble; only a channel that cannot be had is an error.
func (n *Notifier) Open(ctx context.Context, incident string) (string, error) {
	id, err := n.room(ctx, incident)
	if err != nil {
		return "", n.failed("open the incident's channel", err)
	}
	return "#" + Name(incident) + " (" + id + ")", nil
}

// create creates a channel, or finds and joins the one of that name.
func (n *Notifier) create(ctx context.Context, name string) (string, error) {
	made, err := n.api.CreateConversationContext(ctx, slack.CreateConversationParams{ChannelName: name})
	if err == nil {
		return made.ID, nil
	}
	if !says(err, "name_taken") {
		return "", err
	}
	for cursor := ""; ; {
		page, next, err := n.api.GetConversationsContext(ctx, &slack.GetConversationsParameters{
			ExcludeArchived: true, Limit: 1000, Types: []string{"public_channel"}, Cursor: cursor})
		if err != nil {
			return "", fmt.Errorf("#%s exists and could not be found: %w", name, err)
		}
		for _, c := range page {
			if c.Name == name {
				_, _, _, err := n.api.JoinConversationContext(ctx, c.ID)
				return c.ID, err
			}
		}
		if next == "" {
			return "", fmt.Errorf("#%s exists and is archived or private: %w", name, slack.SlackErrorResponse{Err: "name_taken"})
		}
		cursor = next
	}
}

// furnish sets the topic and invites who is missing, as far as that succeeds.
func (n *Notifier) furnish(ctx context.Context, incident string, r *room) error {
	var problems []error
	if !r.topic {
		_, err := n.api.SetTopicOfConversationContext(ctx, r.id, incident)
		if r.topic = err == nil; err != nil {
			problems = append(problems, fmt.Errorf("topic: %w", err))
		}
	}
	for _, who := range n.cfg.Invite {
		if r.invited[who] {
			continue
		}
		// One by one: Slack refuses all for one who cannot be invited.
		_, err := n.api.InviteUsersToConversationContext(ctx, r.id, who)
		if err == nil || says(err, "already_in_channel") || says(err, "cant_invite_self") {
			r.invited[who] = true
			continue
		}
		problems = append(problems, fmt.Errorf("invite %s: %w", who, err))
	}
	return errors.Join(problems...)
}

// says reports whether Slack answered with an error of its own by that name.
func says(err error, name string) bool {
	said, ok := errors.AsType[slack.SlackErrorResponse](err)
	return ok && said.Err == name
}
