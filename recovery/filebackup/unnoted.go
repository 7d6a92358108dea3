package filebackup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/andon-go/andon/internal/atomicfile"
)

// unnotedPrefix begins the name of a file that says of a plan that its exchange was about
// to be made, and that its end is not on the timeline yet. It is made durable before the
// exchange and removed after the record, so that a kill between the two is seen when the
// plan is applied again: the target alone would say that there is nothing to do.
const unnotedPrefix = "UNNOTED."

// unnoted is what that file holds, for whoever finds it.
type unnoted struct {
	Plan string    `json:"plan"`
	Into Path      `json:"into"`
	By   string    `json:"by"`
	At   time.Time `json:"at"`
}

func (j job) unnotedFile() string { return unnotedPrefix + j.p.short() }

// begin says that the exchange is about to be made.
func (j job) begin(by string, now time.Time) error {
	err := writeFrame(j.s.cfg.Dir, j.unnotedFile(), "unnoted", unnoted{j.p.ID, j.p.Into, by, now.UTC()})
	if err != nil {
		return fmt.Errorf("noting that the exchange begins: %w", err)
	}
	return nil
}

// noted forgets that the end of the plan was not on the timeline.
func (j job) noted() error {
	err := os.Remove(filepath.Join(j.s.cfg.Dir, j.unnotedFile()))
	if err == nil {
		err = atomicfile.SyncDir(j.s.cfg.Dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the end of the restore is on the timeline, and may come there again: %w", err)
	}
	return nil
}

// isUnnoted reports whether the end of the plan may be missing on the timeline. A file that
// cannot be understood says so too: it is there.
func (j job) isUnnoted() (bool, error) {
	var u unnoted
	_, err := readFrame(j.s.cfg.Dir, j.unnotedFile(), "unnoted", &u)
	if _, senseless := errors.AsType[*frameError](err); err == nil || senseless {
		return true, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return false, err
}
