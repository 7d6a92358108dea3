package recorded

import (
	"bytes"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func FuzzReadFills(f *testing.F) {
	f.Add([]byte(file(pageOf(goodURL, goodFill), pageOf(goodURL, goodFill))))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := ReadFills(bytes.NewReader(text), "fuzz")
		again, errAgain := ReadFills(iotest.OneByteReader(bytes.NewReader(text)), "fuzz")
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			require.Nil(t, got)
			require.EqualError(t, errAgain, err.Error(), "however the text arrives")
			return
		}
		require.Equal(t, got, again)
		require.Equal(t, got.Records, len(got.Fills)+got.Repeats)
		require.Positive(t, got.Pages)
		ids := map[string]bool{}
		for _, fill := range got.Fills {
			require.NoError(t, fill.Validate())
			require.False(t, ids[fill.Symbol+fill.ID], "given twice")
			ids[fill.Symbol+fill.ID] = true
		}
	})
}

func FuzzReadOrders(f *testing.F) {
	f.Add([]byte(file(pageOf(goodURL, goodOrder), pageOf(goodURL, goodOrder))))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := ReadOrders(bytes.NewReader(text), "fuzz")
		again, errAgain := ReadOrders(iotest.OneByteReader(bytes.NewReader(text)), "fuzz")
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			require.Nil(t, got)
			require.EqualError(t, errAgain, err.Error(), "however the text arrives")
			return
		}
		require.Equal(t, got, again)
		require.Equal(t, got.Records, len(got.Reports)+got.Repeats)
		require.False(t, got.Window.To.Before(got.Window.From))
		ids := map[string]bool{}
		for _, r := range got.Reports {
			require.NoError(t, r.Validate())
			require.True(t, r.Status.Done())
			require.False(t, ids[r.ID], "given twice")
			ids[r.ID] = true
		}
	})
}
