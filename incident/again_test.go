package incident_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/internal/crashtest"
	"github.com/stretchr/testify/require"
)

// cutOff is a store that does what it is told, and whose answers are lost while it is cut.
type cutOff struct {
	closer
	cut atomic.Bool
}

func (c *cutOff) Append(ctx context.Context, expected uint64, events ...incident.Event) ([]incident.Event, error) {
	got, err := c.closer.Append(ctx, expected, events...)
	if c.cut.Load() {
		return nil, fmt.Errorf("%w: the connection broke", incident.ErrRecordUnknown)
	}
	return got, err
}

func (c *cutOff) Read(ctx context.Context, after uint64) iter.Seq2[incident.Event, error] {
	if c.cut.Load() {
		return func(yield func(incident.Event, error) bool) {
			yield(incident.Event{}, errors.New("the connection broke"))
		}
	}
	return c.closer.Read(ctx, after)
}

// cutOffShared is one that several processes have.
type cutOffShared struct{ *cutOff }

func (c cutOffShared) Watch(ctx context.Context, woken func()) error {
	return c.closer.(incident.Shared).Watch(ctx, woken)
}

func (c cutOffShared) Lead(ctx context.Context, who string, lead func(context.Context) error) error {
	return c.closer.(incident.Shared).Lead(ctx, who, lead)
}

// stores are the ways to open both stores: plainly, and in a child of a crash test.
var stores = map[string]func(t *testing.T) (plain, watched opener){
	"journal":    func(*testing.T) (plain, watched opener) { return inJournal, inJournal },
	"PostgreSQL": onPostgreSQL,
}

// first returns the pages of the first step.
func first(pages []string) []string {
	return slices.DeleteFunc(pages, func(p string) bool { return !strings.HasSuffix(p, "/0.") })
}

// The store has the declaration and nobody heard, and the detector declares the same
// thing again: it is the same incident, and it is paged once.
func TestADeclarationWhoseAnswerWasLostAndIsMadeAgainPagesOnce(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			plain, _ := open(t)
			cut := &cutOff{}
			home := filepath.Join(t.TempDir(), "dir")
			require.NoError(t, os.Mkdir(home, 0o755))
			l, err := live(home, func(dir string) (closer, error) {
				var err error
				if cut.closer, err = plain(dir); err != nil {
					return nil, err
				}
				if _, shared := cut.closer.(incident.Shared); shared {
					return cutOffShared{cut}, nil
				}
				return cut, nil
			}, func(c *incident.Config) { c.RecordWithin = 50 * time.Millisecond })
			require.NoError(t, err)
			cut.cut.Store(true)
			before, err := l.Declare(t.Context(), "reconciler", "book and venue differ", signal("book"))
			require.ErrorIs(t, err, incident.ErrNotRecorded)
			cut.cut.Store(false)
			var again incident.Incident
			require.NoError(t, l.until("the store", func() bool {
				again, err = l.Declare(t.Context(), "reconciler", "book and venue differ", signal("book"))
				return err == nil
			}))
			require.Equal(t, before.Number, again.Number)
			require.NoError(t, l.until("three pages", l.has(incident.Paged, 3)))
			require.Len(t, l.All(), 1)
			events, err := l.Timeline(t.Context(), again.Number)
			require.NoError(t, err)
			require.Len(t, only(events, incident.Declared), 1, "it is recorded once, though it was sent more often")
			require.NoError(t, l.end())
			require.Len(t, first(l.world.saw(t, "alert ")), 1)
		})
	}
}

// The process dies at any step of a declaration, also when the store has it and nobody has
// heard, and the detector declares the same thing to the next process: it is the same
// incident, and all its pages have the keys that they would have had.
func TestADeclarationThatAKillCutOffAndIsMadeAgainIsTheSameIncident(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			plain, watched := open(t)
			crashtest.Run(t, crashtest.Config{MaxSteps: 12}, func(dir string) error {
				l, err := live(dir, watched)
				if err != nil {
					return err
				}
				in, err := l.Declare(context.Background(), "reconciler", "book and venue differ", signal("book"))
				if err != nil {
					return err
				}
				fmt.Println(in.Number)
				return l.end()
			}, func(t *testing.T, dir string, at crashtest.Step) {
				l, err := live(dir, plain)
				require.NoError(t, err)
				again, err := l.Declare(t.Context(), "reconciler", "book and venue differ", signal("book"))
				require.NoError(t, err)
				require.True(t, len(at.Lines) == 0 || at.Lines[0] == again.Number, "%v, and then %s", at.Lines, again.Number)
				require.NoError(t, l.until("three pages", l.has(incident.Paged, 3)))
				require.Len(t, l.All(), 1)
				require.NoError(t, l.end())
				require.Len(t, slices.Compact(slices.Sorted(slices.Values(l.world.saw(t, "alert ")))), 3, "a page that is sent again has the same key")
			})
		})
	}
}
