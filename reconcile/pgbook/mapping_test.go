package pgbook_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/andon-go/andon/reconcile/pgbook"
)

func TestParseMappingStartsFromThePlaybook(t *testing.T) {
	m, err := pgbook.ParseMapping([]byte(`{"positions": {"table": "legs", "leg": "side", "words": {"long": "L", "short": "S"}}, "trades": {"leverage": ""}}`))
	require.NoError(t, err)
	want := pgbook.DefaultMapping()
	want.Positions.Name, want.Positions.Leg, want.Positions.Words = "legs", "side", map[string]string{"long": "L", "short": "S"}
	want.Trades.Leverage = ""
	require.Equal(t, want, m)

	for text, wrong := range map[string]string{
		`{"positions": {"tabel": "legs"}}`:                      `unknown field "tabel"`,
		`{} {}`:                                                 "more after the value",
		`{"positions": {"symbol": ""}}`:                         "positions.symbol: has no column",
		`{"positions": {"open": "x", "closed": ["x"]}}`:         "status of a position that is held",
		`{"positions": {"closed": ["a", "a"]}}`:                 "positions.closed[1]",
		`{"trades": {"statuses": ["open", ""]}}`:                "trades.statuses[1]",
		`{"positions": {"fixed": {"symbol": "x"}}}`:             "mapped already",
		`{"positions": {"fixed": {"": "x"}}}`:                   "is empty",
		`{"positions": {"table": ""}}`:                          "positions.table",
		`{"whitelist": {"table": "w"}}`:                         "whitelist.ip: has no column",
		`{"orders": {"table": "o", "symbol": "s"}}`:             "orders.client_id: has no column",
		`{"positions": {"leg": "l", "words": {"long": "net"}}}`: "stands for another word too",
	} {
		_, err := pgbook.ParseMapping([]byte(text))
		require.ErrorContains(t, err, wrong, text)
	}
}

// TestAColumnThatATableLacksIsNotPutBack: a mapping that was written and is read again
// means the same, without the columns that the playbook's tables have and the bot's lack.
func TestAColumnThatATableLacksIsNotPutBack(t *testing.T) {
	m := pgbook.DefaultMapping()
	m.Positions.Mark, m.Positions.Status = "", ""
	m.Trades.Status, m.Trades.CreatedAt, m.Trades.Size, m.Trades.Leverage, m.Trades.Address = "", "", "", "", ""
	text, err := json.Marshal(m)
	require.NoError(t, err)
	again, err := pgbook.ParseMapping(text)
	require.NoError(t, err)
	require.Equal(t, m, again)
}

// FuzzParseMapping: what is accepted is valid, means the same when it is written and
// read again, and gives no SQL that its names could break out of.
func FuzzParseMapping(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"positions": {"schema": "a", "table": "p\"; DROP TABLE x", "side": "s\"; --", "closed": ["a", "b"], "fixed": {"x": "y"}}}`))
	f.Add([]byte(`{"fills": {"table": "f", "id": "i", "order_id": "o", "symbol": "s", "side": "d", "quantity": "q", "price": "p", "fee": "e", "fee_currency": "c", "words": {"buy": "'"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := pgbook.ParseMapping(data)
		if err != nil {
			return
		}
		require.NoError(t, m.Validate())
		text, err := json.Marshal(m)
		require.NoError(t, err)
		again, err := pgbook.ParseMapping(text)
		require.NoError(t, err, "%s", text)
		second, err := json.Marshal(again)
		require.NoError(t, err)
		require.Equal(t, string(text), string(second))
		for _, sql := range pgbook.Statements(m) {
			require.NoError(t, pgbook.CheckQuoting(sql))
		}
	})
}
