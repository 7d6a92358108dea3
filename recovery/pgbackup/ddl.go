package pgbackup

import (
	"fmt"
	"strings"
)

// layout says under which schema the tables of a restore are built: each schema of the
// backup has a scratch one. What is in none of them is where it always was.
type layout struct {
	schema  *Schema
	restore map[string]bool   // the tables that are restored, by schema.name
	scratch map[string]string // by schema
}

// place returns where a table, sequence or index of a restored table is while it is
// built, quoted.
func (l *layout) place(schema, name string) string { return ident(l.scratch[schema], name) }

// table returns where a table is meanwhile: the scratch one, or, when it is not
// restored, the one that is there.
func (l *layout) table(name string) string {
	schema, table, _ := strings.Cut(name, ".")
	if l.restore[name] {
		return l.place(schema, table)
	}
	return ident(schema, table)
}

// owned returns the sequences that belong to a column of a table.
func (l *layout) owned(t *Table) []*Sequence {
	var all []*Sequence
	for i := range l.schema.Sequences {
		if l.schema.Sequences[i].Table == t.String() {
			all = append(all, &l.schema.Sequences[i])
		}
	}
	return all
}

// sequence returns the sequence that a column draws from, nil when it draws from none.
func (l *layout) sequence(c *Column) *Sequence {
	for i := range l.schema.Sequences {
		if c.Sequence != "" && l.schema.Sequences[i].String() == c.Sequence {
			return &l.schema.Sequences[i]
		}
	}
	return nil
}

// options returns how a sequence counts, as CREATE SEQUENCE takes it.
func (s *Sequence) options() string {
	cycle := "NO CYCLE"
	if s.Cycle {
		cycle = "CYCLE"
	}
	return fmt.Sprintf("START %d INCREMENT %d MINVALUE %d MAXVALUE %d CACHE %d %s", s.Start, s.Increment, s.Min, s.Max, s.Cache, cycle)
}

// create returns what makes an empty table in its scratch schema: with its sequences,
// columns, defaults and checks, and attached where it is a partition.
func (l *layout) create(t *Table) ([]string, error) {
	var sql []string
	for _, s := range l.owned(t) {
		if !s.Identity {
			sql = append(sql, fmt.Sprintf("CREATE SEQUENCE %s AS %s %s", l.place(s.Schema, s.Name), s.Type, s.options()))
		}
	}
	var parts []string
	for i := range t.Columns {
		c, err := l.column(t, &t.Columns[i])
		if err != nil {
			return nil, err
		}
		parts = append(parts, c)
	}
	for _, k := range t.Constraints {
		if k.Kind == "check" && !strings.HasSuffix(k.Definition, " NOT VALID") {
			parts = append(parts, "CONSTRAINT "+ident(k.Name)+" "+k.Definition)
		}
	}
	kind := ""
	if t.Unlogged {
		kind = "UNLOGGED "
	}
	table := fmt.Sprintf("CREATE %sTABLE %s (%s)", kind, l.place(t.Schema, t.Name), strings.Join(parts, ", "))
	if t.PartitionKey != "" {
		table += " PARTITION BY " + t.PartitionKey
	}
	if t.Method != "" && t.Method != "heap" {
		table += " USING " + ident(t.Method)
	}
	if len(t.Options) > 0 {
		table += " WITH (" + options(t.Options) + ")"
	}
	sql = append(sql, table)
	for _, s := range l.owned(t) {
		if !s.Identity {
			sql = append(sql, fmt.Sprintf("ALTER SEQUENCE %s OWNED BY %s.%s", l.place(s.Schema, s.Name), l.place(t.Schema, t.Name), ident(s.Column)))
		}
	}
	for _, c := range t.Columns {
		if c.Storage != "" {
			sql = append(sql, fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET STORAGE %s", l.place(t.Schema, t.Name), ident(c.Name), c.Storage))
		}
	}
	if t.Parent != "" {
		sql = append(sql, fmt.Sprintf("ALTER TABLE %s ATTACH PARTITION %s %s", l.table(t.Parent), l.place(t.Schema, t.Name), t.Bound))
	}
	return sql, nil
}

// options quotes storage parameters, which the catalogs keep as name=value.
func options(all []string) string {
	out := make([]string, len(all))
	for i, o := range all {
		name, value, _ := strings.Cut(o, "=")
		out[i] = strings.ReplaceAll(ident(name), `"`, "") + " = " + literal(value)
	}
	return strings.Join(out, ", ")
}

// literal quotes a text.
func literal(s string) string {
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

func (l *layout) column(t *Table, c *Column) (string, error) {
	sql := ident(c.Name) + " " + c.Type
	if c.Compress != "" {
		sql += " COMPRESSION " + c.Compress
	}
	if c.Collation != "" {
		sql += " COLLATE " + c.Collation
	}
	seq := l.sequence(c)
	switch {
	case c.Generated:
		sql += " GENERATED ALWAYS AS (" + c.Default + ") STORED"
	case c.Identity != "" && seq == nil:
		return "", fmt.Errorf("%v.%s: the sequence of its identity is not known", t, c.Name)
	case c.Identity != "":
		sql += fmt.Sprintf(" GENERATED %s AS IDENTITY (SEQUENCE NAME %s %s)", c.Identity, l.place(seq.Schema, seq.Name), seq.options())
	case c.Default != "":
		def, err := l.defaultOf(t, c, seq)
		if err != nil {
			return "", err
		}
		sql += " DEFAULT " + def
	}
	if c.NotNull {
		sql += " NOT NULL"
	}
	return sql, nil
}

// defaultOf returns a default that draws from the sequence of the scratch table. A
// sequence that belongs to no table, or to one that is not restored, stays where it is.
func (l *layout) defaultOf(t *Table, c *Column, seq *Sequence) (string, error) {
	if seq == nil || !l.restore[seq.Table] {
		return c.Default, nil
	}
	var olds []string
	for _, name := range spellings(seq.Schema, seq.Name) {
		olds = append(olds, literal(name)+"::regclass")
	}
	return moved(c.Default, olds, literal(l.place(seq.Schema, seq.Name))+"::regclass", t.String()+"."+c.Name)
}

// spellings returns how the server may print a qualified name: it quotes each part
// that needs it, and which words do is its own affair.
func spellings(schema, name string) []string {
	var all []string
	for _, s := range []string{schema, ident(schema)} {
		for _, n := range []string{name, ident(name)} {
			all = append(all, s+"."+n)
		}
	}
	return all
}

// moved replaces the only occurrence of one of the spellings of a name in an expression.
func moved(expression string, olds []string, new, what string) (string, error) {
	found, count := "", 0
	for _, old := range olds {
		if n := strings.Count(expression, old); n > 0 {
			found, count = old, count+n
		}
	}
	if count != 1 {
		return "", fmt.Errorf("%s: %q names something in a form that is not known", what, expression)
	}
	return strings.Replace(expression, found, new, 1), nil
}

// indexes returns what makes the indexes of a table that is full, those of its keys
// among them: at once, since an index, unlike a key, is made beside others.
func (l *layout) indexes(t *Table) []string {
	var sql []string
	table := l.place(t.Schema, t.Name)
	for _, k := range t.Constraints {
		if _, columns, _ := k.onIndex(t); columns != "" {
			sql = append(sql, fmt.Sprintf("CREATE UNIQUE INDEX %s ON %s %s", ident(k.Name), table, columns))
		}
	}
	for _, i := range t.Indexes {
		unique, only := "", ""
		if i.Unique {
			unique = "UNIQUE "
		}
		if t.PartitionKey != "" {
			only = "ONLY "
		}
		sql = append(sql, fmt.Sprintf("CREATE %sINDEX %s ON %s%s %s", unique, ident(i.Name), only, table, i.Definition))
	}
	return sql
}

// keys returns what adds the keys, once those indexes are there. Each locks the table.
func (l *layout) keys(t *Table) []string {
	var sql []string
	for _, k := range t.Constraints {
		switch k.Kind {
		case "primary key", "unique", "exclusion":
			def := k.Definition
			if kind, _, when := k.onIndex(t); kind != "" {
				def = kind + " USING INDEX " + ident(k.Name) + when
			}
			sql = append(sql, fmt.Sprintf("ALTER TABLE ONLY %s ADD CONSTRAINT %s %s", l.place(t.Schema, t.Name), ident(k.Name), def))
		}
	}
	return sql
}

// onIndex takes apart a key that can be put on an index that was made for it: into its
// kind, its columns, and when it is checked. All are empty for one that cannot be: on a
// partitioned table, or one that is more than its columns are unique.
func (k Constraint) onIndex(t *Table) (kind, columns, when string) {
	for _, kind := range []string{"PRIMARY KEY", "UNIQUE"} {
		columns, ok := strings.CutPrefix(k.Definition, kind+" (")
		if !ok || t.PartitionKey != "" {
			continue
		}
		for _, end := range []string{" INITIALLY DEFERRED", " DEFERRABLE"} {
			if rest, found := strings.CutSuffix(columns, end); found {
				columns, when = rest, end+when
			}
		}
		if strings.HasSuffix(columns, ")") && !strings.Contains(columns, " WITHOUT OVERLAPS)") {
			return kind, "(" + columns, when
		}
	}
	return "", "", ""
}

// dress returns what a table has beside its rows, keys and indexes, once it has those.
func (l *layout) dress(t *Table) []string {
	var sql []string
	table := l.place(t.Schema, t.Name)
	attach := func(index, parent string) {
		schema, name, _ := strings.Cut(parent, ".")
		sql = append(sql, fmt.Sprintf("ALTER INDEX %s ATTACH PARTITION %s", l.place(schema, name), l.place(t.Schema, index)))
	}
	for _, k := range t.Constraints {
		if k.Parent != "" {
			attach(k.Name, k.Parent)
		}
		if k.Kind == "check" && strings.HasSuffix(k.Definition, " NOT VALID") {
			sql = append(sql, fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT %s %s", table, ident(k.Name), k.Definition))
		}
	}
	for _, i := range t.Indexes {
		if i.Parent != "" {
			attach(i.Name, i.Parent)
		}
		if i.Clustered {
			sql = append(sql, fmt.Sprintf("ALTER TABLE %s CLUSTER ON %s", table, ident(i.Name)))
		}
	}
	if t.Identity != "" {
		sql = append(sql, fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY %s", table, t.Identity))
	}
	if t.Comment != "" {
		sql = append(sql, fmt.Sprintf("COMMENT ON TABLE %s IS %s", table, literal(t.Comment)))
	}
	for _, c := range t.Columns {
		if c.Comment != "" {
			sql = append(sql, fmt.Sprintf("COMMENT ON COLUMN %s.%s IS %s", table, ident(c.Name), literal(c.Comment)))
		}
	}
	return sql
}

// foreignKeys returns what adds a table's foreign keys: to scratch tables, or to
// those that are not restored and stay where they are.
func (l *layout) foreignKeys(t *Table) ([]string, error) {
	var sql []string
	for _, k := range t.Constraints {
		if k.Kind != "foreign key" {
			continue
		}
		schema, name, _ := strings.Cut(k.References, ".")
		var olds []string
		for _, spelling := range spellings(schema, name) {
			olds = append(olds, " REFERENCES "+spelling+"(")
		}
		def, err := moved(k.Definition, olds, " REFERENCES "+l.table(k.References)+"(", t.String()+"."+k.Name)
		if err != nil {
			return nil, err
		}
		sql = append(sql, fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT %s %s", l.place(t.Schema, t.Name), ident(k.Name), def))
	}
	return sql, nil
}

// rights returns what gives a table or sequence, named as it will be, its owner and
// what others may do with it.
func rights(kind, name, owner string, grants []Grant) []string {
	var sql []string
	if owner != "" {
		sql = append(sql, fmt.Sprintf("ALTER %s %s OWNER TO %s", kind, name, ident(owner)))
	}
	for _, g := range grants {
		to, column, option := ident(g.To), "", ""
		if g.To == "PUBLIC" {
			to = "PUBLIC"
		}
		if g.Column != "" {
			column = " (" + ident(g.Column) + ")"
		}
		if g.Grantable {
			option = " WITH GRANT OPTION"
		}
		sql = append(sql, fmt.Sprintf("GRANT %s%s ON %s %s TO %s%s", g.Privilege, column, kind, name, to, option))
	}
	return sql
}
