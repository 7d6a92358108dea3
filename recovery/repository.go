package recovery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// What the objects of a backup are called, below its name.
const (
	begunKey    = "BEGUN"
	manifestKey = "MANIFEST"
	verdictLog  = "VERDICT."
	restoredLog = "RESTORED."
	dataPrefix  = "data/"
)

// RepositoryConfig says whose backups are kept, and where.
type RepositoryConfig struct {
	// Component is what the backups are of. Required.
	Component Component

	// Storage is where they lie. Required.
	Storage Storage

	// Prefix is what the keys of this repository begin with, and of nothing else;
	// it ends in a slash. Defaults to none: the storage is the repository's alone.
	Prefix string

	// Versions is written into each manifest: of the bot, of its schema. A draft
	// may add to it. Defaults to none.
	Versions map[string]string

	// Seal seals what is stored with age. Nil stores it readable by whoever can
	// read the storage.
	Seal *Seal

	// ChunkSize is how many bytes a stored object has at most. An open part takes as
	// much memory for the one that it fills, and again for the one that it stores.
	// Defaults to 4 MiB.
	ChunkSize int

	// Workers is how many parts a verification reads at once. Defaults to the
	// number of processors, and at most 4.
	Workers int

	// OnProgress is told each time that something was stored, by several goroutines
	// where parts are written by several, one after the other. Nil tells nobody.
	OnProgress func(Progress)
}

func (c RepositoryConfig) withDefaults() RepositoryConfig {
	if c.ChunkSize == 0 {
		c.ChunkSize = 4 << 20
	}
	if c.Workers == 0 {
		c.Workers = min(4, runtime.GOMAXPROCS(0))
	}
	if c.OnProgress == nil {
		c.OnProgress = func(Progress) {}
	}
	return c
}

func (c RepositoryConfig) validate() error {
	var errs []error
	if c.Component == "" {
		errs = append(errs, errors.New("Component: is empty"))
	}
	if c.Storage == nil {
		errs = append(errs, errors.New("Storage: is nil"))
	}
	if err := CheckPrefix(c.Prefix); err != nil {
		errs = append(errs, fmt.Errorf("Prefix: %w", err))
	}
	if c.ChunkSize < 0 {
		errs = append(errs, fmt.Errorf("ChunkSize: %d", c.ChunkSize))
	}
	if c.Workers < 0 {
		errs = append(errs, fmt.Errorf("Workers: %d", c.Workers))
	}
	return errors.Join(append(errs, c.Seal.validate())...)
}

// Repository keeps the backups of one component in a Storage: compressed, sealed
// where it is configured so, in chunks with a SHA-256 each. It is what a Target
// writes to and reads from, so that the target has only its own system to know.
//
//	backup_20260304_150405/
//	  BEGUN             taken first, by which the name is taken
//	  data/000001.000001  first chunk of the first part
//	  MANIFEST          the commit record, written last
//	  VERDICT.000001    what the first verification found
//	  RESTORED.000001   the first restore that was measured
//
// It is safe for concurrent use, by several processes too.
type Repository struct {
	cfg      RepositoryConfig
	encoders sync.Pool // of *zstd.Encoder: one holds megabytes, and parts may be small
	chunks   sync.Pool // of *[]byte, each of ChunkSize
}

// NewRepository returns a repository, or every problem of the configuration, joined.
func NewRepository(cfg RepositoryConfig) (*Repository, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.Versions = maps.Clone(cfg.Versions)
	return &Repository{cfg: cfg}, nil
}

// Component returns what the backups are of.
func (r *Repository) Component() Component { return r.cfg.Component }

// begun is the claim of a name.
type begun struct {
	Name      string    `json:"name"`
	Component Component `json:"component"`
	At        time.Time `json:"at"`
	Host      string    `json:"host"`
}

// Begin starts a backup of what there is at now. It tries the key first, and
// refuses with ErrClock when now is before a backup that is there. The draft must
// end in Commit or Discard; one that a crash cut off is listed as Writing.
func (r *Repository) Begin(ctx context.Context, now time.Time) (*Draft, error) {
	if err := r.cfg.Seal.try(ctx); err != nil {
		return nil, fmt.Errorf("a backup of %s: %w", r.cfg.Component, err)
	}
	backups, err := r.Backups(ctx)
	if err != nil {
		return nil, err
	}
	if err := CheckClock(now, backups); err != nil {
		return nil, fmt.Errorf("a backup of %s: %w", r.cfg.Component, err)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	name, err := r.claim(ctx, begun{Component: r.cfg.Component, At: now.UTC(), Host: host})
	if err != nil {
		return nil, fmt.Errorf("a backup of %s: %w", r.cfg.Component, err)
	}
	return newDraft(r, Manifest{
		Name: name, Component: r.cfg.Component, At: now.UTC(), Host: host,
		Versions: maps.Clone(r.cfg.Versions), Sealed: r.cfg.Seal != nil,
	}), nil
}

// claim takes a name; of two backups that begin in one second each gets its own.
func (r *Repository) claim(ctx context.Context, b begun) (string, error) {
	for nth := 1; ; nth++ {
		b.Name = BackupName(b.At, nth)
		if !IsBackupName(b.Name) {
			return "", fmt.Errorf("no backup can be named for %v", b.At)
		}
		// A backup that is being deleted keeps its name to the end, and one that
		// was deleted gives it back; the list tells of both.
		objects, err := r.cfg.Storage.List(ctx, r.key(b.Name, ""))
		if err != nil {
			return "", err
		}
		if len(objects) > 0 {
			continue
		}
		err = r.put(ctx, r.key(b.Name, begunKey), "begun", b)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		return b.Name, err
	}
}

// key returns the key of an object of a backup.
func (r *Repository) key(name, object string) string { return r.cfg.Prefix + name + "/" + object }

// Backups lists the backups in any state, newest first.
func (r *Repository) Backups(ctx context.Context) ([]Backup, error) {
	objects, err := r.cfg.Storage.List(ctx, r.cfg.Prefix)
	if err != nil {
		return nil, fmt.Errorf("listing the backups of %s: %w", r.cfg.Component, err)
	}
	var backups []Backup
	for _, o := range objects {
		name, ok := strings.CutSuffix(strings.TrimPrefix(o.Key, r.cfg.Prefix), "/")
		if !ok || !IsBackupName(name) {
			continue
		}
		b, err := r.describe(ctx, name)
		if errors.Is(err, ErrNotFound) {
			continue // removed since it was listed
		}
		if err != nil {
			return nil, fmt.Errorf("listing the backups of %s: %w", r.cfg.Component, err)
		}
		backups = append(backups, b)
	}
	SortBackups(backups)
	return backups, nil
}

// describe says what a backup is by what is stored, and by nothing else.
func (r *Repository) describe(ctx context.Context, name string) (Backup, error) {
	b := Backup{Component: r.cfg.Component, Name: name, Place: r.key(name, ""), State: Damaged}
	objects, err := r.objects(ctx, name)
	if err != nil {
		return b, err
	}
	m, sum, err := r.manifest(ctx, name)
	if d, ok := errors.AsType[*DamagedError](err); ok {
		b.Problem = fmt.Sprintf("%s: %s", d.File, d.Reason)
		if errors.Is(err, fs.ErrNotExist) {
			b.State = Writing
		}
		return b, r.begunAt(ctx, &b)
	}
	if err != nil {
		return b, err
	}
	b.At, b.CompletedAt, b.Files = m.At, m.CompletedAt, len(m.Parts)
	b.Bytes, b.Rows, _ = m.Totals()
	b.State, b.Problem = Complete, "it was not read back yet"
	return b, errors.Join(r.readVerdict(ctx, &b, sum, objects), r.readRestored(ctx, &b, sum, objects))
}

// objects lists a backup; ErrNotFound when there is nothing.
func (r *Repository) objects(ctx context.Context, name string) ([]Object, error) {
	if !IsBackupName(name) {
		return nil, fmt.Errorf("%q of %s: %w", name, r.cfg.Component, ErrNotFound)
	}
	objects, err := r.cfg.Storage.List(ctx, r.key(name, ""))
	if err == nil && len(objects) == 0 {
		err = fmt.Errorf("%q of %s: %w", name, r.cfg.Component, ErrNotFound)
	}
	return objects, err
}

// begunAt gives a backup without a manifest the time of its claim, for the order of
// the list; zero when the claim makes no sense.
func (r *Repository) begunAt(ctx context.Context, b *Backup) error {
	var claim begun
	_, err := readRecord(ctx, r.cfg.Storage, r.key(b.Name, begunKey), "begun", &claim)
	if _, senseless := errors.AsType[*recordError](err); senseless || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	b.At = claim.At
	return err
}

// Manifest returns the commit record of a backup in any state that has one. One
// that is missing or makes no sense is *DamagedError.
func (r *Repository) Manifest(ctx context.Context, name string) (Manifest, error) {
	if _, err := r.objects(ctx, name); err != nil {
		return Manifest{}, err
	}
	m, _, err := r.manifest(ctx, name)
	return m, err
}

func (r *Repository) manifest(ctx context.Context, name string) (Manifest, string, error) {
	var m Manifest
	sum, err := readRecord(ctx, r.cfg.Storage, r.key(name, manifestKey), "manifest", &m)
	_, senseless := errors.AsType[*recordError](err)
	if err == nil {
		err = m.validate()
		senseless = err != nil
	}
	damaged := func(reason string, err error) (Manifest, string, error) {
		return Manifest{}, "", &DamagedError{Backup: name, File: manifestKey, Reason: reason, Err: err}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return damaged("there is none: the backup is still being written, or was cut off", err)
	case senseless:
		return damaged(err.Error(), err)
	case err != nil:
		return Manifest{}, "", err
	case m.Name != name:
		return damaged("it is that of "+m.Name, nil)
	case m.Component != r.cfg.Component:
		return damaged(fmt.Sprintf("it belongs to %q, not to %q", m.Component, r.cfg.Component), nil)
	}
	return m, sum, nil
}

// verdict is what a verification found.
type verdict struct {
	Manifest string    `json:"manifest"` // SHA-256 of the manifest that it is about
	At       time.Time `json:"at"`
	Object   string    `json:"object,omitempty"` // the first damaged one
	Reason   string    `json:"reason,omitempty"` // what differs; empty when all is well
}

// measured is a restore that was timed.
type measured struct {
	Manifest string        `json:"manifest"`
	At       time.Time     `json:"at"`
	Took     time.Duration `json:"took"` // nanoseconds
}

// readVerdict takes the newest verdict into account, if it is about this manifest.
// One that makes no sense proves nothing.
func (r *Repository) readVerdict(ctx context.Context, b *Backup, manifest string, objects []Object) error {
	var v verdict
	key, err := r.newest(ctx, b.Name, verdictLog, "verdict", objects, &v)
	_, senseless := errors.AsType[*recordError](err)
	switch {
	case key == "":
	case senseless:
		b.Problem = fmt.Sprintf("%s: %v", key, err)
	case err != nil:
		return err
	case v.Manifest != manifest:
		b.Problem = key + ": it is about another manifest"
	case v.Reason != "":
		b.State, b.Problem = Damaged, fmt.Sprintf("%s: %s", v.Object, v.Reason)
	default:
		b.State, b.Problem, b.VerifiedAt = Verified, "", v.At
	}
	return nil
}

// readRestored adds the newest measured restore. One that makes no sense was, for
// the objectives, never made.
func (r *Repository) readRestored(ctx context.Context, b *Backup, manifest string, objects []Object) error {
	var m measured
	key, err := r.newest(ctx, b.Name, restoredLog, "restored", objects, &m)
	_, senseless := errors.AsType[*recordError](err)
	if err != nil && !senseless {
		return err
	}
	if key != "" && !senseless && m.Manifest == manifest {
		b.RestoredAt, b.RestoreTook = m.At, m.Took
	}
	return nil
}

// newest reads the last record of a log of a backup and returns its key, which is
// empty when there is none.
func (r *Repository) newest(ctx context.Context, name, log, kind string, objects []Object, v any) (string, error) {
	last := 0
	for _, n := range numbers(objects, r.key(name, log)) {
		last = max(last, n)
	}
	if last == 0 {
		return "", nil
	}
	_, err := readRecord(ctx, r.cfg.Storage, r.key(name, numbered(log, last)), kind, v)
	return numbered(log, last), err
}

// Restored keeps how long a restore of a backup took, for the objectives.
func (r *Repository) Restored(ctx context.Context, name string, now time.Time, took time.Duration) error {
	if _, err := r.objects(ctx, name); err != nil {
		return err
	}
	_, sum, err := r.manifest(ctx, name)
	if err != nil {
		return err
	}
	if took <= 0 {
		return fmt.Errorf("a restore of %s that took %v was not measured", name, took)
	}
	return appendLog(ctx, r.cfg.Storage, r.key(name, restoredLog), "restored", measured{sum, now.UTC(), took})
}

// Delete removes a backup: its commit record first, so that what a kill leaves does
// not count, and its claim last. The only backup that counts is never removed:
// ErrLastVerified.
func (r *Repository) Delete(ctx context.Context, name string) error {
	backups, err := r.Backups(ctx)
	if err != nil {
		return err
	}
	if err := CheckDelete(name, backups); err != nil {
		return fmt.Errorf("deleting a backup of %s: %w", r.cfg.Component, err)
	}
	return r.remove(ctx, name)
}

func (r *Repository) remove(ctx context.Context, name string) error {
	if err := r.cfg.Storage.Delete(ctx, r.key(name, manifestKey)); err != nil {
		return fmt.Errorf("deleting %s: %w", name, err)
	}
	for _, prefix := range []string{r.key(name, dataPrefix), r.key(name, "")} {
		objects, err := r.cfg.Storage.List(ctx, prefix)
		if err != nil {
			return fmt.Errorf("deleting %s: %w", name, err)
		}
		for _, o := range objects {
			if o.IsPrefix() || o.Key == r.key(name, begunKey) {
				continue
			}
			if err := r.cfg.Storage.Delete(ctx, o.Key); err != nil {
				return fmt.Errorf("deleting %s: %w", name, err)
			}
		}
	}
	if err := r.cfg.Storage.Delete(ctx, r.key(name, begunKey)); err != nil {
		return fmt.Errorf("deleting %s: %w", name, err)
	}
	return nil
}

func (r *Repository) put(ctx context.Context, key, kind string, v any) error {
	return putRecord(ctx, r.cfg.Storage, key, kind, v)
}

// chunk returns memory for a chunk, which may have been another one's.
func (r *Repository) chunk() []byte {
	if buf, ok := r.chunks.Get().(*[]byte); ok {
		return (*buf)[:0]
	}
	return make([]byte, 0, r.cfg.ChunkSize)
}

func (r *Repository) encoder() (*zstd.Encoder, error) {
	if e, ok := r.encoders.Get().(*zstd.Encoder); ok {
		return e, nil
	}
	// A small window, and not less memory for a large one: that would move all of the
	// window for each block, which takes a quarter of the time.
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
}
