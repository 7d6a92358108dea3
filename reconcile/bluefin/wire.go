package bluefin

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

// exchangeInfo is what the venue says of itself.
type exchangeInfo struct {
	idsID    string
	leverage map[string]andon.Decimal // the default of each market
}

// decodeExchange reads the answer of GET /v1/exchange/info.
func decodeExchange(body []byte) (exchangeInfo, error) {
	var w struct {
		Contracts *struct {
			IdsID *string `json:"idsId"`
		} `json:"contractsConfig"`
		Markets *[]struct {
			Symbol   *string `json:"symbol"`
			Leverage e9      `json:"defaultLeverageE9"`
		} `json:"markets"`
	}
	if err := decode(body, &w); err != nil {
		return exchangeInfo{}, err
	}
	var f resthttp.Fields
	info := exchangeInfo{leverage: map[string]andon.Decimal{}}
	if w.Contracts == nil {
		f.Wrong("contractsConfig is missing")
	} else {
		info.idsID = f.Text("idsId", w.Contracts.IdsID)
		if _, err := parseAddress(info.idsID); err != nil {
			f.Wrong("idsId: %w", err)
		}
	}
	for _, m := range resthttp.Need(&f, "markets", w.Markets) {
		symbol := f.Text("symbol", m.Symbol)
		info.leverage[symbol] = m.Leverage.positive(&f, symbol+": defaultLeverageE9")
	}
	return info, f.Err("the answer")
}

// account is what the venue says of the account.
type account struct {
	canTrade, canWithdraw bool
	positions             []andon.Position
	markets               map[string]Market // of the positions
	balances              []andon.Balance
}

type wirePosition struct {
	Symbol     *string `json:"symbol"`
	Side       *string `json:"side"`
	Size       e9      `json:"sizeE9"`
	Entry      e9      `json:"avgEntryPriceE9"`
	Mark       e9      `json:"markPriceE9"`
	Leverage   e9      `json:"clientSetLeverageE9"`
	IsIsolated *bool   `json:"isIsolated"`
	UpdatedAt  *int64  `json:"updatedAtMillis"`
}

type wireAsset struct {
	Symbol      *string `json:"symbol"`
	Quantity    e9      `json:"quantityE9"`
	MaxWithdraw e9      `json:"maxWithdrawQuantityE9"`
}

// decodeAccount reads the answer of GET /api/v1/account for an address.
func decodeAccount(body []byte, venue, address string) (account, error) {
	var w struct {
		Address     *string         `json:"accountAddress"`
		CanTrade    *bool           `json:"canTrade"`
		CanWithdraw *bool           `json:"canWithdraw"`
		Positions   *[]wirePosition `json:"positions"`
		Assets      *[]wireAsset    `json:"assets"`
	}
	if err := decode(body, &w); err != nil {
		return account{}, err
	}
	var f resthttp.Fields
	if got := f.Text("accountAddress", w.Address); !sameHash(got, address) {
		f.Wrong("it is about account %.80q", got)
	}
	a := account{
		canTrade: resthttp.Need(&f, "canTrade", w.CanTrade), canWithdraw: resthttp.Need(&f, "canWithdraw", w.CanWithdraw),
		markets: map[string]Market{},
	}
	for _, p := range resthttp.Need(&f, "positions", w.Positions) {
		p.into(&f, &a, venue)
	}
	for _, s := range resthttp.Need(&f, "assets", w.Assets) {
		total := s.Quantity.need(&f, "quantityE9")
		a.balances = append(a.balances, andon.Balance{
			Venue: venue, Currency: f.Text("symbol", s.Symbol), Total: total,
			Reserved: total.Sub(s.MaxWithdraw.need(&f, "maxWithdrawQuantityE9")).Max(andon.Decimal{}),
		})
	}
	return a, f.Err("the answer")
}

func (w wirePosition) into(f *resthttp.Fields, a *account, venue string) {
	symbol := f.Text("symbol", w.Symbol)
	size := w.Size.positive(f, symbol+": sizeE9")
	a.markets[symbol] = Market{w.Leverage.positive(f, symbol+": clientSetLeverageE9"), resthttp.Need(f, symbol+": isIsolated", w.IsIsolated)}
	switch side := f.Text(symbol+": side", w.Side); {
	case w.Size.known && size.IsZero():
		return // flat, whatever its side
	case side == "SHORT":
		size = size.Neg()
	case side != "LONG":
		f.Wrong("%s: side is %q: long or short is not known", symbol, side)
	}
	a.positions = append(a.positions, andon.Position{
		Venue: venue, Symbol: symbol, Quantity: size, Entry: w.Entry.positive(f, symbol+": avgEntryPriceE9"),
		Mark: w.Mark.positive(f, symbol+": markPriceE9"), At: millis(f, symbol+": updatedAtMillis", w.UpdatedAt),
	})
}

func millis(f *resthttp.Fields, name string, n *int64) time.Time {
	v := resthttp.Need(f, name, n)
	const most = 253_402_300_799_999 // the end of the year 9999
	if n != nil && (v <= 0 || v > most) {
		f.Wrong("%s is %d", name, v)
		return time.Time{}
	}
	return time.UnixMilli(v)
}

// wireOrder is an order of either list.
type wireOrder struct {
	OrderHash     *string `json:"orderHash"`
	ClientOrderID string  `json:"clientOrderId"`
	Symbol        *string `json:"symbol"`
	Account       *string `json:"accountAddress"`
	Price         e9      `json:"priceE9"`
	Quantity      e9      `json:"quantityE9"`
	Filled        e9      `json:"filledQuantityE9"`
	Side          *string `json:"side"`
	Type          *string `json:"type"`
	ReduceOnly    *bool   `json:"reduceOnly"`
	Trigger       e9      `json:"triggerPriceE9"`
	Status        *string `json:"status"`
	ExpiresAt     *int64  `json:"expiresAtMillis"`
	UpdatedAt     *int64  `json:"updatedAtMillis"`
}

// decodeOrders reads the answer of GET /api/v1/trade/openOrders and standbyOrders.
func decodeOrders(body []byte, venue, address string) ([]andon.Order, error) {
	var rows *[]wireOrder
	if err := decode(body, &rows); err != nil {
		return nil, err
	}
	var f resthttp.Fields
	var all []andon.Order
	for _, w := range resthttp.Need(&f, "the list", rows) {
		o, err := w.order(venue, address)
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, f.Err("the answer")
}

var kinds = map[string]andon.Kind{
	"MARKET": andon.Market, "LIMIT": andon.Limit,
	"STOP_MARKET": andon.StopMarket, "STOP_LOSS_MARKET": andon.StopMarket,
	"STOP_LIMIT": andon.StopLimit, "STOP_LOSS_LIMIT": andon.StopLimit,
	"TAKE_PROFIT_MARKET": andon.TakeProfitMarket, "TAKE_PROFIT_LIMIT": andon.TakeProfitLimit,
}

var statuses = map[string]andon.Status{
	"STANDBY": andon.Live, "OPEN": andon.Live, "PARTIALLY_FILLED_OPEN": andon.Live,
	"FILLED":    andon.Filled,
	"CANCELLED": andon.Canceled, "PARTIALLY_FILLED_CANCELED": andon.Canceled,
	"EXPIRED": andon.Canceled, "PARTIALLY_FILLED_EXPIRED": andon.Canceled,
}

// order turns an order into ours. A status that is not known is StatusUnknown, and a
// type that is not known has no kind.
func (w wireOrder) order(venue, address string) (andon.Order, error) {
	var f resthttp.Fields
	o := andon.Order{
		ClientID: w.ClientOrderID, VenueID: f.Text("orderHash", w.OrderHash), Venue: venue, Symbol: f.Text("symbol", w.Symbol),
		Side: side(&f, w.Side), Kind: kinds[f.Text("type", w.Type)], Status: statuses[f.Text("status", w.Status)],
		Quantity: w.Quantity.positive(&f, "quantityE9"), Filled: w.Filled.positive(&f, "filledQuantityE9"),
		ReduceOnly: resthttp.Need(&f, "reduceOnly", w.ReduceOnly),
		ExpiresAt:  millis(&f, "expiresAtMillis", w.ExpiresAt), At: millis(&f, "updatedAtMillis", w.UpdatedAt),
	}
	if price := w.Price.positive(&f, "priceE9"); o.Kind.Priced() || o.Kind == 0 {
		o.Price = price
	}
	switch {
	case o.Kind.Conditional():
		o.Trigger = w.Trigger.positive(&f, "triggerPriceE9")
	case o.Kind == 0:
		o.Trigger = w.Trigger.value
	}
	if w.Quantity.known && o.Quantity.IsZero() {
		f.Wrong("quantityE9 is 0")
	}
	if o.Quantity.Less(o.Filled) {
		f.Wrong("filledQuantityE9 is %v of %v", o.Filled, o.Quantity)
	}
	if got := f.Text("accountAddress", w.Account); !sameHash(got, address) {
		f.Wrong("it belongs to account %.80q", got)
	}
	return o, f.Err("order %s", nameOr(o.VenueID))
}

func nameOr(id string) string {
	if id == "" {
		return "without an id"
	}
	return id
}

func side(f *resthttp.Fields, s *string) andon.Side {
	switch text := f.Text("side", s); text {
	case "LONG":
		return andon.Buy
	case "SHORT":
		return andon.Sell
	case "":
	default:
		f.Wrong("side is %q", text)
	}
	return 0
}

func sideName(s andon.Side) string {
	if s == andon.Sell {
		return "SHORT"
	}
	return "LONG"
}

// trade is one execution.
type trade struct {
	andon.Fill
	kind     andon.Kind
	feeKnown bool
}

// decodeTrades reads a page of GET /api/v1/account/trades.
func decodeTrades(body []byte, venue string) ([]trade, error) {
	var rows *[]struct {
		ID            *string `json:"id"`
		ClientOrderID string  `json:"clientOrderId"`
		OrderHash     string  `json:"orderHash"`
		OrderType     string  `json:"orderType"`
		Symbol        *string `json:"symbol"`
		Side          *string `json:"side"`
		Price         e9      `json:"priceE9"`
		Quantity      e9      `json:"quantityE9"`
		Fee           e9      `json:"tradingFeeE9"`
		FeeAsset      string  `json:"tradingFeeAsset"`
		ExecutedAt    *int64  `json:"executedAtMillis"`
	}
	if err := decode(body, &rows); err != nil {
		return nil, err
	}
	var list resthttp.Fields
	var all []trade
	for _, w := range resthttp.Need(&list, "the list", rows) {
		var f resthttp.Fields
		t := trade{kind: kinds[w.OrderType], feeKnown: w.Fee.known && w.FeeAsset != "", Fill: andon.Fill{
			ID: f.Text("id", w.ID), OrderID: w.OrderHash, ClientID: w.ClientOrderID, Venue: venue, Symbol: f.Text("symbol", w.Symbol),
			Side: side(&f, w.Side), Quantity: w.Quantity.positive(&f, "quantityE9"), Price: w.Price.positive(&f, "priceE9"),
			Fee: w.Fee.value, FeeCurrency: strings.TrimSpace(w.FeeAsset), At: millis(&f, "executedAtMillis", w.ExecutedAt),
		}}
		if err := f.Err("trade %s", nameOr(t.ID)); err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, list.Err("the answer")
}
