package recovery

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Manifest is the commit record of a backup in a Repository: what is in it and
// where it is from. It is not sealed: names, sizes and counts can be read by
// whoever can read the storage.
type Manifest struct {
	Name        string            `json:"name"`
	Component   Component         `json:"component"`
	At          time.Time         `json:"at"` // everything before it is in the backup
	CompletedAt time.Time         `json:"completed_at"`
	Host        string            `json:"host"`
	Versions    map[string]string `json:"versions,omitempty"` // of the source, the bot, the schema
	Sealed      bool              `json:"sealed"`             // the chunks are sealed with age

	// Details is what the target needs to restore it: the identity of its source,
	// a schema. The repository does not look into it.
	Details json.RawMessage `json:"details,omitempty"`

	Parts []Part `json:"parts"`
}

// Part is one stream of bytes in a backup: a table, a piece of one, a file.
type Part struct {
	Number int     `json:"number"` // from 1
	Name   string  `json:"name"`   // the target's, any text
	Bytes  int64   `json:"bytes"`  // as the target wrote them
	Rows   int64   `json:"rows,omitempty"`
	Chunks []Chunk `json:"chunks"` // as they are stored: compressed, and sealed where Sealed
}

// Chunk is one stored object of a part.
type Chunk struct {
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // lower case
}

// Totals returns what all parts hold together: bytes as the target wrote them,
// rows, and bytes as they are stored.
func (m Manifest) Totals() (bytes, rows, stored int64) {
	for _, p := range m.Parts {
		bytes += p.Bytes
		rows += p.Rows
		for _, c := range p.Chunks {
			stored += c.Size
		}
	}
	return bytes, rows, stored
}

// Part returns the part of a name.
func (m Manifest) Part(name string) (Part, bool) {
	for _, p := range m.Parts {
		if p.Name == name {
			return p, true
		}
	}
	return Part{}, false
}

// validate reports everything that cannot be right, joined.
func (m Manifest) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !IsBackupName(m.Name) {
		add("name %q is not that of a backup", m.Name)
	}
	if m.Component == "" {
		add("component is empty")
	}
	if m.At.IsZero() || m.CompletedAt.IsZero() {
		add("at or completed_at is missing")
	}
	if len(m.Parts) == 0 {
		add("parts: there are none")
	}
	names := map[string]bool{}
	for i, p := range m.Parts {
		if p.Number <= 0 || i > 0 && p.Number <= m.Parts[i-1].Number {
			add("part %q: number %d is not in its order", p.Name, p.Number)
		}
		if p.Name == "" || names[p.Name] {
			add("part %d: the name %q is empty or there twice", p.Number, p.Name)
		}
		names[p.Name] = true
		if p.Bytes < 0 || p.Rows < 0 || len(p.Chunks) == 0 {
			add("part %q: %d bytes, %d rows, %d chunks", p.Name, p.Bytes, p.Rows, len(p.Chunks))
		}
		for j, c := range p.Chunks {
			sum, err := hex.DecodeString(c.SHA256)
			if err != nil || len(sum) != 32 || c.Size <= 0 {
				add("part %q: chunk %d: size %d, sha256 %q", p.Name, j+1, c.Size, c.SHA256)
			}
		}
	}
	return errors.Join(errs...)
}
