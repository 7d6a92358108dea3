package pgbackup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// liveTables are the tables that are there under the names of those to restore, with
// all their partitions, and what hangs on them.
type liveTables struct {
	schema Schema
	rels   map[string]relation
	oids   []int64
}

// readLive reads what is there.
func readLive(ctx context.Context, conn *pgx.Conn, tables []*Table) (*liveTables, error) {
	var names []string
	for _, t := range tables {
		names = append(names, t.String())
	}
	rows, err := conn.Query(ctx, `WITH RECURSIVE chosen AS (
			SELECT c.oid, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname || '.' || c.relname = ANY ($1::text[])
			UNION SELECT c.oid, c.relkind FROM pg_inherits i JOIN chosen ON i.inhparent = chosen.oid JOIN pg_class c ON c.oid = i.inhrelid)
		SELECT oid::int8, relkind::text FROM chosen ORDER BY 1`, names)
	if err != nil {
		return nil, err
	}
	l := &liveTables{rels: map[string]relation{}}
	var oid int64
	var kind string
	if _, err := pgx.ForEachRow(rows, []any{&oid, &kind}, func() error {
		if kind != "r" && kind != "p" {
			return fmt.Errorf("one of the names %q is no table now: %w", names, ErrUnsupported)
		}
		l.oids = append(l.oids, oid)
		return nil
	}); err != nil {
		return nil, err
	}
	if len(l.oids) == 0 {
		return l, nil
	}
	l.schema, l.rels, err = readSchema(ctx, conn, l.oids)
	return l, err
}

// look reads the facts of a live table; nil when there is none.
func (l *liveTables) look(ctx context.Context, conn *pgx.Conn, name string) (*Live, error) {
	rel, ok := l.rels[name]
	if !ok {
		return nil, nil
	}
	t := l.schema.table(name)
	live := &Live{OID: rel.oid, Shape: t.shape()}
	if t.PartitionKey != "" {
		return live, nil
	}
	// Which transaction wrote a row is kept with it, and its place changes too when
	// it is changed: every write changes the number of rows or one of the sums.
	err := conn.QueryRow(ctx, `SELECT count(*), coalesce(sum(xmin::text::int8), 0)::text || '/' || coalesce(sum(hashtid(ctid)), 0)::text FROM ONLY `+quoted([]string{name})[0]).
		Scan(&live.Rows, &live.Mark)
	if err != nil {
		return nil, fmt.Errorf("looking at %s: %w", name, err)
	}
	return live, nil
}

// refuse names what hangs on the live tables and could not be hung on the new ones.
func (l *liveTables) refuse(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `WITH mine AS (
			SELECT 'pg_class'::regclass AS class, oid, relname AS of FROM pg_class WHERE oid::int8 = ANY ($1::int8[])
			UNION ALL SELECT 'pg_type'::regclass, t.oid, c.relname FROM pg_class c JOIN pg_type t ON t.oid = c.reltype OR t.typelem = c.reltype WHERE c.oid::int8 = ANY ($1::int8[])
			UNION ALL SELECT 'pg_class'::regclass, d.objid, c.relname FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
				WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid::int8 = ANY ($1::int8[]) AND d.deptype IN ('a', 'i'))
		SELECT mine.of, pg_describe_object(d.classid, d.objid, d.objsubid) FROM mine JOIN pg_depend d ON d.refclassid = mine.class AND d.refobjid = mine.oid
		WHERE d.deptype = 'n'
			AND NOT (d.classid = 'pg_constraint'::regclass)
			AND NOT (d.classid = 'pg_class'::regclass AND d.objid::int8 = ANY ($1::int8[]))
			AND NOT (d.classid = 'pg_class'::regclass AND EXISTS (SELECT FROM pg_index x WHERE x.indexrelid = d.objid))
			AND NOT (d.classid = 'pg_attrdef'::regclass AND EXISTS (SELECT FROM pg_attrdef f WHERE f.oid = d.objid AND f.adrelid::int8 = ANY ($1::int8[])))
			AND NOT (d.classid = 'pg_trigger'::regclass AND EXISTS (SELECT FROM pg_trigger g WHERE g.oid = d.objid AND g.tgrelid::int8 = ANY ($1::int8[])))
			AND NOT (d.classid = 'pg_rewrite'::regclass AND EXISTS (SELECT FROM pg_rewrite w JOIN pg_class v ON v.oid = w.ev_class WHERE w.oid = d.objid AND v.relkind = 'v'))
		UNION SELECT c.relname, 'publication ' || p.pubname || ' with a filter or a list of columns' FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid
			JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid::int8 = ANY ($1::int8[])
			AND (to_jsonb(r) ->> 'prqual' IS NOT NULL OR to_jsonb(r) ->> 'prattrs' IS NOT NULL)
		ORDER BY 1, 2`, l.oids)
	if err != nil {
		return err
	}
	what := map[string][]string{}
	var of, object string
	if _, err := pgx.ForEachRow(rows, []any{&of, &object}, func() error {
		what[of] = append(what[of], object)
		return nil
	}); err != nil {
		return err
	}
	var errs []error
	for _, table := range slices.Sorted(maps.Keys(what)) {
		errs = append(errs, &UnsupportedError{table, what[table], "these hang on the table that is there and would stay with it: drop them first and make them again afterwards, or repair the rows instead"})
	}
	return errors.Join(errs...)
}

// hanging is what is moved from the live tables to the new ones.
type hanging struct {
	before []string // statements that take it off, with the live tables in their place
	after  []string // statements that hang it on, with the new tables in their place
	lock   []string // other tables that these alter, quoted
}

// readHanging reads the foreign keys of others, the views and the publications.
func (l *liveTables) readHanging(ctx context.Context, conn *pgx.Conn) (h hanging, err error) {
	if len(l.oids) == 0 {
		return h, nil
	}
	var table, sql, undo, redo string
	rows, err := conn.Query(ctx, `SELECT k.conrelid::int8 = ANY ($1::int8[]), format('%I.%I', n.nspname, c.relname),
			format('ALTER TABLE %I.%I DROP CONSTRAINT %I', n.nspname, c.relname, k.conname),
			format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid))
		FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE k.contype = 'f' AND k.conparentid = 0 AND (k.confrelid::int8 = ANY ($1::int8[]) <> (k.conrelid::int8 = ANY ($1::int8[]))) ORDER BY 2, 3`, l.oids)
	if err != nil {
		return h, err
	}
	var mine bool
	if _, err := pgx.ForEachRow(rows, []any{&mine, &table, &undo, &redo}, func() error {
		h.before = append(h.before, undo)
		if !mine { // ours are made anew with the new tables
			h.after = append(h.after, redo)
			if !slices.Contains(h.lock, table) {
				h.lock = append(h.lock, table)
			}
		}
		return nil
	}); err != nil {
		return h, err
	}
	// With the same columns CREATE OR REPLACE leaves a view what it is, to all that
	// use it, and looks its tables up again by name.
	rows, err = conn.Query(ctx, `SELECT DISTINCT format('CREATE OR REPLACE VIEW %I.%I%s AS %s', n.nspname, v.relname,
			CASE WHEN v.reloptions IS NULL THEN '' ELSE ' WITH (' || array_to_string(v.reloptions, ', ') || ')' END, pg_get_viewdef(v.oid))
		FROM pg_depend d JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid JOIN pg_class v ON v.oid = w.ev_class AND v.relkind = 'v'
		JOIN pg_namespace n ON n.oid = v.relnamespace WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid::int8 = ANY ($1::int8[]) ORDER BY 1`, l.oids)
	if err != nil {
		return h, err
	}
	if _, err := pgx.ForEachRow(rows, []any{&sql}, func() error {
		h.after = append(h.after, sql)
		return nil
	}); err != nil {
		return h, err
	}
	rows, err = conn.Query(ctx, `SELECT format('ALTER PUBLICATION %I DROP TABLE %I.%I', p.pubname, n.nspname, c.relname),
			format('ALTER PUBLICATION %I ADD TABLE %I.%I', p.pubname, n.nspname, c.relname)
		FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE r.prrelid::int8 = ANY ($1::int8[]) ORDER BY 1`, l.oids)
	if err != nil {
		return h, err
	}
	_, err = pgx.ForEachRow(rows, []any{&undo, &redo}, func() error {
		h.before, h.after = append(h.before, undo), append(h.after, redo)
		return nil
	})
	return h, err
}
