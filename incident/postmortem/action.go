package postmortem

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Action is one row of the action items: what will be better, by whom, by when.
type Action struct {
	Action   string
	Owner    string
	Due      time.Time // midnight UTC of the day
	Priority string    // "P0", "P1", ...
}

// Actions returns the action items that people have written. The error names each row
// that lacks an owner, a day or a priority; the others are returned all the same.
func (r Report) Actions() ([]Action, error) {
	text, written := r.Text[ActionItems]
	if !written {
		return nil, errors.New("post-mortem: no action item has been written")
	}
	var all []Action
	var errs []error
	n := 0
	for line := range strings.Lines(text) {
		cells := cells(line)
		if len(cells) == 0 || cells[0] == "Action" || strings.Trim(strings.Join(cells, ""), "-: ") == "" {
			continue
		}
		n++
		a, err := action(cells)
		if err != nil {
			errs = append(errs, fmt.Errorf("post-mortem: action item %d, %q: %w", n, cells[0], err))
			continue
		}
		all = append(all, a)
	}
	if n == 0 {
		errs = append(errs, errors.New("post-mortem: the table of action items has no row"))
	}
	return all, errors.Join(errs...)
}

func action(cells []string) (a Action, err error) {
	if len(cells) != 4 {
		return a, fmt.Errorf("%d columns, want Action, Owner, Due Date and Priority", len(cells))
	}
	for i, name := range []string{"the action", "the owner", "the due date", "the priority"} {
		if cells[i] == "" || strings.Contains(cells[i], Prompt) {
			return a, fmt.Errorf("%s is missing", name)
		}
	}
	due, err := time.Parse(time.DateOnly, cells[2])
	if err != nil {
		return a, fmt.Errorf("the due date is %q, want YYYY-MM-DD", cells[2])
	}
	if len(cells[3]) != 2 || cells[3][0] != 'P' || cells[3][1] < '0' || cells[3][1] > '9' {
		return a, fmt.Errorf("the priority is %q, want P0 to P9", cells[3])
	}
	return Action{Action: cells[0], Owner: cells[1], Due: due, Priority: cells[3]}, nil
}

// cells returns the cells of a table's line, nil if it is none.
func cells(line string) []string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "|") {
		return nil
	}
	line = strings.TrimPrefix(line, "|")
	var out []string
	var cell strings.Builder
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\' && i+1 < len(line):
			i++
			cell.WriteByte(line[i])
		case line[i] == '|':
			out = append(out, strings.TrimSpace(cell.String()))
			cell.Reset()
		default:
			cell.WriteByte(line[i])
		}
	}
	if rest := strings.TrimSpace(cell.String()); rest != "" {
		out = append(out, rest)
	}
	return out
}
