package settings

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// cell is a variable as a file has it.
type cell struct {
	Present bool
	Bare    bool   // a name of .env without an equals sign
	Raw     string // the value as it is written, quotes included
	Value   string // the value as it is read
	Expands bool   // holds a $ that readers replace, so that Value is not what they read
}

// assignment is one line of .env, or several when its value spans them.
type assignment struct {
	key        string
	start, end int // without the end of the line
	keyEnd     int
	raw, last  int // where the value is
	cell       cell
}

// dotenv is a .env file.
type dotenv struct {
	text []byte
	all  []assignment
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*`)

// parseEnv reads a .env file. A line that it does not understand is an error, which
// names the line and nothing of what stands there.
func parseEnv(text []byte) (*dotenv, error) {
	d := &dotenv{text: text}
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, errors.New("there is a zero byte in it")
	}
	i := 0
	if bytes.HasPrefix(text, []byte("\ufeff")) {
		i = len("\ufeff")
	}
	for i < len(text) {
		next, err := d.statement(i)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", 1+bytes.Count(text[:i], []byte("\n")), err)
		}
		i = next
	}
	return d, nil
}

// blanks returns the index of the first byte from i on that is no space or tab.
func (d *dotenv) blanks(i int) int {
	for i < len(d.text) && (d.text[i] == ' ' || d.text[i] == '\t') {
		i++
	}
	return i
}

// endOfLine returns where the line at i ends, and where the next begins.
func (d *dotenv) endOfLine(i int) (end, next int) {
	n := bytes.IndexByte(d.text[i:], '\n')
	if n < 0 {
		return len(d.text), len(d.text)
	}
	end, next = i+n, i+n+1
	if end > i && d.text[end-1] == '\r' {
		end--
	}
	return end, next
}

// statement reads what begins at i, the beginning of a line, and returns where the
// next one begins.
func (d *dotenv) statement(i int) (next int, err error) {
	start := d.blanks(i)
	end, next := d.endOfLine(start)
	if start >= end || d.text[start] == '#' {
		return next, nil
	}
	at := start
	if rest, ok := bytes.CutPrefix(d.text[at:end], []byte("export")); ok && len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
		at = d.blanks(at + len("export"))
	}
	key := envName.Find(d.text[at:end])
	if key == nil {
		return 0, errors.New("it does not begin with the name of a variable")
	}
	a := assignment{key: string(key), start: i, keyEnd: at + len(key), cell: cell{Present: true}}
	eq := d.blanks(a.keyEnd)
	if eq >= end || d.text[eq] == '#' {
		a.cell.Bare, a.raw, a.last, a.end = true, a.keyEnd, a.keyEnd, end
		d.all = append(d.all, a)
		return next, nil
	}
	if d.text[eq] != '=' {
		return 0, errors.New("there is no equals sign after the name")
	}
	a.raw = d.blanks(eq + 1)
	if a.raw < end && (d.text[a.raw] == '\'' || d.text[a.raw] == '"') {
		next, err = d.quoted(&a)
	} else {
		err = d.unquoted(&a, end)
	}
	d.all = append(d.all, a)
	return next, err
}

// unquoted reads the value from a.raw up to a comment or the end of the line.
func (d *dotenv) unquoted(a *assignment, end int) error {
	a.end = end
	a.last = end
	for i := a.raw; i < end; i++ {
		switch {
		case d.text[i] == '\r':
			return errors.New("there is a carriage return in it")
		case d.text[i] == '#' && i > a.raw && (d.text[i-1] == ' ' || d.text[i-1] == '\t'):
			a.last = i
		}
		if a.last == i {
			break
		}
	}
	for a.last > a.raw && (d.text[a.last-1] == ' ' || d.text[a.last-1] == '\t') {
		a.last--
	}
	a.raw = min(a.raw, a.last)
	a.cell.Raw = string(d.text[a.raw:a.last])
	a.cell.Value, a.cell.Expands = a.cell.Raw, strings.Contains(a.cell.Raw, "$")
	return nil
}

// quoted reads the value in quotes at a.raw, which may span lines.
func (d *dotenv) quoted(a *assignment) (next int, err error) {
	quote := d.text[a.raw]
	i := a.raw + 1
	for ; i < len(d.text) && d.text[i] != quote; i++ {
		if d.text[i] == '\\' {
			i++
		}
	}
	if i >= len(d.text) {
		return 0, errors.New("a quote is opened and not closed")
	}
	a.last = i + 1
	a.end, next = d.endOfLine(a.last)
	if rest := d.blanks(a.last); rest < a.end && d.text[rest] != '#' {
		return 0, errors.New("there is something after the closing quote")
	}
	a.cell.Raw = string(d.text[a.raw:a.last])
	inner := a.cell.Raw[1 : len(a.cell.Raw)-1]
	if quote == '\'' {
		a.cell.Value = strings.NewReplacer(`\\`, `\`, `\'`, `'`).Replace(inner)
		return next, nil
	}
	a.cell.Value = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n", `\r`, "\r", `\t`, "\t", `\$`, "$").Replace(inner)
	a.cell.Expands = strings.Contains(inner, "$")
	return next, nil
}

// find returns the assignment that counts: the last one of that name.
func (d *dotenv) find(name string) (assignment, bool) {
	for _, a := range slices.Backward(d.all) {
		if a.key == name {
			return a, true
		}
	}
	return assignment{}, false
}

func (d *dotenv) get(name string) (cell, error) {
	a, _ := d.find(name)
	return a.cell, nil
}

// literal returns a value as it is to be written.
func (*dotenv) literal(_ cell, value string) (string, error) { return envLiteral(value) }

var plain = regexp.MustCompile(`^[A-Za-z0-9_./:,@%+=-]+$`)

// envLiteral writes a value so that python-dotenv and compose read the same one.
func envLiteral(value string) (string, error) {
	switch {
	case strings.ContainsAny(value, "\x00\r"):
		return "", errors.New("it holds a zero byte or a carriage return")
	case plain.MatchString(value):
		return value, nil
	case !strings.Contains(value, "'") && !strings.Contains(value, `\\`) && !strings.HasSuffix(value, `\`):
		return "'" + value + "'", nil
	case !strings.ContainsAny(value, `\"$`):
		return `"` + value + `"`, nil
	}
	return "", errors.New("it has a mixture of quotes, backslashes and dollar signs that readers of .env take differently")
}

// put writes a cell in the place of what is there of that name, or at the end.
func (d *dotenv) put(name string, c cell) ([]byte, error) {
	a, found := d.find(name)
	switch {
	case !found && !c.Present:
		return d.text, nil
	case !found:
		return d.appended(name, c), nil
	case !c.Present:
		_, next := d.endOfLine(a.end)
		return slices.Concat(d.text[:a.start], d.text[next:]), nil
	case c.Bare:
		return slices.Concat(d.text[:a.keyEnd], d.text[a.last:]), nil
	case a.cell.Bare:
		return slices.Concat(d.text[:a.keyEnd], []byte("="+c.Raw), d.text[a.last:]), nil
	}
	return slices.Concat(d.text[:a.raw], []byte(c.Raw), d.text[a.last:]), nil
}

func (d *dotenv) appended(name string, c cell) []byte {
	eol := "\n"
	if bytes.Contains(d.text, []byte("\r\n")) {
		eol = "\r\n"
	}
	text := slices.Clone(d.text)
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, eol...)
	}
	text = append(text, name...)
	if !c.Bare {
		text = append(append(text, '='), c.Raw...)
	}
	return append(text, eol...)
}
