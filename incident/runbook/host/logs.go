package host

import (
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// files are the log files, the oldest first. A place that cannot be read is an error beside
// the rest, and so is that there is none.
func (c BotConfig) files() ([]string, error) {
	type file struct {
		path string
		at   time.Time
	}
	var all []file
	var errs []error
	take := func(path string, info fs.FileInfo, err error) {
		switch {
		case err != nil:
			errs = append(errs, err)
		case info.Mode().IsRegular():
			all = append(all, file{path, info.ModTime()})
		}
	}
	for _, path := range c.Logs {
		info, err := os.Stat(path)
		if err != nil || !info.IsDir() {
			take(path, info, err)
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			errs = append(errs, err)
		}
		for _, e := range entries {
			name := filepath.Join(path, e.Name())
			info, err := os.Stat(name)
			take(name, info, err)
		}
	}
	if len(all) == 0 {
		errs = append(errs, fmt.Errorf("there is no log file in %s", strings.Join(c.Logs, ", ")))
	}
	slices.SortFunc(all, func(a, b file) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.path, b.path)) })
	var paths []string
	for _, f := range all {
		if !slices.Contains(paths, f.path) {
			paths = append(paths, f.path)
		}
	}
	return paths, errors.Join(errs...)
}

// each reads every line of every log file; what cannot be read is an error beside the rest.
func (c BotConfig) each(ctx context.Context, line func(path string, line []byte)) error {
	paths, err := c.files()
	errs := []error{err}
	for _, path := range paths {
		if err := readLog(ctx, path, func(b []byte) { line(path, b) }); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func readLog(ctx context.Context, path string, line func([]byte)) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return err
		}
	}
	return eachLine(ctx, r, line)
}

// grep returns the last lines that match, with the names of their files. Nothing means that
// no line does, where there is no error.
func (c BotConfig) grep(ctx context.Context, pattern string) (string, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return "", fmt.Errorf("grep: %w", err)
	}
	found := tail{most: c.MaxLines}
	err = c.each(ctx, func(path string, line []byte) {
		if re.Match(line) {
			found.add(path + ": " + oneLine.Replace(string(line)))
		}
	})
	if err != nil {
		err = fmt.Errorf("grep: %w", err)
	}
	return found.String(), err
}

// date is how a line says on which day it was written.
var date = regexp.MustCompile(`\b(20\d\d)[-/](0[1-9]|1[0-2])[-/](0[1-9]|[12]\d|3[01])`)

// undated are the lines of a file before the first that has a date.
const undated = "no date"

// apiUsage counts the requests to the exchange of the last days, by day and by the status of
// the answer. A line without a date is of the day of the line before it.
func (c BotConfig) apiUsage(ctx context.Context, days int) (string, error) {
	if days < 1 {
		return "", fmt.Errorf("api usage: %d days", days)
	}
	oldest := time.Now().AddDate(0, 0, -days).Format(time.DateOnly)
	counts := map[string]map[string]int{}
	total, day, file := 0, undated, ""
	groups := c.Request.SubexpNames()
	err := c.each(ctx, func(path string, line []byte) {
		if path != file {
			day, file = undated, path
		}
		if d := date.FindSubmatch(line); d != nil {
			day = fmt.Sprintf("%s-%s-%s", d[1], d[2], d[3])
		}
		m := c.Request.FindSubmatch(line)
		if m == nil || day != undated && day < oldest {
			return
		}
		status := "unknown"
		for i, name := range groups {
			if name == "status" && len(m[i]) > 0 {
				status = string(m[i])
			}
		}
		if counts[day] == nil {
			counts[day] = map[string]int{}
		}
		counts[day][status]++
		total++
	})
	var rows [][]any
	for _, day := range slices.Sorted(maps.Keys(counts)) {
		for _, status := range slices.Sorted(maps.Keys(counts[day])) {
			rows = append(rows, []any{day, status, counts[day][status]})
		}
	}
	if err == nil && total == 0 {
		err = fmt.Errorf("no line of the last %d days tells of a request: how the API is used is not known", days)
	}
	if err != nil {
		err = fmt.Errorf("api usage: %w", err)
	}
	text, terr := table(c.MaxLines, "DAY\tSTATUS\tREQUESTS", rows)
	return fmt.Sprintf("%d requests in %d days\n", total, days) + text, errors.Join(err, terr)
}
