package recorded

import (
	"fmt"
	"io"
	"os"

	"github.com/andon-go/andon"
)

// Venue is the name that recorded fills and orders carry.
const Venue = "coinbase"

// Fills is what a recording of fills holds.
type Fills struct {
	// Fills has every fill once, in the order of the file. Venue is "coinbase", the
	// leg is Net, the fee is in the currency that the product is quoted in, and the
	// venue says no client id.
	Fills []andon.Fill

	Pages   int // pages in the file
	Records int // records in them, repeats included
	Repeats int // records that were there before with the same content
}

// LoadFills reads a file as ReadFills does.
func LoadFills(path string) (*Fills, error) { return load(path, ReadFills) }

// ReadFills reads a recording of fills; name stands for it in errors, which are
// *Error. Nothing is returned beside an error.
func ReadFills(r io.Reader, name string) (*Fills, error) {
	v := &fills{seen: map[string]seen[andon.Fill]{}}
	pages, records, err := read(r, name, v)
	if err != nil {
		return nil, err
	}
	return &Fills{Fills: v.list, Pages: pages, Records: records, Repeats: records - len(v.list)}, nil
}

func load[T any](path string, read func(io.Reader, string) (*T, error)) (*T, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read: nothing is lost if this fails
	return read(f, path)
}

type fills struct {
	list []andon.Fill
	seen map[string]seen[andon.Fill]
}

// seen is a record that came before, and where.
type seen[T comparable] struct {
	value        T
	page, record int
}

// repeats reports whether the record came before. With other content it is an error
// of the record.
func repeats[T comparable](all map[string]seen[T], id string, value T, r *record, field string) bool {
	before, ok := all[id]
	if !ok {
		all[id] = seen[T]{value, r.d.page, r.d.rec}
		return false
	}
	if before.value != value {
		r.fail(field, fmt.Errorf("%s came with other content before, in page %d, record %d", id, before.page, before.record))
	}
	return true
}

func (v *fills) page(string) error { return nil }

func (v *fills) record(r *record) {
	symbol, quote := r.product("product_id")
	f := andon.Fill{
		ID:      r.number("trade_id"),
		OrderID: r.text("order_id"),
		Venue:   Venue, Symbol: symbol, FeeCurrency: quote,
		Side:     r.side("side"),
		Quantity: r.positive("size"),
		Price:    r.positive("price"),
		Fee:      r.amount("fee"),
		At:       r.moment("created_at"),
	}
	if r.err == nil && !repeats(v.seen, symbol+" trade "+f.ID, f, r, "trade_id") {
		v.list = append(v.list, f)
	}
}
