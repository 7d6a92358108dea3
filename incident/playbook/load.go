package playbook

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxFile is how large a file may be, in bytes.
const maxFile = 1 << 20

// LoadFile reads the playbook that a file has; see Load.
func LoadFile(path string) (p Playbook, err error) {
	f, err := os.Open(path)
	if err != nil {
		return Playbook{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if p, err = Load(f); err != nil {
		return Playbook{}, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// Load reads a playbook: one YAML document that says what differs from Default.
//
// Maps are merged by key, and null takes an entry away; a list stands whole in the place of
// the default's. An empty file is Default. Keys that are not known or stand twice, aliases,
// tags, a value of another type and one that cannot be set are refused. The error joins a
// *Problem for each thing that is wrong, in the order of the lines; then there is no
// playbook.
func Load(r io.Reader) (Playbook, error) {
	root, err := parse(r)
	if err != nil {
		return Playbook{}, err
	}
	p := Default()
	d := decoder{places: map[string][2]int{}}
	if root != nil {
		d.value(root, "", reflect.ValueOf(&p).Elem(), "")
	}
	if len(d.problems) == 0 {
		d.problems = p.problems()
		for _, problem := range d.problems {
			problem.Line, problem.Column = d.place(problem.Path)
		}
	}
	if err := joined(d.problems); err != nil {
		return Playbook{}, err
	}
	return p, nil
}

// parse reads one document, or none.
func parse(r io.Reader) (*yaml.Node, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, problem("", "the file has more than %d bytes", maxFile)
	}
	loader, err := yaml.NewLoader(strings.NewReader(string(text)))
	if err != nil {
		return nil, err
	}
	var document, more yaml.Node
	switch err := loader.Load(&document); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, syntax(err)
	}
	switch err := loader.Load(&more); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, syntax(err)
	default:
		return nil, &Problem{Line: more.Line, Column: more.Column, Text: "a second document begins here, want one"}
	}
	if len(document.Content) != 1 {
		return nil, nil
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.Value == "" && root.ShortTag() == "!!null" {
		return nil, nil
	}
	return root, nil
}

// syntax is a problem of the file's own form.
func syntax(err error) error {
	if e, ok := errors.AsType[*yaml.LoadError](err); ok {
		text := e.Message
		if e.ContextMsg != "" {
			text = e.ContextMsg + ": " + text
		}
		return &Problem{Line: max(e.Mark.Line, 0), Column: max(e.Mark.Column, 0), Text: "no valid YAML: " + text}
	}
	return problem("", "no valid YAML: %v", err)
}

// decoder reads nodes into what stands there already.
type decoder struct {
	problems []*Problem
	places   map[string][2]int // line and column of each field of the file, by path
}

func (d *decoder) wrong(n *yaml.Node, path, format string, args ...any) {
	d.problems = append(d.problems, &Problem{Line: n.Line, Column: n.Column, Path: path, Text: fmt.Sprintf(format, args...)})
}

// place returns where a field stands, or the nearest one around it that the file has.
func (d *decoder) place(path string) (line, column int) {
	for path != "" {
		if at, ok := d.places[path]; ok {
			return at[0], at[1]
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return 0, 0
}

// plain refuses what a file of settings does not need, and what could grow without bound.
func (d *decoder) plain(n *yaml.Node, path string) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		d.wrong(n, path, "is an alias: write the value out")
	case n.Anchor != "":
		d.wrong(n, path, "has an anchor: nothing may refer to it")
	case n.Style&yaml.TaggedStyle != 0:
		d.wrong(n, path, "has the tag %s: leave it out", n.Tag)
	default:
		return true
	}
	return false
}

// value reads a node. fixed says who keeps the value, where the file may only repeat it.
func (d *decoder) value(n *yaml.Node, path string, to reflect.Value, fixed string) {
	if !d.plain(n, path) {
		return
	}
	d.places[path] = [2]int{n.Line, n.Column}
	s := scalarOf(to.Type())
	switch {
	case s != nil:
		d.scalar(n, path, to, s, fixed)
	case to.Kind() == reflect.Struct:
		d.object(n, path, to, fixed)
	case to.Kind() == reflect.Map:
		d.table(n, path, to, fixed)
	case to.Kind() == reflect.Slice:
		d.list(n, path, to, fixed)
	default:
		d.wrong(n, path, "cannot be set in a file")
	}
}

// found says in words what a node is.
func found(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "empty"
	case "!!int", "!!float":
		return "the number " + n.Value
	case "!!bool":
		return "the truth value " + n.Value
	}
	return fmt.Sprintf("%.60q", n.Value)
}

func (d *decoder) scalar(n *yaml.Node, path string, to reflect.Value, s *scalar, fixed string) {
	switch {
	case n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null":
		d.wrong(n, path, "is %s, want %s", found(n), s.wants)
		return
	case s == words && n.ShortTag() != "!!str":
		d.wrong(n, path, "is %s, want a text: put it in quotes", found(n))
		return
	case !slices.Contains(s.tags, n.ShortTag()) || !s.fits(n.Value):
		wants := s.wants
		if s.words != nil {
			wants = "one of " + strings.Join(s.words, ", ")
		}
		d.wrong(n, path, "is %s, want %s", found(n), wants)
		return
	}
	next := reflect.New(to.Type()).Elem()
	if err := s.parse(n.Value, next); err != nil {
		d.wrong(n, path, "is %s: %v", found(n), err)
		return
	}
	if fixed != "" && s.write(next) != s.write(to) {
		d.wrong(n, path, "is %s and cannot be set, it is %s: %s", found(n), s.write(to), fixed)
		return
	}
	to.Set(next)
}

// keys calls each for every key of a map that is a text and stands once.
func (d *decoder) keys(n *yaml.Node, path string, each func(key string, at, value *yaml.Node)) bool {
	if n.Kind != yaml.MappingNode {
		d.wrong(n, path, "is %s, want a map", found(n))
		return false
	}
	first := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case !d.plain(key, path):
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str":
			d.wrong(key, path, "has a key that is %s, want a text", found(key))
		case first[key.Value] != nil:
			d.wrong(key, join(path, key.Value), "stands in line %d already", first[key.Value].Line)
		default:
			first[key.Value] = key
			each(key.Value, key, value)
		}
	}
	return true
}

func (d *decoder) object(n *yaml.Node, path string, to reflect.Value, fixed string) {
	all := fields(to.Type())
	d.keys(n, path, func(key string, at, value *yaml.Node) {
		i := slices.IndexFunc(all, func(f field) bool { return f.name == key })
		if i < 0 {
			d.wrong(at, join(path, key), "there is no such field, want one of %s", names(all))
			return
		}
		by := fixed
		if by == "" {
			by = all[i].fixed
		}
		d.value(value, join(path, key), to.Field(all[i].index), by)
	})
}

func names(all []field) string {
	var list []string
	for _, f := range all {
		list = append(list, f.name)
	}
	return strings.Join(list, ", ")
}

func (d *decoder) table(n *yaml.Node, path string, to reflect.Value, fixed string) {
	if to.IsNil() {
		to.Set(reflect.MakeMap(to.Type()))
	}
	d.keys(n, path, func(text string, at, value *yaml.Node) {
		path := join(path, text)
		key := reflect.New(to.Type().Key()).Elem()
		s := scalarOf(key.Type())
		if text == "" {
			d.wrong(at, path, "has no name")
			return
		}
		if !s.fits(text) {
			wants := s.wants
			if s.words != nil {
				wants = "one of " + strings.Join(s.words, ", ")
			}
			d.wrong(at, path, "is the key %q, want %s", text, wants)
			return
		}
		if err := s.parse(text, key); err != nil {
			d.wrong(at, path, "is the key %q: %v", text, err)
			return
		}
		was := to.MapIndex(key)
		if value.Kind == yaml.ScalarNode && value.ShortTag() == "!!null" {
			if d.plain(value, path) && !was.IsValid() {
				d.wrong(at, path, "is null, which takes an entry away, and there is none")
			}
			to.SetMapIndex(key, reflect.Value{})
			return
		}
		next := reflect.New(to.Type().Elem()).Elem()
		if was.IsValid() {
			next.Set(was)
		}
		d.value(value, path, next, fixed)
		to.SetMapIndex(key, next)
	})
}

func (d *decoder) list(n *yaml.Node, path string, to reflect.Value, fixed string) {
	if n.Kind != yaml.SequenceNode {
		d.wrong(n, path, "is %s, want a list", found(n))
		return
	}
	before := len(d.problems)
	next := reflect.Zero(to.Type())
	for i, item := range n.Content {
		v := reflect.New(to.Type().Elem()).Elem()
		d.value(item, fmt.Sprintf("%s[%d]", path, i), v, "")
		next = reflect.Append(next, v)
	}
	if fixed != "" && len(d.problems) == before && !same(next, to) {
		d.wrong(n, path, "cannot be set: %s", fixed)
		return
	}
	to.Set(next)
}
