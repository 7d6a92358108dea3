package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"
)

// table lays rows out in columns below a head. Of more than most, the last are left out,
// and it says how many.
func table(most int, head string, rows [][]any) (string, error) {
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, head)
	for _, cells := range rows[:min(len(rows), most)] {
		for i, c := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, oneLine.Replace(fmt.Sprint(c)))
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return "", err
	}
	if left := len(rows) - most; left > 0 {
		fmt.Fprintf(&out, "%d more lines are left out\n", left)
	}
	return out.String(), nil
}

// oneLine keeps what an intruder has named a thing from making columns and lines.
var oneLine = strings.NewReplacer("\n", `\n`, "\t", `\t`, "\r", `\r`, "\v", `\v`, "\f", `\f`, "\x1b", `\e`, "\x00", " ")

// tail keeps the last lines that it is given.
type tail struct {
	most  int
	lines []string
	seen  int
}

func (t *tail) add(line string) {
	if t.seen++; len(t.lines) < t.most {
		t.lines = append(t.lines, line)
		return
	}
	t.lines[(t.seen-1)%t.most] = line
}

func (t *tail) String() string {
	if t.seen == 0 {
		return ""
	}
	var b strings.Builder
	from := 0
	if t.seen > len(t.lines) {
		fmt.Fprintf(&b, "%d older lines are left out\n", t.seen-len(t.lines))
		from = t.seen % t.most
	}
	for i := range t.lines {
		b.WriteString(t.lines[(from+i)%len(t.lines)] + "\n")
	}
	return b.String()
}

// writeNew writes a file that nobody has, for its owner alone: with O_EXCL the system
// follows no link for the name's last part and replaces nothing. Where the name is taken,
// the next free one of path.1, path.2 and so on is used. It returns the name.
func writeNew(path, text string) (string, error) {
	const tries = 1000
	for i := range tries {
		name := path
		if i > 0 {
			name = fmt.Sprintf("%s.%d", path, i)
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = f.WriteString(text)
		return name, errors.Join(err, f.Sync(), f.Close())
	}
	return "", fmt.Errorf("%s: %w, and so do the %d names after it", path, fs.ErrExist, tries-1)
}
