package settings

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// hidden stands for a secret.
const hidden = "(hidden)"

// Request is what is to be changed.
type Request struct {
	Values map[string]string // by the variable's name; at least one
	Loosen []string          // names whose change may add exposure
}

// Change is one variable of a plan. Of a secret Old and New are "(hidden)".
type Change struct {
	Name    string
	Old     string // as it is read; empty where it is not set
	Unset   bool   // it is not set now
	New     string
	Unit    string
	Secret  bool
	Loosens string // why it adds exposure; empty when it does not
	File    string
	Then    string // what has to happen for it to take effect
}

// edit is a change with what is needed to make it and to take it back.
type edit struct {
	Change
	Was  cell // what is there
	Will cell // what comes there
}

// rewrite is one file, before and after.
type rewrite struct {
	Path          string
	Before, After []byte
	Mode, NewMode fs.FileMode
}

// Plan is a change before it is made. Printed, it hides secrets.
type Plan struct {
	Changes []Change // by file and name; without those that change nothing
	*unseen          // nil in a Plan that is not one of Store.Plan's
}

// unseen is what of a plan may be secret, behind a pointer, of which fmt prints no more than
// the address: it does not call the methods of a Plan in an unexported field.
type unseen struct {
	values map[string]string
	edits  []edit
	files  []rewrite
}

// String returns the plan for people, one line a variable.
func (p Plan) String() string {
	if len(p.Changes) == 0 {
		return "nothing to change: every variable is so already\n"
	}
	if p.unseen == nil {
		return "not one of Plan's\n"
	}
	var b strings.Builder
	for _, f := range p.files {
		fmt.Fprintf(&b, "%s", f.Path)
		if f.Mode != f.NewMode {
			fmt.Fprintf(&b, " (mode %04o -> %04o)", f.Mode, f.NewMode)
		}
		b.WriteString("\n")
		for _, c := range p.Changes {
			if c.File == f.Path {
				fmt.Fprintf(&b, "  %s\n", c)
			}
		}
	}
	return b.String()
}

// GoString is String, so that no way of printing shows a secret.
func (p Plan) GoString() string { return p.String() }

// String returns the change as "NAME: old -> new unit; what has to happen".
func (c Change) String() string {
	old, unit, loosens := c.Old, c.Unit, ""
	if c.Unset {
		old = "(not set)"
	}
	if unit != "" {
		unit = " " + unit
	}
	if c.Loosens != "" {
		loosens = "; LOOSENS: " + c.Loosens
	}
	return fmt.Sprintf("%s: %s -> %s%s%s; %s", c.Name, old, c.New, unit, loosens, c.Then)
}

// document is a file whose variables can be read and written.
type document interface {
	get(name string) (cell, error)
	literal(was cell, value string) (string, error)
	put(name string, c cell) ([]byte, error)
}

func (s *Store) parse(path string, text []byte) (document, error) {
	var d document
	var err error
	if base, ok := s.resolve(s.cfg.JSON); ok == nil && base == path {
		d, err = parseJSON(text)
	} else {
		d, err = parseEnv(text)
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be understood, so nothing is written to it: %w", path, err)
	}
	return d, nil
}

// resolve returns the file that is meant by a configured path.
func (s *Store) resolve(path string) (string, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w: if the bot runs without that file, make an empty one", err)
	case err != nil:
		return "", err
	case info.Mode()&fs.ModeSymlink != 0 && !s.cfg.FollowLinks:
		return "", fmt.Errorf("%s is a symbolic link: name the file itself, or set Config.FollowLinks", path)
	case info.Mode()&fs.ModeSymlink != 0:
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return "", err
		}
		info, err = os.Lstat(path)
		if err != nil {
			return "", err
		}
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", path)
	}
	return path, nil
}

// Plan says what would be changed, and changes nothing. It is refused where a name is
// not known, a value is not what the variable takes, a file cannot be understood, or
// (ErrLoosens) a variable adds exposure and is not named in the request.
func (s *Store) Plan(ctx context.Context, r Request) (Plan, error) {
	if err := ctx.Err(); err != nil {
		return Plan{}, err
	}
	if len(r.Values) == 0 {
		return Plan{}, errors.New("Values: there are none")
	}
	p := Plan{unseen: &unseen{values: maps.Clone(r.Values)}}
	var errs []error
	byFile := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(r.Values)) {
		v, err := s.variable(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if err := v.check(r.Values[name]); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		path := s.cfg.Env
		if inJSON(name) {
			path = s.cfg.JSON
		}
		byFile[path] = append(byFile[path], name)
	}
	if len(errs) > 0 {
		return Plan{}, errors.Join(errs...)
	}
	for _, path := range []string{s.cfg.Env, s.cfg.JSON} {
		if names := byFile[path]; len(names) > 0 {
			errs = append(errs, s.planFile(&p, path, names))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Plan{}, err
	}
	return p, refused(p, r.Loosen)
}

// refused returns which changes of a plan add exposure and are not named.
func refused(p Plan, named []string) error {
	e := &LoosensError{}
	for _, c := range p.Changes {
		if c.Loosens != "" && !slices.Contains(named, c.Name) {
			e.Names, e.Why = append(e.Names, c.Name), append(e.Why, c.Loosens)
		}
	}
	if len(e.Names) > 0 {
		return e
	}
	return nil
}

// planFile adds the changes of one file.
func (s *Store) planFile(p *Plan, configured string, names []string) error {
	path, err := s.resolve(configured)
	if err != nil {
		return err
	}
	f, err := read(path)
	if err != nil {
		return err
	}
	d, err := s.parse(path, f.Before)
	if err != nil {
		return err
	}
	f.After = f.Before
	var errs []error
	for _, name := range names {
		e, err := s.edit(d, path, name, p.values[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		if e.Was.Present && !e.Was.Bare && !e.Was.Expands && e.Was.Value == p.values[name] {
			continue
		}
		if f.After, err = d.put(name, e.Will); err != nil {
			return err
		}
		if d, err = s.parse(path, f.After); err != nil {
			return err
		}
		if e.Secret {
			f.NewMode &^= 0o077
		}
		p.edits, p.Changes = append(p.edits, e), append(p.Changes, e.Change)
	}
	errs = append(errs, s.readBack(d, configured, names, p.values))
	if !bytes.Equal(f.Before, f.After) {
		p.files = append(p.files, f)
	}
	return errors.Join(errs...)
}

// readBack makes sure that the new text says what was asked for.
func (s *Store) readBack(d document, configured string, names []string, values map[string]string) error {
	var errs []error
	for _, name := range names {
		if c, err := d.get(name); err == nil && c.Value != values[name] {
			errs = append(errs, fmt.Errorf("%s: %s would not read it back as it was given", name, filepath.Base(configured)))
		}
	}
	if configured == s.cfg.Env {
		errs = append(errs, s.pingsInTime(d))
	}
	return errors.Join(errs...)
}

// pingsInTime refuses a WebSocket that would be taken for dead between two pings.
func (s *Store) pingsInTime(d document) error {
	number := func(name string) string {
		if c, err := d.get(name); err == nil && c.Present && !c.Expands {
			return c.Value
		}
		return s.cfg.Defaults[name]
	}
	v := Variable{Kind: Whole}
	timeout, ok := v.number(number("EXCHANGE__WEBSOCKET_TIMEOUT"))
	ping, ok2 := v.number(number("EXCHANGE__WEBSOCKET_PING_INTERVAL"))
	if ok && ok2 && ping.Cmp(timeout) >= 0 {
		return errors.New("EXCHANGE__WEBSOCKET_PING_INTERVAL: it has to be shorter than EXCHANGE__WEBSOCKET_TIMEOUT")
	}
	return nil
}

func read(path string) (rewrite, error) {
	info, err := os.Stat(path)
	if err != nil {
		return rewrite{}, err
	}
	text, err := os.ReadFile(path)
	return rewrite{Path: path, Before: text, Mode: info.Mode().Perm(), NewMode: info.Mode().Perm()}, err
}

// edit makes the change of one variable.
func (s *Store) edit(d document, path, name, value string) (edit, error) {
	v, err := s.variable(name)
	if err != nil {
		return edit{}, err
	}
	was, err := d.get(name)
	if err != nil {
		return edit{}, err
	}
	raw, err := d.literal(was, value)
	if err != nil {
		return edit{}, err
	}
	e := edit{Was: was, Will: cell{Present: true, Raw: raw, Value: value}}
	e.Change = Change{
		Name: name, Old: was.Value, Unset: !was.Present || was.Bare, New: value, Unit: v.Unit, Secret: v.Secret,
		Loosens: v.loosens(s.known(name, was), &value), File: path, Then: s.then(v),
	}
	if v.Secret {
		e.Old, e.New = hidden, hidden
	}
	return e, nil
}

// known returns the value that the bot takes, nil when it cannot be told.
func (s *Store) known(name string, c cell) *string {
	switch {
	case c.Expands:
		return nil
	case c.Present && !c.Bare:
		return &c.Value
	}
	if d, ok := s.cfg.Defaults[name]; ok && !c.Bare {
		return &d
	}
	return nil
}

func (s *Store) then(v Variable) string {
	switch {
	case v.Recreate:
		return "the container of " + s.cfg.Service + " has to be made anew (docker compose up -d)"
	case s.cfg.Changed != nil:
		return s.cfg.Service + " is told"
	}
	return s.cfg.Service + " has to restart"
}

// Preview returns the plan of these values for people, and changes nothing. It is
// refused as Plan is.
func (s *Store) Preview(ctx context.Context, values map[string]string) (string, error) {
	p, err := s.Plan(ctx, Request{Values: values})
	if err != nil {
		return "", err
	}
	return p.String(), nil
}
