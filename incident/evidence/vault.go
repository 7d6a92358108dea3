package evidence

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Vault is a Collector in plain types: what a runbook needs of evidence.
type Vault struct{ Collector *Collector }

// Preview names what would be collected, and collects nothing.
func (v Vault) Preview(context.Context) (string, error) {
	var names []string
	for _, i := range v.Collector.cfg.Items {
		names = append(names, i.Name)
	}
	return fmt.Sprintf("would seal %s into %s, for %d recipients", strings.Join(names, ", "), v.Collector.cfg.Dir, len(v.Collector.recipients)), nil
}

// Seal collects every item into one sealed archive and returns its path, with its
// SHA-256. What could not be had is in the archive's manifest; the error is as of Collect.
func (v Vault) Seal(ctx context.Context, by, incident, why string) (string, error) {
	a, err := v.Collector.Collect(ctx, by, incident, incident+": "+why)
	if a.Path == "" {
		return "", err
	}
	return fmt.Sprintf("%s, SHA-256 %s, %d files, %d problems", a.Path, a.SHA256, len(a.Manifest.Entries), len(a.Manifest.Problems)), err
}

// Sealed returns the path of the newest archive that was sealed by Seal for an incident at
// or after since, once it was read whole and is what its chain of custody says. Empty:
// there is none. One that is damaged is ErrDamaged.
func (v Vault) Sealed(ctx context.Context, incident string, since time.Time) (string, error) {
	paths, err := filepath.Glob(filepath.Join(v.Collector.cfg.Dir, "incident_evidence_*.tar.zst.age"))
	if err != nil {
		return "", err
	}
	slices.Sort(paths)
	for _, path := range slices.Backward(paths) {
		chain, err := ReadCustody(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // of somebody who keeps no chain
		}
		if err != nil {
			return "", err
		}
		first := chain[0]
		if first.Action != Collected || first.At.Before(since) || !strings.HasPrefix(first.Why, incident+": ") {
			continue
		}
		if _, err := Verify(ctx, path, "andon/evidence"); err != nil {
			return "", err
		}
		return path, nil
	}
	return "", nil
}
