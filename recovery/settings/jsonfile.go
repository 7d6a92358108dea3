package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// jsonfile is a JSON document that is edited in place.
type jsonfile struct{ text []byte }

// member is one of an object, by where it is in the text.
type member struct {
	name       string
	key, colon int // the name in its quotes
	val, end   int
}

func parseJSON(text []byte) (*jsonfile, error) {
	if !json.Valid(text) {
		return nil, errors.New("it is not JSON")
	}
	d := &jsonfile{text}
	if i := d.blanks(0); text[i] != '{' {
		return nil, errors.New("it is JSON, and not an object")
	}
	return d, nil
}

func (d *jsonfile) blanks(i int) int {
	for i < len(d.text) && strings.IndexByte(" \t\r\n", d.text[i]) >= 0 {
		i++
	}
	return i
}

// str returns the end of the string that begins at i. The text is valid JSON.
func (d *jsonfile) str(i int) int {
	for i++; d.text[i] != '"'; i++ {
		if d.text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// value returns the end of the value that begins at i. The text is valid JSON.
func (d *jsonfile) value(i int) int {
	depth := 0
	for ; i < len(d.text); i++ {
		switch d.text[i] {
		case '"':
			i = d.str(i) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		default:
			for depth == 0 && i+1 < len(d.text) && strings.IndexByte(" \t\r\n,]}", d.text[i+1]) < 0 {
				i++ // a number, true, false, null
			}
		}
		if depth == 0 {
			return i + 1
		}
	}
	return i
}

// members returns those of the object that begins at open, and where it is closed.
func (d *jsonfile) members(open int) (all []member, closed int) {
	i := d.blanks(open + 1)
	for d.text[i] != '}' {
		m := member{key: i, colon: d.str(i)}
		if json.Unmarshal(d.text[i:m.colon], &m.name) != nil {
			m.name = string(d.text[i:m.colon]) // not reached: the text is valid
		}
		m.val = d.blanks(d.blanks(m.colon) + 1)
		m.end = d.value(m.val)
		all = append(all, m)
		if i = d.blanks(m.end); d.text[i] == ',' {
			i = d.blanks(i + 1)
		}
	}
	return all, i
}

// place is how far a path leads.
type place struct {
	open   int      // the innermost object that is there
	closed int      // where it is closed
	all    []member // its members
	i      int      // the member that the whole path names, or -1
	rest   []string // what of the path is not there
}

// find follows a path. Two members of one name on it are an error: readers take
// different ones.
func (d *jsonfile) find(path string) (place, error) {
	names := strings.Split(path, ".")
	p := place{open: d.blanks(0), i: -1}
	for n, name := range names {
		p.all, p.closed = d.members(p.open)
		at := -1
		for i, m := range p.all {
			if m.name != name {
				continue
			}
			if at >= 0 {
				return p, fmt.Errorf("%s is there twice", strings.Join(names[:n+1], "."))
			}
			at = i
		}
		switch {
		case at < 0:
			p.rest = names[n:]
			return p, nil
		case n == len(names)-1:
			p.i = at
			return p, nil
		case d.text[p.all[at].val] != '{':
			return p, fmt.Errorf("%s is not an object", strings.Join(names[:n+1], "."))
		}
		p.open = p.all[at].val
	}
	return p, nil
}

func (d *jsonfile) get(name string) (cell, error) {
	p, err := d.find(name)
	if err != nil || p.i < 0 {
		return cell{}, err
	}
	raw := string(d.text[p.all[p.i].val:p.all[p.i].end])
	c := cell{Present: true, Raw: raw, Value: raw}
	switch raw[0] {
	case '{', '[':
		return c, fmt.Errorf("%s is not a number, a text, true or false", name)
	case '"':
		err = json.Unmarshal([]byte(raw), &c.Value)
	}
	return c, err
}

// literal writes a value as the same kind of JSON as was there, and one that was not
// there as a number, true or false where it is one.
func (*jsonfile) literal(was cell, value string) (string, error) {
	scalar := json.Valid([]byte(value)) && strings.IndexByte("{[\"n", value[0]) < 0 && strings.TrimSpace(value) == value
	isText := was.Present && was.Raw[0] == '"'
	isBool := was.Raw == "true" || was.Raw == "false"
	switch {
	case isText || !was.Present && !scalar:
		raw, err := json.Marshal(value)
		return string(raw), err
	case !scalar || isBool != (value == "true" || value == "false"):
		return "", fmt.Errorf("it is of another kind than what is there")
	}
	return value, nil
}

// put writes a cell in the place of the member that a path names, or adds it.
func (d *jsonfile) put(path string, c cell) ([]byte, error) {
	p, err := d.find(path)
	if err != nil {
		return nil, err
	}
	switch {
	case p.i >= 0 && c.Present:
		m := p.all[p.i]
		return slices.Concat(d.text[:m.val], []byte(c.Raw), d.text[m.end:]), nil
	case p.i >= 0:
		from, to := d.extent(p)
		return slices.Concat(d.text[:from], d.text[to:]), nil
	case !c.Present:
		return d.text, nil
	}
	return d.added(p, c.Raw), nil
}

// extent returns what goes with a member that is taken out: a comma, and the blanks
// around it.
func (d *jsonfile) extent(p place) (from, to int) {
	switch {
	case len(p.all) == 1:
		return p.open + 1, p.closed
	case p.i == 0:
		return p.all[0].key, p.all[1].key
	}
	return p.all[p.i-1].end, p.all[p.i].end
}

// added adds what is left of a path to the innermost object there is, in the style of
// its neighbours.
func (d *jsonfile) added(p place, raw string) []byte {
	sep, colon := "", ": "
	at, comma := p.open+1, ""
	if n := len(p.all); n > 0 {
		last := p.all[n-1]
		from := p.open + 1
		if n > 1 {
			from = d.blanks(p.all[n-2].end) + 1
		}
		sep, colon = string(d.text[from:last.key]), string(d.text[last.colon:last.val])
		at, comma = last.end, ","
	}
	_, indent, lines := strings.Cut(sep, "\n")
	value := raw
	for n := len(p.rest) - 1; n > 0; n-- {
		name, deep := quote(p.rest[n]), strings.Repeat(indent, n+1)
		if lines {
			value = "{\n" + deep + name + colon + value + "\n" + strings.Repeat(indent, n) + "}"
		} else {
			value = "{" + name + colon + value + "}"
		}
	}
	return slices.Concat(d.text[:at], []byte(comma+sep+quote(p.rest[0])+colon+value), d.text[at:])
}

// quote writes a name, which is letters, digits, dashes and underscores.
func quote(name string) string { return `"` + name + `"` }
