package journal

import (
	"errors"
	"fmt"
	"os"
)

// Report is what Verify found in a journal that is whole.
type Report struct {
	Tip Tip
	// Torn is how many bytes behind the last record are none: an append that is
	// being made right now, or one that was cut short and never acknowledged.
	Torn int
}

// Verify reads the journal at path and checks the whole chain. It changes nothing
// and needs no lock, so that it can run beside the process that writes.
//
// A *DamagedError names the first record that was altered, removed or moved. A
// chain cannot show that records were cut off its end, or that all of it was
// computed anew: give the tips that were published, and each has to be in it.
func Verify(path string, published ...Tip) (Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return Report{}, fmt.Errorf("journal: %w", err)
	}
	want := map[uint64]Tip{}
	for _, t := range published {
		if old, twice := want[t.Seq]; twice && old != t {
			return Report{}, errors.Join(fmt.Errorf("journal: two tips that differ were published for record %d", t.Seq), f.Close())
		}
		want[t.Seq] = t
	}
	delete(want, 0)
	x, err := scan(f, func(t Tip) error {
		if w, ok := want[t.Seq]; ok && w != t {
			return &DamagedError{Record: t.Seq, Why: "it is not the record whose tip was published: it, or one before it, was written anew"}
		}
		delete(want, t.Seq)
		return nil
	})
	for seq := range want {
		if err == nil {
			err = &DamagedError{Record: x.tip.Seq + 1, Why: fmt.Sprintf("the records end before it, and the tip of record %d was published: they were cut off", seq)}
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return Report{}, named(path, err)
	}
	return Report{x.tip, len(x.torn)}, nil
}
