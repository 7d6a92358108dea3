package evidence

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/andon-go/andon/internal/atomicfile"
)

// Archive is what was collected.
type Archive struct {
	Path     string
	SHA256   string // of the sealed archive
	Size     int64  // of it, in bytes
	Manifest Manifest
}

// ErrUnnamed says that a person, or a reason, is missing.
var ErrUnnamed = errors.New("it needs a person and a reason")

func named(by, why string) error {
	if strings.TrimSpace(by) == "" || strings.TrimSpace(why) == "" {
		return ErrUnnamed
	}
	return nil
}

// Collect makes one archive of all items, one after another, and begins its chain of
// custody. by is the person who handles it, why the reason; incident may be empty.
//
// It goes on where an item cannot be had, and once ctx is done no more is collected and
// the archive is closed with what there is; the manifest's Problems say so. An error
// means that there is no archive, but for that of the Recorder, which comes with one.
func (c *Collector) Collect(ctx context.Context, by, incident, why string) (Archive, error) {
	if err := named(by, why); err != nil {
		return Archive{}, fmt.Errorf("evidence: %w", err)
	}
	if incident != "" && !plain(incident) {
		return Archive{}, fmt.Errorf("evidence: %q is no incident's number", incident)
	}
	if err := os.MkdirAll(c.cfg.Dir, 0o700); err != nil {
		return Archive{}, fmt.Errorf("evidence: %w", err)
	}
	began := time.Now()
	path, f, err := c.create(began)
	if err != nil {
		return Archive{}, fmt.Errorf("evidence: %w", err)
	}
	a, err := newArchive(f, c.recipients, Manifest{
		Version: 1, Incident: incident, Handler: by, Why: why, Host: c.host, Place: c.cfg.Place, Began: began,
	})
	if err == nil {
		for _, item := range c.cfg.Items {
			c.collect(ctx, a, item)
		}
		err = a.finish()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return Archive{}, fmt.Errorf("evidence: %w; what was collected so far is in %s and is no evidence", err, f.Name())
	}
	out := Archive{Path: path, SHA256: hex.EncodeToString(a.sealed.whole.Sum(nil)), Size: a.sealed.n, Manifest: a.manifest}
	if err := c.publish(f.Name(), out, a.sealed.chunks); err != nil {
		return Archive{}, fmt.Errorf("evidence: %w", err)
	}
	for _, p := range out.Manifest.Problems {
		c.cfg.Log.Warn("evidence: it could not be had", "archive", path, "item", p.Item, "source", p.Source, "error", p.Error)
	}
	if c.cfg.Recorder != nil {
		what := fmt.Sprintf("evidence collected: %s, SHA-256 %s, %d files, %d problems", path, out.SHA256, len(out.Manifest.Entries), len(out.Manifest.Problems))
		// What was collected is there; ctx may be over, and the timeline must still hear.
		if err := c.cfg.Recorder.Record(context.WithoutCancel(ctx), time.Now(), by, what, why); err != nil {
			return out, fmt.Errorf("evidence: %s is collected, but that is not recorded: %w", path, err)
		}
	}
	return out, nil
}

// create makes the file that the archive is written into, under a name that is free.
func (c *Collector) create(at time.Time) (path string, f *os.File, err error) {
	base := filepath.Join(c.cfg.Dir, "incident_evidence_"+at.UTC().Format("20060102_150405"))
	for i := range 100 {
		path = base + ".tar.zst.age"
		if i > 0 {
			path = fmt.Sprintf("%s_%d.tar.zst.age", base, i)
		}
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		f, err = openNoFollow(path+".partial", os.O_WRONLY|os.O_CREATE|os.O_EXCL)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		return path, f, err
	}
	return "", nil, fmt.Errorf("%s and 99 names after it are taken", path)
}

// publish begins the chain of custody and gives the archive its name, in this order: an
// archive under its name has a chain.
func (c *Collector) publish(partial string, a Archive, chunks []Chunk) error {
	_, err := extend(a.Path, nil, Custody{
		Action: Collected, Handler: a.Manifest.Handler, Host: c.host, Place: c.cfg.Place, Why: a.Manifest.Why,
		Size: a.Size, Before: a.SHA256, After: a.SHA256, Chunks: chunks,
	})
	if err != nil {
		return err
	}
	if err := os.Link(partial, a.Path); err != nil { // replaces nothing, unlike a rename
		return err
	}
	return errors.Join(os.Remove(partial), atomicfile.SyncDir(c.cfg.Dir))
}

// collect runs one item within its time. One that does not end is left behind.
func (c *Collector) collect(ctx context.Context, a *archive, item Item) {
	s := &Sink{a: a, item: item.Name}
	if err := ctx.Err(); err != nil {
		s.problem("", fmt.Errorf("not begun: %w", err))
		return
	}
	within := item.Within
	if within == 0 {
		within = c.cfg.Within
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("panic: %v", p)
			}
		}()
		done <- item.Collect(ctx, s)
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = fmt.Errorf("it did not end within %v: %w", within, ctx.Err())
		select { // what heeds its context is about to end
		case e := <-done:
			err = errors.Join(err, e)
		case <-time.After(time.Second):
		}
	}
	if err != nil {
		s.problem("", err)
	}
	s.close()
}

// path returns the place of a name in the archive: below the item's folder, and nowhere
// else.
func (s *Sink) path(name string) string {
	return s.item + filepath.ToSlash(filepath.Clean("/"+name))
}
