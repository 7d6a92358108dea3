package safety

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/andon-go/andon/internal/atomicfile"
	"github.com/gofrs/flock"
)

// StateFile is the name of the file that a FileStore keeps in its directory.
const StateFile = "safety.state"

// maxStateFile bounds what is read; a state of a thousand holds is far below it.
const maxStateFile = 1 << 20

// FileStore keeps a switch's state in a directory: one file of JSON that people
// can read, with a checksum line, replaced atomically and fsynced together with
// its directory. The directory is locked against a second process for as long as
// the store is open. Safe for concurrent use.
type FileStore struct {
	path string
	lock *flock.Flock

	mu      sync.Mutex
	closed  bool
	damaged bool   // what lies at path is evidence: set it aside before replacing it
	name    string // the bot whose state lies at path; empty where that is not known
}

// OpenFileStore opens the store in dir, which it makes if need be, readable by its
// owner only. It is ErrInUse when another process has it. The directory must be on
// a disk that outlives the process, so not in /tmp.
func OpenFileStore(dir string) (*FileStore, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("state directory %q: %w", dir, err)
	}
	if err := makeDir(abs); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	lock := flock.New(filepath.Join(abs, StateFile+".lock"), flock.SetPermissions(0o600))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("state directory %s: lock: %w", abs, err)
	}
	if !ok {
		return nil, fmt.Errorf("%s: %w", abs, ErrInUse)
	}
	return &FileStore{path: filepath.Join(abs, StateFile), lock: lock}, nil
}

// makeDir makes a directory and those above it, as durable as what will lie in it.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		if info, statErr := os.Stat(dir); statErr == nil && info.IsDir() {
			return nil // another process was faster
		}
		return err
	}
	return atomicfile.SyncDir(parent)
}

// Path returns where the state lies.
func (f *FileStore) Path() string { return f.path }

// Close gives the directory free. It may be called twice.
func (f *FileStore) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return f.lock.Close()
}

// Load implements Store.
func (f *FileStore) Load(context.Context) (State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, err := readBounded(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, fmt.Errorf("%s: %w", f.path, ErrNoState)
	}
	var s State
	if err == nil {
		s, err = decodeState(b)
	}
	if err != nil {
		f.damaged = true
		return State{}, fmt.Errorf("%s: %w: %w", f.path, ErrStateDamaged, err)
	}
	f.name = s.Name
	return s, nil
}

// Save implements Store. What cannot be trusted, or is another bot's, is set aside
// under a name of its own and not written over.
func (f *FileStore) Save(_ context.Context, s State) error {
	b, err := encodeState(s)
	if err != nil {
		return err
	}
	if len(b) > maxStateFile {
		return fmt.Errorf("state of %d bytes: more than the %d that are read back", len(b), maxStateFile)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return fmt.Errorf("%s: %w", f.path, ErrClosed)
	}
	if f.damaged || f.name != "" && f.name != s.Name {
		aside := fmt.Sprintf("%s.damaged-%s", f.path, time.Now().UTC().Format("20060102T150405.000000000"))
		if err := os.Rename(f.path, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("set aside the state that lies there: %w", err)
		}
		f.damaged, f.name = false, ""
	}
	if err := atomicfile.Write(f.path, b, 0o600); err != nil {
		return err
	}
	f.name = s.Name
	return nil
}

func readBounded(path string) (b []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b, err = io.ReadAll(io.LimitReader(f, maxStateFile+1))
	if err == nil && len(b) > maxStateFile {
		err = fmt.Errorf("larger than %d bytes", maxStateFile)
	}
	return b, err
}

// stateFile is the form on disk. Version is looked at before anything else.
type stateFile struct {
	Version int `json:"version"`
	State
}

// stateVersion is the newest that is read. What an older program would misread is
// written under a newer version, so that it halts and says so.
const stateVersion = 2

// version returns the lowest version that can tell the state: 2 since holds throttle.
func (s State) version() int {
	for _, h := range s.Holds {
		if h.Throttle != nil {
			return 2
		}
	}
	return 1
}

// encodeState returns the JSON of the state followed by a line with its SHA-256.
func encodeState(s State) ([]byte, error) {
	b, err := json.MarshalIndent(stateFile{s.version(), s}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	b = append(b, '\n')
	sum := sha256.Sum256(b)
	return append(hex.AppendEncode(append(b, "sha256 "...), sum[:]), '\n'), nil
}

func decodeState(b []byte) (State, error) {
	body, sum, ok := bytes.Cut(b, []byte("\nsha256 "))
	if !ok {
		return State{}, errors.New("no checksum line: the file is torn or no state")
	}
	body = b[:len(body)+1] // the newline belongs to what was summed
	want := sha256.Sum256(body)
	if string(sum) != hex.EncodeToString(want[:])+"\n" {
		return State{}, errors.New("the checksum does not match: the file is torn or was edited")
	}
	var version struct{ Version int }
	if err := json.Unmarshal(body, &version); err != nil {
		return State{}, err
	}
	if version.Version < 1 || version.Version > stateVersion {
		return State{}, fmt.Errorf("version %d, this program reads 1 to %d", version.Version, stateVersion)
	}
	var s stateFile
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return State{}, err
	}
	if err := s.validate(); err != nil {
		return State{}, err
	}
	return s.State, nil
}

// validate reports what no switch ever saves.
func (s State) validate() error {
	var errs []error
	if s.Name == "" {
		errs = append(errs, errors.New("name is empty"))
	}
	seen := map[uint64]bool{}
	for i, h := range s.Holds {
		switch {
		case h.ID == 0 || h.ID > s.LastHold || seen[h.ID]:
			errs = append(errs, fmt.Errorf("holds[%d]: id %d is not unique within 1 to %d", i, h.ID, s.LastHold))
		case h.Throttle != nil && h.Throttle.validate(nil) != nil:
			errs = append(errs, fmt.Errorf("holds[%d]: throttle: %w", i, h.Throttle.validate(nil)))
		case h.Throttle != nil && h.Throttle.Limits != h.Throttle.Limits.withDefaults():
			errs = append(errs, fmt.Errorf("holds[%d]: throttle: %v: a limit without its window limits nothing", i, h.Throttle.Limits))
		case h.State != Halted && h.State != Reducing && (h.State != Active || h.Throttle == nil):
			errs = append(errs, fmt.Errorf("holds[%d]: state %v holds nothing", i, h.State))
		case h.By == "" || h.Reason == "":
			errs = append(errs, fmt.Errorf("holds[%d]: by %q, reason %q: neither may be empty", i, h.By, h.Reason))
		}
		seen[h.ID] = true
	}
	if s.Trips != nil {
		errs = append(errs, s.Trips.validate())
	}
	if len(s.Holds) == 0 && (s.Resumed.By == "" || s.Resumed.Note == "") {
		errs = append(errs, errors.New("no holds, and nobody who resumed"))
	}
	return errors.Join(errs...)
}
