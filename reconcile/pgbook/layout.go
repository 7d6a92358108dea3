package pgbook

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// kind is what a column holds.
type kind uint8

const (
	text kind = iota
	amount
	moment
	flag
	address
)

// column is one field of the mapping and the column that it lies in.
type column struct {
	field  string // as in the mapping
	name   string // in the table
	kind   kind
	need   need
	words  []string // the library's words, where only these are legal
	legal  []string // the table's words for them, in the same order
	bytes  [][]byte // words, as they are loaded
	future bool     // a moment that may lie ahead

	readOnly bool // never written, so it may be generated

	// Set from the catalog when the book is opened.
	typ     string // for a cast; without length or precision
	exact   bool   // numeric, which is read in its binary form
	local   bool   // a timestamp without time zone, read as UTC
	notNull bool
}

// need says what NULL means in a column.
type need uint8

const (
	required need = iota // an error: nobody can say what it means
	optional             // the zero value
	unknown              // the zero value, which is never written as a number
)

// layout is a table as the mapping describes it.
type layout struct {
	what     string // "positions", the mapping's name for it
	schema   string
	name     string
	fixed    map[string]string
	columns  []column // those that are mapped
	missing  []string // fields that must be mapped and are not
	problems []error  // what is wrong with the words
	own      bool     // in the book's own schema
}

// sql is the table's quoted name; the schema is known once the book is open.
func (l *layout) sql() string { return pgx.Identifier{l.schema, l.name}.Sanitize() }

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }

// of returns the column of a field, or nil.
func (l *layout) of(field string) *column {
	i := slices.IndexFunc(l.columns, func(c column) bool { return c.field == field })
	if i < 0 {
		return nil
	}
	return &l.columns[i]
}

// add puts a field into the layout if it has a column.
func (l *layout) add(c column, table Table, mustHave bool) {
	if c.name == "" {
		if mustHave {
			l.missing = append(l.missing, c.field)
		}
		return
	}
	if c.words != nil && c.legal == nil {
		for _, w := range c.words {
			own, ok := table.Words[w]
			if !ok {
				own = w
			}
			c.legal = append(c.legal, own)
		}
	}
	for _, w := range c.words {
		c.bytes = append(c.bytes, []byte(w))
	}
	l.columns = append(l.columns, c)
}

// validate reports what is wrong with the names.
func (l *layout) validate() []error {
	errs := l.problems
	add := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf(l.what+"."+field+": "+format, args...))
	}
	if err := checkName(l.name); err != nil {
		add("table", "%q %w", l.name, err)
	}
	if l.schema != "" {
		if err := checkName(l.schema); err != nil {
			add("schema", "%q %w", l.schema, err)
		}
	}
	for _, f := range l.missing {
		add(f, "has no column: without it the rows say too little")
	}
	for _, c := range l.columns {
		if err := checkName(c.name); err != nil {
			add(c.field, "column %q %w", c.name, err)
		}
		for i, w := range c.legal {
			if w == "" || strings.ContainsRune(w, 0) || slices.Contains(c.legal[:i], w) {
				add(c.field, "the word %q for %q is empty, has a zero byte or stands for another word too", w, c.words[i])
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.fixed)) {
		switch {
		case checkName(name) != nil:
			add("fixed", "column %q %w", name, checkName(name))
		case strings.ContainsRune(l.fixed[name], 0):
			add("fixed", "column %q: the value has a zero byte", name)
		case slices.ContainsFunc(l.columns, func(c column) bool { return c.name == name }):
			add("fixed", "column %q is mapped already", name)
		}
	}
	return errs
}

// checkWords refuses words for what no column of the table holds.
func (l *layout) checkWords(table Table) []error {
	var errs []error
	for _, w := range slices.Sorted(maps.Keys(table.Words)) {
		if !slices.ContainsFunc(l.columns, func(c column) bool { return slices.Contains(c.words, w) }) {
			errs = append(errs, fmt.Errorf("%s.words: %q is a word of no mapped column", l.what, w))
		}
	}
	return errs
}

// selected is what a query selects to read the column.
func (c *column) selected() string {
	switch {
	case c.kind == moment && c.local:
		return quoted(c.name) + " AT TIME ZONE 'UTC'"
	case c.kind == moment, c.kind == flag, c.exact:
		return quoted(c.name)
	}
	return quoted(c.name) + "::text"
}

// written is how parameter n, a text, is written into the column.
func (c *column) written(n int) string {
	switch {
	case c.kind == amount && !isText(c.typ):
		return fmt.Sprintf("$%d::text::numeric", n)
	case c.kind == moment && c.local:
		return fmt.Sprintf("($%d::text::timestamptz AT TIME ZONE 'UTC')", n)
	case isText(c.typ):
		return fmt.Sprintf("$%d::text", n)
	}
	return fmt.Sprintf("$%d::text::%s", n, c.typ)
}

func isText(typ string) bool { return typ == "text" || typ == "character varying" }

// number is an expression for an amount that is NULL where it is no finite number.
func (c *column) number() string {
	return fmt.Sprintf("CASE WHEN %s THEN %s::numeric END", c.finite(), quoted(c.name))
}

// finite is a condition that holds for amounts that are numbers.
func (c *column) finite() string {
	return quoted(c.name) + `::text ~ '^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$'`
}
