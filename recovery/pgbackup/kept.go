package pgbackup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Kept is a schema with rows that a restore or a repair replaced.
type Kept struct {
	Schema string
	Plan   string
	Backup string
	At     time.Time // of the plan
	Tables []string
	Bytes  int64
}

// Kept lists what was replaced and is still there, by name.
func (s *Store) Kept(ctx context.Context) (_ []Kept, err error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer disconnect(ctx, conn)
	rows, err := conn.Query(ctx, `SELECT n.nspname, coalesce(obj_description(n.oid, 'pg_namespace'), ''),
			ARRAY(SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p') ORDER BY 1),
			(SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p'))::int8
		FROM pg_namespace n WHERE starts_with(n.nspname, $1) ORDER BY 1`, keptPrefix)
	if err != nil {
		return nil, err
	}
	var all []Kept
	var k Kept
	var comment string
	_, err = pgx.ForEachRow(rows, []any{&k.Schema, &comment, &k.Tables, &k.Bytes}, func() error {
		var mark keptMark
		if json.Unmarshal([]byte(comment), &mark) != nil {
			return nil // none of ours
		}
		kept := k
		kept.Plan, kept.Backup, kept.At = mark.Plan, mark.Backup, mark.At
		kept.Tables = append([]string(nil), k.Tables...)
		all = append(all, kept)
		return nil
	})
	return all, err
}

// DropKept drops one of those schemas for good, in the name of a person. One that there
// is not is an error.
func (s *Store) DropKept(ctx context.Context, schema, who, why string, now time.Time) (err error) {
	if who == "" || why == "" {
		return errors.New("dropping replaced rows needs a person and a reason")
	}
	all, err := s.Kept(ctx)
	if err != nil {
		return err
	}
	found := false
	for _, k := range all {
		found = found || k.Schema == schema
	}
	if !found || !strings.HasPrefix(schema, keptPrefix) {
		return fmt.Errorf("%q holds no replaced rows", schema)
	}
	if err := s.record(ctx, now, who, "drop of the replaced rows in "+schema, why); err != nil {
		return err
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer disconnect(ctx, conn)
	return run(ctx, conn, []string{"DROP SCHEMA " + ident(schema) + " CASCADE"})
}
