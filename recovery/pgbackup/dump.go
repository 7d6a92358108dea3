package pgbackup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// dumpSchema adds the whole schema of the database, as pg_dump prints it, in the
// same snapshot. Without it a backup is one of tables; it says so.
func (w *snapshot) dumpSchema(ctx context.Context, _ *pgx.Conn) error {
	program, err := exec.LookPath(w.s.cfg.PgDump)
	if err != nil {
		w.addNote("views, functions and whatever else is no table are not in the backup: " + err.Error())
		return nil
	}
	object, err := putCompressed(ctx, w.s.cfg.Storage, w.name, schemaObject, func(to io.Writer) error {
		return w.runDump(ctx, program, to)
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if failed, ok := errors.AsType[*dumpError](err); ok {
		// An older pg_dump refuses a newer server. The rows are safe without it.
		w.addNote("views, functions and whatever else is no table are not in the backup: " + failed.Error())
		return nil
	}
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.m.SchemaSQL = &object
	return nil
}

// dumpError is what pg_dump said.
type dumpError struct {
	err    error
	stderr string
}

func (e *dumpError) Error() string { return fmt.Sprintf("pg_dump: %v: %s", e.err, e.stderr) }
func (e *dumpError) Unwrap() error { return e.err }

func (w *snapshot) runDump(ctx context.Context, program string, to io.Writer) error {
	cfg := w.s.cfg.Conn
	cmd := exec.CommandContext(ctx, program, "--schema-only", "--no-password", "--snapshot="+w.id,
		"--lock-wait-timeout="+strconv.FormatInt(w.s.cfg.LockTimeout.Milliseconds(), 10))
	cmd.Env = append(os.Environ(), "PGHOST="+cfg.Host, "PGPORT="+strconv.Itoa(int(cfg.Port)), "PGUSER="+cfg.User, "PGDATABASE="+cfg.Database,
		"PGAPPNAME=andon pgbackup", "PGCONNECT_TIMEOUT=10")
	if cfg.Password != "" {
		cmd.Env = append(cmd.Env, "PGPASSWORD="+cfg.Password)
	}
	if cfg.TLSConfig != nil {
		cmd.Env = append(cmd.Env, "PGSSLMODE=require")
	}
	cmd.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = to, &stderr
	if err := cmd.Run(); err != nil {
		return &dumpError{err, string(bytes.TrimSpace(stderr.Bytes()))}
	}
	return nil
}

func (w *snapshot) addNote(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.m.note(text)
}
