package pgbackup

import (
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/andon-go/andon/recovery"
)

// The objects of a backup, below its name.
const (
	begunObject    = "begun"
	manifestObject = "manifest"
	verdictObject  = "verdict"
	restoredObject = "restored"
	schemaObject   = "schema.sql.zst"
	dataPrefix     = "data/"
)

// Manifest is the commit record of a backup: what it holds and where it came from. It
// is written last.
type Manifest struct {
	Name        string             `json:"name"`
	Component   recovery.Component `json:"component"`
	At          time.Time          `json:"at"`
	CompletedAt time.Time          `json:"completed_at"`
	Source      Source             `json:"source"`
	Versions    map[string]string  `json:"versions,omitempty"`
	Schema      Schema             `json:"schema"`
	Data        []TableData        `json:"data"`
	SchemaSQL   *Object            `json:"schema_sql,omitempty"` // what pg_dump --schema-only wrote
	Sums        []Total            `json:"sums,omitempty"`

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
	Table   string   `json:"table"` // schema.table
	Columns []string `json:"columns"`
	Rows    int64    `json:"rows"`
	Bytes   int64    `json:"bytes"` // of the rows, before compression
	Chunks  []Chunk  `json:"chunks"`
}

// Chunk is an object with some of a table's rows: COPY's binary format, compressed with
// zstd.
type Chunk struct {
	Object
	Rows  int64 `json:"rows"`
	Raw   int64 `json:"raw"`            // bytes before compression
	From  int64 `json:"from,omitempty"` // the first page
	Until int64 `json:"until"`          // the page after the last; -1 for all that follow
}

// Object is an object of a backup.
type Object struct {
	Name   string `json:"name"` // below the backup's
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Total is one line of a Sum. Sum is exact and empty where there is no number to add.
type Total struct {
	Sum
	Group string `json:"group"`
	Null  bool   `json:"null,omitempty"` // the group of the rows that have no value
	Rows  int64  `json:"rows"`
	Total string `json:"total"`
}

// verdict is the outcome of the newest Verify.
type verdict struct {
	Manifest string    `json:"manifest"` // SHA-256 of the commit record that it is about
	At       time.Time `json:"at"`

	// Digests are those of the rows of each table, by its name.
	Digests map[string]string `json:"digests,omitempty"`

	Object string `json:"object,omitempty"` // the one that differs
	Reason string `json:"reason,omitempty"` // how; empty when nothing does
}

// measured is the newest restore that was measured.
type measured struct {
	Manifest string        `json:"manifest"`
	At       time.Time     `json:"at"`
	Took     time.Duration `json:"took"`
}

// objects returns every object that the manifest names.
func (m *Manifest) objects() []Object {
	var all []Object
	for _, d := range m.Data {
		for _, c := range d.Chunks {
			all = append(all, c.Object)
		}
	}
	if m.SchemaSQL != nil {
		all = append(all, *m.SchemaSQL)
	}
	return all
}

// data returns what the manifest says of a table's rows.
func (m *Manifest) data(table string) (TableData, bool) {
	for _, d := range m.Data {
		if d.Table == table {
			return d, true
		}
	}
	return TableData{}, false
}

// validate finds a commit record that no backup could have written.
func (m *Manifest) validate() error {
	var errs []error
	if m.At.IsZero() || m.CompletedAt.Before(m.At) {
		errs = append(errs, fmt.Errorf("it was completed at %v and begun at %v", m.CompletedAt, m.At))
	}
	if len(m.Data) == 0 {
		errs = append(errs, errors.New("it holds no table"))
	}
	seen := map[string]bool{}
	for _, o := range m.objects() {
		if o.Bytes <= 0 || len(o.SHA256) != 64 || path.Clean(o.Name) != o.Name || seen[o.Name] {
			errs = append(errs, fmt.Errorf("its object %q makes no sense", o.Name))
		}
		seen[o.Name] = true
	}
	for _, d := range m.Data {
		var rows, raw int64
		for _, c := range d.Chunks {
			rows, raw = rows+c.Rows, raw+c.Raw
		}
		if rows != d.Rows || raw != d.Bytes || len(d.Chunks) == 0 {
			errs = append(errs, fmt.Errorf("the chunks of %s hold %d rows, not %d", d.Table, rows, d.Rows))
		}
		if m.Schema.table(d.Table) == nil {
			errs = append(errs, fmt.Errorf("%s has rows and no definition", d.Table))
		}
	}
	for _, t := range m.Schema.Tables {
		if _, ok := m.data(t.String()); ok == (t.PartitionKey != "") {
			errs = append(errs, fmt.Errorf("%v: a table has rows of its own, and a partitioned one has none", t.String()))
		}
	}
	return errors.Join(errs...)
}
