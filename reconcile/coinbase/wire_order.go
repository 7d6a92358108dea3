package coinbase

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/resthttp"
)

// decode reads JSON and says what is wrong with it.
func decode(body []byte, to any) error {
	if err := json.Unmarshal(body, to); err != nil {
		return fmt.Errorf("the answer is not what it should be: %w", err)
	}
	return nil
}

// wireOrder is an order as the venue writes it.
type wireOrder struct {
	OrderID       *string                     `json:"order_id"`
	ClientOrderID *string                     `json:"client_order_id"`
	ProductID     *string                     `json:"product_id"`
	ProductType   *string                     `json:"product_type"`
	Side          *string                     `json:"side"`
	Status        *string                     `json:"status"`
	Configuration map[string]*wireOrderConfig `json:"order_configuration"`
	ReduceOnly    bool                        `json:"reduce_only"`

	FilledSize    amount  `json:"filled_size"`
	FilledValue   amount  `json:"filled_value"`
	TotalFees     amount  `json:"total_fees"`
	NumberOfFills *string `json:"number_of_fills"`

	CreatedTime    *time.Time `json:"created_time"`
	LastFillTime   *time.Time `json:"last_fill_time"`
	LastUpdateTime *time.Time `json:"last_update_time"`
}

// wireOrderConfig is what the forms of an order have between them.
type wireOrderConfig struct {
	BaseSize         amount     `json:"base_size"`
	QuoteSize        amount     `json:"quote_size"`
	LimitPrice       amount     `json:"limit_price"`
	StopPrice        amount     `json:"stop_price"`
	StopTriggerPrice amount     `json:"stop_trigger_price"`
	StopDirection    string     `json:"stop_direction"`
	EndTime          *time.Time `json:"end_time"`
}

// decodeOrders reads a page of GET /orders/historical/batch.
func decodeOrders(body []byte) (page[wireOrder], error) {
	var w struct {
		Orders  *[]wireOrder `json:"orders"`
		HasNext *bool        `json:"has_next"`
		Cursor  string       `json:"cursor"`
	}
	if err := decode(body, &w); err != nil {
		return page[wireOrder]{}, err
	}
	return page[wireOrder]{w.Orders, w.HasNext, w.Cursor}, nil
}

// decodeOrder reads the answer of GET /orders/historical/{order_id}.
func decodeOrder(body []byte) (wireOrder, error) {
	var w struct {
		Order *wireOrder `json:"order"`
	}
	if err := decode(body, &w); err != nil {
		return wireOrder{}, err
	}
	var f resthttp.Fields
	return resthttp.Need(&f, "order", w.Order), f.Err("the answer")
}

var statuses = map[string]andon.Status{
	"PENDING": andon.Live, "OPEN": andon.Live, "QUEUED": andon.Live, "CANCEL_QUEUED": andon.Live, "EDIT_QUEUED": andon.Live,
	"FILLED": andon.Filled, "CANCELLED": andon.Canceled, "EXPIRED": andon.Canceled, "FAILED": andon.Rejected,
}

// order turns an order into ours. A status that is not known is StatusUnknown, and a
// form that is not known has no kind; a size that is not known is an error.
func (w wireOrder) order(venue string, p product) (andon.Order, error) {
	var f resthttp.Fields
	o := andon.Order{
		ClientID: resthttp.Need(&f, "client_order_id", w.ClientOrderID), VenueID: f.Text("order_id", w.OrderID),
		Venue: venue, Symbol: f.Text("product_id", w.ProductID),
		ReduceOnly: w.ReduceOnly, Status: statuses[f.Text("status", w.Status)],
		At: latest(resthttp.Need(&f, "created_time", w.CreatedTime), w.LastFillTime, w.LastUpdateTime),
	}
	o.Side = side(&f, w.Side)
	filled := w.filled(&f)
	if o.Status == andon.Rejected && filled.Sign() > 0 {
		o.Status = andon.Canceled
	}
	size := w.form(&f, &o, filled)
	var err error
	if o.Quantity, err = p.units(size); err != nil {
		f.Wrong("base_size: %w", err)
	}
	if o.Filled, err = p.units(filled); err != nil {
		f.Wrong("filled_size: %w", err)
	}
	return o, rowErr(&f, "order", o.VenueID)
}

// filled returns what was traded. The venue writes "" instead of 0 for some orders; that
// is believed only if it says that there were no fills.
func (w wireOrder) filled(f *resthttp.Fields) andon.Decimal {
	if !w.FilledSize.known && w.NumberOfFills != nil && *w.NumberOfFills == "0" {
		return andon.Decimal{}
	}
	filled := w.FilledSize.need(f, "filled_size")
	if filled.Sign() < 0 {
		f.Wrong("filled_size is %v", filled)
	}
	return filled
}

// form sets what depends on the form of the order and returns its size.
func (w wireOrder) form(f *resthttp.Fields, o *andon.Order, filled andon.Decimal) andon.Decimal {
	var name string
	var c *wireOrderConfig
	for n, form := range w.Configuration {
		if form == nil {
			continue
		}
		if c != nil {
			f.Wrong("order_configuration has two forms: %s and %s", name, n)
		}
		name, c = n, form
	}
	if c == nil {
		f.Wrong("order_configuration is missing")
		return andon.Decimal{}
	}
	o.Kind = c.kind(name, o.Side)
	switch {
	case strings.HasPrefix(name, "trigger_bracket_"):
		o.Trigger = c.StopTriggerPrice.need(f, "stop_trigger_price")
	case o.Kind.Conditional():
		o.Trigger = c.StopPrice.need(f, "stop_price")
	default:
		o.Trigger = c.StopPrice.value
	}
	if o.Kind.Priced() {
		o.Price = c.LimitPrice.need(f, "limit_price")
	}
	if c.EndTime != nil {
		o.ExpiresAt = *c.EndTime
	}
	return c.size(f, o.Status, filled)
}

// kind tells an order's kind. A bracket is a stop that trades at market, with a
// take-profit limit beside it that our vocabulary has no place for.
func (c *wireOrderConfig) kind(name string, side andon.Side) andon.Kind {
	switch {
	case strings.HasPrefix(name, "market_market_"):
		return andon.Market
	case strings.HasPrefix(name, "limit_limit_"), strings.HasPrefix(name, "sor_limit_"):
		return andon.Limit
	case strings.HasPrefix(name, "trigger_bracket_"):
		return andon.StopMarket
	case strings.HasPrefix(name, "stop_limit_stop_limit_"):
		switch {
		case c.StopDirection == stopDown && side == andon.Sell, c.StopDirection == stopUp && side == andon.Buy:
			return andon.StopLimit
		case c.StopDirection == stopDown && side == andon.Buy, c.StopDirection == stopUp && side == andon.Sell:
			return andon.TakeProfitLimit
		}
	}
	return 0
}

const (
	stopDown = "STOP_DIRECTION_STOP_DOWN"
	stopUp   = "STOP_DIRECTION_STOP_UP"
)

// size returns the size of an order. One that is sized in money has the size that it
// traded, once it is done; before, the size that its money buys at its limit, rounded up.
func (c *wireOrderConfig) size(f *resthttp.Fields, s andon.Status, filled andon.Decimal) andon.Decimal {
	switch {
	case c.BaseSize.known:
		if c.BaseSize.value.Sign() <= 0 {
			f.Wrong("base_size is %v", c.BaseSize.value)
		}
		return c.BaseSize.value
	case s.Done() && c.QuoteSize.known:
		return filled
	case c.QuoteSize.known && c.LimitPrice.known:
		size, err := c.QuoteSize.value.Quo(c.LimitPrice.value, andon.MaxDecimals, andon.Up)
		if err != nil {
			f.Wrong("quote_size: %w", err)
		}
		return size
	case c.QuoteSize.known:
		f.Wrong("it is sized in money, quote_size %v, and is not done: its quantity is not known yet", c.QuoteSize.value)
	default:
		f.Wrong("base_size is missing")
	}
	return andon.Decimal{}
}

func side(f *resthttp.Fields, s *string) andon.Side {
	switch text := f.Text("side", s); text {
	case "BUY":
		return andon.Buy
	case "SELL":
		return andon.Sell
	case "":
	default:
		f.Wrong("side is %q", text)
	}
	return 0
}

func latest(t time.Time, others ...*time.Time) time.Time {
	for _, o := range others {
		if o != nil && o.After(t) {
			t = *o
		}
	}
	return t
}
