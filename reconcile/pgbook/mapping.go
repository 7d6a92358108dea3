package pgbook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Mapping says where in the bot's tables the book's rows lie: for each field the name
// of its column. A field with an empty column is not in the table: reading gives a
// fixed value (net for a leg, Config.Venue for a venue, nothing for the rest), and a
// repair that would have to write another value there is refused. Only marks and times,
// which are evidence, are left out silently.
//
// Names are taken as they are and always quoted, so that case matters as it does in
// PostgreSQL's catalog. As JSON a column that DefaultMapping has is written though it is
// empty: ParseMapping would put it back otherwise.
type Mapping struct {
	Positions PositionColumns `json:"positions"`

	// Trades is only checked, never reconciled or changed. Without a table its checks
	// cannot run, which is an error unless they are skipped by name.
	Trades TradeColumns `json:"trades"`

	// Orders and Fills without a table are kept in the book's own schema, where
	// RecordFills and PutOrder put them.
	Orders OrderColumns `json:"orders"`
	Fills  FillColumns  `json:"fills"`

	// Whitelist is a table of addresses from which trades may come, besides those of
	// Limits. Without a table there is none.
	Whitelist WhitelistColumns `json:"whitelist"`
}

// Table names a table and what goes for all of its rows.
type Table struct {
	// Schema is where the table lies. Defaults to what the connection's search_path
	// finds when the book is opened.
	Schema string `json:"schema,omitempty"`
	Name   string `json:"table"`

	// Words gives the bot's word for one of the library's, such as "buy": "BUY".
	// Defaults to the library's own: net, long, short; buy, sell; market, limit,
	// stop-market, stop-limit, take-profit-market, take-profit-limit; unknown, live,
	// filled, canceled, rejected.
	Words map[string]string `json:"words,omitempty"`

	// Fixed gives values, as text, to columns that have no field here, for rows that a
	// repair inserts.
	Fixed map[string]string `json:"fixed,omitempty"`
}

// PositionColumns is where positions lie: one row a leg that is held, and history.
type PositionColumns struct {
	Table
	ID       string `json:"id,omitempty"` // only for the check of trades that point to it
	Venue    string `json:"venue,omitempty"`
	Symbol   string `json:"symbol"`
	Leg      string `json:"leg,omitempty"`
	Quantity string `json:"quantity"`

	// Side is a column that says long or short, where the quantity has no sign.
	// Defaults to none: the quantity is signed.
	Side string `json:"side,omitempty"`

	Entry  string `json:"entry_price"`   // NULL: not known
	Mark   string `json:"current_price"` // NULL: not known
	At     string `json:"at,omitempty"`
	Status string `json:"status"`

	// Open is the status of a row that is held, Closed those of history; the first of
	// them is what a close-out writes. A row with any other status cannot be judged
	// and is an error. Default to "open" and "closed". Without a status column every
	// row is held, and a close-out deletes it.
	Open   string   `json:"open,omitempty"`
	Closed []string `json:"closed,omitempty"`
}

// TradeColumns is where the bot notes its trades.
type TradeColumns struct {
	Table
	ID        string `json:"id,omitempty"`
	Symbol    string `json:"symbol,omitempty"`
	Position  string `json:"position,omitempty"` // the id of the position that it belongs to
	Status    string `json:"status"`
	CreatedAt string `json:"created_at"`
	Size      string `json:"size"`
	Leverage  string `json:"leverage"`
	Address   string `json:"ip_address"`

	// Statuses are the legal ones; the first is that of a trade which holds a position.
	// Default to "open", "closed" and "cancelled".
	Statuses []string `json:"statuses,omitempty"`
}

// OrderColumns is where orders lie, live and done.
type OrderColumns struct {
	Table
	ClientID   string `json:"client_id,omitempty"`
	VenueID    string `json:"venue_id,omitempty"`
	Venue      string `json:"venue,omitempty"`
	Symbol     string `json:"symbol,omitempty"`
	Leg        string `json:"leg,omitempty"`
	Side       string `json:"side,omitempty"`
	Kind       string `json:"kind,omitempty"`
	Quantity   string `json:"quantity,omitempty"`
	Filled     string `json:"filled,omitempty"`
	Price      string `json:"price,omitempty"`
	Trigger    string `json:"trigger,omitempty"`
	ReduceOnly string `json:"reduce_only,omitempty"`
	ExpiresAt  string `json:"expires_at,omitempty"`
	Status     string `json:"status,omitempty"`
	At         string `json:"at,omitempty"`
}

// FillColumns is where executions lie.
type FillColumns struct {
	Table
	ID          string `json:"id,omitempty"`
	OrderID     string `json:"order_id,omitempty"`
	ClientID    string `json:"client_id,omitempty"`
	Venue       string `json:"venue,omitempty"`
	Symbol      string `json:"symbol,omitempty"`
	Leg         string `json:"leg,omitempty"`
	Side        string `json:"side,omitempty"`
	Quantity    string `json:"quantity,omitempty"`
	Price       string `json:"price,omitempty"`
	Fee         string `json:"fee,omitempty"`
	FeeCurrency string `json:"fee_currency,omitempty"`
	At          string `json:"at,omitempty"`
}

// WhitelistColumns is where allowed addresses lie, as addresses or networks.
type WhitelistColumns struct {
	Table
	Address string `json:"ip,omitempty"`
}

// DefaultMapping is the playbook's: a table positions with symbol, quantity,
// entry_price, current_price and status, and a table trades with status, created_at,
// size, leverage and ip_address. Orders and fills lie in the book's own schema.
func DefaultMapping() Mapping {
	return Mapping{
		Positions: PositionColumns{
			Table: Table{Name: "positions"}, Symbol: "symbol", Quantity: "quantity",
			Entry: "entry_price", Mark: "current_price", Status: "status",
		},
		Trades: TradeColumns{
			Table: Table{Name: "trades"}, Status: "status", CreatedAt: "created_at",
			Size: "size", Leverage: "leverage", Address: "ip_address",
		},
	}
}

// ParseMapping reads a mapping from JSON. What the text does not say is as in
// DefaultMapping, and an empty text for a column takes it away. Unknown fields are
// errors, as is everything that Validate finds.
func ParseMapping(data []byte) (Mapping, error) {
	m := DefaultMapping()
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return Mapping{}, fmt.Errorf("mapping: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Mapping{}, errors.New("mapping: there is more after the value")
	}
	if err := m.Validate(); err != nil {
		return Mapping{}, fmt.Errorf("mapping: %w", err)
	}
	return m, nil
}

// Validate reports everything that is wrong whatever the database has, joined. Each
// problem starts with the field's name.
func (m Mapping) Validate() error {
	m = m.withDefaults()
	var errs []error
	const schema, venue = DefaultSchema, "v" // any will do
	errs = append(errs, m.positions(venue).validate()...)
	errs = append(errs, m.orders(schema, venue).validate()...)
	errs = append(errs, m.fills(schema, venue).validate()...)
	for _, l := range []*layout{m.trades(), m.whitelist()} {
		if l.name != "" {
			errs = append(errs, l.validate()...)
		}
	}
	errs = append(errs, m.checkStatuses()...)
	return errors.Join(errs...)
}

func (m Mapping) checkStatuses() []error {
	var errs []error
	p := m.Positions
	if slices.Contains(p.Closed, p.Open) {
		errs = append(errs, fmt.Errorf("positions.closed: has %q, which is the status of a position that is held", p.Open))
	}
	for _, list := range []struct {
		name  string
		words []string
	}{{"positions.closed", p.Closed}, {"trades.statuses", m.Trades.Statuses}} {
		for i, w := range list.words {
			if w == "" || strings.ContainsRune(w, 0) || slices.Contains(list.words[:i], w) {
				errs = append(errs, fmt.Errorf("%s[%d]: %q is empty, has a zero byte or is there twice", list.name, i, w))
			}
		}
	}
	return errs
}

func (m Mapping) withDefaults() Mapping {
	if m.Positions.Open == "" {
		m.Positions.Open = "open"
	}
	if len(m.Positions.Closed) == 0 {
		m.Positions.Closed = []string{"closed"}
	}
	if len(m.Trades.Statuses) == 0 {
		m.Trades.Statuses = []string{"open", "closed", "cancelled"}
	}
	return m
}

// maxName is how many bytes of a name PostgreSQL keeps; it cuts a longer one without
// a word, and then names another thing.
const maxName = 63

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("is empty")
	case len(name) > maxName:
		return fmt.Errorf("has %d bytes, want at most %d", len(name), maxName)
	case strings.ContainsRune(name, 0):
		return errors.New("has a zero byte")
	}
	return nil
}
