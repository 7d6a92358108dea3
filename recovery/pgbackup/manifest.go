package pgbackup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/andon-go/andon/recovery"
)

// schemaPart is the part with what pg_dump --schema-only wrote.
const schemaPart = "schema.sql"

// Details are what the manifest of a backup says beside its parts.
type Details struct {
	Source Source      `json:"source"`
	Schema Schema      `json:"schema"`
	Data   []TableData `json:"data"`
	Sums   []Total     `json:"sums,omitempty"`

	// Notes say what is in the database and not in the backup.
	Notes []string `json:"notes,omitempty"`
}

// Source is the database that a backup is of, at the moment of its snapshot.
type Source struct {
	SystemID string `json:"system_id"` // of the cluster; empty when the role may not read it
	Timeline int    `json:"timeline"`  // 0 when the role may not read it
	Version  string `json:"version"`   // of the server, such as 15.4
	Number   int    `json:"number"`    // the same, such as 150004
	Database string `json:"database"`
	Encoding string `json:"encoding"`
	LSN      string `json:"lsn"`      // a position of the WAL no later than the snapshot
	Snapshot string `json:"snapshot"` // as pg_current_snapshot prints it
}

// TableData says where the rows of a table are.
type TableData struct {
	Table   string   `json:"table"`         // schema.table
	OID     int64    `json:"oid,omitempty"` // of the table that it was
	Columns []string `json:"columns"`
	Rows    int64    `json:"rows"`
	Bytes   int64    `json:"bytes"` // of the rows, before compression
	Pieces  []Piece  `json:"pieces"`
}

// Piece is a part of a backup with some of a table's rows, in COPY's binary format.
type Piece struct {
	Part  string `json:"part"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"`
	From  int64  `json:"from,omitempty"` // the first page
	Until int64  `json:"until"`          // the page after the last; -1 for all that follow
}

// Total is one line of a Sum. Total is exact, and empty where there is no number to add.
type Total struct {
	Sum
	Group string `json:"group"`
	Null  bool   `json:"null,omitempty"` // the group of the rows that have no value
	Rows  int64  `json:"rows"`
	Total string `json:"total"`
}

// data returns what is said of a table's rows.
func (d *Details) data(table string) (TableData, bool) {
	for _, t := range d.Data {
		if t.Table == table {
			return t, true
		}
	}
	return TableData{}, false
}

// validate finds details that no backup could have written.
func (d *Details) validate(m *recovery.Manifest) error {
	var errs []error
	if len(d.Data) == 0 {
		errs = append(errs, errors.New("there is no table"))
	}
	for _, t := range d.Data {
		var rows, bytes int64
		for _, p := range t.Pieces {
			rows, bytes = rows+p.Rows, bytes+p.Bytes
			part, ok := m.Part(p.Part)
			if !ok || part.Rows != p.Rows || part.Bytes != p.Bytes {
				errs = append(errs, fmt.Errorf("part %q is missing, or is another one", p.Part))
			}
		}
		if rows != t.Rows || bytes != t.Bytes || len(t.Pieces) == 0 {
			errs = append(errs, fmt.Errorf("the pieces of %s hold %d rows, not %d", t.Table, rows, t.Rows))
		}
		if d.Schema.table(t.Table) == nil {
			errs = append(errs, fmt.Errorf("%s has rows and no definition", t.Table))
		}
	}
	for _, t := range d.Schema.Tables {
		if _, ok := d.data(t.String()); ok == (t.PartitionKey != "") {
			errs = append(errs, fmt.Errorf("%v: a table has rows of its own, and a partitioned one has none", t))
		}
	}
	return errors.Join(errs...)
}

// Details returns what the manifest of a backup, in any state that has one, says
// beside its parts.
func (s *Store) Details(ctx context.Context, name string) (Details, error) {
	m, err := s.cfg.Repository.Manifest(ctx, name)
	if err != nil {
		return Details{}, err
	}
	return details(&m)
}

func details(m *recovery.Manifest) (d Details, err error) {
	if err = json.Unmarshal(m.Details, &d); err == nil {
		err = d.validate(m)
	}
	if err != nil {
		return Details{}, fmt.Errorf("the details of %s make no sense: %w", m.Name, err)
	}
	return d, nil
}
