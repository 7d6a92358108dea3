package journal_test

import (
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/journal"
	"github.com/stretchr/testify/require"
)

// TestAJournalOfABubbleUsesNothingOfAnother: who tests with testing/synctest may have a
// journal in each bubble, with many writers.
func TestAJournalOfABubbleUsesNothingOfAnother(t *testing.T) {
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			j, err := journal.Open(filepath.Join(t.TempDir(), "journal"))
			require.NoError(t, err)
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					for range 20 {
						_, err := j.Append(t.Context(), incident.Any, incident.Event{At: time.Now(), Kind: incident.Noted, By: "Ada", What: "a note", Why: "a test"})
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			require.NoError(t, j.Close())
		})
	}
}
