package recovery_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/recoverytest"
	"github.com/stretchr/testify/require"
)

func newChecklist(t *testing.T, rec recovery.Recorder, items ...recovery.Item) *recovery.Checklist {
	t.Helper()
	if rec == nil {
		rec = new(recoverytest.Recorder)
	}
	c, err := recovery.NewChecklist(recovery.ChecklistConfig{Items: items, Recorder: rec})
	require.NoError(t, err)
	return c
}

func allProven(window time.Duration) recovery.Proofs {
	return recovery.Proofs{
		ServicesRunning: holds("3 of 3 run"),
		NoErrorLogs: func(_ context.Context, window time.Duration) (string, error) {
			return "no error for " + window.String(), nil
		},
		TestTrade: holds("order t1 filled"), PositionsAccounted: holds("3 of 3 agree"), RiskLimitsEnforced: holds("an order above the limit was denied"),
		AlertsCleared: holds("0 firing"), StakeholdersNotified: holds("2 of 2 delivered"), PostMortemScheduled: holds("2026-03-06 10:00 UTC"),
		ErrorWindow: window,
	}
}

func TestLaw1_AnItemThatIsNotShownIsUnproven(t *testing.T) {
	for name, c := range unproofs() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				defer letGo()
				list := newChecklist(t, nil, recovery.Item{Text: "first", Check: c.check}, recovery.Item{Text: "second", Check: holds("seen")})
				require.Len(t, list.Unproven(), 2, "nothing is proven before it was looked at")
				err := list.Run(t.Context(), "alice")
				require.ErrorIs(t, err, recovery.ErrUnproven)
				require.ErrorContains(t, err, c.says)
				unproven := list.Unproven()
				require.Len(t, unproven, 1, "the others are looked at all the same")
				require.Contains(t, unproven[0], "first: ")
				require.Contains(t, unproven[0], c.says)
				require.Empty(t, list.Results()[0].Evidence)
			})
		})
	}
}

func TestChecklistProvesTheEightItems(t *testing.T) {
	rec := new(recoverytest.Recorder)
	list := newChecklist(t, rec, recovery.ValidationItems(allProven(0))...)
	require.NoError(t, list.Run(t.Context(), "alice"))
	require.Empty(t, list.Unproven())
	results := list.Results()
	require.Len(t, results, 8)
	for i, r := range results {
		require.True(t, r.Proven)
		require.Equal(t, "alice", r.By)
		require.False(t, r.At.IsZero())
		require.NotEmpty(t, r.Evidence)
		require.Equal(t, "checklist item proven: "+r.Text, rec.Whats()[i])
	}
	require.Equal(t, "- [x] No error logs in last 5 minutes (window 5m0s): no error for 5m0s (by alice)", results[1].String())
}

func TestTheWindowIsPrintedBesideTheProof(t *testing.T) {
	list := newChecklist(t, nil, recovery.ValidationItems(allProven(3*time.Second))...)
	require.NoError(t, list.Run(t.Context(), "alice"))
	require.Equal(t, "- [x] No error logs in last 5 minutes (window 3s): no error for 3s (by alice)", list.Results()[1].String(),
		"the check looked at what is printed")
}

func TestAPersonAttestsOnlyWhatOnlyAPersonCan(t *testing.T) {
	ctx := t.Context()
	rec := new(recoverytest.Recorder)
	list := newChecklist(t, rec, recovery.ValidationItems(recovery.Proofs{})...)
	attestable := 0
	for _, item := range recovery.ValidationItems(recovery.Proofs{}) {
		err := list.Attest(ctx, noon, item.Text, "alice", "telephoned everybody")
		if item.Attestable {
			attestable++
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, recovery.ErrNotAttestable, item.Text)
	}
	require.Equal(t, 2, attestable, "stakeholders notified, post-mortem scheduled")
	require.Len(t, list.Unproven(), 6)
	require.Len(t, rec.Entries(), 2)
	require.Equal(t, recoverytest.Entry{At: noon, Who: "alice", What: "checklist item attested: Stakeholders notified", Why: "telephoned everybody"}, rec.Entries()[0])

	require.Error(t, list.Run(ctx, "bob"))
	require.Len(t, list.Unproven(), 6, "a missing check does not take an attestation away")
	require.Equal(t, "- [x] Stakeholders notified: telephoned everybody (attested by alice)", list.Results()[6].String())

	require.ErrorIs(t, list.Attest(ctx, noon, "Moon is full", "alice", "saw it"), recovery.ErrNoSuchItem)
	require.ErrorContains(t, list.Attest(ctx, noon, recovery.ItemStakeholdersNotified, "", "x"), "name is empty")
	require.ErrorContains(t, list.Attest(ctx, noon, recovery.ItemStakeholdersNotified, "alice", ""), "seen or done is empty")
}

func TestLaw10_WhatCannotBeRecordedIsNotProven(t *testing.T) {
	rec := new(recoverytest.Recorder)
	rec.Fail(errors.New("timeline is full"))
	list := newChecklist(t, rec, recovery.ValidationItems(allProven(0))...)
	require.ErrorIs(t, list.Attest(t.Context(), noon, recovery.ItemPostMortemScheduled, "alice", "Friday"), recovery.ErrNotRecorded)
	require.Error(t, list.Run(t.Context(), "alice"))
	require.Len(t, list.Unproven(), 8)
	require.Contains(t, list.Unproven()[0], "timeline is full")
	rec.Fail(nil)
	require.NoError(t, list.Run(t.Context(), "alice"))
	require.Empty(t, list.Unproven())
}

func TestAProofDoesNotOutliveALaterCheckThatFails(t *testing.T) {
	up := true
	list := newChecklist(t, nil, recovery.Item{Text: "up", Check: func(context.Context) (string, error) {
		if up {
			return "up", nil
		}
		return "", errors.New("down")
	}})
	require.NoError(t, list.Run(t.Context(), "alice"))
	up = false
	require.Error(t, list.Run(t.Context(), "alice"))
	require.Equal(t, []string{"up: down"}, list.Unproven())
}

func TestChecklistNamesEveryProblemOfItsConfig(t *testing.T) {
	_, err := recovery.NewChecklist(recovery.ChecklistConfig{Timeout: -1, Items: []recovery.Item{{}, {Text: "a"}, {Text: "a"}, {Text: "b", Window: -1}}})
	for _, want := range []string{"Items: number 1 has no text", `Items: "a" is there twice`, `Items: the window of "b"`, "Timeout: -1ns", "Recorder: is nil"} {
		require.ErrorContains(t, err, want)
	}
	_, err = recovery.NewChecklist(recovery.ChecklistConfig{Items: []recovery.Item{}, Recorder: new(recoverytest.Recorder)})
	require.ErrorContains(t, err, "an empty checklist proves nothing")
	require.ErrorContains(t, newChecklist(t, nil).Run(t.Context(), ""), "who runs it is empty")
}
