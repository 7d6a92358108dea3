package postmortem

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"strings"

	"github.com/andon-go/andon/internal/atomicfile"
)

// Write writes the report to path, which ends in .md, and as a page beside it that ends in
// .html, for their owner and group. What people have written into an earlier one is kept,
// and is in the Report that is returned; where Read refuses it nothing is written. A crash
// leaves each file as it was or as it is.
func (r Report) Write(path string) (Report, error) {
	base, ok := strings.CutSuffix(path, ".md")
	if !ok {
		return r, fmt.Errorf("post-mortem: %q does not end in .md", path)
	}
	old, err := os.ReadFile(path)
	switch {
	case err == nil:
		text, err := Read(string(old))
		if err != nil {
			return r, fmt.Errorf("%s is kept as it is: %w", path, err)
		}
		if !strings.HasPrefix(unix(string(old)), "# Post-Mortem "+esc(r.Incident.Number)+"\n") {
			return r, fmt.Errorf("post-mortem: %s is of another incident than %s", path, r.Incident.Number)
		}
		merged := map[Place]string{}
		maps.Copy(merged, text)
		maps.Copy(merged, r.Text)
		r.Text = merged
	case !errors.Is(err, fs.ErrNotExist):
		return r, fmt.Errorf("post-mortem: %w", err)
	}
	page, err := r.HTML()
	if err != nil {
		return r, err
	}
	if err := atomicfile.Write(path, []byte(r.Markdown()), 0o640); err != nil {
		return r, fmt.Errorf("post-mortem: %w", err)
	}
	if err := atomicfile.Write(base+".html", []byte(page), 0o640); err != nil {
		return r, fmt.Errorf("post-mortem: %w", err)
	}
	return r, nil
}
