package pgbook

import (
	"encoding"
	"fmt"
	"slices"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

// field is a column together with the place of its value in a row.
type field[T any] struct {
	column
	fixed    string               // what the field is where it has no column
	evidence bool                 // may be left out silently
	text     func(row *T) *string // for what is taken as it is, instead of load
	load     func(row *T, value []byte, exact bool) error
	store    func(row *T) (string, error) // "" is nothing
	keep     func(row *T)                 // cuts what the column cannot hold
	clear    func(row *T)
}

// table is a layout with the fields of its rows.
type table[T any] struct {
	layout
	fields   []field[T] // as layout.columns
	unmapped []field[T]
	blank    T // what the fields without a column are
	key      func(T) reconcile.Key
	rows     func(reconcile.Edit) *reconcile.Rows[T]
	records  func([]T) reconcile.Records
	held     *held
}

// held says which rows of positions are held and which are history.
type held struct {
	status string // the column
	open   string
	closed []string
}

func newTable[T any](what string, t Table, own bool, fields ...field[T]) *table[T] {
	out := &table[T]{layout: layout{what: what, schema: t.Schema, name: t.Name, fixed: t.Fixed, own: own}}
	for _, f := range fields {
		out.add(f.column, t, f.need == required && f.fixed == "")
		if f.name == "" {
			out.unmapped = append(out.unmapped, f)
			continue
		}
		f.column = out.columns[len(out.columns)-1]
		out.fields = append(out.fields, f)
	}
	out.problems = out.checkWords(t)
	return out
}

func textField[T any](name, column_ string, need need, at func(*T) *string) field[T] {
	return field[T]{
		column: column{field: name, name: column_, kind: text, need: need},
		text:   at,
		store:  func(row *T) (string, error) { return *at(row), nil },
	}
}

// word is one of the enumerations of package andon.
type word interface {
	encoding.TextMarshaler
	encoding.TextUnmarshaler
}

func wordField[T any](name, column_ string, words []string, at func(*T) word) field[T] {
	return field[T]{
		column: column{field: name, name: column_, kind: text, words: words},
		load:   func(row *T, v []byte, _ bool) error { return at(row).UnmarshalText(v) },
		store: func(row *T) (string, error) {
			b, err := at(row).MarshalText()
			return string(b), err
		},
	}
}

func amountField[T any](name, column_ string, need need, at func(*T) *andon.Decimal) field[T] {
	return field[T]{
		column: column{field: name, name: column_, kind: amount, need: need},
		load: func(row *T, v []byte, exact bool) (err error) {
			if exact {
				*at(row), err = decodeNumeric(v)
			} else {
				*at(row), err = andon.ParseDecimal(string(v))
			}
			return err
		},
		store: func(row *T) (string, error) {
			if d := *at(row); !d.IsZero() || need == required {
				return d.String(), nil
			}
			return "", nil
		},
		clear: func(row *T) { *at(row) = andon.Decimal{} },
	}
}

func momentField[T any](name, column_ string, at func(*T) *time.Time) field[T] {
	return field[T]{
		column: column{field: name, name: column_, kind: moment, need: optional},
		load:   func(row *T, v []byte, _ bool) (err error) { *at(row), err = decodeMoment(v); return err },
		store: func(row *T) (string, error) {
			if at(row).IsZero() {
				return "", nil
			}
			return at(row).UTC().Format(time.RFC3339Nano), nil
		},
		keep: func(row *T) {
			if !at(row).IsZero() {
				*at(row) = at(row).UTC().Truncate(time.Microsecond)
			}
		},
		clear: func(row *T) { *at(row) = time.Time{} },
	}
}

func flagField[T any](name, column_ string, at func(*T) *bool) field[T] {
	return field[T]{
		column: column{field: name, name: column_, kind: flag},
		load: func(row *T, v []byte, _ bool) error {
			if len(v) != 1 {
				return fmt.Errorf("%d bytes are no boolean", len(v))
			}
			*at(row) = v[0] != 0
			return nil
		},
		store: func(row *T) (string, error) { return fmt.Sprint(*at(row)), nil },
		fixed: "false",
	}
}

// orElse gives a field a value for where it has no column.
func (f field[T]) orElse(value string) field[T] {
	f.fixed = value
	return f
}

// asEvidence lets a table do without the field.
func (f field[T]) asEvidence() field[T] {
	f.evidence = true
	return f
}

// ahead lets a moment lie in the future.
func (f field[T]) ahead() field[T] {
	f.future = true
	return f
}

var (
	legWords    = []string{"net", "long", "short"}
	sideWords   = []string{"buy", "sell"}
	kindWords   = []string{"market", "limit", "stop-market", "stop-limit", "take-profit-market", "take-profit-limit"}
	statusWords = []string{"unknown", "live", "filled", "canceled", "rejected"}
)

func (m Mapping) positions(venue string) *table[andon.Position] {
	type row = andon.Position
	c := m.Positions
	fields := []field[row]{
		textField("venue", c.Venue, required, func(p *row) *string { return &p.Venue }).orElse(venue),
		textField("symbol", c.Symbol, required, func(p *row) *string { return &p.Symbol }),
		wordField("leg", c.Leg, legWords, func(p *row) word { return &p.Leg }).orElse("net"),
		amountField("quantity", c.Quantity, required, func(p *row) *andon.Decimal { return &p.Quantity }),
		amountField("entry_price", c.Entry, unknown, func(p *row) *andon.Decimal { return &p.Entry }),
		amountField("current_price", c.Mark, unknown, func(p *row) *andon.Decimal { return &p.Mark }).asEvidence(),
		momentField("at", c.At, func(p *row) *time.Time { return &p.At }).asEvidence(),
	}
	if c.Side != "" {
		fields[3] = fields[3].unsigned()
		fields = append(fields, sideOfPosition(c.Side))
	}
	if c.Status != "" {
		fields = append(fields, heldStatus(c))
	}
	t := newTable("positions", c.Table, false, fields...)
	t.blank.Venue = venue
	t.add(column{field: "id", name: c.ID, kind: text, need: optional, readOnly: true}, c.Table, false) // no field of a row
	if c.Entry == "" {
		t.missing = append(t.missing, "entry_price")
	}
	t.key = func(p row) reconcile.Key { return reconcile.PositionKey(p.Key()) }
	t.rows = func(e reconcile.Edit) *reconcile.Rows[row] { return e.Positions }
	t.records = func(rows []row) reconcile.Records { return reconcile.Records{Positions: rows} }
	if c.Status != "" {
		t.held = &held{status: c.Status, open: c.Open, closed: c.Closed}
	}
	return t
}

// unsigned is for a quantity whose sign another column has.
func (f field[T]) unsigned() field[T] {
	load, store := f.load, f.store
	f.load = func(row *T, v []byte, exact bool) error {
		if err := load(row, v, exact); err != nil {
			return err
		}
		if text, err := store(row); err != nil || text[0] == '-' {
			return fmt.Errorf("is %s, and the side stands in another column: want no sign", text)
		}
		return nil
	}
	f.store = func(row *T) (string, error) {
		text, err := store(row)
		if err == nil && text[0] == '-' {
			text = text[1:]
		}
		return text, err
	}
	return f
}

// sideOfPosition gives the quantity, which is read before it, its sign.
func sideOfPosition(name string) field[andon.Position] {
	return field[andon.Position]{
		column: column{field: "side", name: name, kind: text, words: legWords[1:]},
		load: func(p *andon.Position, v []byte, _ bool) error {
			if string(v) == "short" {
				p.Quantity = p.Quantity.Neg()
			}
			return nil
		},
		store: func(p *andon.Position) (string, error) {
			if p.Quantity.Sign() < 0 {
				return "short", nil
			}
			return "long", nil
		},
	}
}

// heldStatus is the status of a row that is held; rows of history are not selected.
func heldStatus(c PositionColumns) field[andon.Position] {
	return field[andon.Position]{
		column: column{field: "status", name: c.Status, kind: text, words: []string{"open"}, legal: []string{c.Open}},
		load:   func(*andon.Position, []byte, bool) error { return nil },
		store:  func(*andon.Position) (string, error) { return "open", nil },
	}
}

func (m Mapping) fills(schema, venue string) *table[andon.Fill] {
	type row = andon.Fill
	c, own := m.Fills, m.Fills.Name == ""
	if own {
		c = FillColumns{
			Table: Table{Schema: schema, Name: "fills"}, ID: "id", OrderID: "order_id", ClientID: "client_id", Venue: "venue",
			Symbol: "symbol", Leg: "leg", Side: "side", Quantity: "quantity", Price: "price", Fee: "fee",
			FeeCurrency: "fee_currency", At: "at",
		}
	}
	t := newTable("fills", c.Table, own,
		textField("id", c.ID, required, func(f *row) *string { return &f.ID }),
		textField("order_id", c.OrderID, optional, func(f *row) *string { return &f.OrderID }),
		textField("client_id", c.ClientID, optional, func(f *row) *string { return &f.ClientID }),
		textField("venue", c.Venue, required, func(f *row) *string { return &f.Venue }).orElse(venue),
		textField("symbol", c.Symbol, required, func(f *row) *string { return &f.Symbol }),
		wordField("leg", c.Leg, legWords, func(f *row) word { return &f.Leg }).orElse("net"),
		wordField("side", c.Side, sideWords, func(f *row) word { return &f.Side }),
		amountField("quantity", c.Quantity, required, func(f *row) *andon.Decimal { return &f.Quantity }),
		amountField("price", c.Price, required, func(f *row) *andon.Decimal { return &f.Price }),
		amountField("fee", c.Fee, required, func(f *row) *andon.Decimal { return &f.Fee }),
		textField("fee_currency", c.FeeCurrency, optional, func(f *row) *string { return &f.FeeCurrency }),
		momentField("at", c.At, func(f *row) *time.Time { return &f.At }).asEvidence(),
	)
	t.blank.Venue = venue
	for _, f := range []struct{ name, column string }{{"order_id", c.OrderID + c.ClientID}, {"fee_currency", c.FeeCurrency}} {
		if f.column == "" {
			t.missing = append(t.missing, f.name)
		}
	}
	t.key = reconcile.FillKey
	t.rows = func(e reconcile.Edit) *reconcile.Rows[row] { return e.Fills }
	t.records = func(rows []row) reconcile.Records { return reconcile.Records{Fills: rows} }
	return t
}

func (m Mapping) orders(schema, venue string) *table[andon.Order] {
	type row = andon.Order
	c, own := m.Orders, m.Orders.Name == ""
	if own {
		c = OrderColumns{
			Table: Table{Schema: schema, Name: "orders"}, ClientID: "client_id", VenueID: "venue_id", Venue: "venue",
			Symbol: "symbol", Leg: "leg", Side: "side", Kind: "kind", Quantity: "quantity", Filled: "filled", Price: "price",
			Trigger: "trigger", ReduceOnly: "reduce_only", ExpiresAt: "expires_at", Status: "status", At: "at",
		}
	}
	t := newTable("orders", c.Table, own,
		textField("client_id", c.ClientID, optional, func(o *row) *string { return &o.ClientID }),
		textField("venue_id", c.VenueID, optional, func(o *row) *string { return &o.VenueID }),
		textField("venue", c.Venue, required, func(o *row) *string { return &o.Venue }).orElse(venue),
		textField("symbol", c.Symbol, required, func(o *row) *string { return &o.Symbol }),
		wordField("leg", c.Leg, legWords, func(o *row) word { return &o.Leg }).orElse("net"),
		wordField("side", c.Side, sideWords, func(o *row) word { return &o.Side }),
		wordField("kind", c.Kind, kindWords, func(o *row) word { return &o.Kind }),
		amountField("quantity", c.Quantity, required, func(o *row) *andon.Decimal { return &o.Quantity }),
		amountField("filled", c.Filled, required, func(o *row) *andon.Decimal { return &o.Filled }),
		amountField("price", c.Price, optional, func(o *row) *andon.Decimal { return &o.Price }),
		amountField("trigger", c.Trigger, optional, func(o *row) *andon.Decimal { return &o.Trigger }),
		flagField("reduce_only", c.ReduceOnly, func(o *row) *bool { return &o.ReduceOnly }),
		momentField("expires_at", c.ExpiresAt, func(o *row) *time.Time { return &o.ExpiresAt }).ahead(),
		wordField("status", c.Status, statusWords, func(o *row) word { return &o.Status }),
		momentField("at", c.At, func(o *row) *time.Time { return &o.At }).asEvidence(),
	)
	t.blank.Venue = venue
	if c.ClientID+c.VenueID == "" {
		t.missing = append(t.missing, "client_id")
	}
	t.key = reconcile.OrderKey
	t.rows = func(e reconcile.Edit) *reconcile.Rows[row] { return e.Orders }
	t.records = func(rows []row) reconcile.Records { return reconcile.Records{Orders: rows} }
	return t
}

func ownBalances(schema string) *table[andon.Balance] {
	type row = andon.Balance
	t := newTable("balances", Table{Schema: schema, Name: "balances"}, true,
		textField("venue", "venue", required, func(b *row) *string { return &b.Venue }),
		textField("currency", "currency", required, func(b *row) *string { return &b.Currency }),
		amountField("total", "total", required, func(b *row) *andon.Decimal { return &b.Total }),
		amountField("reserved", "reserved", required, func(b *row) *andon.Decimal { return &b.Reserved }),
	)
	t.key = reconcile.BalanceKey
	t.rows = func(e reconcile.Edit) *reconcile.Rows[row] { return e.Balances }
	t.records = func(rows []row) reconcile.Records { return reconcile.Records{Balances: rows} }
	return t
}

// trades is only checked, so it needs no rows.
func (m Mapping) trades() *layout {
	c := m.Trades
	l := &layout{what: "trades", schema: c.Schema, name: c.Name, fixed: c.Fixed}
	for _, col := range []column{
		{field: "id", name: c.ID, kind: text},
		{field: "symbol", name: c.Symbol, kind: text},
		{field: "position", name: c.Position, kind: text, need: optional},
		{field: "status", name: c.Status, kind: text, words: c.Statuses, legal: c.Statuses},
		{field: "created_at", name: c.CreatedAt, kind: moment},
		{field: "size", name: c.Size, kind: amount},
		{field: "leverage", name: c.Leverage, kind: amount, need: optional},
		{field: "ip_address", name: c.Address, kind: address, need: optional},
	} {
		l.add(col, c.Table, false)
	}
	l.problems = l.checkWords(c.Table)
	return l
}

func (m Mapping) whitelist() *layout {
	c := m.Whitelist
	l := &layout{what: "whitelist", schema: c.Schema, name: c.Name, fixed: c.Fixed}
	l.add(column{field: "ip", name: c.Address, kind: address}, c.Table, true)
	l.problems = l.checkWords(c.Table)
	return l
}

// library gives the library's word for one of the table's.
func (c *column) library(v []byte) ([]byte, error) {
	for i, w := range c.legal {
		if w == string(v) {
			return c.bytes[i], nil
		}
	}
	return nil, fmt.Errorf("is %q, want one of %q", v, c.legal)
}

// table gives the table's word for one of the library's.
func (c *column) table(w string) (string, error) {
	i := slices.Index(c.words, w)
	if i < 0 {
		return "", fmt.Errorf("%q is not one of %q", w, c.words)
	}
	return c.legal[i], nil
}
