package pgbackup

import "fmt"

// Schema is what the catalogs say about the tables of a backup, everything in
// it spelled as the server spells it when nothing is on the search path.
type Schema struct {
	Enums     []Enum     `json:"enums,omitempty"`
	Sequences []Sequence `json:"sequences,omitempty"`
	Tables    []Table    `json:"tables"` // a partitioned table before its partitions
}

// Enum is an enumerated type that a column has.
type Enum struct {
	Schema string   `json:"schema"`
	Name   string   `json:"name"`
	Labels []string `json:"labels"`
}

// Sequence is a sequence that belongs to a column or that a default draws from.
type Sequence struct {
	Schema    string `json:"schema"`
	Name      string `json:"name"`
	Type      string `json:"type"`
	Start     int64  `json:"start"`
	Increment int64  `json:"increment"`
	Min       int64  `json:"min"`
	Max       int64  `json:"max"`
	Cache     int64  `json:"cache"`
	Cycle     bool   `json:"cycle,omitempty"`

	// Last and Called are where it stands: the next value is Last, or, when it was
	// called, the one after it.
	Last   int64 `json:"last"`
	Called bool  `json:"called"`

	// Table and Column are what it belongs to; empty when it stands by itself.
	Table    string  `json:"table,omitempty"`
	Column   string  `json:"column,omitempty"`
	Identity bool    `json:"identity,omitempty"`
	Grants   []Grant `json:"grants,omitempty"`
}

// String returns schema.name.
func (s Sequence) String() string { return s.Schema + "." + s.Name }

// Table is one table with what hangs on it.
type Table struct {
	Schema       string       `json:"schema"`
	Name         string       `json:"name"`
	Owner        string       `json:"owner"`
	Grants       []Grant      `json:"grants,omitempty"`
	Unlogged     bool         `json:"unlogged,omitempty"`
	Method       string       `json:"method,omitempty"` // of access, such as heap
	Options      []string     `json:"options,omitempty"`
	Comment      string       `json:"comment,omitempty"`
	Parent       string       `json:"parent,omitempty"`        // the table that it is a partition of
	Bound        string       `json:"bound,omitempty"`         // FOR VALUES ... of a partition
	PartitionKey string       `json:"partition_key,omitempty"` // of a partitioned table
	Identity     string       `json:"identity,omitempty"`      // REPLICA IDENTITY: FULL, NOTHING or USING INDEX x; empty: the default
	Columns      []Column     `json:"columns"`
	Constraints  []Constraint `json:"constraints,omitempty"`
	Indexes      []Index      `json:"indexes,omitempty"` // those that are no constraint's
	Triggers     []Trigger    `json:"triggers,omitempty"`
}

// String returns schema.name.
func (t Table) String() string { return t.Schema + "." + t.Name }

// Column is a column of a table.
type Column struct {
	Name      string `json:"name"`
	Type      string `json:"type"` // with its modifiers, such as numeric(20,8)
	NotNull   bool   `json:"not_null,omitempty"`
	Default   string `json:"default,omitempty"`   // or the expression of a generated column
	Generated bool   `json:"generated,omitempty"` // computed and stored
	Identity  string `json:"identity,omitempty"`  // ALWAYS or BY DEFAULT
	Collation string `json:"collation,omitempty"` // where it is not that of the type
	Storage   string `json:"storage,omitempty"`   // where it is not that of the type
	Compress  string `json:"compress,omitempty"`
	Comment   string `json:"comment,omitempty"`
	Sequence  string `json:"sequence,omitempty"` // that the default draws from, or the identity's
}

// Constraint is a key, a check, an exclusion or a foreign key.
type Constraint struct {
	Name       string `json:"name"`
	Kind       string `json:"kind"` // primary key, unique, check, exclusion, foreign key
	Definition string `json:"definition"`
	References string `json:"references,omitempty"` // the table of a foreign key
	Parent     string `json:"parent,omitempty"`     // the index of the partitioned table that its index is part of
}

// Index is an index that no constraint owns.
type Index struct {
	Name       string `json:"name"`
	Unique     bool   `json:"unique,omitempty"`
	Definition string `json:"definition"` // from USING on
	Parent     string `json:"parent,omitempty"`
	Clustered  bool   `json:"clustered,omitempty"`
}

// Trigger is a trigger that somebody made.
type Trigger struct {
	Name       string `json:"name"`
	Definition string `json:"definition"`
	Enabled    string `json:"enabled"` // ORIGIN, REPLICA, ALWAYS or DISABLED
}

// Grant is a right that somebody has on a table, or on a column of it.
type Grant struct {
	To        string `json:"to"` // PUBLIC is everybody
	Privilege string `json:"privilege"`
	Column    string `json:"column,omitempty"`
	Grantable bool   `json:"grantable,omitempty"`
}

// table returns a table by schema.name, nil when there is none.
func (s *Schema) table(name string) *Table {
	for i := range s.Tables {
		if s.Tables[i].String() == name {
			return &s.Tables[i]
		}
	}
	return nil
}

// stored returns the names of the columns whose values are backed up: all that are
// not computed from others.
func (t *Table) stored() []string {
	var names []string
	for _, c := range t.Columns {
		if !c.Generated {
			names = append(names, c.Name)
		}
	}
	return names
}

// shape is what must be the same of two tables for rows of one to be rows of the
// other. It leaves out who may do what.
func (t Table) shape() string {
	t.Owner, t.Grants, t.Comment, t.Options, t.Triggers, t.Identity = "", nil, "", nil, nil, ""
	type fields Table // without its String
	return digest(fmt.Appendf(nil, "%+v", fields(t)))
}
