package safety

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// Switch is a bot's emergency stop: the trading state, the gate that every order
// passes, and the holds that decide both. Open makes one, Run keeps it listening,
// Close ends it. Safe for concurrent use.
type Switch struct {
	cfg       Config
	ownsStore *FileStore // to close; nil where the caller gave a Store

	// What the hot path reads and writes. Everything else is below mu.
	opened   time.Time // the zero moment
	gate     atomic.Pointer[gate]
	write    atomic.Pointer[DeniedError] // why writes are denied; nil where they are not
	books    ledgers
	draining atomic.Int32 // how many wait for orders to settle
	tally    tally

	observed []metric.Registration // until Close; below mu

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	bg   sync.WaitGroup

	mu      sync.Mutex
	holds   []Hold
	last    uint64 // the highest hold id placed
	resumed Resumption
	flags   []FlagStatus
	running bool
	trips   *Trips        // nil where OpenTrips was not called
	windows *TripState    // what was loaded of them; kept as it is while trips is nil
	limits  *limitSet     // in force
	settled chan struct{} // closed when an order may have settled; nil while nobody waits for that

	saving  bool   // a saver goroutine is at work
	dirty   uint64 // rises with every change that has to be saved
	clean   uint64 // the value of dirty that the disk has
	saveErr error  // of the last attempt
	saved   chan struct{}
	seq     uint64

	storeMu sync.Mutex // one Save at a time; taken before mu, never inside it

	records   []record
	recording bool
	closed    bool // Close has saved what there was to save

	notes  []note
	noting bool
}

// Open returns the switch that the state and the flags say: active only where the
// state is whole, is this bot's, has no holds, and no flag lies there. Where there
// is no state, or none that can be trusted, it is halted by a hold that says so,
// and that is not an error. Whatever the state, nothing that adds exposure passes
// before Run listens.
//
// Errors are those of the configuration, and ErrInUse.
func Open(ctx context.Context, cfg Config) (*Switch, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("safety: %w", err)
	}
	s := &Switch{
		cfg:    cfg,
		opened: time.Now(),
		saved:  make(chan struct{}),
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	var opening error
	if cfg.Store == nil {
		f, err := OpenFileStore(cfg.Dir)
		switch {
		case errors.Is(err, ErrInUse):
			s.stop()
			return nil, fmt.Errorf("safety: %w", err)
		case err != nil:
			// The stop must work without its disk: go on halted, and go on trying.
			opening = err
			s.cfg.Store = &lateStore{dir: cfg.Dir}
		default:
			s.ownsStore = f
			s.cfg.Store = f
		}
	}
	s.mu.Lock()
	s.place(Hold{State: Halted, By: byWatch, Reason: "Run is not running, so nobody listens to the flags", Passing: true, Write: true})
	s.load(ctx, opening)
	s.flags = make([]FlagStatus, len(cfg.Flags))
	for i, f := range cfg.Flags {
		s.flags[i] = describeFlag(f)
	}
	s.mu.Unlock()
	s.lookAll()
	s.observe(s.instrument)
	for _, f := range s.flags {
		s.cfg.Log.Info("safety: listening to flag", "path", f.Path, "resolved", f.Resolved, "device", f.Device,
			"mount_namespace", f.MountNamespace, "state", f.State, "write", f.Write, "present", f.Present)
	}
	return s, nil
}

// load takes over the state of the store, or says in a hold why it cannot.
func (s *Switch) load(ctx context.Context, opening error) {
	st, err := State{}, opening
	if err == nil {
		st, err = s.loadPatiently(ctx)
	}
	if err == nil {
		err = st.validate()
	}
	if err == nil && st.Name != s.cfg.Name {
		err = fmt.Errorf("%w: it is of bot %q and this is %q", ErrStateDamaged, st.Name, s.cfg.Name)
	}
	switch {
	case err == nil:
		s.seq, s.last, s.resumed, s.windows = st.Seq, max(s.last, st.LastHold), st.Resumed, st.Trips
		// The passing hold placed before the state was read took an id that the
		// state may have used; ids are looked at only among what lasts.
		for i := range s.holds {
			s.last++
			s.holds[i].ID = s.last
		}
		s.holds = append(slices.Clone(st.Holds), s.holds...)
		s.changed()
	case errors.Is(err, ErrNoState):
		s.place(Hold{State: Halted, By: byState, Reason: "there is no state: this is the very first start, or the state was deleted (" + err.Error() + ")", Write: true})
	default:
		s.place(Hold{State: Halted, By: byState, Reason: "the state cannot be trusted: " + err.Error(), Write: true})
	}
}

// loadPatiently gives a store that cannot answer right now some time to.
func (s *Switch) loadPatiently(ctx context.Context) (st State, err error) {
	for try := range 3 {
		if try > 0 {
			select {
			case <-time.After(saveAgainFirst):
			case <-ctx.Done():
				return st, errors.Join(err, ctx.Err())
			}
		}
		st, err = s.cfg.Store.Load(ctx)
		if err == nil || errors.Is(err, ErrNoState) || errors.Is(err, ErrStateDamaged) {
			break
		}
	}
	return st, err
}

// The components that place holds by themselves.
const (
	byState = "andon/state"
	byWatch = "andon/watch"
	byFlag  = "andon/flag" // and the flag's path
	byClose = "andon/close"

	byRepeats = "andon/repeats"
)

// lateStore stands in for a directory that could not be opened at first.
type lateStore struct {
	dir string
	f   *FileStore
}

func (l *lateStore) Load(context.Context) (State, error) {
	return State{}, fmt.Errorf("state directory %s could not be opened", l.dir)
}

func (l *lateStore) Save(ctx context.Context, st State) error {
	if l.f == nil {
		f, err := OpenFileStore(l.dir)
		if err != nil {
			return err
		}
		// Nobody has read what lies there, so its holds are not known here: it is
		// evidence.
		f.damaged = true
		l.f = f
	}
	return l.f.Save(ctx, st)
}

// Close ends the background work and gives the state directory free. The gate
// stays shut. What is not yet durable gets DurableWithin to become so; the error
// says if it did not. It waits for a Save that is under way, and drops decisions that the
// Recorder has not taken by then. It may be called twice.
func (s *Switch) Close() error {
	s.mu.Lock()
	s.place(Hold{State: Halted, By: byClose, Reason: "the switch is closed", Passing: true, Write: true})
	if s.trips != nil && !s.closed {
		s.save() // what was fed to them since the last save
	}
	want := s.dirty
	if s.closed {
		want = 0 // the first call has said what did not become durable
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.DurableWithin)
	defer cancel()
	err := s.waitDurable(ctx, want)
	s.mu.Lock()
	s.stop() // below mu, so that nothing new starts beside the wait
	s.mu.Unlock()
	s.bg.Wait()
	s.storeMu.Lock()
	defer s.storeMu.Unlock()
	s.mu.Lock()
	late := s.clean != s.dirty && !s.closed
	s.closed = true
	s.mu.Unlock()
	if late { // a resume that was refused because of this Close, for one
		last, cancel := context.WithTimeout(context.Background(), s.cfg.DurableWithin)
		defer cancel()
		if saveErr := s.saveStored(last, nil, Resumption{}); saveErr != nil {
			err = errors.Join(err, ErrNotDurable, saveErr)
		}
	}
	if s.ownsStore != nil {
		err = errors.Join(err, s.ownsStore.Close())
	}
	for _, reg := range s.unobserved() {
		err = errors.Join(err, reg.Unregister())
	}
	if l, ok := s.cfg.Store.(*lateStore); ok && l.f != nil {
		err = errors.Join(err, l.f.Close())
	}
	return err
}

// Status is what a switch says of itself at one instant.
type Status struct {
	State      TradingState
	Holds      []Hold       // in force, strictest first; give them to Resume
	InFlight   int          // orders that have passed the gate and whose outcome is not settled
	Unresolved []string     // client ids of orders whose outcome is unknown
	Flags      []FlagStatus // each as last seen
	Resumed    Resumption   // who last opened the gate
	Durable    bool         // false while a change is not on disk yet
}

// Status returns the state, the holds and what is in flight.
func (s *Switch) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Status{
		State:      s.leasedState(s.gate.Load().state),
		Holds:      s.sorted(),
		InFlight:   s.inFlight(),
		Unresolved: s.unresolved(),
		Flags:      slices.Clone(s.flags),
		Resumed:    s.resumed,
		Durable:    s.clean == s.dirty,
	}
}

// State returns the trading state. It is one atomic load, and a look at the lease
// where there is one.
func (s *Switch) State() TradingState { return s.leasedState(s.gate.Load().state) }

// sorted returns the holds, strictest first and oldest first among equals.
func (s *Switch) sorted() []Hold {
	holds := slices.Clone(s.holds)
	slices.SortStableFunc(holds, func(a, b Hold) int { return int(a.State) - int(b.State) })
	return holds
}

// place adds a hold, closes the gate, and has the hold saved and recorded. It
// waits for nothing. Called with mu held.
func (s *Switch) place(h Hold) Hold {
	h.Reason = bounded(h.Reason)
	if h.Passing {
		for _, old := range s.holds {
			if old.same(h) {
				return old
			}
		}
	}
	s.last++
	h.ID, h.At = s.last, time.Now()
	s.holds = append(s.makeRoom(h), h)
	s.changed()
	s.note(slog.LevelWarn, "safety: hold placed", "hold", h.String())
	if !h.Passing {
		s.save()
		s.record(record{h.At, h.By, "hold placed: " + h.what(), h.Reason})
	}
	return h
}

// makeRoom returns the holds without those that a new one takes the place of: the
// one that says the same, so that pulling the cord again is news to whoever has seen
// the first pull, and the oldest of one source, once it has placed many. Called with
// mu held.
func (s *Switch) makeRoom(h Hold) []Hold {
	of := func(o Hold) bool { return o.By == h.By && o.State == h.State && o.Write == h.Write && !o.Passing }
	kept := slices.DeleteFunc(slices.Clone(s.holds), h.same)
	n := 0
	for _, o := range kept {
		if of(o) {
			n++
		}
	}
	if n >= maxHoldsOfOne {
		i := slices.IndexFunc(kept, of)
		kept = slices.Delete(kept, i, i+1)
	}
	return kept
}

const (
	maxHoldsOfOne = 16   // by one person or component and of one kind
	maxReason     = 1000 // bytes
)

// bounded keeps a reason from making the state too large to be read back.
func bounded(reason string) string {
	if len(reason) <= maxReason {
		return reason
	}
	return strings.ToValidUTF8(reason[:maxReason], "") + " (cut)"
}

// drop takes the passing holds of a component away, all but those with reason
// keep. Called with mu held.
func (s *Switch) drop(by, keep string) {
	kept := slices.DeleteFunc(slices.Clone(s.holds), func(h Hold) bool {
		return h.Passing && h.By == by && h.Reason != keep
	})
	if len(kept) == len(s.holds) {
		return
	}
	s.holds = kept
	s.changed()
}

// changed makes the gate what the holds say. Called with mu held.
func (s *Switch) changed() {
	s.regate()
	var w *DeniedError
	for _, h := range s.holds {
		if h.Write {
			w = &DeniedError{State: s.gate.Load().state, Holds: s.sorted(), Why: "writes are held"}
			break
		}
	}
	s.write.Store(w)
}
