package pgbackup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"github.com/andon-go/andon/recovery"
)

// Request says what is to be restored.
type Request struct {
	// Backup is the name of the backup. Defaults to the newest verified one.
	Backup string

	// Tables are those to restore, as in Config.Tables; partitions come with their
	// table. Defaults to all that the backup holds.
	Tables []string

	// SchemaOfBackup restores tables as they were defined then, even where their
	// definition has changed since. Defaults to false: a difference is ErrSchema.
	SchemaOfBackup bool

	// Log is the directory of a Stream's log. With it the tables are brought forward
	// from the backup by what the log holds, up to the first of the bounds below that
	// is set, or to its end. Defaults to none: the tables as they were backed up.
	Log string

	// UntilTime leaves out transactions that were committed after it, by the server's
	// clock, UntilLSN those whose commit is not before it. BeforeXID leaves out a
	// transaction and all that were committed after it.
	UntilTime time.Time
	UntilLSN  pglogrepl.LSN
	BeforeXID uint32
}

// Plan is a restore that can be printed, reviewed, sent as JSON and refused. It holds
// the facts that it was made for; it is a value and is not to be edited.
type Plan struct {
	ID       string    `json:"id"` // SHA-256 of all the rest
	At       time.Time `json:"at"`
	Backup   string    `json:"backup"`
	Manifest string    `json:"manifest"` // SHA-256 of the backup's commit record
	SystemID string    `json:"system_id"`
	Database string    `json:"database"`

	// Tables are those that are restored, a partitioned one before its partitions.
	Tables []TablePlan `json:"tables"`

	// Gone are live partitions of these tables that the backup does not have: they
	// are kept aside with the table.
	Gone []TablePlan `json:"gone,omitempty"`

	// Differences say how live tables are defined otherwise than in the backup.
	Differences []string  `json:"differences,omitempty"`
	Sums        []SumPlan `json:"sums,omitempty"`

	// Replay is what is applied after the backup; nil: nothing.
	Replay *Replay  `json:"replay,omitempty"`
	Notes  []string `json:"notes,omitempty"`
}

// TablePlan is what a restore does to one table.
type TablePlan struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`           // in the backup
	Live  *Live  `json:"live,omitempty"` // what it replaces; nil when there is none
}

// Live is a table that is there, as it was looked at.
type Live struct {
	OID  int64 `json:"oid"`
	Rows int64 `json:"rows"`

	// Mark differs whenever a row was inserted, changed or deleted since, Shape
	// whenever the table was altered.
	Mark  string `json:"mark"`
	Shape string `json:"shape"`
}

// SumPlan is a line of Config.Sums as it is and as it was backed up.
type SumPlan struct {
	Sum
	Group  string `json:"group"`
	Live   string `json:"live"` // empty when there is none
	Backup string `json:"backup"`
}

// NothingToDo reports whether there is nothing to restore.
func (p Plan) NothingToDo() bool { return len(p.Tables) == 0 }

// Kept returns the schema that holds what a table of this schema is replaced by: the
// rows as they were, until a person drops them.
func (p Plan) Kept(schema string) string { return keptPrefix + p.short() + "_" + schema }

func (p Plan) short() string { return p.ID[:min(len(p.ID), 12)] }

// String returns the plan for people, a line for each table.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan %s: restore %d tables of %s into database %s of cluster %s\n", p.short(), len(p.Tables), p.Backup, p.Database, p.SystemID)
	for _, t := range p.Tables {
		switch {
		case t.Live == nil:
			fmt.Fprintf(&b, "  %s: %d rows; there is no such table now\n", t.Table, t.Rows)
		default:
			schema, _, _ := strings.Cut(t.Table, ".")
			fmt.Fprintf(&b, "  %s: %d rows instead of %d, which are kept in schema %s\n", t.Table, t.Rows, t.Live.Rows, p.Kept(schema))
		}
	}
	if p.Replay != nil {
		fmt.Fprintf(&b, "  then %d changes of %d transactions from %s, up to %v, the last of them at %s\n",
			p.Replay.Changes, p.Replay.Transactions, p.Replay.Log, p.Replay.Last, p.Replay.LastAt.Format(time.RFC3339Nano))
		for _, q := range p.Replay.Sequences {
			fmt.Fprintf(&b, "  sequence %s goes on after %d at least\n", q.Sequence, q.Last)
		}
	}
	for _, t := range p.Gone {
		fmt.Fprintf(&b, "  %s: not in the backup; its %d rows are kept with its table\n", t.Table, t.Live.Rows)
	}
	for _, s := range p.Sums {
		if s.Live != s.Backup {
			fmt.Fprintf(&b, "  %s: %s of %s %s: %s becomes %s\n", s.Table, s.Of, s.By, s.Group, orNone(s.Live), orNone(s.Backup))
		}
	}
	for _, d := range p.Differences {
		fmt.Fprintf(&b, "  differs: %s\n", d)
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "  note: %s\n", n)
	}
	return b.String()
}

func orNone(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (p Plan) id() (string, error) {
	p.ID = ""
	text, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	return digest(text), nil
}

// check finds a plan that was edited or cut off.
func (p Plan) check() error {
	id, err := p.id()
	if err != nil {
		return err
	}
	if id != p.ID || len(p.Tables) == 0 {
		return fmt.Errorf("the plan is not one that was made here, or was edited: %w", ErrMoved)
	}
	return nil
}

// PlanRestore reads the backup's record and the tables that are there, and returns
// what a restore would change. It changes nothing. The backup must count:
// recovery.ErrNotVerified else. What hangs on a live table and could not be kept is
// ErrUnsupported; a definition that has changed is ErrSchema.
func (s *Store) PlanRestore(ctx context.Context, req Request, now time.Time) (_ Plan, err error) {
	ctx, span := s.tracer.Start(ctx, "pgbackup.PlanRestore")
	defer func() { endSpan(span, err) }()
	p, err := s.planRestore(ctx, req, now)
	if err != nil {
		return Plan{}, fmt.Errorf("planning a restore: %w", err)
	}
	return p, nil
}

// source is a backup that counts.
type source struct {
	*recovery.Reader
	m   recovery.Manifest
	d   Details
	sum string // SHA-256 of the manifest
}

// counts opens a backup that counts, the newest when no name is given.
func (s *Store) counts(ctx context.Context, name string) (src source, err error) {
	if name == "" {
		backups, err := s.Backups(ctx)
		if err != nil {
			return src, err
		}
		i := slices.IndexFunc(backups, recovery.Backup.Good)
		if i < 0 {
			return src, fmt.Errorf("%w among %d", recovery.ErrNoBackup, len(backups))
		}
		name = backups[i].Name
	}
	if src.Reader, err = s.cfg.Repository.Read(ctx, name); err != nil {
		return src, err
	}
	src.m = src.Manifest()
	text, err := json.Marshal(src.m)
	if err != nil {
		return src, err
	}
	src.sum = digest(text)
	src.d, err = details(&src.m)
	return src, err
}

func (s *Store) planRestore(ctx context.Context, req Request, now time.Time) (p Plan, err error) {
	src, err := s.counts(ctx, req.Backup)
	if err != nil {
		return p, err
	}
	m := &src.d
	chosen, err := m.Schema.choose(req.Tables)
	if err != nil {
		return p, err
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return p, err
	}
	defer disconnect(ctx, conn)
	if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return p, err
	}
	p = Plan{At: now.UTC(), Backup: src.m.Name, Manifest: src.sum}
	if err := p.target(ctx, conn, m.Source); err != nil {
		return p, err
	}
	l, err := readLive(ctx, conn, chosen)
	if err != nil {
		return p, err
	}
	if err := l.refuse(ctx, conn); err != nil {
		return p, err
	}
	for _, t := range chosen {
		d, _ := m.data(t.String())
		live, err := l.look(ctx, conn, t.String())
		if err != nil {
			return p, err
		}
		p.Tables = append(p.Tables, TablePlan{t.String(), d.Rows, live})
		if live != nil {
			p.Differences = append(p.Differences, differences(t, l.schema.table(t.String()))...)
		}
	}
	for _, t := range l.schema.Tables {
		if slices.ContainsFunc(chosen, func(c *Table) bool { return c.String() == t.String() }) {
			continue
		}
		live, err := l.look(ctx, conn, t.String())
		if err != nil {
			return p, err
		}
		p.Gone = append(p.Gone, TablePlan{Table: t.String(), Live: live})
		p.Differences = append(p.Differences, t.String()+": the partition is not in the backup")
	}
	if len(p.Differences) > 0 && !req.SchemaOfBackup {
		return p, &SchemaError{p.Differences}
	}
	if p.Sums, err = s.sums(ctx, conn, m, l, chosen); err != nil {
		return p, err
	}
	if req.Log != "" {
		if p.Replay, err = planReplay(ctx, conn, req, &src.d, chosen, true); err != nil {
			return p, err
		}
	}
	p.ID, err = p.id()
	return p, err
}

// choose returns the tables of these names and their partitions, all when there are no
// names, in the order of the schema.
func (s *Schema) choose(names []string) ([]*Table, error) {
	chosen := map[string]bool{}
	var errs []error
	for _, name := range names {
		name = qualified(name)
		t := s.table(name)
		switch {
		case t == nil:
			errs = append(errs, fmt.Errorf("%s is not in the backup", name))
		case t.Parent != "":
			errs = append(errs, fmt.Errorf("%s is a partition: restore %s, or repair its rows", name, t.Parent))
		default:
			chosen[name] = true
		}
	}
	var all []*Table
	for i := range s.Tables {
		t := &s.Tables[i]
		if len(names) == 0 || chosen[t.Parent] {
			chosen[t.String()] = true
		}
		if chosen[t.String()] {
			all = append(all, t)
		}
	}
	return all, errors.Join(errs...)
}

// target reads which database the plan is for.
func (p *Plan) target(ctx context.Context, conn *pgx.Conn, from Source) error {
	id, _, _, note, err := readSystem(ctx, conn)
	if err != nil {
		return err
	}
	now, err := readSource(ctx, conn)
	if err != nil {
		return err
	}
	p.SystemID, p.Database = id, now.Database
	if now.Number/10000 < from.Number/10000 {
		return fmt.Errorf("the server is PostgreSQL %s and the backup is of %s, which is newer: %w", now.Version, from.Version, ErrUnsupported)
	}
	if now.Encoding != from.Encoding {
		p.Notes = append(p.Notes, fmt.Sprintf("the database is in %s and the backup is of one in %s", now.Encoding, from.Encoding))
	}
	switch {
	case id == "" || from.SystemID == "":
		p.Notes = append(p.Notes, "it cannot be told whether the backup is of this cluster: "+orNone(note))
	case id != from.SystemID:
		p.Notes = append(p.Notes, "the backup is of another cluster, "+from.SystemID)
	}
	if now.Database != from.Database {
		p.Notes = append(p.Notes, fmt.Sprintf("the backup is of database %q", from.Database))
	}
	return nil
}

// sums puts the totals of the backup beside those of the live tables.
func (s *Store) sums(ctx context.Context, conn *pgx.Conn, m *Details, l *liveTables, chosen []*Table) ([]SumPlan, error) {
	type line struct {
		Sum
		group string
	}
	all := map[line]*SumPlan{}
	var order []line
	at := func(t Total) *SumPlan {
		k := line{t.Sum, t.Group}
		if t.Null {
			k.group = "NULL"
		}
		if all[k] == nil {
			all[k] = &SumPlan{Sum: t.Sum, Group: k.group}
			order = append(order, k)
		}
		return all[k]
	}
	sums := map[Sum]bool{}
	for _, t := range m.Sums {
		if slices.ContainsFunc(chosen, func(c *Table) bool { return c.String() == t.Table }) {
			sums[t.Sum] = true
			at(t).Backup = t.Total
		}
	}
	for sum := range maps.Keys(sums) {
		if l.schema.table(sum.Table) == nil {
			continue
		}
		totals, err := readTotals(ctx, conn, sum, quoted([]string{sum.Table})[0])
		if err != nil {
			return nil, err
		}
		for _, t := range totals {
			at(t).Live = t.Total
		}
	}
	slices.SortFunc(order, func(a, b line) int {
		return strings.Compare(fmt.Sprintf("%q", []string{a.Table, a.By, a.Of, a.group}), fmt.Sprintf("%q", []string{b.Table, b.By, b.Of, b.group}))
	})
	var out []SumPlan
	for _, k := range order {
		out = append(out, *all[k])
	}
	return out, nil
}

// differences says how a live table is defined otherwise than in the backup, line by
// line. Who may do what, comments and triggers are no difference.
func differences(backup, live *Table) []string {
	if backup.shape() == live.shape() {
		return nil
	}
	had, has := backup.lines(), live.lines()
	var out []string
	for _, line := range had {
		if !slices.Contains(has, line) {
			out = append(out, fmt.Sprintf("%v: only in the backup: %s", backup, line))
		}
	}
	for _, line := range has {
		if !slices.Contains(had, line) {
			out = append(out, fmt.Sprintf("%v: only in the live table: %s", backup, line))
		}
	}
	if len(out) == 0 {
		out = []string{fmt.Sprintf("%v: the order of its columns", backup)}
	}
	return out
}

func (t *Table) lines() []string {
	lines := []string{fmt.Sprintf("partition of %q %s by %q, unlogged %t, %s", t.Parent, t.Bound, t.PartitionKey, t.Unlogged, t.Method)}
	for _, c := range t.Columns {
		var line strings.Builder
		line.WriteString(fmt.Sprintf("column %s %s", c.Name, c.Type))
		for _, part := range []struct{ name, value string }{
			{"collate", c.Collation}, {"storage", c.Storage}, {"compression", c.Compress}, {"identity", c.Identity}, {"default", c.Default}, {"sequence", c.Sequence},
		} {
			if part.value != "" {
				line.WriteString(" " + part.name + " " + part.value)
			}
		}
		if c.NotNull {
			line.WriteString(" not null")
		}
		if c.Generated {
			line.WriteString(" generated")
		}
		lines = append(lines, line.String())
	}
	for _, k := range t.Constraints {
		lines = append(lines, "constraint "+k.Name+" "+k.Definition)
	}
	for _, i := range t.Indexes {
		lines = append(lines, fmt.Sprintf("index %s unique %t %s", i.Name, i.Unique, i.Definition))
	}
	return lines
}
