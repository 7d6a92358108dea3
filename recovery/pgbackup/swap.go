package pgbackup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// keptMark is the comment on a schema with replaced rows.
type keptMark struct {
	Plan   string    `json:"plan"`
	Backup string    `json:"backup"`
	At     time.Time `json:"at"` // of the plan
}

// swapIn exchanges the tables in one transaction, once nobody writes and the facts are
// still those of the plan.
func (r *restoration) swapIn(ctx context.Context, conn *pgx.Conn) error {
	began := time.Now()
	err := r.swap(ctx, conn)
	if errors.Is(err, ErrOutcomeUnknown) {
		err = r.s.settle(ctx, err, r.applied)
		r.done.Unchanged = false
	}
	r.done.Swap = time.Since(began)
	return err
}

func (r *restoration) swap(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, "BEGIN"); err != nil {
		return err
	}
	err := r.exchange(ctx, conn)
	if err == nil {
		err = r.idle(ctx)
	}
	if err != nil {
		if !conn.IsClosed() {
			clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
			defer cancel()
			_, rollback := conn.Exec(clean, "ROLLBACK")
			err = errors.Join(err, rollback)
		}
		return err
	}
	return commit(ctx, conn)
}

func (r *restoration) exchange(ctx context.Context, conn *pgx.Conn) error {
	if err := r.lock(ctx, conn); err != nil {
		return err
	}
	live, err := r.unmoved(ctx, conn)
	if err != nil {
		return err
	}
	h, err := live.readHanging(ctx, conn)
	if err != nil {
		return err
	}
	if len(h.lock) > 0 {
		if err := run(ctx, conn, []string{"LOCK TABLE " + strings.Join(h.lock, ", ") + " IN ACCESS EXCLUSIVE MODE"}); err != nil {
			return err
		}
	}
	if err := r.putAside(ctx, conn, live, h); err != nil {
		return err
	}
	return r.putInPlace(ctx, conn, live, h)
}

// lock locks the live tables, so that what is looked at from here on stays.
func (r *restoration) lock(ctx context.Context, conn *pgx.Conn) error {
	var names []string
	for _, t := range slices.Concat(r.p.Tables, r.p.Gone) {
		if t.Live != nil {
			names = append(names, t.Table)
		}
	}
	if len(names) == 0 {
		return nil
	}
	err := run(ctx, conn, []string{"LOCK TABLE ONLY " + strings.Join(quoted(names), ", ONLY ") + " IN ACCESS EXCLUSIVE MODE"})
	if lockTimedOut(err) {
		return &BlockedError{Err: err}
	}
	return err
}

// putAside moves the live tables, with their rows, keys and sequences, to the schemas
// where they are kept.
func (r *restoration) putAside(ctx context.Context, conn *pgx.Conn, live *liveTables, h hanging) error {
	mark, err := json.Marshal(keptMark{r.p.ID, r.p.Backup, r.p.At})
	if err != nil {
		return err
	}
	sql := slices.Clone(h.before)
	for _, schema := range r.schemas {
		kept := r.p.Kept(schema)
		sql = append(sql, "CREATE SCHEMA "+ident(kept), "COMMENT ON SCHEMA "+ident(kept)+" IS "+literal(string(mark)))
		r.done.Kept = append(r.done.Kept, kept)
	}
	for _, t := range live.schema.Tables {
		sql = append(sql, fmt.Sprintf("ALTER TABLE %s SET SCHEMA %s", ident(t.Schema, t.Name), ident(r.p.Kept(t.Schema))))
	}
	return run(ctx, conn, sql)
}

// putInPlace moves the new tables to where they belong and hangs on them what hung on
// the live ones. Who may do what is taken from the live table, where there was one.
func (r *restoration) putInPlace(ctx context.Context, conn *pgx.Conn, live *liveTables, h hanging) error {
	var sql, triggers []string
	for _, t := range r.tables {
		sql = append(sql, fmt.Sprintf("ALTER TABLE %s SET SCHEMA %s", r.l.place(t.Schema, t.Name), ident(t.Schema)))
		from := t
		if was := live.schema.table(t.String()); was != nil {
			from = was
		}
		for _, g := range t.Triggers {
			triggers = append(triggers, g.Definition, g.enable(t))
		}
		given, err := r.possible(ctx, conn, from.Owner, from.Grants)
		if err != nil {
			return err
		}
		sql = append(sql, rights("TABLE", ident(t.Schema, t.Name), given.owner, given.grants)...)
		for _, q := range r.l.owned(t) {
			more, err := r.settled(ctx, conn, live, q)
			if err != nil {
				return err
			}
			sql = append(sql, more...)
		}
	}
	for i := range r.m.Schema.Sequences {
		if q := &r.m.Schema.Sequences[i]; !r.l.restore[q.Table] && r.uses(q) {
			sql = append(sql, q.further(ident(q.Schema, q.Name)))
		}
	}
	for _, schema := range r.schemas { // without CASCADE: nothing may be left in it
		sql = append(sql, "DROP SCHEMA "+ident(r.l.scratch[schema]))
	}
	if err := run(ctx, conn, slices.Concat(sql, triggers)); err != nil {
		return err
	}
	if err := run(ctx, conn, h.after); err != nil {
		return fmt.Errorf("what hung on the live tables cannot be hung on the restored ones: %w", err)
	}
	return nil
}

// enable sets when a trigger fires.
func (g Trigger) enable(t *Table) string {
	how := map[string]string{"ORIGIN": "ENABLE", "REPLICA": "ENABLE REPLICA", "ALWAYS": "ENABLE ALWAYS"}[g.Enabled]
	if how == "" {
		how = "DISABLE"
	}
	return fmt.Sprintf("ALTER TABLE %s %s TRIGGER %s", ident(t.Schema, t.Name), how, ident(g.Name))
}

// given is the owner and the grants that can be given.
type given struct {
	owner  string
	grants []Grant
}

// possible leaves out roles that there are not, and says so.
func (r *restoration) possible(ctx context.Context, conn *pgx.Conn, owner string, grants []Grant) (g given, err error) {
	has := func(role string) (ok bool, err error) {
		if role == "PUBLIC" {
			return true, nil
		}
		err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role).Scan(&ok)
		note := fmt.Sprintf("there is no role %q: what it owned or was granted is not restored", role)
		if err == nil && !ok && !slices.Contains(r.done.Notes, note) {
			r.done.Notes = append(r.done.Notes, note)
		}
		return ok, err
	}
	if owner != "" {
		ok, err := has(owner)
		if err != nil {
			return g, err
		}
		if ok {
			g.owner = owner
		}
	}
	for _, grant := range grants {
		ok, err := has(grant.To)
		if err != nil {
			return g, err
		}
		if ok {
			g.grants = append(g.grants, grant)
		}
	}
	return g, nil
}

// settled moves a sequence of a new table past the one that it replaces, so that no
// value that was given out since the backup is given out again.
func (r *restoration) settled(ctx context.Context, conn *pgx.Conn, live *liveTables, q *Sequence) ([]string, error) {
	from := q
	for i := range live.schema.Sequences {
		if was := &live.schema.Sequences[i]; was.String() == q.String() {
			from = was
		}
	}
	g, err := r.possible(ctx, conn, "", from.Grants)
	if err != nil {
		return nil, err
	}
	sql := rights("SEQUENCE", ident(q.Schema, q.Name), "", g.grants)
	if from != q {
		sql = append(sql, from.further(ident(q.Schema, q.Name)))
	}
	return sql, nil
}

// further returns what moves a sequence to where this one stands, unless it is further
// already.
func (s *Sequence) further(name string) string {
	further := ">"
	if s.Increment < 0 {
		further = "<"
	}
	return fmt.Sprintf("SELECT setval(%s, %d, %t) FROM %s q WHERE (%[2]d, %[3]t) IS DISTINCT FROM (q.last_value, q.is_called) AND (%[2]d %[5]s q.last_value OR %[2]d = q.last_value AND %[3]t)",
		literal(name), s.Last, s.Called, name, further)
}

// settle finds out whether a change was committed whose answer was lost. The old
// session holds the lock of restores for as long as it lives.
func (s *Store) settle(ctx context.Context, unknown error, applied func(context.Context, *pgx.Conn) (bool, error)) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	for {
		done, err := s.lookAgain(ctx, applied)
		switch {
		case err == nil && done:
			return nil
		case err == nil:
			return fmt.Errorf("the connection broke before it was committed, and nothing was changed: apply the plan again: %v", unknown)
		}
		select {
		case <-ctx.Done():
			return errors.Join(unknown, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s *Store) lookAgain(ctx context.Context, applied func(context.Context, *pgx.Conn) (bool, error)) (bool, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return false, err
	}
	defer release(ctx, conn)
	if err := exclude(ctx, conn, restoreLock); err != nil {
		return false, err
	}
	return applied(ctx, conn)
}
