package pgstore

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"path"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one step of the schema. Once it is released it never changes.
type migration struct {
	version int
	name    string
	sql     string
	sum     string // of the text, to notice one that was changed
}

// migrations returns all steps in order.
func migrations() ([]migration, error) {
	entries, err := migrationFiles.ReadDir("migrations")
	if err != nil {
		return nil, err
	}
	var all []migration
	for i, e := range entries {
		text, err := migrationFiles.ReadFile(path.Join("migrations", e.Name()))
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		all = append(all, migration{i + 1, strings.TrimSuffix(e.Name(), ".sql"), string(text), hex.EncodeToString(sum[:])})
	}
	return all, nil
}

// Migrate makes the schema, or brings it to this version, in one transaction. Several
// may do so at once, and it may be done again. ErrSchema says that the database is of
// a newer version, or that a step which was applied there reads differently here;
// nothing is changed then.
func (s *Store) Migrate(ctx context.Context) error {
	all, err := migrations()
	if err != nil {
		return s.failed("migrate", err)
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		for _, sql := range []string{
			"SELECT pg_advisory_xact_lock(hashtextextended('andon incident ' || '" + s.cfg.Schema + "', 0))",
			"CREATE SCHEMA IF NOT EXISTS " + s.cfg.Schema,
			"CREATE TABLE IF NOT EXISTS " + s.table("migrations") + " (version int PRIMARY KEY, name text NOT NULL, sum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())",
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		done, err := s.applied(ctx, tx, all)
		if err != nil {
			return err
		}
		for _, m := range all[done:] {
			if _, err := tx.Exec(ctx, strings.ReplaceAll(m.sql, "$schema", s.cfg.Schema)); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			if _, err := tx.Exec(ctx, "INSERT INTO "+s.table("migrations")+" (version, name, sum) VALUES ($1, $2, $3)", m.version, m.name, m.sum); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return s.failed("migrate", err)
	}
	return nil
}

// applied returns how many of the steps the database has.
func (s *Store) applied(ctx context.Context, tx pgx.Tx, all []migration) (int, error) {
	rows, err := tx.Query(ctx, "SELECT version, name, sum FROM "+s.table("migrations")+" ORDER BY version")
	if err != nil {
		return 0, err
	}
	have, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (m migration, err error) {
		err = row.Scan(&m.version, &m.name, &m.sum)
		return m, err
	})
	if err != nil {
		return 0, err
	}
	for i, m := range have {
		switch {
		case i >= len(all):
			return 0, fmt.Errorf("%w: the database has %s, which this version does not know: use a newer one", ErrSchema, m.name)
		case m.version != all[i].version || m.sum != all[i].sum:
			return 0, fmt.Errorf("%w: the database's %s is not the %s of this version", ErrSchema, m.name, all[i].name)
		}
	}
	return len(have), nil
}
