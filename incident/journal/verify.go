package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Report is what Verify found in a journal that is whole.
type Report struct {
	Tip Tip
	// Torn is how many bytes behind the last record are none: an append that is
	// being made right now, or one that was cut short and never acknowledged.
	Torn int
}

// Verify reads the journal at path, all of its files, and checks the whole chain. It
// changes nothing and needs no lock, so that it can run beside the process that
// writes.
//
// A *DamagedError names the first record that was altered, removed or moved. A
// chain cannot show that records were cut off its end, or that all of it was
// computed anew: give the tips that were published, such as what Published of an
// incident.Anchor returns, and each has to be in it.
func Verify(path string, published ...Tip) (Report, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Report{}, fmt.Errorf("journal: %w", err)
	}
	if _, err := os.Stat(path); err != nil {
		return Report{}, fmt.Errorf("journal: %w", err)
	}
	segments, err := openAll(path, os.O_RDONLY)
	if err != nil {
		return Report{}, named(path, err)
	}
	x, _, torn, err := check(segments, published)
	if err = errors.Join(err, closeAll(segments)); err != nil {
		return Report{}, named(path, err)
	}
	return Report{x.tip, len(torn)}, nil
}

// stat looks at the first file before anything is made. A later one without it means
// that it was removed.
func stat(path string) error {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("journal: %w", err)
	case !st.Mode().IsRegular():
		return &DamagedError{Path: path, Why: "it is not a regular file"}
	}
	return nil
}
