package coinbase

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/resthttp"
)

// Submit sends an order and returns it as the venue took it.
//
// What the venue cannot do is refused before anything is sent: a hedge leg, a reduce-only
// buy on spot, a market order that expires, a reduce-only market order of futures or
// perpetuals on the side that would add to the position.
//
// Coinbase has no stop-market: such an order, and a take-profit-market, becomes a
// stop-limit whose limit lies Config.StopSlippage beyond the trigger, and is given back
// as that. Reduce-only is enforced in three ways:
//
//	spot               a sell cannot go short, so nothing is sent for it and nothing is given back
//	derivative, market the venue's call for closing a position, which never opens
//	derivative, others reduce_only is sent; it is given back only where the venue confirms it
//
// A client id that was used before gives back the order that has it.
func (v *Venue) Submit(ctx context.Context, o andon.Order) (andon.Order, error) {
	call, err := v.newOrder(ctx, o)
	if err != nil {
		return andon.Order{}, err
	}
	return v.send(ctx, call)
}

// SubmitBracket sends a stop-market order with a take-profit limit beside it, of which
// the first to trade ends the other. It is given back as the stop.
func (v *Venue) SubmitBracket(ctx context.Context, stop andon.Order, takeProfit andon.Decimal) (andon.Order, error) {
	reject := func(reason string) (andon.Order, error) {
		return andon.Order{}, &andon.RejectedError{Order: stop, Reason: reason}
	}
	if err := v.acceptable(stop); err != nil {
		return andon.Order{}, err
	}
	if stop.Kind != andon.StopMarket {
		return reject("a bracket is made of a stop-market order")
	}
	if takeProfit.Sign() <= 0 || takeProfit.Sub(stop.Trigger).Sign()*stop.Side.Sign() >= 0 {
		return reject(fmt.Sprintf("a take-profit at %v does not lie beyond the stop at %v", takeProfit, stop.Trigger))
	}
	call, err := v.sized(ctx, stop, func(p product, size string) (string, orderForm, error) {
		form := orderForm{BaseSize: size, LimitPrice: takeProfit.String(), StopTriggerPrice: stop.Trigger.String()}
		return timed("trigger_bracket_", &form, stop.ExpiresAt), form, nil
	})
	if err != nil {
		return andon.Order{}, err
	}
	return v.send(ctx, call)
}

// orderCall is a request that makes an order, and the order as the venue will have it.
type orderCall struct {
	path string
	body any
	as   andon.Order
}

// orderRequest is the body of POST /orders.
type orderRequest struct {
	ClientOrderID string               `json:"client_order_id"`
	ProductID     string               `json:"product_id"`
	Side          string               `json:"side"`
	Configuration map[string]orderForm `json:"order_configuration"`
	ReduceOnly    bool                 `json:"reduce_only,omitempty"`
}

// closeRequest is the body of POST /orders/close_position.
type closeRequest struct {
	ClientOrderID string `json:"client_order_id"`
	ProductID     string `json:"product_id"`
	Size          string `json:"size"`
}

// orderForm is what the forms of an order have between them.
type orderForm struct {
	BaseSize         string `json:"base_size"`
	LimitPrice       string `json:"limit_price,omitempty"`
	StopPrice        string `json:"stop_price,omitempty"`
	StopDirection    string `json:"stop_direction,omitempty"`
	StopTriggerPrice string `json:"stop_trigger_price,omitempty"`
	EndTime          string `json:"end_time,omitempty"`
}

// acceptable refuses an order that cannot be right, or that the venue cannot do.
func (v *Venue) acceptable(o andon.Order) error {
	var reasons []string
	if err := o.Validate(); err != nil {
		reasons = append(reasons, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	no := func(is bool, reason string) {
		if is {
			reasons = append(reasons, reason)
		}
	}
	no(o.Venue != v.config.Name, "this is "+v.config.Name)
	no(o.Leg != andon.Net, "coinbase has no hedge mode: the leg has to be net")
	no(!o.Filled.IsZero(), "a new order is not filled")
	no(o.Symbol != "" && !plainID(o.Symbol), "the symbol is no product id")
	no(o.Kind == andon.Market && !o.ExpiresAt.IsZero(), "a market order does not expire")
	no(spotSymbol(o.Symbol) && o.ReduceOnly && o.Side == andon.Buy, "a spot account has nothing that a buy would reduce")
	no(!o.ExpiresAt.IsZero() && !o.ExpiresAt.After(v.client.Clock().Now()), "it has expired already")
	if len(reasons) == 0 {
		return nil
	}
	return &andon.RejectedError{Order: o, Reason: "not sent: " + strings.Join(reasons, "; ")}
}

func (v *Venue) newOrder(ctx context.Context, o andon.Order) (orderCall, error) {
	if err := v.acceptable(o); err != nil {
		return orderCall{}, err
	}
	if o.Kind == andon.Market && o.ReduceOnly && !spotSymbol(o.Symbol) {
		return v.closing(ctx, o)
	}
	as := o
	call, err := v.sized(ctx, o, func(p product, size string) (string, orderForm, error) {
		form := orderForm{BaseSize: size}
		if as.Kind == andon.StopMarket || as.Kind == andon.TakeProfitMarket {
			var err error
			if as, err = v.asLimit(as, p.tick); err != nil {
				return "", form, err
			}
		}
		switch as.Kind {
		case andon.Market:
			return "market_market_ioc", form, nil
		case andon.Limit:
			form.LimitPrice = as.Price.String()
			return timed("limit_limit_", &form, o.ExpiresAt), form, nil
		}
		form.LimitPrice, form.StopPrice, form.StopDirection = as.Price.String(), as.Trigger.String(), direction(as)
		return timed("stop_limit_stop_limit_", &form, o.ExpiresAt), form, nil
	})
	call.as.Kind, call.as.Price = as.Kind, as.Price
	return call, err
}

// sized makes a call for an order whose form depends on its product.
func (v *Venue) sized(ctx context.Context, o andon.Order, form func(product, string) (string, orderForm, error)) (orderCall, error) {
	p := product{spot: true, contract: andon.NewDecimal(1, 0)}
	if !spotSymbol(o.Symbol) || o.Kind == andon.StopMarket || o.Kind == andon.TakeProfitMarket {
		var err error
		if p, err = v.product(ctx, o.Symbol); err != nil {
			return orderCall{}, fmt.Errorf("order %s was not sent: %w", o.ClientID, err)
		}
	}
	size, err := p.size(o.Quantity)
	if err != nil {
		return orderCall{}, &andon.RejectedError{Order: o, Reason: fmt.Sprintf("not sent: %v is no number of contracts of %v: %v", o.Quantity, p.contract, err)}
	}
	name, f, err := form(p, size.String())
	if err != nil {
		return orderCall{}, &andon.RejectedError{Order: o, Reason: "not sent: " + err.Error()}
	}
	body := orderRequest{
		ClientOrderID: o.ClientID, ProductID: o.Symbol, Side: strings.ToUpper(o.Side.String()),
		Configuration: map[string]orderForm{name: f}, ReduceOnly: o.ReduceOnly && !p.spot,
	}
	as := o
	as.ReduceOnly = false
	return orderCall{path: "/orders", body: body, as: as}, nil
}

// closing makes the call that closes a position.
func (v *Venue) closing(ctx context.Context, o andon.Order) (orderCall, error) {
	p, err := v.product(ctx, o.Symbol)
	if err != nil {
		return orderCall{}, fmt.Errorf("order %s was not sent: %w", o.ClientID, err)
	}
	// The call never opens, so that a position that cannot be read, or is not listed yet,
	// stands in no exit's way. One that the order would add to does: the call would close it.
	read := v.futuresPositions
	if strings.HasSuffix(o.Symbol, "-INTX") {
		read = v.perpetualPositions
	}
	if positions, err := read(ctx); err == nil {
		held := andon.Position{}
		if i := slices.IndexFunc(positions, func(p andon.Position) bool { return p.Symbol == o.Symbol }); i >= 0 {
			held = positions[i]
		}
		if !held.Quantity.IsZero() && held.ExitSide() != o.Side {
			return orderCall{}, &andon.RejectedError{Order: o, Reason: fmt.Sprintf("not sent: with a position of %v a %v reduces nothing", held.Quantity, o.Side)}
		}
	}
	size, err := p.size(o.Quantity)
	if err != nil {
		return orderCall{}, &andon.RejectedError{Order: o, Reason: fmt.Sprintf("not sent: %v is no number of contracts of %v: %v", o.Quantity, p.contract, err)}
	}
	return orderCall{path: "/orders/close_position", as: o,
		body: closeRequest{ClientOrderID: o.ClientID, ProductID: o.Symbol, Size: size.String()}}, nil
}

// asLimit turns an order that trades at market once triggered into one that trades to a
// limit beyond its trigger.
func (v *Venue) asLimit(o andon.Order, tick andon.Decimal) (andon.Order, error) {
	slip, err := o.Trigger.Mul(v.config.StopSlippage)
	if err != nil {
		return o, err
	}
	price, r := o.Trigger.Sub(slip), andon.Down
	if o.Side == andon.Buy {
		price, r = o.Trigger.Add(slip), andon.Up
	}
	ticks, err := price.Quo(tick, 0, r)
	if err != nil {
		return o, err
	}
	if o.Price, err = ticks.Mul(tick); err != nil {
		return o, err
	}
	if o.Price.Sign() <= 0 {
		return o, fmt.Errorf("with a price increment of %v there is no limit below the trigger %v", tick, o.Trigger)
	}
	if o.Kind == andon.TakeProfitMarket {
		o.Kind = andon.TakeProfitLimit
	} else {
		o.Kind = andon.StopLimit
	}
	return o, nil
}

// direction says which way the price goes when a conditional order wakes.
func direction(o andon.Order) string {
	if o.Kind.Stop() == (o.Side == andon.Sell) {
		return stopDown
	}
	return stopUp
}

// timed returns the name of a form that lives until it is cancelled, or until a time.
func timed(name string, f *orderForm, until time.Time) string {
	if until.IsZero() {
		return name + "gtc"
	}
	f.EndTime = until.UTC().Format(time.RFC3339Nano)
	return name + "gtd"
}

// send makes the call, once, and reads what came of it.
func (v *Venue) send(ctx context.Context, call orderCall) (andon.Order, error) {
	o := call.as
	name := orderName{o.Symbol, o.ClientID}
	v.sent.Put(name, sentOrder{at: time.Now()})
	answer, err := v.post(ctx, call.path, call.body, false, orderTokenLife)
	if err == nil {
		o, err = v.taken(o, answer.Body)
	} else {
		err = notTaken(o, err)
	}
	switch {
	case err == nil:
		v.sent.Put(name, sentOrder{venueID: o.VenueID, at: time.Now()})
		return o, nil
	case !errors.Is(err, andon.ErrOutcomeUnknown):
		v.sent.Forget(name)
	}
	return andon.Order{}, err
}

func unknown(o andon.Order, err error) error {
	return fmt.Errorf("order %s at coinbase: %w: %w; look it up by its client id before anything else is sent for it",
		o.ClientID, andon.ErrOutcomeUnknown, err)
}

// notTaken says what a call without a good answer came to.
func notTaken(o andon.Order, err error) error {
	e, ok := errors.AsType[*resthttp.Error](err)
	switch {
	case !ok || !e.Unknown() && (e.Status == 0 || e.Status == http.StatusTooManyRequests):
		return fmt.Errorf("order %s was not taken by coinbase: %w", o.ClientID, err)
	case e.Unknown():
		return unknown(o, err)
	}
	rejected := &andon.RejectedError{Order: o, Reason: wordsOf(e)}
	if refusedKey(err) {
		return fmt.Errorf("%w: %w", ErrAuth, rejected)
	}
	return rejected
}

// wordsOf returns what the venue says in an answer that is an error.
func wordsOf(e *resthttp.Error) string {
	var w wireRefusal
	if json.Unmarshal(e.Body, &w) == nil && w.words() != "" {
		return fmt.Sprintf("%d: %s", e.Status, w.words())
	}
	return e.Error()
}

// wireRefusal is why an order was not made.
type wireRefusal struct {
	Error    string `json:"error"`
	Message  string `json:"message"`
	Details  string `json:"error_details"`
	Preview  string `json:"preview_failure_reason"`
	NewOrder string `json:"new_order_failure_reason"`
}

func (w wireRefusal) words() string {
	var words []string
	for _, s := range []string{w.NewOrder, w.Preview, w.Error, w.Message, w.Details} {
		if s != "" && !strings.HasPrefix(s, "UNKNOWN_") && !slices.Contains(words, s) {
			words = append(words, s)
		}
	}
	return strings.Join(words, ": ")
}

// taken reads the answer of a call that makes an order. What cannot be read is unknown.
func (v *Venue) taken(o andon.Order, body []byte) (andon.Order, error) {
	var w struct {
		Success *bool `json:"success"`
		Good    *struct {
			OrderID       string `json:"order_id"`
			ProductID     string `json:"product_id"`
			Side          string `json:"side"`
			ClientOrderID string `json:"client_order_id"`
		} `json:"success_response"`
		Bad *wireRefusal `json:"error_response"`
	}
	if err := decode(body, &w); err != nil {
		return o, unknown(o, err)
	}
	switch {
	case w.Success == nil:
		return o, unknown(o, errors.New("the answer does not say whether it was taken"))
	case !*w.Success:
		reason := "the venue gives no reason"
		if w.Bad != nil && w.Bad.words() != "" {
			reason = w.Bad.words()
		}
		return o, &andon.RejectedError{Order: o, Reason: reason}
	case w.Good == nil || w.Good.OrderID == "":
		return o, unknown(o, errors.New("the answer has no order_id"))
	case w.Good.ClientOrderID != "" && w.Good.ClientOrderID != o.ClientID,
		w.Good.ProductID != "" && w.Good.ProductID != o.Symbol,
		w.Good.Side != "" && !strings.EqualFold(w.Good.Side, o.Side.String()):
		return o, unknown(o, fmt.Errorf("the answer is about another order: %s %s %s", w.Good.ClientOrderID, w.Good.Side, w.Good.ProductID))
	}
	o.VenueID, o.Status, o.At = w.Good.OrderID, andon.Live, v.client.Clock().Now()
	return o, nil
}
