package playbook

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strings"
)

// types is the source of the types, whose comments are what an editor shows.
//
//go:embed playbook.go
var types string

// Schema returns the JSON Schema, of the draft 2020-12, of the files that Load reads: for
// editors, and for checks before a deployment. What Load refuses by its form the schema
// refuses too; keys that stand twice, and what cannot be meant, only Load sees.
func Schema() ([]byte, error) {
	d, err := comments(types)
	if err != nil {
		return nil, err
	}
	w := schemer{d, map[string]any{}}
	root := w.schema(reflect.ValueOf(Default()), "")
	root["$defs"] = w.defs
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "andon playbook"
	root["description"] = d["Playbook"]
	root["type"] = []string{"object", "null"} // an empty file is the document
	b, err := json.MarshalIndent(root, "", "  ")
	return append(b, '\n'), err
}

// described are comments by type, or by type and field: Severity.Title.
type described map[string]string

func comments(source string) (described, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "playbook.go", source, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("playbook: schema: %w", err)
	}
	d := described{}
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range gen.Specs {
			t, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			d[t.Name.Name] = sentence(gen.Doc)
			body, ok := t.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, f := range body.Fields.List {
				for _, name := range f.Names {
					d[t.Name.Name+"."+name.Name] = sentence(f.Doc)
				}
			}
		}
	}
	return d, nil
}

// schemer writes a schema.
type schemer struct {
	described
	defs map[string]any // schemas of the values of maps, by type
}

// sentence is a comment in one line.
func sentence(c *ast.CommentGroup) string {
	return strings.Join(strings.Fields(c.Text()), " ")
}

// schema describes what a file may have in the place of v, which is the default. fixed says
// who keeps it.
func (d schemer) schema(v reflect.Value, fixed string) map[string]any {
	if s := scalarOf(v.Type()); s != nil {
		return s.schema(v, fixed)
	}
	switch v.Kind() {
	case reflect.Struct:
		return d.object(v, fixed)
	case reflect.Map:
		return d.table(v, fixed)
	}
	items := d.schema(reflect.New(v.Type().Elem()).Elem(), "")
	m := map[string]any{"type": "array", "items": items}
	if fixed != "" {
		m["const"] = plain(v)
	}
	return m
}

func (d schemer) object(v reflect.Value, fixed string) map[string]any {
	properties := map[string]any{}
	for _, f := range fields(v.Type()) {
		by := fixed
		if by == "" {
			by = f.fixed
		}
		p := d.schema(v.Field(f.index), by)
		text := d.described[v.Type().Name()+"."+v.Type().Field(f.index).Name]
		if v.Type().PkgPath() != reflect.TypeFor[Playbook]().PkgPath() {
			text = ""
		}
		if by != "" {
			text = strings.TrimSpace(text + " It cannot be set: " + by + ".")
		}
		if text != "" {
			p["description"] = text
		}
		properties[f.name] = p
	}
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
}

func (d schemer) table(v reflect.Value, fixed string) map[string]any {
	keys, of := scalarOf(v.Type().Key()), v.Type().Elem()
	other := d.schema(reflect.New(of).Elem(), fixed)
	shared := fixed == "" && of.Kind() == reflect.Struct && !slices.ContainsFunc(fields(of), func(f field) bool { return f.fixed != "" })
	if shared { // the values of all keys have one schema
		d.defs[of.Name()] = other
		other = map[string]any{"$ref": "#/$defs/" + of.Name()}
	}
	properties := map[string]any{}
	for _, k := range v.MapKeys() {
		own := other
		if !shared {
			own = d.schema(v.MapIndex(k), fixed)
		}
		properties[keys.write(k)] = map[string]any{"anyOf": []any{own, map[string]any{"type": "null"}}}
	}
	names := map[string]any{"minLength": 1}
	if keys.words != nil {
		names["enum"] = keys.words
	}
	return map[string]any{
		"type": "object", "properties": properties, "propertyNames": names,
		"additionalProperties": other,
	}
}

// schema describes one word or number of a file.
func (s *scalar) schema(v reflect.Value, fixed string) map[string]any {
	switch {
	case fixed != "" && s.number == "number":
		return map[string]any{"enum": []any{json.Number(s.write(v)), s.write(v)}}
	case fixed != "":
		return map[string]any{"const": plain(v)}
	}
	m := map[string]any{"type": "string"}
	switch {
	case slices.Contains(s.tags, "!!bool"):
		m = map[string]any{"type": "boolean"}
	case s.words != nil:
		m["enum"] = s.words
	case s == integer:
		m = map[string]any{"type": "integer", "minimum": 0}
	case s.shape != nil:
		m["pattern"] = s.shape.String()
	}
	if s.number != "" && s != integer {
		number := map[string]any{"type": s.number}
		if s.number == "integer" {
			number["minimum"] = 0
		}
		m = map[string]any{"anyOf": []any{m, number}}
	}
	if !v.IsZero() {
		m["default"] = plain(v)
	}
	return m
}

// plain is a value as JSON has it.
func plain(v reflect.Value) any {
	if s := scalarOf(v.Type()); s != nil {
		switch {
		case s == truth:
			return v.Bool()
		case s == integer:
			return v.Int()
		}
		return s.write(v)
	}
	switch v.Kind() {
	case reflect.Struct:
		m := map[string]any{}
		for _, f := range fields(v.Type()) {
			if !same(v.Field(f.index), reflect.Zero(v.Type().Field(f.index).Type)) {
				m[f.name] = plain(v.Field(f.index))
			}
		}
		return m
	case reflect.Map:
		m := map[string]any{}
		for _, k := range v.MapKeys() {
			m[scalarOf(k.Type()).write(k)] = plain(v.MapIndex(k))
		}
		return m
	}
	list := []any{}
	for i := range v.Len() {
		list = append(list, plain(v.Index(i)))
	}
	return list
}
