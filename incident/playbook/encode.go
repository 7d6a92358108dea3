package playbook

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Encode writes what differs from Default, so that Load reads the same playbook. A playbook
// that Load would refuse is refused, and nothing is written.
func (p Playbook) Encode(w io.Writer) error {
	return write(w, node(reflect.ValueOf(p), reflect.ValueOf(Default())))
}

// EncodeAll writes the whole playbook, for people to read and to begin with; Load reads it.
// An entry of Default that the playbook lacks is written as null.
func (p Playbook) EncodeAll(w io.Writer) error {
	root := node(reflect.ValueOf(p), reflect.ValueOf(Playbook{}))
	merge(root, node(reflect.ValueOf(p), reflect.ValueOf(Default())))
	return write(w, root)
}

// merge adds to a map what only another one of the same playbook has: what is null or empty.
func merge(n, more *yaml.Node) {
	for i := 0; i+1 < len(more.Content) && more.Kind == yaml.MappingNode; i += 2 {
		key, value := more.Content[i], more.Content[i+1]
		at := -1
		for j := 0; j+1 < len(n.Content); j += 2 {
			if n.Content[j].Value == key.Value {
				at = j
			}
		}
		switch {
		case at < 0:
			n.Content = append(n.Content, key, value)
		case value.Kind == yaml.MappingNode:
			merge(n.Content[at+1], value)
		}
	}
	if len(n.Content) > 0 {
		n.Style &^= yaml.FlowStyle
	}
}

func write(w io.Writer, root *yaml.Node) error {
	var b bytes.Buffer
	dumper, err := yaml.NewDumper(&b, yaml.WithIndent(2), yaml.WithUnicode(true), yaml.WithLineWidth(-1))
	if err != nil {
		return err
	}
	if err := errors.Join(dumper.Dump(root), dumper.Close()); err != nil {
		return err
	}
	if _, err := Load(bytes.NewReader(b.Bytes())); err != nil {
		return err
	}
	_, err = w.Write(b.Bytes()) // whole, or not at all
	return err
}

// same reports whether two values would be written in the same way. An empty list or map is
// the same as none.
func same(a, b reflect.Value) bool {
	if s := scalarOf(a.Type()); s != nil {
		return s.write(a) == s.write(b)
	}
	switch a.Kind() {
	case reflect.Struct:
		for _, f := range fields(a.Type()) {
			if !same(a.Field(f.index), b.Field(f.index)) {
				return false
			}
		}
		return true
	case reflect.Map:
		if a.Len() != b.Len() {
			return false
		}
		for _, k := range a.MapKeys() {
			if other := b.MapIndex(k); !other.IsValid() || !same(a.MapIndex(k), other) {
				return false
			}
		}
		return true
	}
	if a.Len() != b.Len() {
		return false
	}
	for i := range a.Len() {
		if !same(a.Index(i), b.Index(i)) {
			return false
		}
	}
	return true
}

// differs returns what has to be written so that base becomes v; nil where they are the same.
func differs(v, base reflect.Value) *yaml.Node {
	if same(v, base) {
		return nil
	}
	return node(v, base)
}

// node returns all of v that is not in base; never nil.
func node(v, base reflect.Value) *yaml.Node {
	if s := scalarOf(v.Type()); s != nil {
		return word(s, v)
	}
	n := &yaml.Node{Kind: yaml.MappingNode}
	put := func(key string, value *yaml.Node) {
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, value)
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range fields(v.Type()) {
			if value := differs(v.Field(f.index), base.Field(f.index)); value != nil {
				put(f.name, value)
			}
		}
	case reflect.Map:
		keys := scalarOf(v.Type().Key())
		for _, k := range sorted(append(v.MapKeys(), base.MapKeys()...), keys) {
			now, was := v.MapIndex(k), base.MapIndex(k)
			switch {
			case !now.IsValid():
				put(keys.write(k), &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"})
			case !was.IsValid():
				put(keys.write(k), node(now, reflect.Zero(now.Type())))
			default:
				if value := differs(now, was); value != nil {
					put(keys.write(k), value)
				}
			}
		}
	case reflect.Slice:
		n.Kind = yaml.SequenceNode
		for i := range v.Len() {
			n.Content = append(n.Content, node(v.Index(i), reflect.Zero(v.Type().Elem())))
		}
	}
	if len(n.Content) == 0 {
		n.Style = yaml.FlowStyle // {} and []
	}
	return n
}

// sorted returns each key once, as they are written.
func sorted(keys []reflect.Value, s *scalar) []reflect.Value {
	slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(s.write(a), s.write(b)) })
	return slices.CompactFunc(keys, func(a, b reflect.Value) bool { return s.write(a) == s.write(b) })
}

// word is a scalar as a file has it.
func word(s *scalar, v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: s.format, Value: s.write(v)}
	if strings.Contains(n.Value, "\n") {
		n.Style = yaml.LiteralStyle
	}
	return n
}
