package recorded

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

const (
	goodFill = `{"trade_id": 7, "order_id": "o1", "product_id": "BTC-USDT", "side": "buy", "size": "0.01",
   "price": "104000", "fee": "0.4", "created_at": "2025-06-16T03:20:17Z"}`
	goodOrder = `{"id": "o1", "product_id": "BTC-USDT", "side": "buy", "size": "0.01", "filled_size": "0.01",
   "executed_value": "1040", "fill_fees": "0.4", "status": "done", "done_reason": "filled",
   "created_at": "2025-06-16T03:20:17Z", "done_at": "2025-06-16T03:20:17Z"}`
	goodURL = "https://example.com/orders?end_date=2025-06-20&limit=100&product_id=BTC-USDT&sortedBy=created_at&sorting=desc&start_date=2025-06-15&status%5B%5D=done"
)

func pageOf(url string, records ...string) string {
	return `{"url": "` + url + `", "records": [` + strings.Join(records, ",\n") + `]}`
}

func file(pages ...string) string { return "[\n" + strings.Join(pages, ",\n") + "\n]" }

// readers reads the same text both ways; what is wrong with a file of pages is
// wrong for both.
var readers = map[string]struct {
	good string
	read func(r io.Reader, name string) (any, error)
}{
	"fills": {goodFill, func(r io.Reader, name string) (any, error) {
		v, err := ReadFills(r, name)
		if v == nil {
			return nil, err
		}
		return v, err
	}},
	"orders": {goodOrder, func(r io.Reader, name string) (any, error) {
		v, err := ReadOrders(r, name)
		if v == nil {
			return nil, err
		}
		return v, err
	}},
}

func TestAFileThatIsNoListOfPagesIsNamed(t *testing.T) {
	for kind, d := range readers {
		good := pageOf(goodURL, d.good)
		for name, c := range map[string]struct{ text, want string }{
			"empty":             {"", "f.json:1: is empty"},
			"blank":             {" \n ", "f.json:2: ends before it is complete"},
			"no page":           {"[]", "f.json:1: holds no page"},
			"one page alone":    {good, "f.json:1: want a list of pages, found an object"},
			"a text":            {`"x"`, "want a list of pages, found a text"},
			"null":              {"null", "want a list of pages, found null"},
			"not JSON":          {"<html>", "not JSON"},
			"page is a list":    {"[[]]", "f.json:1: page 1: want an object, found a list"},
			"no url":            {`[{"records": []}]`, `page 1, field "url": is missing`},
			"url is a number":   {`[{"url": 1, "records": []}]`, `page 1, field "url": found a number, want a string`},
			"no records":        {`[{"url": "` + goodURL + `"}]`, `page 1, field "records": is missing`},
			"records are null":  {`[{"url": "u", "records": null}]`, `page 1, field "records": want a list of records, found null`},
			"record is a text":  {`[{"url": "u", "records": ["x"]}]`, `page 1, record 1: want an object, found a text`},
			"torn":              {file(good)[:60], "ends before it is complete"},
			"second page torn":  {strings.TrimSuffix(file(good, good), "}\n]"), "page 2: ends before it is complete"},
			"end is missing":    {strings.TrimSuffix(file(good), "]"), "ends before it is complete"},
			"trailing garbage":  {file(good) + "\nx", "not JSON"},
			"second list":       {file(good) + "[]", "something follows the list of pages"},
			"field comes twice": {file(pageOf(goodURL, strings.Replace(d.good, `"side"`, `"size": "9", "side"`, 1))), `page 1, record 1, field "size": comes twice`},
			"url comes twice":   {`[{"url": "u", "url": "v", "records": []}]`, `field "url": comes twice`},
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				got, err := d.read(strings.NewReader(c.text), "f.json")
				require.ErrorContains(t, err, c.want)
				require.ErrorIs(t, err, ErrMalformed)
				require.Nil(t, got)
			})
		}
	}
}

func TestARecordThatCannotBeRightIsNamed(t *testing.T) {
	for name, c := range map[string]struct{ kind, old, new, want string }{
		"fill: no id":              {"fills", `"trade_id": 7, `, "", `f.json:5: page 2, record 1, field "trade_id": is missing`},
		"fill: null id":            {"fills", `"trade_id": 7`, `"trade_id": null`, `f.json:4: page 2, record 1, field "trade_id": is missing`},
		"fill: id is a text":       {"fills", `7`, `"7"`, `field "trade_id": want a whole number above 0, found "7"`},
		"fill: id is a fraction":   {"fills", `7`, `7.5`, `field "trade_id": want a whole number`},
		"fill: no order":           {"fills", `"o1"`, `" "`, `field "order_id": is empty`},
		"fill: no side":            {"fills", `"buy"`, `"b"`, `field "side": side "b" is not one of buy, sell`},
		"fill: size is a bool":     {"fills", `"0.01"`, `true`, `field "size": decimal "true"`},
		"fill: size zero":          {"fills", `"0.01"`, `"0"`, `field "size": is 0, want more than 0`},
		"fill: size negative":      {"fills", `"0.01"`, `"-0.01"`, `field "size": is -0.01`},
		"fill: too many digits":    {"fills", `"0.01"`, `"1e-20"`, `field "size": decimal "1e-20": more digits than a decimal holds`},
		"fill: no price":           {"fills", `"price"`, `"Price"`, `field "price": is missing`},
		"fill: price NaN":          {"fills", `"104000"`, `"NaN"`, `f.json:5: page 2, record 1, field "price": decimal "NaN"`},
		"fill: fee null":           {"fills", `"0.4"`, `null`, `field "fee": is missing`},
		"fill: no time":            {"fills", `2025-06-16T`, `16.6.2025 `, `field "created_at": "16.6.2025 03:20:17Z" is not a time`},
		"fill: product":            {"fills", `BTC-USDT`, `BTCUSDT`, `field "product_id": "BTCUSDT" is not a product`},
		"fill: not UTF-8":          {"fills", `"o1"`, "\"o\xff\"", `field "order_id": "\"o\xff\"" is not UTF-8`},
		"order: no id":             {"orders", `"id"`, `"ID"`, `field "id": is missing`},
		"order: open":              {"orders", `"done",`, `"open",`, `field "status": is "open", want "done"`},
		"order: unknown reason":    {"orders", `"filled",`, `"lost",`, `field "done_reason": is "lost"`},
		"order: more than size":    {"orders", `"size": "0.01"`, `"size": "0.001"`, `field "filled_size": is 0.01 of a size of 0.001`},
		"order: value without":     {"orders", `"filled_size": "0.01"`, `"filled_size": "0"`, `field "executed_value": is 1040 with 0 filled`},
		"order: value negative":    {"orders", `"1040"`, `"-1040"`, `field "executed_value": is -1040`},
		"order: fees a list":       {"orders", `"0.4"`, `["0.4"]`, `field "fill_fees": decimal`},
		"order: no time of ending": {"orders", `"done_at"`, `"done_when"`, `field "done_at": is missing`},
	} {
		t.Run(name, func(t *testing.T) {
			d := readers[c.kind]
			require.Contains(t, d.good, c.old)
			text := file(pageOf(goodURL), pageOf(goodURL+"&after=2025-06-20", strings.Replace(d.good, c.old, c.new, 1)))
			// The first page lies on line 2, the record begins on line 3.
			text = strings.Replace(text, `"records": [{`, "\"records\": [\n{", 1)
			got, err := d.read(strings.NewReader(text), "f.json")
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "page 2, record 1")
			require.ErrorIs(t, err, ErrMalformed)
			require.Nil(t, got)
		})
	}
}

func TestARepeatWithOtherContentIsAnError(t *testing.T) {
	_, err := ReadFills(strings.NewReader(file(pageOf(goodURL, goodFill), pageOf(goodURL, strings.Replace(goodFill, "104000", "104001", 1)))), "f.json")
	require.ErrorContains(t, err, `page 2, record 1, field "trade_id": BTC-USDT trade 7 came with other content before, in page 1, record 1`)
	_, err = ReadOrders(strings.NewReader(file(pageOf(goodURL, goodOrder, strings.Replace(goodOrder, "0.4", "0.5", 1)))), "f.json")
	require.ErrorContains(t, err, `page 1, record 2, field "id": order o1 came with other content before, in page 1, record 1`)
}

func TestARepeatInOtherWordsIsARepeat(t *testing.T) {
	again := strings.NewReplacer(`"0.01"`, `1e-2`, `03:20:17Z`, `05:20:17+02:00`).Replace(goodFill)
	got, err := ReadFills(strings.NewReader(file(pageOf(goodURL, goodFill), pageOf(goodURL, again))), "f.json")
	require.NoError(t, err)
	require.Equal(t, 1, got.Repeats)
	require.Len(t, got.Fills, 1)
}

func TestAReadersErrorIsPassedOn(t *testing.T) {
	broken := errors.New("the disk is gone")
	for kind, d := range readers {
		text := file(pageOf(goodURL, d.good))
		r := io.MultiReader(strings.NewReader(text[:len(text)/2]), iotest.ErrReader(broken))
		_, err := d.read(r, "f.json")
		require.ErrorIs(t, err, broken, kind)
		require.NotErrorIs(t, err, ErrMalformed, "it says nothing about the recording")
		require.ErrorContains(t, err, "f.json")
	}
	_, err := LoadFills(filepath.Join(t.TempDir(), "none.json"))
	require.ErrorContains(t, err, "none.json")
}

func TestLinesAreRightHoweverTheTextArrives(t *testing.T) {
	text := file(pageOf(goodURL, goodFill), pageOf(goodURL, strings.Replace(goodFill, "104000", "x", 1)))
	want := 1 + strings.Count(text[:strings.Index(text, `"x"`)], "\n")
	for name, r := range map[string]io.Reader{
		"at once":      strings.NewReader(text),
		"byte by byte": iotest.OneByteReader(strings.NewReader(text)),
		"with the end": iotest.DataErrReader(strings.NewReader(text)),
	} {
		_, err := ReadFills(r, "f.json")
		e, ok := errors.AsType[*Error](err)
		require.True(t, ok, name)
		require.Equal(t, want, e.Line, name)
	}
}
