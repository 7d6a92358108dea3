package coinbase

import (
	"strings"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/resthttp"
)

// wireAccount is a spot account of one currency.
type wireAccount struct {
	UUID      *string `json:"uuid"`
	Currency  *string `json:"currency"`
	Available amount  `json:"available_balance"`
	Hold      amount  `json:"hold"`
}

// holding is what an account has.
type holding struct {
	id, currency string
	total, hold  andon.Decimal
}

// decodeAccounts reads a page of GET /accounts.
func decodeAccounts(body []byte) (page[wireAccount], error) {
	var w struct {
		Accounts *[]wireAccount `json:"accounts"`
		HasNext  *bool          `json:"has_next"`
		Cursor   string         `json:"cursor"`
	}
	if err := decode(body, &w); err != nil {
		return page[wireAccount]{}, err
	}
	return page[wireAccount]{w.Accounts, w.HasNext, w.Cursor}, nil
}

func (w wireAccount) holding() (holding, error) {
	var f resthttp.Fields
	h := holding{id: f.Text("uuid", w.UUID), currency: f.Text("currency", w.Currency), hold: w.Hold.need(&f, "hold")}
	h.total = w.Available.need(&f, "available_balance").Add(h.hold)
	for _, a := range []amount{w.Available, w.Hold} {
		if a.currency != h.currency {
			f.Wrong("it is an account of %q with an amount of %q", h.currency, a.currency)
		}
	}
	return h, rowErr(&f, "account", h.id)
}

// wireFuturesPosition is a position of US futures.
type wireFuturesPosition struct {
	ProductID     *string `json:"product_id"`
	Side          *string `json:"side"`
	Contracts     amount  `json:"number_of_contracts"`
	CurrentPrice  amount  `json:"current_price"`
	AvgEntryPrice amount  `json:"avg_entry_price"`
}

// decodeFuturesPositions reads the answer of GET /cfm/positions.
func decodeFuturesPositions(body []byte) ([]wireFuturesPosition, error) {
	var w struct {
		Positions *[]wireFuturesPosition `json:"positions"`
	}
	if err := decode(body, &w); err != nil {
		return nil, err
	}
	var f resthttp.Fields
	return resthttp.Need(&f, "positions", w.Positions), f.Err("the answer")
}

// position turns a position into ours, in units of the venue's size.
func (w wireFuturesPosition) position(venue string, at time.Time) (andon.Position, error) {
	var f resthttp.Fields
	p := andon.Position{
		Venue: venue, Symbol: f.Text("product_id", w.ProductID),
		Quantity: signed(&f, "number_of_contracts", w.Contracts, w.Side),
		Entry:    w.AvgEntryPrice.need(&f, "avg_entry_price"), Mark: w.CurrentPrice.need(&f, "current_price"), At: at,
	}
	return p, rowErr(&f, "position", p.Symbol)
}

// wirePerpetualPosition is a position of an INTX portfolio.
type wirePerpetualPosition struct {
	ProductID *string `json:"product_id"`
	Symbol    *string `json:"symbol"`
	Side      *string `json:"position_side"`
	NetSize   amount  `json:"net_size"`
	EntryVWAP amount  `json:"entry_vwap"`
	MarkPrice amount  `json:"mark_price"`
}

// decodePerpetualPositions reads the answer of GET /intx/positions/{portfolio_uuid}.
func decodePerpetualPositions(body []byte) ([]wirePerpetualPosition, error) {
	var w struct {
		Positions *[]wirePerpetualPosition `json:"positions"`
	}
	if err := decode(body, &w); err != nil {
		return nil, err
	}
	var f resthttp.Fields
	return resthttp.Need(&f, "positions", w.Positions), f.Err("the answer")
}

// position turns a position into ours, in units of the venue's size.
func (w wirePerpetualPosition) position(venue string, at time.Time) (andon.Position, error) {
	var f resthttp.Fields
	name := w.ProductID
	if name == nil || *name == "" {
		name = w.Symbol
	}
	p := andon.Position{
		Venue: venue, Symbol: f.Text("product_id", name), Quantity: signed(&f, "net_size", w.NetSize, w.Side),
		Entry: w.EntryVWAP.need(&f, "entry_vwap"), Mark: w.MarkPrice.need(&f, "mark_price"), At: at,
	}
	return p, rowErr(&f, "position", p.Symbol)
}

// signed gives a size the sign of its side. A size that has a sign of its own must agree
// with it.
func signed(f *resthttp.Fields, name string, size amount, side *string) andon.Decimal {
	d := size.need(f, name)
	if size.known && d.IsZero() {
		return d // flat has no side
	}
	switch text := f.Text("side", side); {
	case text == "":
	case strings.HasSuffix(text, "SHORT"):
		return d.Abs().Neg()
	case strings.HasSuffix(text, "LONG"):
		if d.Sign() < 0 {
			f.Wrong("%s is %v with side %s", name, d, text)
		}
	default:
		f.Wrong("side is %q: long or short is not known", text)
	}
	return d
}

// wireFuturesBalance is the answer of GET /cfm/balance_summary.
type wireFuturesBalance struct {
	Summary *struct {
		USD  amount `json:"cfm_usd_balance"`
		Hold amount `json:"total_open_orders_hold_amount"`
	} `json:"balance_summary"`
}

// decodeFuturesBalance reads the money in the futures account.
func decodeFuturesBalance(body []byte) (holding, error) {
	var w wireFuturesBalance
	if err := decode(body, &w); err != nil {
		return holding{}, err
	}
	var f resthttp.Fields
	s := resthttp.Need(&f, "balance_summary", w.Summary)
	if w.Summary == nil {
		return holding{}, f.Err("the answer")
	}
	h := holding{
		id: "cfm", currency: s.USD.currency, total: s.USD.need(&f, "cfm_usd_balance"),
		hold: s.Hold.need(&f, "total_open_orders_hold_amount"),
	}
	if h.currency == "" {
		f.Wrong("the currency of cfm_usd_balance is missing")
	}
	return h, f.Err("the answer")
}

// wirePerpetualBalance is what an INTX portfolio has of one asset.
type wirePerpetualBalance struct {
	Asset *struct {
		ID   string  `json:"asset_id"`
		Name *string `json:"asset_name"`
	} `json:"asset"`
	Quantity amount `json:"quantity"`
	Hold     amount `json:"hold"`
}

// decodePerpetualBalances reads the answer of GET /intx/balances/{portfolio_uuid}.
func decodePerpetualBalances(body []byte) ([]holding, error) {
	var w struct {
		Portfolios *[]struct {
			UUID     *string                 `json:"portfolio_uuid"`
			Balances *[]wirePerpetualBalance `json:"balances"`
		} `json:"portfolio_balances"`
	}
	if err := decode(body, &w); err != nil {
		return nil, err
	}
	var f resthttp.Fields
	var all []holding
	for _, p := range resthttp.Need(&f, "portfolio_balances", w.Portfolios) {
		for _, b := range resthttp.Need(&f, "balances", p.Balances) {
			if b.Asset == nil {
				f.Wrong("asset is missing")
				continue
			}
			h := holding{currency: f.Text("asset_name", b.Asset.Name), total: b.Quantity.need(&f, "quantity"), hold: b.Hold.need(&f, "hold")}
			h.id = "intx " + h.currency
			all = append(all, h)
		}
	}
	return all, f.Err("the answer")
}
