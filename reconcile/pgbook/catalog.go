package pgbook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ErrMapping says that the mapping and the database do not fit.
var ErrMapping = errors.New("mapping does not fit the database")

// catalogColumn is what the catalog says of a column.
type catalogColumn struct {
	Name      string
	Type      string // qualified where it must be, without length or precision
	Base      string // the type under a domain
	Class     string // pg_type.typtype of the base: b, e and so on
	NotNull   bool
	Default   bool
	Generated bool // nobody can write it
}

// resolve looks the table up and checks every column that is mapped.
func (l *layout) resolve(ctx context.Context, tx pgx.Tx) error {
	if err := l.find(ctx, tx); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `
		SELECT a.attname::text, format_type(a.atttypid, NULL), format_type(b.oid, NULL), b.typtype::text,
			a.attnotnull OR t.typnotnull, a.atthasdef OR t.typdefault IS NOT NULL OR a.attidentity <> '',
			a.attgenerated <> '' OR a.attidentity = 'a'
		FROM pg_attribute a
		JOIN pg_type t ON t.oid = a.atttypid
		JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
		WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped`, pgx.QueryExecModeExec, l.sql())
	if err != nil {
		return err
	}
	have, err := pgx.CollectRows(rows, pgx.RowToStructByPos[catalogColumn])
	if err != nil {
		return err
	}
	return l.checkCatalog(have)
}

// find sets the schema and refuses what is no table.
func (l *layout) find(ctx context.Context, tx pgx.Tx) error {
	name := quoted(l.name)
	if l.schema != "" {
		name = l.sql()
	}
	var kind string
	err := tx.QueryRow(ctx, `
		SELECT n.nspname::text, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid = to_regclass($1)`, pgx.QueryExecModeExec, name).Scan(&l.schema, &kind)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("%s.table: there is no table %s", l.what, name)
	case err != nil:
		return err
	case kind != "r" && kind != "p":
		return fmt.Errorf("%s.table: %s is a view or something else, not a table: rows in it cannot be locked", l.what, l.sql())
	}
	return nil
}

func (l *layout) checkCatalog(have []catalogColumn) error {
	var errs []error
	byName := map[string]catalogColumn{}
	for _, c := range have {
		byName[c.Name] = c
	}
	for i := range l.columns {
		c := &l.columns[i]
		in, ok := byName[c.name]
		if !ok {
			errs = append(errs, fmt.Errorf("%s.%s: table %s has no column %q, it has %q", l.what, c.field, l.sql(), c.name, names(have)))
			continue
		}
		if err := c.take(in, l.sql(), l.changed()); err != nil {
			errs = append(errs, fmt.Errorf("%s.%s: column %s.%s: %w", l.what, c.field, l.sql(), quoted(c.name), err))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.fixed)) {
		if _, ok := byName[name]; !ok {
			errs = append(errs, fmt.Errorf("%s.fixed: table %s has no column %q", l.what, l.sql(), name))
		}
	}
	for _, c := range have {
		_, fixed := l.fixed[c.Name]
		mapped := slices.ContainsFunc(l.columns, func(m column) bool { return m.name == c.Name })
		if l.changed() && c.NotNull && !c.Default && !c.Generated && !mapped && !fixed {
			errs = append(errs, fmt.Errorf("%s.fixed: column %s.%s is not null and has no default, so that no row could be inserted: give it a value", l.what, l.sql(), quoted(c.Name)))
		}
	}
	return errors.Join(errs...)
}

// changed reports whether repairs write into the table.
func (l *layout) changed() bool { return l.what != "trades" && l.what != "whitelist" }

func names(columns []catalogColumn) []string {
	var all []string
	for _, c := range columns {
		all = append(all, c.Name)
	}
	slices.Sort(all)
	return all
}

var kindTypes = map[kind][]string{
	text:    {"text", "character varying", "uuid", "smallint", "integer", "bigint"},
	amount:  {"numeric", "smallint", "integer", "bigint", "text", "character varying"},
	moment:  {"timestamp with time zone", "timestamp without time zone"},
	flag:    {"boolean"},
	address: {"text", "character varying", "inet", "cidr"},
}

// take checks the column's type and remembers what reading and writing need of it.
func (c *column) take(in catalogColumn, table string, changed bool) error {
	fits := slices.Contains(kindTypes[c.kind], in.Base) || c.kind == text && in.Class == "e"
	switch {
	case c.kind == amount && (in.Base == "real" || in.Base == "double precision"):
		return fmt.Errorf("is %s, which rounds to binary fractions and is never exact: "+
			"ALTER TABLE %s ALTER COLUMN %s TYPE numeric USING %[3]s::text::numeric", in.Type, table, quoted(c.name))
	case c.kind == amount && in.Base == "money":
		return errors.New("is money, whose digits depend on the server's locale: make it numeric")
	case in.Base == "character":
		return errors.New("is char(n), which pads with spaces: make it text")
	case !fits:
		return fmt.Errorf("is %s, want one of %s", in.Type, strings.Join(kindTypes[c.kind], ", "))
	case changed && !c.readOnly && in.Generated:
		return errors.New("is generated, so that no repair could write it")
	}
	c.typ, c.notNull = in.Type, in.NotNull
	c.exact = c.kind == amount && in.Base == "numeric"
	c.local = in.Base == "timestamp without time zone"
	return nil
}
