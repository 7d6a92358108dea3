package incident

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Shared is a Store that several processes have at once, such as package pgstore. A
// Manager on one follows what the others append, and performs what falls due only
// while it is the responder. It declares, halts its own gate, and takes decisions in
// any case, and the responder pages for it.
//
// While the store does not answer, or lets nobody become the responder, each process
// pages by itself, so that none is missing: the dedup key makes their pages one at the
// receiver.
type Shared interface {
	Store

	// Watch calls woken whenever the list has grown, by whichever process. It returns
	// once ctx ends, or with an error that is worth another try.
	Watch(ctx context.Context, woken func()) error

	// Lead waits until this process is the responder and calls lead. The context of
	// lead ends when it no longer is, and Lead returns after lead has. While it waits
	// another process is the responder, or is about to be followed: where nobody is and
	// this process cannot be, since the store does not answer or refuses it, Lead ends
	// with an error.
	Lead(ctx context.Context, who string, lead func(ctx context.Context) error) error
}

// How soon a store that did not answer is asked again, and who could not become the
// responder asks for it again.
const askAgain = time.Second

// respond performs what falls due while this process is to, until ctx ends.
func (m *Manager) respond(ctx context.Context) {
	s, shared := m.cfg.Store.(Shared)
	if !shared {
		m.lookAfter(ctx)
		return
	}
	var following sync.WaitGroup
	following.Go(func() { m.follow(ctx, s) })
	defer following.Wait()
	var alone solo
	defer alone.end()
	for ctx.Err() == nil {
		led, err := m.contend(ctx, s, &alone)
		if ctx.Err() != nil || led && m.answers(ctx) {
			continue // another process is the responder now
		}
		if alone.begin(ctx, m.lookAfter) {
			m.cfg.Log.Warn("incident: nobody is the responder, and this process cannot become it, so it responds by itself", "error", err)
		}
		pause(ctx, askAgain)
	}
}

// contend asks once to be the responder, and is it where it can. Meanwhile what this
// process performs by itself goes on for as long as the answer may still be no: twice
// as long as the longest no took. Led says that it was the responder for a while.
func (m *Manager) contend(ctx context.Context, s Shared, alone *solo) (led bool, err error) {
	asked := time.Now()
	ended := make(chan error, 1)
	go func() {
		ended <- s.Lead(ctx, m.cfg.Name, func(ctx context.Context) error {
			alone.end()
			began := time.Now()
			m.lookAfter(ctx)
			led = time.Since(began) >= askAgain
			return nil
		})
	}()
	for {
		select {
		case err := <-ended:
			if !led {
				alone.patience = max(alone.patience, 2*time.Since(asked))
			}
			return led, err
		case <-time.After(askAgain):
			if time.Since(asked) > alone.patience && m.answers(ctx) {
				alone.end()
			}
		}
	}
}

// solo is what a process performs by itself, since nobody is the responder.
type solo struct {
	patience time.Duration // how long a Lead that waits may still fail

	mu   sync.Mutex
	stop func() // ends it and waits; nil while there is none
}

// begin has work done until end. It is false where it is being done.
func (s *solo) begin(ctx context.Context, work func(ctx context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		return false
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		work(ctx)
	}()
	s.stop = func() {
		stop()
		<-ended
	}
	return true
}

// end ends what was begun, and waits for it.
func (s *solo) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// follow has the events of others read when there are any.
func (m *Manager) follow(ctx context.Context, s Shared) {
	for ctx.Err() == nil {
		if err := s.Watch(ctx, func() { nudge(m.news) }); err != nil && ctx.Err() == nil {
			m.cfg.Log.Warn("incident: the events of others are not heard; it is tried again", "error", err)
		}
		pause(ctx, askAgain)
	}
}

// answers reports whether the store can be read.
func (m *Manager) answers(ctx context.Context) bool {
	m.mu.Lock()
	last := m.last
	m.mu.Unlock()
	for _, err := range m.cfg.Store.Read(ctx, last) {
		return err == nil
	}
	return true
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// giveWay makes room for a declaration of another process that the store has, where
// one of ours waits under the same number. Ours is the same incident where it is about
// the same thing, and else takes the next number. Called with mu held.
func (m *Manager) giveWay(theirs Event) {
	ours := m.board.incidents[theirs.Incident]
	if theirs.Kind != Declared || ours == nil || !slices.ContainsFunc(m.queue, func(w *entry) bool {
		return w.taken && w.event.Kind == Declared && w.event.Incident == theirs.Incident
	}) {
		return
	}
	same := string(ours.Condition) == theirs.Data.Condition && ours.Component == theirs.Data.Component
	m.board.drop(ours)
	m.board.apply(theirs)
	number := theirs.Incident
	if !same {
		number = m.board.number(m.now(), m.provisional())
	}
	m.renumber(theirs.Incident, number)
}

// renumber has what waits of an incident that was dropped stand under another number,
// or as signals of the one that has its number. Called with mu held.
func (m *Manager) renumber(old, number string) {
	if p, ok := m.pages[old]; ok && old != number {
		delete(m.pages, old)
		m.pages[number] = p
	}
	for _, w := range m.queue {
		if w.event.Incident != old {
			continue
		}
		w.event.Incident = number
		if old == number && w.event.Kind == Declared {
			w.event.Kind = Signalled
		}
		if w.taken {
			m.board.apply(w.event)
		}
	}
	m.plan.touch(number)
}

// goAlone gives the declarations that wait a provisional number where the store has
// found out since that it is alone: another process may have given theirs to something
// else. What is under way under the old number finds the incident by it. Called with mu
// held.
func (m *Manager) goAlone() {
	name := m.provisional()
	if name == "" {
		return
	}
	for _, w := range m.queue {
		old := w.event.Incident
		if !w.taken || w.event.Kind != Declared || strings.HasSuffix(old, "-"+name) {
			continue
		}
		m.board.drop(m.board.incidents[old])
		m.renumber(old, old+"-"+name)
		m.board.incidents[old] = m.board.incidents[old+"-"+name]
	}
}

// current returns the number that an incident has by now. Called with mu held.
func (m *Manager) current(number string) string {
	if in := m.board.incidents[number]; in != nil {
		return in.Number
	}
	return number
}

// drop takes an incident off the board as if it had never been declared.
func (b *board) drop(in *Incident) {
	b.quench(in)
	delete(b.incidents, in.Number)
	delete(b.live, in.Number)
	if b.open[in.topic()] == in.Number {
		delete(b.open, in.topic())
	}
	if b.episodes[in.topic()] == in.Episode {
		b.episodes[in.topic()]--
	}
	b.order = slices.DeleteFunc(b.order, func(number string) bool { return number == in.Number })
}
