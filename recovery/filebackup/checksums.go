package filebackup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/andon-go/andon/internal/atomicfile"
	"github.com/andon-go/andon/recovery"
)

// checksumsFile says again what the manifest says of the files, in the format of
// sha256sum, so that a backup can be checked where this package is not at hand:
// cd backup_20260304_150405 && sha256sum -c checksums.txt
const checksumsFile = "checksums.txt"

var checksumEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`)

// checksums returns the text of checksumsFile.
func checksums(entries []Entry) []byte {
	var b bytes.Buffer
	for _, e := range entries {
		if e.Kind != File {
			continue
		}
		name := path.Join(filesDir, string(e.Path))
		escaped := checksumEscapes.Replace(name)
		if escaped != name {
			b.WriteByte('\\') // so sha256sum knows that it is escaped
		}
		fmt.Fprintf(&b, "%s  %s\n", e.SHA256, escaped)
	}
	return b.Bytes()
}

func writeChecksums(dir string, entries []Entry) error {
	return atomicfile.Write(filepath.Join(dir, checksumsFile), checksums(entries), 0o600)
}

// compareChecksums finds a change in checksumsFile: whoever restores by hand goes by it.
func (s *Store) compareChecksums(m Manifest) error {
	data, err := os.ReadFile(filepath.Join(s.dir(m.Name), checksumsFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &recovery.DamagedError{Backup: m.Name, File: checksumsFile, Reason: "it is missing", Err: err}
	case err != nil:
		return &recovery.DamagedError{Backup: m.Name, File: checksumsFile, Reason: "cannot be read: " + err.Error(), Err: err}
	case !bytes.Equal(data, checksums(m.Entries)):
		return &recovery.DamagedError{Backup: m.Name, File: checksumsFile, Reason: "it differs from the manifest"}
	}
	return nil
}
