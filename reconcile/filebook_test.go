package reconcile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

func filledBook(t *testing.T) *reconcile.FileBook {
	b := newFileBook(t)
	_, err := b.RecordFills(t.Context(),
		fill("1", "a", andon.Buy, "1", "10", "0.1"), fill("2", "b", andon.Buy, "1", "11", "0.1"))
	require.NoError(t, err)
	require.NoError(t, b.PutOrder(t.Context(), andon.Order{
		ClientID: "c", Venue: "v", Symbol: "BTC-USD", Side: andon.Sell, Kind: andon.StopMarket,
		Quantity: dec("2"), Trigger: dec("9"), Status: andon.Live,
	}))
	return b
}

func TestLaw1_AMissingBookIsNotAnEmptyOne(t *testing.T) {
	b := reconcile.NewFileBook(filepath.Join(t.TempDir(), "book"))
	_, err := b.Read(t.Context())
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = b.Applied(t.Context(), "x")
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = b.RecordFills(t.Context(), fill("1", "a", andon.Buy, "1", "10", "0"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = os.Stat(b.Path())
	require.ErrorIs(t, err, fs.ErrNotExist, "a change of a missing book made one")
}

func TestFileBook_CreateReplacesNothing(t *testing.T) {
	b := filledBook(t)
	require.ErrorIs(t, b.Create(t.Context()), fs.ErrExist)
	r, err := b.Read(t.Context())
	require.NoError(t, err)
	require.Len(t, r.Fills, 2)

	link := reconcile.NewFileBook(filepath.Join(t.TempDir(), "dangling"))
	require.NoError(t, os.Symlink("nowhere", link.Path()))
	require.ErrorIs(t, link.Create(t.Context()), fs.ErrExist)
}

// TestLaw1_ADamagedBookIsNeverRead cuts the file at every length and changes every
// byte of it.
func TestLaw1_ADamagedBookIsNeverRead(t *testing.T) {
	b := filledBook(t)
	good, err := os.ReadFile(b.Path())
	require.NoError(t, err)
	refused := func(data []byte, what string, at int) {
		require.NoError(t, os.WriteFile(b.Path(), data, 0o600))
		r, err := b.Read(t.Context())
		require.ErrorIs(t, err, reconcile.ErrCorrupt, "%s %d", what, at)
		require.Empty(t, r)
		corrupt, ok := errors.AsType[*reconcile.CorruptError](err)
		require.True(t, ok)
		require.Equal(t, b.Path(), corrupt.Path)
		require.Positive(t, corrupt.Line)
	}
	for n := range good {
		refused(good[:n], "cut at", n)
		changed := bytes.Clone(good)
		changed[n] ^= 1
		refused(changed, "changed at", n)
	}
	refused(append(bytes.Clone(good), good...), "twice", 0)
	_, err = b.RecordFills(t.Context(), fill("3", "c", andon.Buy, "1", "10", "0"))
	require.ErrorIs(t, err, reconcile.ErrCorrupt, "a change of a damaged book must not write it anew")
	require.NoError(t, os.WriteFile(b.Path(), good, 0o600)) // restored
	r, err := b.Read(t.Context())
	require.NoError(t, err)
	require.Len(t, r.Fills, 2)
}

func TestFileBook_ErrorsNameTheLine(t *testing.T) {
	b := filledBook(t)
	good, err := os.ReadFile(b.Path())
	require.NoError(t, err)
	for name, test := range map[string]struct {
		old, with, want string
	}{
		"amount":            {`"quantity":"1"`, `"quantity":"1.x"`, `line 4: fill: decimal "1.x"`},
		"amount missing":    {`"price":"10",`, ``, "line 4: fill: price is missing"},
		"amount null":       {`"fee":"0.1"`, `"fee":null`, "line 4: fill: fee is missing"},
		"position, no size": {`"quantity":"2","entry"`, `"entry"`, "line 2: position: quantity is missing"},
		"unknown field":     {`"fill":{"id"`, `"fill":{"idd"`, "sha256 does not fit the rows"},
		"unknown row":       {`{"position"`, `{"ledger"`, "line 2: json: unknown field"},
		"no row":            {`{"position":`, `{}` + "\n" + `{"position":`, "line 2: 0 rows in a line"},
		"no side":           {`"side":"buy",`, ``, "line 4: fill: side is missing"},
		"order of no kind":  {`"kind":"stop-market",`, ``, "line 3: order: kind is missing"},
		"version":           {`"andon_book":1`, `"andon_book":2`, "line 1: andon_book 2, want 1"},
		"another file":      {`"andon_book":1,`, ``, "line 1: andon_book is missing"},
		"edited by hand":    {`"entry":"10.5"`, `"entry":"10.6"`, "line 1: sha256 does not fit"},
		"a row less":        {string(bytes.SplitAfter(good, []byte("\n"))[4]), "", "line 4: the file ends after 3 rows of 4"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, string(good), test.old)
			bad := strings.Replace(string(good), test.old, test.with, 1)
			require.NoError(t, os.WriteFile(b.Path(), []byte(bad), 0o600))
			_, err := b.Read(t.Context())
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, b.Path())
		})
	}
}

func TestFileBook_RecordFillsMovesPositionsAndCountsRepeatsForNothing(t *testing.T) {
	b := filledBook(t)
	r, err := b.Read(t.Context())
	require.NoError(t, err)
	require.Len(t, r.Positions, 1)
	require.Equal(t, "2 10.5", r.Positions[0].Quantity.String()+" "+r.Positions[0].Entry.String())

	added, err := b.RecordFills(t.Context(), fill("1", "a", andon.Buy, "1", "10", "0.1"), fill("3", "c", andon.Sell, "2", "12", "0"))
	require.NoError(t, err)
	require.Equal(t, 1, added)
	r, err = b.Read(t.Context())
	require.NoError(t, err)
	require.Empty(t, r.Positions, "a leg that is flat has no row")
	require.Len(t, r.Fills, 3)

	before, err := os.ReadFile(b.Path())
	require.NoError(t, err)
	_, err = b.RecordFills(t.Context(), fill("4", "d", andon.Sell, "1", "12", "0"), fill("1", "a", andon.Buy, "5", "10", "0.1"))
	require.ErrorIs(t, err, reconcile.ErrConflict)
	_, err = b.RecordFills(t.Context(), fill("5", "d", andon.Sell, "0", "12", "0"))
	require.ErrorContains(t, err, "quantity is 0")
	after, err := os.ReadFile(b.Path())
	require.NoError(t, err)
	require.Equal(t, before, after, "half a change was written")
}

func TestFileBook_PutOrderReplacesItsRow(t *testing.T) {
	b := filledBook(t)
	o := andon.Order{ClientID: "c", Venue: "v", Symbol: "BTC-USD", Side: andon.Sell, Kind: andon.Market, Quantity: dec("2"), Status: andon.Filled}
	require.NoError(t, b.PutOrder(t.Context(), o))
	require.Error(t, b.PutOrder(t.Context(), andon.Order{}))
	r, err := b.Read(t.Context())
	require.NoError(t, err)
	require.Len(t, r.Orders, 1)
	require.Equal(t, andon.Filled, r.Orders[0].Status)
}

// TestFileBook_ManyWritersLoseNothing writes through several FileBooks on one path, as
// several processes would.
func TestFileBook_ManyWritersLoseNothing(t *testing.T) {
	path := newFileBook(t).Path()
	const writers, each = 4, 10
	var wg sync.WaitGroup
	errs := make(chan error, writers*each)
	for w := range writers {
		wg.Go(func() {
			b := reconcile.NewFileBook(path)
			for i := range each {
				_, err := b.RecordFills(context.Background(), fill(fmt.Sprintf("%d-%d", w, i), "o", andon.Buy, "1", "10", "0"))
				errs <- err
				if _, err := b.Read(context.Background()); err != nil {
					errs <- err
				}
			}
		})
	}
	go func() { wg.Wait(); close(errs) }()
	for err := range errs {
		require.NoError(t, err)
	}
	r, err := reconcile.NewFileBook(path).Read(t.Context())
	require.NoError(t, err)
	require.Len(t, r.Fills, writers*each)
	require.Equal(t, "40", r.Positions[0].Quantity.String())
}

func TestFileBook_AnUnwritableFolderIsAnErrorAndChangesNothing(t *testing.T) {
	b := reconcile.NewFileBook(filepath.Join(t.TempDir(), "no", "such", "folder"))
	require.ErrorContains(t, b.Create(t.Context()), b.Path())
}

func FuzzDecodePlan(f *testing.F) {
	d := newDesk(f, reconcile.Records{Fills: []andon.Fill{fill("9", "p", andon.Buy, "1", "10", "0")}},
		&account{positions: []andon.Position{position("A", "1", "2")}, window: window})
	var good bytes.Buffer
	require.NoError(f, d.plan(f).WriteJSON(&good))
	f.Add(good.Bytes())
	f.Add([]byte(`{"id":"plan-","repairs":[{"edit":{"key":{"subject":"position"}}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := reconcile.DecodePlan(data)
		if err != nil {
			return
		}
		require.NoError(t, p.WriteTable(&bytes.Buffer{}))
		var again bytes.Buffer
		require.NoError(t, p.WriteJSON(&again))
		back, err := reconcile.DecodePlan(again.Bytes())
		require.NoError(t, err)
		require.Equal(t, p.ID, back.ID)
	})
}
