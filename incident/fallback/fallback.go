package fallback

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/andon-go/andon/incident"
)

// Store is an incident.Store that is a shared one and a local one. New makes it. It is
// safe for concurrent use.
type Store struct {
	cfg    Config
	apart  atomic.Bool // the shared store did not answer when it was asked last, or lacks what waits
	closed atomic.Bool

	turn chan struct{} // one token; who has it has what is below
	s    state
}

// state is what the local store says.
type state struct {
	last    uint64           // its newest event
	shared  uint64           // the newest event of the shared store that is known here
	pending []incident.Event // what is here and not there, in order
}

// ErrClosed says that the store was closed.
var ErrClosed = errors.New("store closed")

// Close waits for the append that is under way; later calls get ErrClosed. It closes
// neither of the two stores: do that after it. It may be called twice; the error is
// always nil.
func (s *Store) Close() error {
	<-s.turn
	defer func() { s.turn <- struct{}{} }()
	s.closed.Store(true)
	return nil
}

// self is who the store is on the timeline.
const self = "andon/fallback"

// New reads the local store and asks nothing of the shared one. Errors are those of the
// configuration, each beginning with its field, and of reading the local store.
func New(ctx context.Context, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("fallback: %w", err)
	}
	s := &Store{cfg: cfg, turn: make(chan struct{}, 1)}
	for e, err := range cfg.Local.Read(ctx, 0) {
		if err != nil {
			return nil, fmt.Errorf("fallback: reading the local store: %w", err)
		}
		s.s.learn(e)
	}
	s.apart.Store(len(s.s.pending) > 0) // until they are there
	s.turn <- struct{}{}
	return s, nil
}

// learn takes in an event of the local store.
func (s *state) learn(e incident.Event) {
	s.last = e.Seq
	s.shared = max(s.shared, e.Cites.Seq)
	switch {
	case e.Kind == incident.Copied:
		s.settle(e.Data.Key)
	case e.Cites == (incident.Tip{}):
		s.pending = append(s.pending, e)
	}
}

// settle notes that an event of this store is in the shared one, by its hash here.
func (s *state) settle(hash string) {
	if i := slices.IndexFunc(s.pending, func(e incident.Event) bool { return e.Hash.String() == hash }); i >= 0 {
		if i == 0 { // as a rule
			s.pending = s.pending[1:]
			return
		}
		s.pending = slices.Delete(s.pending, i, i+1)
	}
}

// enter waits for its turn.
func (s *Store) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-s.turn:
		if s.closed.Load() {
			s.turn <- struct{}{}
			return nil, ErrClosed
		}
		return func() { s.turn <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Append is incident.Store's.
func (s *Store) Append(ctx context.Context, expected uint64, events ...incident.Event) ([]incident.Event, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, fmt.Errorf("fallback: append: %w", err)
	}
	defer leave()
	for _, e := range events {
		if _, err := e.Encode(); err != nil {
			return nil, fmt.Errorf("fallback: append: %w", err)
		}
	}
	for {
		if expected != incident.Any && expected != s.s.last {
			return nil, &incident.ConflictError{Expected: expected, Last: s.s.last}
		}
		if s.apart.Load() { // and while anything waits, which goes there first
			if err := s.numbered(events); err != nil {
				return nil, err
			}
			return s.keep(ctx, events)
		}
		there, err := s.cfg.Shared.Append(ctx, s.s.shared, events...)
		switch {
		case err == nil:
			return s.copyHere(ctx, there)
		case errors.Is(err, incident.ErrConflict):
			if err = s.pull(ctx); err == nil {
				continue
			}
		case errors.Is(err, incident.ErrEvent):
			return nil, fmt.Errorf("fallback: append: %w", err)
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("fallback: append: %w", err)
		}
		s.part(err)
	}
}

// part notes that the shared store is out of reach.
func (s *Store) part(err error) {
	if !s.apart.Swap(true) {
		s.cfg.Log.Error("incident: the shared store is out of reach; this process goes on by itself", "error", err)
	}
}

// numbered refuses a declaration with a number that another process may give as well.
// What finds out that the shared store is gone is often the declaration itself.
func (s *Store) numbered(events []incident.Event) error {
	for _, e := range events {
		if e.Kind == incident.Declared && !strings.HasSuffix(e.Incident, "-"+s.cfg.Name) {
			return fmt.Errorf("fallback: append: %w: the shared store is out of reach, and %s is no provisional number", incident.ErrConflict, e.Incident)
		}
	}
	return nil
}

// keep appends to the local store alone.
func (s *Store) keep(ctx context.Context, events []incident.Event) ([]incident.Event, error) {
	here, err := s.cfg.Local.Append(ctx, s.s.last, events...)
	if err != nil {
		return nil, fmt.Errorf("fallback: append: %w", err)
	}
	for _, e := range here {
		s.s.learn(e)
	}
	return here, nil
}

// copyHere appends events that the shared store has.
func (s *Store) copyHere(ctx context.Context, there []incident.Event) ([]incident.Event, error) {
	copies := make([]incident.Event, len(there))
	for i, e := range there {
		copies[i] = s.s.copyOf(e)
	}
	here, err := s.cfg.Local.Append(context.WithoutCancel(ctx), s.s.last, copies...)
	if err != nil {
		// They are there and not here. The next look finds them, as if another process
		// had appended them.
		return nil, fmt.Errorf("fallback: append: %w: it is in the shared store: %w", incident.ErrRecordUnknown, err)
	}
	for _, e := range here {
		s.s.learn(e)
	}
	return here, nil
}

// copyOf returns what the local store is to have of an event of the shared one: a copy,
// or where it is a copy of one from here, a note of that.
func (s *state) copyOf(e incident.Event) incident.Event {
	for _, p := range s.pending {
		if p.Hash == e.Cites.Hash || p.Same(e) { // Same: an append there had succeeded after all
			return incident.Event{
				At: time.Now(), Kind: incident.Copied, By: self, Cites: e.Tip(), Data: incident.Data{Key: p.Hash.String()},
				What: fmt.Sprintf("event %d is event %d of the shared store", p.Seq, e.Seq), Why: "the shared store had been out of reach",
			}
		}
	}
	e.Cites = e.Tip()
	return e
}

// batch is how many events are copied at a time.
const batch = 500

// pull copies what is new in the shared store.
func (s *Store) pull(ctx context.Context) error {
	var news []incident.Event
	for e, err := range s.cfg.Shared.Read(ctx, s.s.shared) {
		if err != nil {
			return err
		}
		if news = append(news, e); len(news) == batch {
			if _, err := s.copyHere(ctx, news); err != nil {
				return err
			}
			news = nil
		}
	}
	if len(news) == 0 {
		return nil
	}
	_, err := s.copyHere(ctx, news)
	return err
}

// push appends to the shared store what was kept here.
func (s *Store) push(ctx context.Context) error {
	for len(s.s.pending) > 0 {
		copies := make([]incident.Event, min(len(s.s.pending), batch))
		for i, e := range s.s.pending[:len(copies)] {
			e.Cites = e.Tip()
			copies[i] = e
		}
		there, err := s.cfg.Shared.Append(ctx, s.s.shared, copies...)
		switch {
		case errors.Is(err, incident.ErrConflict):
			err = s.pull(ctx)
		case err == nil:
			_, err = s.copyHere(ctx, there)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Sync brings the two together once: what is new there is copied here, and what was
// kept here is copied there. An error says that the shared store is out of reach, or
// that the local one does not take the copies; nothing is lost by it.
func (s *Store) Sync(ctx context.Context) error {
	// Asked first without the turn: an append does not wait for a store that hangs.
	var err error
	_, known := s.known()
	for _, err = range s.cfg.Shared.Read(ctx, known) {
		break
	}
	if err == nil {
		var leave func()
		if leave, err = s.enter(ctx); err == nil {
			if err = s.pull(ctx); err == nil {
				err = s.push(ctx)
			}
			if err == nil && s.apart.Swap(false) {
				s.cfg.Log.Info("incident: the shared store is back, and has what was kept here")
			}
			leave()
		}
	}
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, ErrClosed) {
			s.part(err)
		}
		return fmt.Errorf("fallback: sync: %w", err)
	}
	return nil
}

// known returns the newest event here, and how far the shared store is known.
func (s *Store) known() (here, there uint64) {
	<-s.turn
	defer func() { s.turn <- struct{}{} }()
	return s.s.last, s.s.shared
}

// Run brings the two together until ctx ends, as Watch does. The error is nil.
func (s *Store) Run(ctx context.Context) error {
	_ = s.Watch(ctx, func() {})
	return nil
}

// Watch is incident.Shared's. It calls Sync every Config.AskEvery, and at once when the
// shared store says that it has grown, and then woken whenever the list here has grown.
// It returns ctx's error. A Manager that runs on the store calls it; nobody else needs to.
func (s *Store) Watch(ctx context.Context, woken func()) error {
	heard := make(chan struct{}, 1)
	var listening sync.WaitGroup
	defer listening.Wait()
	if shared, ok := s.cfg.Shared.(incident.Shared); ok {
		listening.Go(func() { s.listen(ctx, shared, heard) })
	}
	tick := time.NewTicker(s.cfg.AskEvery)
	defer tick.Stop()
	for seen, first := uint64(0), true; ; {
		_ = s.Sync(ctx) // logged when it changes, and tried again
		if here, _ := s.known(); first || here != seen {
			seen, first = here, false
			woken()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-heard:
		}
	}
}

// listen passes on what the shared store says.
func (s *Store) listen(ctx context.Context, shared incident.Shared, heard chan struct{}) {
	for ctx.Err() == nil {
		_ = shared.Watch(ctx, func() { // with an error it hears nothing; Watch asks meanwhile
			select {
			case heard <- struct{}{}:
			default:
			}
		})
		select {
		case <-ctx.Done():
		case <-time.After(s.cfg.AskEvery):
		}
	}
}

// Read is incident.Store's, of the local store.
func (s *Store) Read(ctx context.Context, after uint64) iter.Seq2[incident.Event, error] {
	return s.local(s.cfg.Local.Read(ctx, after))
}

// ReadIncident is incident.Store's, of the local store.
func (s *Store) ReadIncident(ctx context.Context, number string) iter.Seq2[incident.Event, error] {
	return s.local(s.cfg.Local.ReadIncident(ctx, number))
}

// local is events of the local store, unless this one is closed.
func (s *Store) local(events iter.Seq2[incident.Event, error]) iter.Seq2[incident.Event, error] {
	return func(yield func(incident.Event, error) bool) {
		if s.closed.Load() {
			yield(incident.Event{}, fmt.Errorf("fallback: read: %w", ErrClosed))
			return
		}
		events(yield)
	}
}

// Provisional is incident.Provisional's: Config.Name while the shared store is out of
// reach.
func (s *Store) Provisional() string {
	if s.apart.Load() {
		return s.cfg.Name
	}
	return ""
}
