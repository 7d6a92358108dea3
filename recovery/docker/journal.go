package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon/internal/atomicfile"
	"github.com/gofrs/flock"
)

// phase is how far a recreation got. Where exactly it is within a phase is read from
// the engine, never from the journal.
type phase string

const (
	phaseNone    phase = ""        // not begun
	phaseForward phase = "forward" // towards the new container
	phaseBack    phase = "back"    // towards the old one
	phaseDone    phase = "done"    // the new one is in charge
	phaseUndone  phase = "undone"  // the old one is in charge again
)

func (p phase) ended() bool { return p == phaseDone || p == phaseUndone }

// journal is the durable record of one recreation: what a process that comes after
// a crash needs to finish it or to take it back.
type journal struct {
	Plan  RecreatePlan `json:"plan"`
	Phase phase        `json:"phase"`
	By    string       `json:"by"`
	Why   string       `json:"why"`
	At    time.Time    `json:"at"`
}

var journalName = regexp.MustCompile(`^recreate-[0-9a-f]{12}\.json$`)

func (s *Stack) journalPath(plan string) string {
	return filepath.Join(s.cfg.Dir, "recreate-"+short(plan)+".json")
}

// load reads the journal of a plan, by its ID or the beginning of it. One that is not
// there has phaseNone.
func (s *Stack) load(plan string) (journal, error) {
	path := s.journalPath(plan)
	if !journalName.MatchString(filepath.Base(path)) {
		return journal{}, fmt.Errorf("%q is not the ID of a plan, or less than its first 12 digits", plan)
	}
	j, err := readJournal(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return journal{}, nil
	case err != nil:
		return journal{}, err
	case !strings.HasPrefix(j.Plan.ID, plan):
		return journal{}, fmt.Errorf("journal %s is of another plan, %s", path, j.Plan.ID)
	}
	return j, nil
}

// readJournal reads one file. One that cannot be understood is an error: it may be
// of a recreation that is half done (law 1).
func readJournal(path string) (j journal, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return j, fmt.Errorf("the journal of a recreation: %w", err)
	}
	if err := json.Unmarshal(text, &j); err != nil {
		return j, fmt.Errorf("the journal of a recreation, %s: %w", path, err)
	}
	id, err := j.Plan.id()
	if err == nil && (id != j.Plan.ID || !slices.Contains([]phase{phaseForward, phaseBack, phaseDone, phaseUndone}, j.Phase)) {
		err = fmt.Errorf("the journal of a recreation, %s, is not as it was written (phase %q)", path, j.Phase)
	}
	return j, err
}

func (s *Stack) save(j journal) error {
	text, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.Write(s.journalPath(j.Plan.ID), append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("the journal of a recreation: %w", err)
	}
	return nil
}

// drop removes the journal of a plan.
func (s *Stack) drop(plan string) error {
	if err := os.Remove(s.journalPath(plan)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return atomicfile.SyncDir(s.cfg.Dir)
}

// journals reads all of them.
func (s *Stack) journals() ([]journal, error) {
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []journal
	var errs []error
	for _, e := range entries {
		if !journalName.MatchString(e.Name()) {
			continue
		}
		j, err := readJournal(filepath.Join(s.cfg.Dir, e.Name()))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, j)
	}
	return all, errors.Join(errs...)
}

// Unfinished lists the plans of recreations that a crash, or an engine that went
// away, has cut off. Recreate finishes one and Undo takes it back: a bot looks here
// when it starts.
func (s *Stack) Unfinished() ([]RecreatePlan, error) {
	all, err := s.journals()
	var plans []RecreatePlan
	for _, j := range all {
		if !j.Phase.ended() {
			plans = append(plans, j.Plan)
		}
	}
	return plans, err
}

// lock keeps other processes with the same journals out.
func (s *Stack) lock() (unlock func() error, err error) {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("the directory of the journals: %w", err)
	}
	l := flock.New(filepath.Join(s.cfg.Dir, "LOCK"), flock.SetPermissions(0o600))
	got, err := l.TryLock()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", l.Path(), err), l.Close())
	}
	if !got {
		return nil, errors.Join(fmt.Errorf("%s is held: %w", l.Path(), ErrBusy), l.Close())
	}
	return l.Close, nil
}
