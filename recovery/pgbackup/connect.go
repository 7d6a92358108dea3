package pgbackup

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// session is how every session of the store is set: names are always qualified, so
// that what the catalogs print means the same wherever it is run; a row that a policy
// hides is an error and not a row fewer; texts of values do not depend on the server.
var session = map[string]string{
	"application_name":                    "andon pgbackup",
	"search_path":                         "pg_catalog",
	"row_security":                        "off",
	"quote_all_identifiers":               "off",
	"client_encoding":                     "UTF8",
	"DateStyle":                           "ISO",
	"IntervalStyle":                       "postgres",
	"TimeZone":                            "UTC",
	"extra_float_digits":                  "3",
	"bytea_output":                        "hex",
	"statement_timeout":                   "0",
	"idle_in_transaction_session_timeout": "0",
	"jit":                                 "off",
}

// readSize is how much is read from the server at once: 8 KiB as pgx does by itself are a
// call of the system, and often a change of process, for each few rows.
const readSize = 256 << 10

// connect opens a session.
func (s *Store) connect(ctx context.Context) (*pgx.Conn, error) {
	cfg := s.cfg.Conn.Copy()
	maps.Copy(cfg.RuntimeParams, session)
	cfg.RuntimeParams["lock_timeout"] = strconv.FormatInt(s.cfg.LockTimeout.Milliseconds(), 10)
	// Texts in both directions, no statement that outlives its call: DDL would
	// make a cached one fail.
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	cfg.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(bufio.NewReaderSize(r, readSize), w)
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return conn, nil
}

// closing bounds how long a session is given to say goodbye.
const closing = 5 * time.Second

// disconnect ends a session, and with it its transaction and its locks. That it cannot
// say goodbye changes nothing of what was done, and so is no error.
func disconnect(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	_ = conn.Close(ctx)
}

// ident quotes a name.
func ident(parts ...string) string { return pgx.Identifier(parts).Sanitize() }
