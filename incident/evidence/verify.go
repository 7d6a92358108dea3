package evidence

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// Report is what Verify found.
type Report struct {
	Custody  []Custody
	Manifest Manifest // empty where no identity was given
	Opened   bool     // each file was read and compared with the manifest
}

// Verify reads an archive whole and compares it with its chain of custody, and notes in
// the chain that by has done so. With the identity of a recipient it opens it too and
// compares every file with the manifest.
//
// A difference is ErrDamaged, with a *DamagedError that names the first range and file;
// nothing is noted then.
func Verify(ctx context.Context, archive, by string, identities ...age.Identity) (Report, error) {
	if err := named(by, "-"); err != nil {
		return Report{}, fmt.Errorf("verify %s: %w", archive, err)
	}
	return examine(ctx, archive, Custody{Action: Verified, Handler: by, Why: "verification"}, nil, identities)
}

// Extract verifies an archive and unpacks it into a folder that is not there yet. What
// was unpacked before a difference was found is left, in a folder that ends in .partial.
func Extract(ctx context.Context, archive, dir, by, why string, identities ...age.Identity) (Report, error) {
	if err := named(by, why); err != nil {
		return Report{}, fmt.Errorf("extract %s: %w", archive, err)
	}
	if len(identities) == 0 {
		return Report{}, fmt.Errorf("extract %s: it is sealed, and no identity was given", archive)
	}
	if _, err := os.Lstat(dir); err == nil {
		return Report{}, fmt.Errorf("extract %s: %s is there already", archive, dir)
	}
	partial := dir + ".partial"
	if err := os.Mkdir(partial, 0o700); err != nil {
		return Report{}, fmt.Errorf("extract %s: %w", archive, err)
	}
	root, err := os.OpenRoot(partial)
	if err != nil {
		return Report{}, fmt.Errorf("extract %s: %w", archive, err)
	}
	r, err := examine(ctx, archive, Custody{Action: Extracted, Handler: by, Why: why}, root, identities)
	if err = errors.Join(err, root.Close()); err != nil {
		return Report{}, err
	}
	return r, os.Rename(partial, dir)
}

func examine(ctx context.Context, archive string, c Custody, into *os.Root, identities []age.Identity) (r Report, err error) {
	chain, sum, size, err := sealedIntact(archive)
	if err != nil {
		return Report{}, err
	}
	if len(identities) > 0 {
		if r.Manifest, err = open(ctx, archive, into, identities); err != nil {
			return Report{}, err
		}
		r.Opened = true
	}
	if c.Host, err = os.Hostname(); err != nil {
		return Report{}, err
	}
	c.Place, c.Size, c.Before, c.After = c.Host, size, sum, sum
	if r.Custody, err = extend(archive, chain, c); err != nil {
		return Report{}, fmt.Errorf("%s is intact, but that cannot be noted: %w", archive, err)
	}
	return r, nil
}

// open reads a sealed archive and compares each file with the manifest at its end.
func open(ctx context.Context, archive string, into *os.Root, identities []age.Identity) (m Manifest, err error) {
	f, err := openRegular(archive)
	if err != nil {
		return m, err
	}
	defer func() { _ = f.Close() }() // it was only read
	plain, err := age.Decrypt(f, identities...)
	if err != nil {
		return m, fmt.Errorf("%s cannot be opened: %w", archive, err)
	}
	z, err := zstd.NewReader(plain, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return m, fmt.Errorf("%s cannot be opened: %w", archive, err)
	}
	defer z.Close()
	damaged := func(file, why string) error { return &DamagedError{Archive: archive, File: file, Why: why} }

	found := map[string]string{} // path to hash
	tr := tar.NewReader(z)
	last := ""
	for {
		if err := ctx.Err(); err != nil {
			return m, err
		}
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return m, damaged(last, "it, or what follows it, cannot be read: "+err.Error())
		}
		last = h.Name
		if h.Name == manifestName {
			if err := json.NewDecoder(tr).Decode(&m); err != nil {
				return m, damaged(last, err.Error())
			}
			continue
		}
		if _, twice := found[h.Name]; twice {
			return m, damaged(last, "it is there twice")
		}
		sum := sha256.New()
		if err := unpack(into, h, io.TeeReader(tr, sum)); err != nil {
			return m, damaged(last, "it cannot be read: "+err.Error())
		}
		found[h.Name] = hex.EncodeToString(sum.Sum(nil))
	}
	if last != manifestName {
		return m, damaged(last, "the manifest that belongs after it is missing")
	}
	for _, e := range m.Entries {
		sum, ok := found[e.Path]
		switch {
		case !ok:
			return m, damaged(e.Path, "it is missing")
		case sum != e.SHA256:
			return m, damaged(e.Path, "its SHA-256 is "+sum+", the manifest has "+e.SHA256)
		}
		delete(found, e.Path)
	}
	for path := range found {
		return m, damaged(path, "the manifest knows nothing of it")
	}
	return m, nil
}

// unpack reads one file, into a folder where one is given.
func unpack(into *os.Root, h *tar.Header, r io.Reader) error {
	if into == nil || h.Typeflag != tar.TypeReg {
		_, err := io.Copy(io.Discard, r) // links are in the manifest, and not made again
		return err
	}
	if err := into.MkdirAll(filepath.Dir(h.Name), 0o700); err != nil {
		return err
	}
	f, err := into.OpenFile(h.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Sync(), f.Close())
}
