package pgbackup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/andon-go/andon/recovery"
)

// Logical replication carries neither what tables are nor where sequences stand. The
// stream looks at both and writes into its log what it found, as messages of its own.

// ErrAltered says that a table was altered, replaced, added or dropped while its changes
// were streamed. Rows go on being kept, and no restore goes over that place: the promise
// of the RPO is broken until a new base backup was taken.
var ErrAltered = errors.New("tables were altered: take a new base backup")

// definition is what must stay the same of a table for its logged rows to be its rows.
type definition struct {
	Table   string   `json:"table"`
	OID     int64    `json:"oid"` // a table that was swapped in by a restore is another one
	Parent  string   `json:"parent,omitempty"`
	Columns []string `json:"columns"` // each with its type
}

// signature returns a table's columns as a definition has them.
func (t *Table) signature() []string {
	all := []string{}
	for _, c := range t.Columns {
		sign := c.Name + " " + c.Type
		if c.Generated {
			sign += " generated"
		}
		all = append(all, sign)
	}
	return all
}

func (d definition) equal(o definition) bool {
	return d.Table == o.Table && d.OID == o.OID && d.Parent == o.Parent && slices.Equal(d.Columns, o.Columns)
}

// readDefinitions reads what tables and their partitions are, those that there are.
func readDefinitions(ctx context.Context, conn *pgx.Conn, names []string) ([]definition, error) {
	rows, err := conn.Query(ctx, `WITH RECURSIVE chosen AS (
			SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND n.nspname || '.' || c.relname = ANY ($1::text[])
			UNION SELECT i.inhrelid FROM pg_inherits i JOIN chosen ON i.inhparent = chosen.oid)
		SELECT n.nspname || '.' || c.relname, c.oid::int8,
			coalesce((SELECT pn.nspname || '.' || p.relname FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
				WHERE i.inhrelid = c.oid AND c.relispartition), ''),
			ARRAY(SELECT a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attgenerated <> '' THEN ' generated' ELSE '' END
				FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
		FROM chosen JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
		ORDER BY cardinality(ARRAY(SELECT pg_partition_ancestors(c.oid))), 1`, names)
	if err != nil {
		return nil, err
	}
	var all []definition
	var d definition
	_, err = pgx.ForEachRow(rows, []any{&d.Table, &d.OID, &d.Parent, &d.Columns}, func() error {
		all = append(all, d)
		d.Columns = nil // the next is scanned into one of its own
		return nil
	})
	return all, err
}

// altered says how tables differ from what they were, a sentence for each.
func altered(was, is []definition) (what []string) {
	find := func(all []definition, name string) *definition {
		i := slices.IndexFunc(all, func(d definition) bool { return d.Table == name })
		if i < 0 {
			return nil
		}
		return &all[i]
	}
	for _, d := range was {
		switch now := find(is, d.Table); {
		case now == nil:
			what = append(what, d.Table+" is gone")
		case !slices.Equal(now.Columns, d.Columns):
			what = append(what, fmt.Sprintf("%s had the columns %q and has %q", d.Table, d.Columns, now.Columns))
		case now.OID != d.OID:
			what = append(what, d.Table+" was replaced by another table")
		case now.Parent != d.Parent:
			what = append(what, d.Table+" is the partition of another table")
		}
	}
	for _, d := range is {
		if find(was, d.Table) == nil {
			what = append(what, d.Table+" is new")
		}
	}
	return what
}

// unreadable reports whether a look came to nothing for now: a lock is held, or a table
// or sequence was dropped meanwhile.
func unreadable(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains([]string{"55P03", "42P01", "3F000", "XX000"}, pgErr.Code)
}

// judge compares the tables of a backup with what the log says that they were.
type judge struct {
	base   pglogrepl.LSN
	d      *Details
	chosen []*Table
	whole  bool // every table must be in the log
	before []definition
	any    bool
	err    error
}

// look takes a message of the log. What comes after the moment of the restore is not
// shown to it.
func (j *judge) look(f walFrame) error {
	if f.message[0] != tablesMessage {
		return nil
	}
	var all []definition
	if err := json.Unmarshal(f.message[1:], &all); err != nil {
		return fmt.Errorf("a message of the log at %v: %w", f.lsn, err)
	}
	j.any = true
	if f.lsn <= j.base {
		j.before = all
		return nil
	}
	j.before = nil
	if j.err == nil {
		j.err = j.compare(f.lsn, all)
	}
	return nil
}

// verdict is nil when the log holds the changes of the chosen tables, as they are in the
// backup, from there on.
func (j *judge) verdict() error {
	switch {
	case j.err != nil:
		return j.err
	case !j.any:
		return &recovery.UnprovenError{What: "the log", Err: errors.New("it does not say which tables it is of")}
	case j.before != nil && j.whole:
		return j.covered(j.before)
	}
	return nil
}

func (j *judge) covered(all []definition) error {
	for _, t := range j.chosen {
		if !slices.ContainsFunc(all, func(d definition) bool { return d.Table == t.String() }) {
			return &recovery.UnprovenError{What: "the log", Err: fmt.Errorf("it does not hold the changes of %v: add the table to StreamConfig.Tables and take a new base backup, or restore the others", t)}
		}
	}
	return nil
}

func (j *judge) compare(at pglogrepl.LSN, all []definition) error {
	if j.whole {
		if err := j.covered(all); err != nil {
			return err
		}
	}
	var differ []string
	chosen := map[string]bool{}
	for _, t := range j.chosen {
		chosen[t.String()] = true
	}
	for _, d := range all {
		t := j.d.Schema.table(d.Table)
		switch {
		case t == nil && chosen[d.Parent]:
			differ = append(differ, fmt.Sprintf("the partition %s is not in the backup", d.Table))
			chosen[d.Table] = true
		case t == nil || !chosen[d.Table]:
		case !slices.Equal(t.signature(), d.Columns):
			differ = append(differ, fmt.Sprintf("%v has the columns %q in the backup and %q then", t, t.signature(), d.Columns))
		default:
			if data, _ := j.d.data(d.Table); data.OID != 0 && data.OID != d.OID {
				differ = append(differ, fmt.Sprintf("%v was replaced by another table since", t))
			}
		}
	}
	if len(differ) > 0 {
		return fmt.Errorf("at %v: %w", at, errors.Join(ErrAltered, &SchemaError{differ}))
	}
	return nil
}

// SequenceAt is where a sequence stood. It is a value.
type SequenceAt struct {
	Sequence string `json:"sequence"` // schema.name
	Last     int64  `json:"last"`
	Called   bool   `json:"called"` // the next value is the one after Last, else Last itself
}

// sequencesOf selects the sequences that columns of tables own or draw from.
const sequencesOf = `WITH used AS (
		SELECT d.objid AS seq, d.refobjid AS rel, d.refobjsubid AS col, d.deptype = 'i' AS identity FROM pg_depend d
			WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY ($1) AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
		UNION SELECT d.refobjid, NULL, NULL, false FROM pg_attrdef f JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
			WHERE f.adrelid = ANY ($1) AND d.refclassid = 'pg_class'::regclass
			AND NOT EXISTS (SELECT FROM pg_depend o WHERE o.classid = 'pg_class'::regclass AND o.objid = d.refobjid AND o.refclassid = 'pg_class'::regclass
				AND o.refobjid = ANY ($1) AND o.deptype IN ('a', 'i')))
	SELECT n.nspname, c.relname, format_type(q.seqtypid, NULL), q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, q.seqcycle,
		coalesce(tn.nspname || '.' || t.relname, ''), coalesce(a.attname, ''), used.identity
	FROM used JOIN pg_class c ON c.oid = used.seq AND c.relkind = 'S' JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence q ON q.seqrelid = c.oid
	LEFT JOIN pg_class t ON t.oid = used.rel LEFT JOIN pg_namespace tn ON tn.oid = t.relnamespace
	LEFT JOIN pg_attribute a ON a.attrelid = used.rel AND a.attnum = used.col ORDER BY 1, 2`

// readPositions returns the statement that reads where the sequences of tables stand;
// empty: there is none.
func readPositions(ctx context.Context, conn *pgx.Conn, tables []definition) (string, error) {
	var oids []int64
	for _, d := range tables {
		oids = append(oids, d.OID)
	}
	rows, err := conn.Query(ctx, "SELECT DISTINCT nspname, relname FROM ("+sequencesOf+") s ORDER BY 1, 2", oids)
	if err != nil {
		return "", err
	}
	var selects []string
	var schema, name string
	_, err = pgx.ForEachRow(rows, []any{&schema, &name}, func() error {
		selects = append(selects, fmt.Sprintf("SELECT %s, last_value, is_called FROM %s", literal(schema+"."+name), ident(schema, name)))
		return nil
	})
	return strings.Join(selects, " UNION ALL "), err
}

// advance moves a sequence to where the log has seen it, if that is further. It never
// goes back: what was drawn is in use somewhere, be the row restored or not.
func (s *Sequence) advance(at SequenceAt) bool {
	further := at.Last > s.Last
	if s.Increment < 0 {
		further = at.Last < s.Last
	}
	if !further && !(at.Last == s.Last && at.Called && !s.Called) {
		return false
	}
	s.Last, s.Called = min(max(at.Last, s.Min), s.Max), at.Called || at.Last < s.Min || at.Last > s.Max
	return true
}

// advance moves the sequences of a schema to where a message of the log has them.
func (s *Schema) advance(f walFrame) (moved []SequenceAt, err error) {
	if f.message[0] != sequencesMessage {
		return nil, nil
	}
	var all []SequenceAt
	if err := json.Unmarshal(f.message[1:], &all); err != nil {
		return nil, fmt.Errorf("a message of the log at %v: %w", f.lsn, err)
	}
	for _, at := range all {
		for i := range s.Sequences {
			if s.Sequences[i].String() == at.Sequence && s.Sequences[i].advance(at) {
				moved = append(moved, at)
			}
		}
	}
	return moved, nil
}
