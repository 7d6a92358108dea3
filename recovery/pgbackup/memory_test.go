package pgbackup_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/filebackup"
	"github.com/andon-go/andon/recovery/pgbackup"
	"github.com/andon-go/andon/recovery/recoverytest"
)

// The memory system is an ordinary target, or two: its rows and its directory are backed up
// and restored, each by its plan, and a step of a recovery.Sequence builds the index anew,
// which is derived from both and is in no backup. Historical data goes the same way.
func TestTheMemorySystemComesBackWithItsIndex(t *testing.T) {
	w := newWorld(t, `CREATE TABLE memories (id bigserial PRIMARY KEY, symbol text NOT NULL, lesson text NOT NULL, vector float8[] NOT NULL);
		CREATE TABLE index_entries (word text, memory bigint); INSERT INTO memories (symbol, lesson, vector) VALUES ('BTC', 'cut losses early', '{1,0}'), ('ETH', 'gaps close', '{0,1}')`,
		func(c *pgbackup.Config) { c.Tables = []string{"memories"} })
	dir := filepath.Join(t.TempDir(), "memory")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model.bin"), []byte("weights"), 0o600))
	files, err := filebackup.New(filebackup.Config{
		Component: recovery.MemorySystem, Dir: filepath.Join(t.TempDir(), "backups"), Sources: []string{dir},
		Recorder: w.recorder, Idle: func(context.Context, string) error { return nil },
	})
	require.NoError(t, err)
	for _, target := range []recovery.Target{w.store, files} {
		b, err := target.Backup(t.Context(), noon)
		require.NoError(t, err)
		_, err = target.Verify(t.Context(), b.Name, noon)
		require.NoError(t, err)
	}
	remembered := contents(t, w.pool)["public.memories"]

	execSQL(t, w.pool, "DELETE FROM memories WHERE symbol = 'ETH'; UPDATE memories SET lesson = 'ruined'; INSERT INTO index_entries VALUES ('ruined', 1)")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model.bin"), []byte("noise"), 0o600))

	indexed := func(ctx context.Context) (string, error) {
		var missing, foreign int
		err := w.pool.QueryRow(ctx, `WITH words AS (SELECT regexp_split_to_table(lesson, ' ') AS word, id FROM memories)
			SELECT (SELECT count(*) FROM words WHERE NOT EXISTS (SELECT FROM index_entries i WHERE i.word = words.word AND memory = id)),
				(SELECT count(*) FROM index_entries i WHERE NOT EXISTS (SELECT FROM words WHERE i.word = words.word AND memory = id))`).Scan(&missing, &foreign)
		if err == nil && missing+foreign > 0 {
			err = fmt.Errorf("the index lacks %d words and has %d that are in no memory", missing, foreign)
		}
		return "each word of each memory is in the index, and no other", err
	}
	steps := []recovery.Step{
		{
			Name: "rows", Purpose: "what was learned",
			Check: func(ctx context.Context) (string, error) {
				var n int
				err := w.pool.QueryRow(ctx, "SELECT count(*) FROM memories WHERE lesson <> 'ruined'").Scan(&n)
				if err == nil && n != 2 {
					err = fmt.Errorf("%d memories of 2", n)
				}
				return "2 memories", err
			},
			Action: func(ctx context.Context) error {
				p, err := w.store.PlanRestore(ctx, pgbackup.Request{}, noon)
				if err == nil {
					_, err = w.store.Restore(ctx, p, "alice", "INC-7", noon)
				}
				return err
			},
		},
		{
			Name: "directory", Purpose: "the model", Needs: []string{"rows"},
			Check: func(context.Context) (string, error) {
				is, err := os.ReadFile(filepath.Join(dir, "model.bin"))
				if err == nil && string(is) != "weights" {
					err = errors.New("the model is another one")
				}
				return "the model is as it was", err
			},
			Action: func(ctx context.Context) error {
				p, err := files.PlanRestore(ctx, filebackup.Request{}, noon)
				if err == nil {
					_, err = files.Restore(ctx, p, "alice", "INC-7", noon)
				}
				return err
			},
		},
		{
			Name: "index", Purpose: "finding it", Needs: []string{"rows", "directory"}, Check: indexed,
			Action: func(ctx context.Context) error {
				_, err := w.pool.Exec(ctx, "WITH gone AS (DELETE FROM index_entries) INSERT INTO index_entries SELECT regexp_split_to_table(lesson, ' '), id FROM memories")
				return err
			},
		},
	}
	s, err := recovery.NewSequence(recovery.SequenceConfig{Steps: steps, Recorder: new(recoverytest.Recorder), Logger: quiet})
	require.NoError(t, err)
	results, err := s.Run(t.Context(), "alice", nil)
	require.NoError(t, err)
	for _, r := range results {
		require.True(t, r.Proven && r.Acted, r)
	}
	require.Equal(t, remembered, contents(t, w.pool)["public.memories"])
	require.Equal(t, "5", value(t, w.pool, "SELECT count(*) FROM index_entries"))
	all, err := filepath.Glob(dir + "*")
	require.NoError(t, err)
	require.Len(t, all, 2, "what was replaced is kept: %s", strings.Join(all, " "))
}
