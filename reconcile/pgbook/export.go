package pgbook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/andon-go/andon/internal/atomicfile"
)

// ErrIncomplete says that a result does not hold all rows that were found.
var ErrIncomplete = errors.New("incomplete result")

// exportPerm lets the bot's own user read what it holds, and nobody else.
const exportPerm = 0o600

// exported is what the file holds.
type exported struct {
	Version int             `json:"andon_corrupted_data"`
	At      time.Time       `json:"at"`
	Rows    []exportedRow   `json:"rows"`
	NotRun  []exportedCheck `json:"not_run"` // checks of which nothing is known
	Skipped []string        `json:"skipped"`
}

type exportedRow struct {
	Check string `json:"check"`
	Table string `json:"table"`
	Row   Row    `json:"row"`
}

type exportedCheck struct {
	Check string `json:"check"`
	Why   string `json:"why"`
}

// MarshalJSON writes an object with the columns in their order and every value as a
// text, null for NULL: numbers in JSON pass through binary floating point in many
// readers.
func (r Row) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range r {
		if i > 0 {
			b.WriteByte(',')
		}
		var value any
		if !f.Null {
			value = f.Value
		}
		name, err := json.Marshal(f.Name)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(text)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// MarshalJSON writes every row with the check that it fails and its table, ordered by
// check and row, so that the same rows give the same bytes but for the time. A result
// that does not hold all rows that were found is ErrIncomplete.
func (i *Integrity) MarshalJSON() ([]byte, error) {
	out := exported{Version: 1, At: i.At, Rows: []exportedRow{}, NotRun: []exportedCheck{}, Skipped: []string{}}
	out.Skipped = append(out.Skipped, i.Skipped...)
	for _, r := range i.Results {
		if len(r.Rows) != r.Found {
			return nil, fmt.Errorf("check %s: %w: it found %d rows and holds %d: raise Limits.MaxRows", r.Check, ErrIncomplete, r.Found, len(r.Rows))
		}
		if r.Err != nil {
			out.NotRun = append(out.NotRun, exportedCheck{r.Check, r.Err.Error()})
		}
		for _, row := range r.Rows {
			out.Rows = append(out.Rows, exportedRow{r.Check, r.Table, row})
		}
	}
	return json.Marshal(out)
}

// Export writes the rows that fail a check as JSON: the playbook's
// export_corrupted_data. The file is there whole, on disk and readable by its owner
// only, or what was there before is; no half of it is ever seen.
func (i *Integrity) Export(path string) error {
	data, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return fmt.Errorf("export to %s: nothing was written: %w", path, err)
	}
	if err := atomicfile.Write(path, append(data, '\n'), exportPerm); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}
