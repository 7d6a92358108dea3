package notify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/andon-go/andon/severity"
)

// Storm is when pages to one contact are gathered into one, so that a hundred
// alarms at once do not bury the person who is to deal with them. Nothing is lost: a
// gathered page names the others by their keys, says each warning that one of them
// has, and each caller gets the receipt of the page that its own went out with.
//
// A page that is worse than all that the contact has got within Within goes out at
// once all the same. So one contact gets at most Pages, one for each level and
// Within/Every gathered ones in any Within, however many there are.
//
// Notices of missed targets, and status updates, are gathered in the same way, each
// kind by itself: they have no part in the bound of pages, and no page waits for one.
// What acknowledges or resolves is sent one by one, since each ends its own pages.
type Storm struct {
	// Pages is how many pages go to one contact one by one within Within. Defaults to 20.
	Pages int

	// Within is the time that they are counted over. Defaults to 1 min.
	Within time.Duration

	// Every is how long further pages are gathered before they go out as one.
	// Defaults to 15 s.
	Every time.Duration
}

func (s Storm) withDefaults() Storm {
	setDefault(&s.Pages, 20)
	setDefault(&s.Within, time.Minute)
	setDefault(&s.Every, 15*time.Second)
	return s
}

func (s Storm) validate() []error {
	var problems []error
	if s.Pages < 0 {
		problems = append(problems, fmt.Errorf("Storm: Pages is %d, want at least 1", s.Pages))
	}
	if s.Within < 0 || s.Every < 0 {
		problems = append(problems, fmt.Errorf("Storm: Within is %v and Every is %v, want positive durations", s.Within, s.Every))
	}
	return problems
}

// gatherer holds the pages of a storm back.
type gatherer struct {
	storm   Storm
	deliver func(ctx context.Context, to Contact, m Message) Receipt // at once
	grouped func(n int)                                              // told of each gathered page how many it stands for

	mu       sync.Mutex
	contacts map[gathering]*lately
}

// gathering is what is gathered by itself: one contact's pages, or notices of a kind.
type gathering struct {
	contact string // by Contact.Name
	class   string
}

// class names what messages of a kind are gathered with; empty: they never are.
func (k Kind) class() string {
	switch {
	case k.pages():
		return "PAGES"
	case k == BreachNotice:
		return "TARGETS MISSED"
	case k == StatusUpdate:
		return "UPDATES"
	}
	return ""
}

// lately is what one contact has been sent within Storm.Within.
type lately struct {
	single []sentPage
	open   *bundle // gathering; nil: none is
}

type sentPage struct {
	at    time.Time
	level severity.Level
}

// bundle is pages that go out as one.
type bundle struct {
	to      Contact // of the last one, who may have got new addresses
	pages   []*gathered
	sending context.CancelFunc // ends the sending; nil: it has not begun
}

// gathered is a page that waits for its bundle to go out. Thousands may wait at
// once, so that none has a goroutine.
type gathered struct {
	message Message
	bundle  *bundle
	to      string        // the contact's name
	left    bool          // it is settled: sent, or no longer wanted, as after an acknowledgement
	settled func(Receipt) // called once, without mu
	keep    func() bool   // ends the watch over its ctx
}

// join decides: it is false for a message that is to go alone, at once. Otherwise
// settled is called once, with the receipt of the bundle that the message goes out
// with, or when ctx ends before it has.
func (g *gatherer) join(ctx context.Context, to Contact, m Message, settled func(Receipt)) bool {
	class := m.Kind.class()
	if class == "" {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	with := gathering{to.Name, class}
	l := g.contacts[with]
	if l == nil {
		l = &lately{}
		if g.contacts == nil {
			g.contacts = map[gathering]*lately{}
		}
		g.contacts[with] = l
	}
	now := time.Now()
	l.single = slices.DeleteFunc(l.single, func(p sentPage) bool { return now.Sub(p.at) >= g.storm.Within })
	worst := !slices.ContainsFunc(l.single, func(p sentPage) bool { return p.level.AtLeast(m.Level) })
	if worst || l.open == nil && len(l.single) < g.storm.Pages {
		l.single = append(l.single, sentPage{now, m.Level})
		return false
	}
	if l.open == nil {
		b := &bundle{}
		l.open = b
		time.AfterFunc(g.storm.Every, func() { g.flush(l, b) })
	}
	page := &gathered{message: m, bundle: l.open, to: to.Name, settled: settled}
	l.open.to, l.open.pages = to, append(l.open.pages, page)
	page.keep = context.AfterFunc(ctx, func() { g.leave(page, ctx.Err()) })
	return true
}

// leave takes a page out of its bundle, and stops the sending if it was the last.
func (g *gatherer) leave(page *gathered, why error) {
	g.mu.Lock()
	if page.left {
		g.mu.Unlock()
		return // it was settled at the same moment
	}
	page.left = true
	if b := page.bundle; b.sending != nil && len(b.wanted()) == 0 {
		b.sending()
	}
	g.mu.Unlock()
	page.settled(stopped(page, why))
}

// settle gives the receipt of a bundle to the pages that still wait for it.
func (g *gatherer) settle(b *bundle, r Receipt) {
	g.mu.Lock()
	waited := slices.DeleteFunc(b.pages, func(p *gathered) bool { return p.left })
	for _, p := range waited {
		p.left = true
	}
	b.pages = nil
	g.mu.Unlock()
	for _, p := range waited {
		p.keep()
		r.Key = p.message.Key
		p.settled(r)
	}
}

// wanted returns the pages whose callers still wait.
func (b *bundle) wanted() []Message {
	var all []Message
	for _, p := range b.pages {
		if !p.left {
			all = append(all, p.message)
		}
	}
	return all
}

// flush sends what was gathered.
func (g *gatherer) flush(l *lately, b *bundle) {
	g.mu.Lock()
	l.open = nil // nothing joins it any more
	pages := b.wanted()
	ctx, cancel := context.WithCancel(context.Background()) // each caller has a ctx of its own, and leaves when it ends
	defer cancel()
	b.sending = cancel
	g.mu.Unlock()
	if len(pages) > 0 {
		g.grouped(len(pages))
		g.settle(b, g.deliver(ctx, b.to, together(pages, time.Now())))
	}
}

// stopped is the receipt of a message that was no longer wanted.
func stopped(page *gathered, why error) Receipt {
	return Receipt{Contact: page.to, Key: page.message.Key, RetryAt: time.Now(),
		Err: fmt.Errorf("message %s to %s: %w: it was stopped while it was gathered with others: %w", page.message.Key, page.to, ErrUndelivered, why)}
}

// mostNamed is how many incidents a gathered page names; a telephone shows no more.
const mostNamed = 30

// together writes one message for many: the worst one's text, of two the one with a
// warning, then the older, under the warnings of all and a line that says how many
// there are, and the numbers of the others. It has the worst one's key, and theirs
// in Pages.
func together(pages []Message, now time.Time) Message {
	worst := 0
	for i, m := range pages {
		w := pages[worst]
		if !w.Level.AtLeast(m.Level) || m.Level.AtLeast(w.Level) && w.Warning == "" && m.Warning != "" {
			worst = i
		}
	}
	one := pages[worst]
	others := slices.Delete(slices.Clone(pages), worst, worst+1)
	if len(others) == 0 {
		return one
	}
	one.At = now
	text := append(warnings(one, others), fmt.Sprintf("%d %s AT ONCE, the worst of them:", len(pages), one.Kind.class()), one.Text, "The others:")
	for i, m := range others {
		one.First = one.First || m.First
		one.Pages = append(one.Pages, m.Key)
		if i < mostNamed {
			text = append(text, fmt.Sprintf("%s %v", oneLine(m.Incident), m.Level))
		}
	}
	if more := len(others) - mostNamed; more > 0 {
		text = append(text, fmt.Sprintf("and %d more: see the timeline", more))
	}
	one.Text = strings.Join(text, "\n")
	return one
}

// mostWarned is how many different warnings a gathered message says in full.
const mostWarned = 5

// warnings returns those of the others that are not the first one's own, each once.
func warnings(one Message, others []Message) []string {
	seen := map[string]bool{"": true, one.Warning: true}
	var all []string
	more := 0
	for _, m := range others {
		switch {
		case seen[m.Warning]:
			continue
		case len(all) < mostWarned:
			all = append(all, oneLine(m.Incident)+": "+m.Warning)
		default:
			more++
		}
		seen[m.Warning] = true
	}
	if more > 0 {
		all = append(all, fmt.Sprintf("and %d more warnings: see the timeline", more))
	}
	return all
}
