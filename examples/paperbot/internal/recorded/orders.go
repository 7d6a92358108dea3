package recorded

import (
	"fmt"
	"io"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

// Orders is what a recording of done orders holds.
type Orders struct {
	// Reports has every order once, in the order of the file. Venue is "coinbase", the
	// leg is Net, the fee is in the currency that the product is quoted in.
	Reports []reconcile.OrderReport

	// Window is the longest span for which the pages leave no gap, by their urls: from
	// start_date to end_date, which is taken as the beginning of that day. Where the
	// last page of a query is full, more may follow, and the span begins after the
	// oldest order that was seen. The zero Window where no page says, where the pages
	// are not sorted by creation from the newest, and where they differ in the product
	// or status that they ask for.
	//
	// The venue lists by creation, so that an order created before the window may
	// have traded within it.
	Window reconcile.Window

	Pages   int // pages in the file
	Records int // records in them, repeats included
	Repeats int // records that were there before with the same content
}

// LoadOrders reads a file as ReadOrders does.
func LoadOrders(path string) (*Orders, error) { return load(path, ReadOrders) }

// ReadOrders reads a recording of done orders; name stands for it in errors, which
// are *Error. Nothing is returned beside an error.
func ReadOrders(r io.Reader, name string) (*Orders, error) {
	v := &orders{seen: map[string]seen[reconcile.OrderReport]{}}
	pages, records, err := read(r, name, v)
	if err != nil {
		return nil, err
	}
	return &Orders{
		Reports: v.list, Window: v.coverage.window(),
		Pages: pages, Records: records, Repeats: records - len(v.list),
	}, nil
}

type orders struct {
	list     []reconcile.OrderReport
	seen     map[string]seen[reconcile.OrderReport]
	coverage coverage
}

func (v *orders) page(url string) error { return v.coverage.page(url) }

func (v *orders) record(r *record) {
	symbol, quote := r.product("product_id")
	o := reconcile.OrderReport{
		ID:    r.text("id"),
		Venue: Venue, Symbol: symbol, FeeCurrency: quote,
		Side:   r.side("side"),
		Filled: r.notNegative("filled_size"),
		Value:  r.notNegative("executed_value"),
		Fee:    r.amount("fill_fees"),
		Status: r.status(),
		At:     r.moment("done_at"),
	}
	created := r.moment("created_at")
	if r.has("size") { // an order for an amount of money has none
		if o.Size = r.positive("size"); o.Size.Less(o.Filled) {
			r.fail("filled_size", fmt.Errorf("is %v of a size of %v", o.Filled, o.Size))
		}
	}
	if o.Value.Sign() != o.Filled.Sign() {
		r.fail("executed_value", fmt.Errorf("is %v with %v filled", o.Value, o.Filled))
	}
	if r.err != nil {
		return
	}
	v.coverage.record(created)
	if !repeats(v.seen, "order "+o.ID, o, r, "id") {
		v.list = append(v.list, o)
	}
}

// status reads how a done order ended.
func (r *record) status() andon.Status {
	if s := r.text("status"); s != "done" {
		r.fail("status", fmt.Errorf("is %q, want %q: a recording of done orders holds no others", short([]byte(s)), "done"))
		return andon.StatusUnknown
	}
	switch reason := r.text("done_reason"); reason {
	case "filled":
		return andon.Filled
	case "canceled", "cancelled":
		return andon.Canceled
	case "rejected":
		return andon.Rejected
	default:
		r.fail("done_reason", fmt.Errorf("is %q, want filled, canceled or rejected", short([]byte(reason))))
		return andon.StatusUnknown
	}
}
