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

	"github.com/andon-go/andon/recovery"
)

// maxSchema bounds what pg_dump may say of a schema, in bytes. It is held in memory:
// one that fails in its middle leaves nothing in the backup.
const maxSchema = 16 << 20

// dumpSchema adds the whole schema of the database, as pg_dump prints it, in the
// same snapshot. A backup without it is one of tables, and says so; an older pg_dump
// refuses a newer server, and the rows are safe without it.
func (w *snapshot) dumpSchema(ctx context.Context, _ *pgx.Conn) error {
	program, err := exec.LookPath(w.s.cfg.PgDump)
	var text []byte
	if err == nil {
		text, err = w.runDump(ctx, program)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.d.note("views, functions and whatever else is no table are not in the backup: " + err.Error())
		return nil
	}
	return w.write(ctx, schemaPart, func(part *recovery.PartWriter) error {
		_, err := part.Write(text)
		return err
	})
}

func (w *snapshot) runDump(ctx context.Context, program string) ([]byte, error) {
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
	var text, stderr bounded
	cmd.Stdout, cmd.Stderr = &text, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("pg_dump: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return text.Bytes(), nil
}

// bounded is a buffer that refuses what is too long.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxSchema {
		return 0, fmt.Errorf("more than %d bytes", maxSchema)
	}
	return b.Buffer.Write(p)
}

// SchemaSQL returns the whole schema of the database, as pg_dump printed it for a
// backup that counts: for psql, before a restore into an empty database. It is
// fs.ErrNotExist where the program was not there.
func (s *Store) SchemaSQL(ctx context.Context, name string) (_ string, err error) {
	reader, err := s.cfg.Repository.Read(ctx, name)
	if err != nil {
		return "", err
	}
	part, err := reader.Open(ctx, schemaPart)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, part.Close()) }()
	text, err := io.ReadAll(io.LimitReader(part, maxSchema))
	return string(text), err
}
