package pgbackup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// relation is a table as the catalogs know it, beside its definition.
type relation struct {
	oid   int64
	bytes int64 // of its pages
	rows  int64 // about
	heap  bool
}

// The schemas that a restore makes; never backed up.
const (
	scratchPrefix = "andon_scratch_"
	keptPrefix    = "andon_kept_"
)

// listTables returns the tables to back up with all their partitions: by name, or
// every one when names is empty. Names that there are not are an error.
func listTables(ctx context.Context, conn *pgx.Conn, names []string) (map[int64]string, error) {
	sql, args := `SELECT c.oid::int8, n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
			AND NOT starts_with(n.nspname, $1) AND NOT starts_with(n.nspname, $2)
			AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`,
		[]any{scratchPrefix, keptPrefix}
	if len(names) > 0 {
		sql, args = `WITH RECURSIVE chosen AS (
			SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind IN ('r', 'p') AND n.nspname || '.' || c.relname = ANY ($1::text[])
			UNION SELECT i.inhrelid FROM pg_inherits i JOIN chosen ON i.inhparent = chosen.oid)
			SELECT c.oid::int8, n.nspname || '.' || c.relname FROM chosen JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace`,
			[]any{names}
	}
	found := map[int64]string{}
	var oid int64
	var name string
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	if _, err := pgx.ForEachRow(rows, []any{&oid, &name}, func() error {
		found[oid] = name
		return nil
	}); err != nil {
		return nil, fmt.Errorf("listing tables: %w", err)
	}
	var errs []error
	for _, name := range names {
		if !slices.Contains(slices.Collect(maps.Values(found)), name) {
			errs = append(errs, fmt.Errorf("there is no table %q", name))
		}
	}
	return found, errors.Join(errs...)
}

// reader reads definitions from the catalogs in one transaction.
type reader struct {
	conn   *pgx.Conn
	oids   []int64
	schema Schema
	at     map[int64]*Table // by oid
	rels   map[string]relation
}

// readSchema reads the definitions of tables. The search path must be that of
// session, and nobody may be able to alter the tables meanwhile.
func readSchema(ctx context.Context, conn *pgx.Conn, oids []int64) (Schema, map[string]relation, error) {
	r := &reader{conn: conn, oids: oids, at: map[int64]*Table{}, rels: map[string]relation{}}
	for _, read := range []func(context.Context) error{
		r.tables, r.columns, r.constraints, r.indexes, r.triggers, r.grants, r.enums, r.sequences, r.positions, r.refuse,
	} {
		if err := read(ctx); err != nil {
			return Schema{}, nil, fmt.Errorf("reading definitions: %w", err)
		}
	}
	return r.schema, r.rels, nil
}

// each runs a query whose only parameter is the list of tables.
func (r *reader) each(ctx context.Context, sql string, into []any, f func() error) error {
	rows, err := r.conn.Query(ctx, sql, r.oids)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, into, f)
	return err
}

func (r *reader) tables(ctx context.Context) error {
	var (
		t   Table
		rel relation
	)
	var oids []int64
	if err := r.each(ctx, `SELECT c.oid::int8, n.nspname, c.relname, pg_get_userbyid(c.relowner), c.relpersistence = 'u', coalesce(am.amname, ''),
			coalesce(c.reloptions, '{}'), coalesce(obj_description(c.oid, 'pg_class'), ''),
			coalesce((SELECT pn.nspname || '.' || p.relname FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
				JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid AND c.relispartition), ''),
			coalesce(pg_get_expr(c.relpartbound, c.oid), ''), coalesce(pg_get_partkeydef(c.oid), ''),
			CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' WHEN 'i' THEN 'USING INDEX ' || (SELECT quote_ident(ic.relname)
				FROM pg_index x JOIN pg_class ic ON ic.oid = x.indexrelid WHERE x.indrelid = c.oid AND x.indisreplident) ELSE '' END,
			CASE WHEN c.relkind = 'r' THEN pg_relation_size(c.oid) ELSE 0 END, CASE WHEN c.relkind = 'r' THEN greatest(c.reltuples, 0) ELSE 0 END::int8
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am am ON am.oid = c.relam
		WHERE c.oid = ANY ($1) ORDER BY cardinality(ARRAY(SELECT pg_partition_ancestors(c.oid))), n.nspname, c.relname`,
		[]any{
			&rel.oid, &t.Schema, &t.Name, &t.Owner, &t.Unlogged, &t.Method, &t.Options, &t.Comment, &t.Parent, &t.Bound, &t.PartitionKey,
			&t.Identity, &rel.bytes, &rel.rows,
		},
		func() error {
			rel.heap = t.Method == "heap"
			t.Options = slices.Clone(t.Options)
			if len(t.Options) == 0 {
				t.Options = nil
			}
			r.schema.Tables = append(r.schema.Tables, t)
			r.rels[t.String()] = rel
			oids = append(oids, rel.oid)
			return nil
		}); err != nil {
		return err
	}
	if len(oids) != len(r.oids) {
		return errTableGone
	}
	for i, oid := range oids {
		r.at[oid] = &r.schema.Tables[i]
	}
	return nil
}

var errTableGone = errors.New("a table was dropped meanwhile")

func (r *reader) columns(ctx context.Context) error {
	var (
		oid int64
		c   Column
	)
	return r.each(ctx, `SELECT a.attrelid::int8, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
			coalesce(pg_get_expr(d.adbin, d.adrelid), ''), a.attgenerated <> '',
			CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' ELSE '' END,
			coalesce((SELECT quote_ident(n.nspname) || '.' || quote_ident(l.collname) FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace
				WHERE l.oid = a.attcollation AND a.attcollation <> t.typcollation), ''),
			CASE WHEN a.attstorage = t.typstorage THEN '' ELSE CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL'
				WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END,
			coalesce(CASE to_jsonb(a) ->> 'attcompression' WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END, ''),
			coalesce(col_description(a.attrelid, a.attnum), ''),
			coalesce((SELECT n.nspname || '.' || s.relname FROM pg_depend p JOIN pg_class s ON s.oid = p.refobjid AND s.relkind = 'S'
				JOIN pg_namespace n ON n.oid = s.relnamespace WHERE p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid
				AND p.refclassid = 'pg_class'::regclass LIMIT 1), '')
		FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum`,
		[]any{
			&oid, &c.Name, &c.Type, &c.NotNull, &c.Default, &c.Generated, &c.Identity, &c.Collation, &c.Storage, &c.Compress, &c.Comment,
			&c.Sequence,
		},
		func() error {
			r.at[oid].Columns = append(r.at[oid].Columns, c)
			return nil
		})
}

func (r *reader) constraints(ctx context.Context) error {
	var (
		oid int64
		c   Constraint
	)
	return r.each(ctx, `SELECT k.conrelid::int8, k.conname,
			CASE k.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' WHEN 'c' THEN 'check' WHEN 'x' THEN 'exclusion' ELSE 'foreign key' END,
			pg_get_constraintdef(k.oid), coalesce((SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
				WHERE c.oid = k.confrelid), ''),
			coalesce((SELECT n.nspname || '.' || c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent
				JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.inhrelid = k.conindid AND k.contype IN ('p', 'u')), '')
		FROM pg_constraint k WHERE k.conrelid = ANY ($1) AND k.contype IN ('p', 'u', 'c', 'x', 'f') AND NOT (k.contype = 'f' AND k.conparentid <> 0)
		ORDER BY k.conrelid, array_position('{p,u,x,c,f}'::"char"[], k.contype), k.conname`,
		[]any{&oid, &c.Name, &c.Kind, &c.Definition, &c.References, &c.Parent},
		func() error {
			r.at[oid].Constraints = append(r.at[oid].Constraints, c)
			return nil
		})
}

func (r *reader) indexes(ctx context.Context) error {
	var (
		oid                 int64
		valid               bool
		i                   Index
		prefix, def, broken string
	)
	return r.each(ctx, `SELECT x.indrelid::int8, c.relname, x.indisunique, x.indisclustered, x.indisvalid OR c.relkind = 'I', pg_get_indexdef(c.oid),
			format('CREATE %sINDEX %I ON %s%I.%I ', CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END, c.relname,
				CASE WHEN t.relkind = 'p' THEN 'ONLY ' ELSE '' END, tn.nspname, t.relname),
			coalesce((SELECT n.nspname || '.' || p.relname FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
				JOIN pg_namespace n ON n.oid = p.relnamespace WHERE i.inhrelid = c.oid), '')
		FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
		WHERE x.indrelid = ANY ($1) AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid AND k.contype IN ('p', 'u', 'x') AND k.conrelid = x.indrelid)
		ORDER BY x.indrelid, c.relname`,
		[]any{&oid, &i.Name, &i.Unique, &i.Clustered, &valid, &def, &prefix, &i.Parent},
		func() error {
			t := r.at[oid]
			if !valid {
				return &UnsupportedError{t.String(), []string{"the invalid index " + i.Name}, "drop it or REINDEX it"}
			}
			if i.Definition, valid = strings.CutPrefix(def, prefix); !valid {
				broken = fmt.Sprintf("the definition of index %q is in a form that is not known: %q", i.Name, def)
				return errors.New(broken)
			}
			t.Indexes = append(t.Indexes, i)
			return nil
		})
}

func (r *reader) triggers(ctx context.Context) error {
	var (
		oid int64
		g   Trigger
	)
	return r.each(ctx, `SELECT tgrelid::int8, tgname, pg_get_triggerdef(oid),
			CASE tgenabled WHEN 'O' THEN 'ORIGIN' WHEN 'R' THEN 'REPLICA' WHEN 'A' THEN 'ALWAYS' ELSE 'DISABLED' END
		FROM pg_trigger WHERE tgrelid = ANY ($1) AND NOT tgisinternal AND tgparentid = 0 ORDER BY tgrelid, tgname`,
		[]any{&oid, &g.Name, &g.Definition, &g.Enabled},
		func() error {
			r.at[oid].Triggers = append(r.at[oid].Triggers, g)
			return nil
		})
}

func (r *reader) grants(ctx context.Context) error {
	var (
		oid int64
		g   Grant
	)
	return r.each(ctx, `WITH acl AS (
			SELECT oid, '' AS col, (aclexplode(relacl)).* FROM pg_class WHERE oid = ANY ($1)
			UNION ALL SELECT attrelid, attname, (aclexplode(attacl)).* FROM pg_attribute WHERE attrelid = ANY ($1) AND NOT attisdropped)
		SELECT acl.oid::int8, coalesce(r.rolname, 'PUBLIC'), privilege_type, col, is_grantable
		FROM acl JOIN pg_class c USING (oid) LEFT JOIN pg_roles r ON r.oid = grantee WHERE grantee <> c.relowner ORDER BY 1, 2, 3, 4`,
		[]any{&oid, &g.To, &g.Privilege, &g.Column, &g.Grantable},
		func() error {
			r.at[oid].Grants = append(r.at[oid].Grants, g)
			return nil
		})
}

func (r *reader) enums(ctx context.Context) error {
	var e Enum
	return r.each(ctx, `SELECT n.nspname, t.typname, ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder)
		FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
		WHERE t.typtype = 'e' AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = ANY ($1) AND NOT a.attisdropped AND a.attnum > 0
			AND a.atttypid IN (t.oid, t.typarray)) ORDER BY 1, 2`,
		[]any{&e.Schema, &e.Name, &e.Labels},
		func() error {
			e.Labels = slices.Clone(e.Labels)
			r.schema.Enums = append(r.schema.Enums, e)
			return nil
		})
}

func (r *reader) sequences(ctx context.Context) error {
	var s Sequence
	if err := r.each(ctx, sequencesOf,
		[]any{&s.Schema, &s.Name, &s.Type, &s.Start, &s.Increment, &s.Min, &s.Max, &s.Cache, &s.Cycle, &s.Table, &s.Column, &s.Identity},
		func() error {
			r.schema.Sequences = append(r.schema.Sequences, s)
			return nil
		}); err != nil {
		return err
	}
	for _, s := range r.schema.Sequences {
		if !s.Identity {
			continue
		}
		for i, c := range r.schema.table(s.Table).Columns {
			if c.Name == s.Column {
				r.schema.table(s.Table).Columns[i].Sequence = s.String()
			}
		}
	}
	return nil
}

// positions reads where each sequence stands. It is no part of the snapshot, and it is
// read after it was taken: no row of the snapshot has a value that is still to be drawn.
func (r *reader) positions(ctx context.Context) error {
	for i := range r.schema.Sequences {
		s := &r.schema.Sequences[i]
		if err := r.conn.QueryRow(ctx, "SELECT last_value, is_called FROM "+ident(s.Schema, s.Name)).Scan(&s.Last, &s.Called); err != nil {
			return fmt.Errorf("sequence %v: %w", s, err)
		}
		var g Grant
		rows, err := r.conn.Query(ctx, `SELECT coalesce(r.rolname, 'PUBLIC'), x.privilege_type, x.is_grantable FROM pg_class c CROSS JOIN aclexplode(c.relacl) x
			LEFT JOIN pg_roles r ON r.oid = x.grantee WHERE c.oid = $1::text::regclass AND x.grantee <> c.relowner ORDER BY 1, 2`, ident(s.Schema, s.Name))
		if err != nil {
			return err
		}
		if _, err := pgx.ForEachRow(rows, []any{&g.To, &g.Privilege, &g.Grantable}, func() error {
			s.Grants = append(s.Grants, g)
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// refuse names what a restore of these tables would not bring back.
func (r *reader) refuse(ctx context.Context) error {
	var errs []error
	var (
		name string
		what []string
	)
	if err := r.each(ctx, `SELECT n.nspname || '.' || c.relname, ARRAY(
			SELECT 'inheritance from ' || p.relname FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent WHERE i.inhrelid = c.oid AND NOT c.relispartition
			UNION ALL SELECT 'policy ' || polname FROM pg_policy WHERE polrelid = c.oid
			UNION ALL SELECT 'row level security' WHERE c.relrowsecurity
			UNION ALL SELECT 'rule ' || rulename FROM pg_rewrite WHERE ev_class = c.oid
			UNION ALL SELECT 'extended statistics ' || stxname FROM pg_statistic_ext WHERE stxrelid = c.oid
			UNION ALL SELECT 'the composite type ' || c.reloftype::regtype WHERE c.reloftype <> 0
			UNION ALL SELECT 'the partition of a table that is not backed up' WHERE c.relispartition
				AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid AND i.inhparent = ANY ($1))
			UNION ALL SELECT 'a foreign table as partition' FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid WHERE i.inhparent = c.oid AND p.relkind = 'f')
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY ($1) ORDER BY 1`,
		[]any{&name, &what},
		func() error {
			if len(what) > 0 {
				errs = append(errs, &UnsupportedError{name, slices.Clone(what), "name the other tables in Config.Tables, and this one in a pg_dump"})
			}
			return nil
		}); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// readSource reads where a backup comes from. It is the transaction's first look at
// anything: the position of the WAL is read before the snapshot is taken.
func readSource(ctx context.Context, conn *pgx.Conn) (s Source, err error) {
	err = conn.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('server_version_num')::int, current_database(),
		current_setting('server_encoding'), pg_current_snapshot()::text`).
		Scan(&s.Version, &s.Number, &s.Database, &s.Encoding, &s.Snapshot)
	if err != nil {
		return s, fmt.Errorf("reading the source: %w", err)
	}
	return s, nil
}

// readSystem reads what tells one cluster from another. A role that may not read it
// gets an empty answer, and a reason.
func readSystem(ctx context.Context, conn *pgx.Conn) (id string, timeline int, lsn string, note string, err error) {
	err = conn.QueryRow(ctx, `SELECT s.system_identifier::text, c.timeline_id,
		CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text FROM pg_control_system() s, pg_control_checkpoint() c`).
		Scan(&id, &timeline, &lsn)
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == "42501" {
		return "", 0, "", "the system identifier is not known: " + pgErr.Message, nil
	}
	if err != nil {
		return "", 0, "", "", fmt.Errorf("reading the system identifier: %w", err)
	}
	return id, timeline, lsn, "", nil
}
