package evidence

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// Custody is one line of an archive's chain of custody.
type Custody struct {
	N       int       `json:"n"`  // from 1
	At      time.Time `json:"at"` // with its zone
	Action  string    `json:"action"`
	Handler string    `json:"handler"`
	Host    string    `json:"host"`
	Place   string    `json:"place"`
	Why     string    `json:"why"`
	Size    int64     `json:"size"`   // of the archive, in bytes
	Before  string    `json:"before"` // the archive's SHA-256 before, and after, what was done
	After   string    `json:"after"`
	Chunks  []Chunk   `json:"chunks,omitempty"` // of the archive, 1 MiB each: in the first line
	Prev    string    `json:"prev"`             // the Hash of the line before; empty in the first
	Hash    string    `json:"hash"`             // SHA-256 of this line with an empty Hash
}

// The actions that this package writes.
const (
	Collected = "collected"
	Verified  = "verified"
	Extracted = "extracted"
)

// CustodyPath returns where the chain of custody of an archive lies.
func CustodyPath(archive string) string { return archive + ".custody.jsonl" }

func (c Custody) sum() (string, error) {
	c.Hash = ""
	b, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:]), nil
}

// ReadCustody returns the chain of custody of an archive. It is ErrDamaged, with the
// number of the first line that is not what was written, if one is altered, missing or
// out of order; only that the last lines are gone cannot be seen, so keep the last hash
// elsewhere, such as on the timeline.
func ReadCustody(archive string) (chain []Custody, err error) {
	path := CustodyPath(archive)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	damaged := func(n int, why string) error {
		return &DamagedError{Archive: path, Why: fmt.Sprintf("line %d %s", n, why)}
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, len(b)+1)
	prev := ""
	for n := 1; lines.Scan(); n++ {
		var c Custody
		dec := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&c); err != nil {
			return chain, damaged(n, "cannot be read: "+err.Error())
		}
		sum, err := c.sum()
		if err != nil {
			return chain, err
		}
		if again, err := json.Marshal(c); err != nil || !bytes.Equal(again, lines.Bytes()) || c.Hash != sum || c.Prev != prev || c.N != n {
			return chain, damaged(n, "is not the one that was written")
		}
		prev = c.Hash
		chain = append(chain, c)
	}
	if len(chain) == 0 || b[len(b)-1] != '\n' {
		return chain, damaged(len(chain)+1, "is not whole")
	}
	return chain, lines.Err()
}

// extend adds a line to a chain of custody and makes it durable.
func extend(archive string, chain []Custody, c Custody) ([]Custody, error) {
	c.N, c.At = len(chain)+1, time.Now().Round(time.Microsecond)
	if len(chain) > 0 {
		c.Prev = chain[len(chain)-1].Hash
	}
	var err error
	if c.Hash, err = c.sum(); err != nil {
		return chain, err
	}
	b, err := json.Marshal(c)
	if err != nil {
		return chain, err
	}
	flags := os.O_WRONLY | os.O_APPEND
	if len(chain) == 0 {
		flags |= os.O_CREATE | os.O_EXCL
	}
	f, err := openNoFollow(CustodyPath(archive), flags)
	if err != nil {
		return chain, err
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return chain, err
	}
	return append(chain, c), nil
}

// Handed notes in the chain of custody that an archive was handed on, to the place and
// for the reason given. The archive is hashed and must be what it was.
func Handed(archive, by, to, why string) error {
	if err := named(by, why); err != nil {
		return fmt.Errorf("hand on %s: %w", archive, err)
	}
	chain, sum, size, err := sealedIntact(archive)
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	_, err = extend(archive, chain, Custody{Action: "handed on", Handler: by, Host: host, Place: to, Why: why, Size: size, Before: sum, After: sum})
	return err
}

// sealedIntact reads the sealed archive whole and compares it with its chain of custody.
// It names the first range that differs.
func sealedIntact(archive string) (chain []Custody, sum string, size int64, err error) {
	if chain, err = ReadCustody(archive); err != nil {
		return nil, "", 0, fmt.Errorf("chain of custody: %w", err)
	}
	first := chain[0]
	f, err := openRegular(archive)
	if err != nil {
		return nil, "", 0, err
	}
	defer func() { _ = f.Close() }() // it was only read
	whole := sha256.New()
	buf := make([]byte, sealedChunk)
	for i := 0; ; i++ {
		n, err := io.ReadFull(f, buf)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, "", 0, err
		}
		from := int64(i) * sealedChunk
		if n == 0 && i == len(first.Chunks) {
			break
		}
		whole.Write(buf[:n])
		if i >= len(first.Chunks) {
			return nil, "", 0, &DamagedError{Archive: archive, From: from, To: from + int64(n), Why: "the archive was longer than when it was collected"}
		}
		part := sha256.Sum256(buf[:n])
		if hex.EncodeToString(part[:]) != first.Chunks[i].SHA256 {
			to := max(from+int64(n), min(from+sealedChunk, first.Size))
			return nil, "", 0, &DamagedError{Archive: archive, From: from, To: to, File: first.Chunks[i].File,
				Why: "the bytes are not those that were collected; the file is the one that was being written where they begin"}
		}
	}
	sum = hex.EncodeToString(whole.Sum(nil))
	for _, c := range chain {
		if c.Before != sum || c.After != sum || c.Size != first.Size {
			return nil, "", 0, &DamagedError{Archive: CustodyPath(archive), Why: fmt.Sprintf("line %d tells of another archive", c.N)}
		}
	}
	return chain, sum, first.Size, nil
}

// WriteNew writes a file that nobody has: it is created for its owner alone, follows no
// link and replaces nothing. Where the name is taken, the next free one of path.1,
// path.2 and so on is used. It returns the name. It is for the fixed names of the
// playbook, such as /tmp/network_state.txt, under which somebody else may have put
// something.
func WriteNew(path string, b []byte) (string, error) {
	const tries = 1000
	for i := range tries {
		name := path
		if i > 0 {
			name = fmt.Sprintf("%s.%d", path, i)
		}
		f, err := openNoFollow(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = f.Write(b)
		return name, errors.Join(err, f.Sync(), f.Close())
	}
	return "", fmt.Errorf("%s: %w, and so do the %d names after it", path, fs.ErrExist, tries-1)
}
