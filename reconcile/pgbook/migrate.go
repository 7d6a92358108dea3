package pgbook

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ErrSchema says that the book's own schema is not the one that this version of the
// library works with.
var ErrSchema = errors.New("schema of another version")

// SchemaError is a schema that cannot be used. It is ErrSchema to errors.Is.
type SchemaError struct {
	Schema string
	Why    string // what is wrong and what to do
}

// Error names the schema and what to do.
func (e *SchemaError) Error() string { return fmt.Sprintf("schema %q: %s", e.Schema, e.Why) }

// Is reports whether target is ErrSchema.
func (e *SchemaError) Is(target error) bool { return target == ErrSchema }

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one step of the schema. What was released is never changed again.
type migration struct {
	version int
	name    string
	sql     string
	sha256  string
}

// readMigrations returns the steps in order: versions 1, 2, 3 and so on.
func readMigrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var steps []migration
	for i, path := range names { // sorted by name
		sql, err := fs.ReadFile(files, path)
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(path, "migrations/")
		number, _, _ := strings.Cut(name, "_")
		if version, err := strconv.Atoi(number); err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s: want version %d", name, i+1)
		}
		sum := sha256.Sum256(sql)
		steps = append(steps, migration{i + 1, name, string(sql), hex.EncodeToString(sum[:])})
	}
	return steps, nil
}

// Migrate creates the book's own schema, or brings it to this version, in one
// transaction; processes that do so at once wait for each other. An empty name is
// DefaultSchema. It touches no table outside of that schema. A schema that a newer
// version made, or whose applied steps are not the ones that this version knows, is
// ErrSchema and nothing is changed.
func Migrate(ctx context.Context, db DB, schema string) error {
	if schema == "" {
		schema = DefaultSchema
	}
	if err := checkName(schema); err != nil {
		return fmt.Errorf("schema %q: %w", schema, err)
	}
	steps, err := readMigrations(migrationFiles)
	if err != nil {
		return err
	}
	return migrate(ctx, db, schema, steps)
}

// migrationLock is the advisory lock that migrations of all schemas take.
const migrationLock = 0x616e646f6e // "andon"

func migrate(ctx context.Context, db DB, schema string, steps []migration) error {
	err := pgx.BeginTxFunc(ctx, db, pgx.TxOptions{}, func(tx pgx.Tx) error {
		quoted := pgx.Identifier{schema}.Sanitize()
		for _, sql := range []string{
			fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", migrationLock),
			"CREATE SCHEMA IF NOT EXISTS " + quoted,
			"SET LOCAL search_path TO " + quoted,
			`CREATE TABLE IF NOT EXISTS migrations (
				version int PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL,
				applied_at timestamptz NOT NULL DEFAULT clock_timestamp())`,
		} {
			if _, err := tx.Exec(ctx, sql, pgx.QueryExecModeExec); err != nil {
				return err
			}
		}
		done, err := appliedSteps(ctx, tx, schema, steps)
		if err != nil {
			return err
		}
		for _, step := range steps[done:] {
			if err := step.apply(ctx, tx); err != nil {
				return fmt.Errorf("migration %s: %w", step.name, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("migrate schema %q: %w", schema, err)
	}
	return nil
}

func (m migration) apply(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Conn().PgConn().Exec(ctx, m.sql).ReadAll(); err != nil { // several statements
		return err
	}
	_, err := tx.Exec(ctx, "INSERT INTO migrations (version, name, sha256) VALUES ($1::text::int, $2, $3)",
		pgx.QueryExecModeExec, strconv.Itoa(m.version), m.name, m.sha256)
	return err
}

// appliedSteps returns how many of the steps the schema has.
func appliedSteps(ctx context.Context, tx pgx.Tx, schema string, steps []migration) (int, error) {
	table := pgx.Identifier{schema, "migrations"}.Sanitize()
	rows, err := tx.Query(ctx, "SELECT version::text, name, sha256 FROM "+table+" ORDER BY version", pgx.QueryExecModeExec)
	if err != nil {
		return 0, err
	}
	type row struct{ Version, Name, SHA256 string }
	have, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return 0, err
	}
	for i, r := range have {
		switch {
		case i >= len(steps):
			return 0, &SchemaError{schema, fmt.Sprintf("it is at version %s (%s) and this library knows %d: run the newer library", r.Version, r.Name, len(steps))}
		case r.Version != strconv.Itoa(steps[i].version) || r.SHA256 != steps[i].sha256:
			return 0, &SchemaError{schema, fmt.Sprintf("migration %s was applied as %s with another content: another library made this schema, use another name", steps[i].name, r.Name)}
		}
	}
	return len(have), nil
}

// checkSchema refuses a schema that is not exactly at this version.
func checkSchema(ctx context.Context, tx pgx.Tx, schema string) error {
	steps, err := readMigrations(migrationFiles)
	if err != nil {
		return err
	}
	var there bool
	row := tx.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", pgx.QueryExecModeExec, pgx.Identifier{schema, "migrations"}.Sanitize())
	if err := row.Scan(&there); err != nil {
		return err
	}
	if !there {
		return &SchemaError{schema, "it is not there: run pgbook.Migrate once"}
	}
	done, err := appliedSteps(ctx, tx, schema, steps)
	if err != nil {
		return err
	}
	if done < len(steps) {
		return &SchemaError{schema, fmt.Sprintf("it is at version %d of %d: run pgbook.Migrate", done, len(steps))}
	}
	return nil
}
