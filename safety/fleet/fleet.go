package fleet

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/andon-go/andon/internal/boottime"
	"github.com/andon-go/andon/safety"
)

// Fleet is a handle on a fleet, for whoever halts it, resumes it or looks at it. It
// starts nothing and needs no closing. Safe for concurrent use.
type Fleet struct {
	cfg   Config
	clock func() time.Duration // CLOCK_BOOTTIME

	mu    sync.Mutex
	known guess
	beats map[string]still // by member id, as of the last read
}

// guess is what the last read said, so that Halt can write without reading first.
type guess struct {
	order order
	rev   int64
	next  uint64 // zero before the first read
}

// New returns a handle. Errors are those of the configuration, and that this machine
// has no clock that counts sleep.
func New(cfg Config) (*Fleet, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	clock, err := boottime.New()
	if err != nil {
		return nil, fmt.Errorf("fleet: a lease cannot be judged here: %w", err)
	}
	return &Fleet{cfg: cfg, clock: clock.Now}, nil
}

func (f *Fleet) now() time.Duration { return f.clock() }

// Status is what the fleet's records say at one instant.
type Status struct {
	Halted     bool
	Generation uint64            // rises with every halt and resume; zero before the first
	Holds      []Hold            // why it is halted, oldest first; give them to Resume
	Resumed    safety.Resumption // who last resumed it
	Members    []MemberStatus    // by id
}

// MemberStatus is what a member last said of itself.
type MemberStatus struct {
	ID, Name, Host string
	PID            int
	Joined         time.Time // by the clock of its machine
	Lease          time.Duration
	Closed         bool     // it has confirmed that its gate is closed for the present halt
	InFlight       []string // client ids that it has then named
	Err            error    // why its record cannot be read; the rest is then empty

	// Silent is for how long this handle has seen no sign of it. It is zero at the
	// first look, since only one's own clock counts.
	Silent time.Duration
}

// Status reads the fleet's records. An error means that nothing is known, least of all
// that the fleet may trade.
func (f *Fleet) Status(ctx context.Context) (Status, error) {
	v, err := f.read(ctx)
	if err != nil {
		return Status{Halted: true}, fmt.Errorf("fleet: %w", err)
	}
	st := Status{Halted: len(v.order.Holds) > 0, Generation: v.order.Generation, Holds: v.order.Holds, Resumed: v.order.Resumed}
	for i := range v.members {
		s := &v.members[i]
		m := MemberStatus{ID: s.id, Err: s.damaged, Silent: v.at - f.stillSince(s, v.at)}
		if s.member != nil {
			m.Name, m.Host, m.PID, m.Joined, m.Lease = s.Name, s.Host, s.PID, s.Joined, s.Lease
			m.Closed = s.Closed >= max(v.order.Generation, 1)
			m.InFlight = s.InFlight
		}
		st.Members = append(st.Members, m)
	}
	return st, nil
}

// stillSince returns since when, by our clock, a member's beat is known to have stood
// still, or latest where it is not known.
func (f *Fleet) stillSince(s *seat, latest time.Duration) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b, ok := f.beats[s.id]; ok && b.beat == s.beat {
		return min(b.since, latest)
	}
	return latest
}

// gone returns when, by our clock, a member's last lease is over for certain, if its beat
// moves no more: none that it had was asked for after its beat stood still.
func (f *Fleet) gone(s *seat, latest time.Duration) time.Duration {
	lease := maxLease
	if s.member != nil {
		lease = s.Lease
	}
	return f.stillSince(s, latest) + lease + margin(lease)
}

// record puts a decision on the timeline; the error is the Recorder's.
func (f *Fleet) record(ctx context.Context, who, what, why string) error {
	f.cfg.Log.Warn("fleet: "+what, "who", who, "why", why)
	if f.cfg.Recorder == nil {
		return nil
	}
	return f.cfg.Recorder.Record(ctx, time.Now(), who, what, why)
}
