package reconcile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"

	"github.com/andon-go/andon/internal/atomicfile"
)

// memory is what a Reconciler keeps across restarts.
type memory struct {
	Version    int              `json:"andon_reconcile"`
	Venue      string           `json:"venue"`
	Holds      map[cause]string `json:"holds"`
	Halt       string           `json:"halt,omitempty"`
	Confirmed  bool             `json:"confirmed"`
	Mismatches []Mismatch       `json:"mismatches"`
	Accepted   []Acceptance     `json:"accepted"`

	// SHA256 is of all the rest, so that a change by hand is seen.
	SHA256 string `json:"sha256"`
}

const memoryVersion = 1

func (m memory) sum() (string, error) {
	m.SHA256 = ""
	b, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

func (w *watch) encode(venue string) ([]byte, error) {
	m := memory{
		Version: memoryVersion, Venue: venue, Holds: w.holds, Halt: w.halt, Confirmed: w.confirmed,
		Mismatches: w.sorted(), Accepted: orEmpty(w.accepted),
	}
	var err error
	if m.SHA256, err = m.sum(); err != nil {
		return nil, err
	}
	return marshal(m)
}

func marshal(m memory) ([]byte, error) {
	b, err := json.MarshalIndent(m, "", "  ")
	return append(b, '\n'), err
}

func decodeMemory(data []byte, venue string) (*watch, error) {
	var m memory
	if err := decodeStrict(data, &m); err != nil {
		return nil, err
	}
	sum, err := m.sum()
	switch {
	case err != nil:
		return nil, err
	case m.Version != memoryVersion:
		return nil, fmt.Errorf("andon_reconcile is %d, want %d", m.Version, memoryVersion)
	case m.Venue != venue:
		return nil, fmt.Errorf("it is of venue %q, not of %q", m.Venue, venue)
	case sum != m.SHA256:
		return nil, errors.New("sha256 does not fit: it was changed")
	}
	w := newWatch()
	w.halt, w.confirmed, w.accepted = m.Halt, m.Confirmed, m.Accepted
	maps.Copy(w.holds, m.Holds)
	for _, mis := range m.Mismatches {
		w.mismatches[mis.Key] = mis
	}
	return w, nil
}

// remember loads what an earlier process knew, once. What cannot be read may have been
// a confirmed mismatch, so it counts as one. Called with mu held.
func (r *Reconciler) remember() *watch {
	if r.watch != nil {
		return r.watch
	}
	r.watch = newWatch()
	if r.config.Memory == "" {
		return r.watch
	}
	data, err := os.ReadFile(r.config.Memory)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return r.watch // no hold is ours then, so that none can be lifted wrongly
	case err == nil:
		var w *watch
		if w, err = decodeMemory(data, r.config.Venue); err == nil {
			r.watch = w
			return w
		}
	}
	r.watch.confirmed = true
	r.forgot = fmt.Sprintf("what earlier comparisons found is not known: memory %s: %v", r.config.Memory, err)
	return r.watch
}

// save makes what is known durable, if it is not. A memory that could not be read stays
// as it is until a person has resumed. Called without mu, so that a disk that hangs
// keeps nobody from narrowing trading.
func (r *Reconciler) save() error {
	if r.config.Memory == "" {
		return nil
	}
	r.saving.Lock()
	defer r.saving.Unlock()
	data, err := r.encode()
	if err == nil && data != nil && string(data) != r.saved {
		if err = atomicfile.Write(r.config.Memory, data, bookPerm); err == nil {
			r.saved = string(data)
		}
	}
	if err != nil {
		return fmt.Errorf("memory %s: %w", r.config.Memory, err)
	}
	return nil
}

func (r *Reconciler) encode() ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.forgot != "" {
		return nil, nil
	}
	return r.watch.encode(r.config.Venue)
}
