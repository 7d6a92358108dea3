package crashtest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStepReadsAsPeopleSayIt(t *testing.T) {
	for _, tc := range []struct {
		want string
		step Step
	}{
		{"before 7th: rename state.tmp -> state", Step{N: 7, Moment: Before, Call: "rename", Path: "state.tmp", To: "state"}},
		{"after 1st of 9: create a/b", Step{N: 1, Of: 9, Moment: After, Call: "create", Path: "a/b"}},
		{"torn 12th of 23: write log", Step{N: 12, Of: 23, Moment: Torn, Call: "write", Path: "log", Grew: 8}},
		{"2nd: fsync .", Step{N: 2, Call: "fsync", Path: "."}},
		{"ended by itself", Step{Of: 9}},
		{"random kill 3 of 1000", Step{N: 3, Of: 1000, Moment: Random}},
	} {
		require.Equal(t, tc.want, tc.step.String())
	}
	require.Equal(t, []string{"1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "101st", "111th", "112th"},
		[]string{ordinal(1), ordinal(2), ordinal(3), ordinal(4), ordinal(11), ordinal(12), ordinal(13), ordinal(21), ordinal(101), ordinal(111), ordinal(112)})
	require.Equal(t, "Moment(9)", Moment(9).String())
}

func TestSpreadKeepsTheEnds(t *testing.T) {
	require.Equal(t, []int{1, 2, 3}, spread(3, 10))
	require.Equal(t, []int{1}, spread(1, 10))
	require.Equal(t, []int{1, 5, 10}, spread(10, 3))
	require.Equal(t, []int{1, 1000}, spread(1000, 2))
}

func TestUnsyncedNamesWhatAPowerCutCouldLose(t *testing.T) {
	create, write, sync := Step{Call: "create", Path: "t"}, Step{Call: "write", Path: "t"}, Step{Call: "fsync", Path: "t"}
	rename, syncDir := Step{Call: "renameat", Path: "t", To: "state"}, Step{Call: "fsync", Path: "."}
	for _, tc := range []struct {
		name  string
		steps []Step
		want  []string
	}{
		{"nothing done", nil, nil},
		{"the right way", []Step{create, write, sync, rename, syncDir}, nil},
		{"no sync of the directory", []Step{create, write, sync, rename},
			[]string{"renameat state is not synced in its directory ."}},
		{"rename before the sync", []Step{create, write, rename, syncDir}, []string{
			"renameat t -> state came before the sync of its content", "the bytes of state are not synced"}},
		{"written again after the sync", []Step{write, sync, {Call: "ftruncate", Path: "t"}},
			[]string{"the bytes of t are not synced"}},
		{"another directory synced", []Step{{Call: "create", Path: "d/f"}, syncDir},
			[]string{"create d/f is not synced in its directory d"}},
		{"moved between directories", []Step{{Call: "rename", Path: "a/f", To: "b/f"}, {Call: "fsync", Path: "b"}},
			[]string{"rename a/f is not synced in its directory a"}},
		{"removed, directory not synced", []Step{{Call: "unlinkat", Path: "f"}},
			[]string{"unlinkat f is not synced in its directory ."}},
		{"all of it at once", []Step{create, write, {Call: "syncfs", Path: "t"}}, nil},
		{"a link keeps its source", []Step{write, sync, {Call: "linkat", Path: "t", To: "u"}, syncDir}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) { require.Equal(t, tc.want, Unsynced(tc.steps)) })
	}
}
