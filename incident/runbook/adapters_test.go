package runbook_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/notify/slack"
	"github.com/andon-go/andon/reconcile/pgbook"
	"github.com/andon-go/andon/recovery/diagnose"
	"github.com/andon-go/andon/recovery/filebackup"
	"github.com/andon-go/andon/recovery/rediscache"
)

// The engines fit, without knowing this package.
var (
	_ runbook.Restore = (*filebackup.Rescue)(nil)
	_ runbook.Flusher = (*rediscache.Flusher)(nil)
	_ runbook.Rows    = pgbook.Looks{}
	_ runbook.Server  = diagnose.Looks{}
	_                 = runbook.Channel((*slack.Notifier)(nil).Open)
)

// flusher says what it was called with.
type flusher struct{ calls []string }

func (f *flusher) Preview(context.Context) (string, error) { return "would remove 3 keys", nil }
func (f *flusher) Flush(_ context.Context, key, by, why string) (string, error) {
	f.calls = append(f.calls, key+" by "+by+": "+why)
	return "3 keys were removed", nil
}
func (f *flusher) Done(_ context.Context, key string) (bool, string, error) {
	return key == "run/flush", "they were removed", nil
}

func TestACacheIsFlushedInTheNameOfWhoApprovedIt(t *testing.T) {
	f := new(flusher)
	a := runbook.Flush(f)
	c := runbook.Call{Run: "run", Key: "run/flush", By: "Ada", Why: "stale books", Incident: "INC-20260301-001", Approved: []string{"Grace"}}
	text, err := a.Plan(t.Context())
	require.NoError(t, err)
	require.Equal(t, "would remove 3 keys", text)
	_, err = a.Do(t.Context(), c)
	require.NoError(t, err)
	require.Len(t, f.calls, 1)
	require.Contains(t, f.calls[0], "run/flush by Grace: ")
	done, _, err := a.Done(t.Context(), c)
	require.NoError(t, err)
	require.True(t, done)
}

func TestTheChannelIsTheIncidentsOwn(t *testing.T) {
	a := runbook.Channel(func(_ context.Context, incident string) (string, error) { return "#" + incident, nil })
	require.True(t, a.Again)
	text, err := a.Do(t.Context(), runbook.Call{Incident: "INC-20260301-001"})
	require.NoError(t, err)
	require.Equal(t, "#INC-20260301-001", text)
}

func TestADatabaseThatNobodyGaveIsAPersons(t *testing.T) {
	d := runbook.NewDatabase(nil, nil)
	require.Nil(t, d.Integrity)
	require.Nil(t, d.Vacuum)
	d = runbook.NewDatabase(nil, diagnose.Looks{})
	require.Nil(t, d.Export)
	_, err := d.SlowQueries(t.Context(), time.Second)
	require.ErrorContains(t, err, "no database", "law 1: a server that cannot be asked is not a quick one")
}
