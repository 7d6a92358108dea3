package bluefin

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/resthttp"
)

// Submit signs an order, sends it once and returns it as the venue took it. Its ExpiresAt
// is when the venue will drop it, protective stops too: the venue has no order without an
// end, so that one that should live on has to be placed again before.
//
// The venue takes a client id twice. So one that this process used is refused here, and an
// order that is not reduce-only is looked for at the venue first; if that fails, nothing is
// sent.
//
// An order that the venue accepted, and has not made yet, is waited for for
// Config.AcceptWait. One that is not seen by then is andon.ErrOutcomeUnknown: the venue
// tells refusals after that, such as missing margin, on its stream alone.
func (v *Venue) Submit(ctx context.Context, o andon.Order) (andon.Order, error) {
	if err := v.acceptable(o); err != nil {
		return andon.Order{}, err
	}
	name := orderName{o.Symbol, o.ClientID}
	if !o.ReduceOnly {
		if err := v.unused(ctx, o, name); err != nil {
			return andon.Order{}, err
		}
	}
	request, o, err := v.signed(ctx, o)
	if err != nil {
		return andon.Order{}, err
	}
	if known, used := v.sent.PutNew(name, sentOrder{order: o, at: time.Now(), sending: true}); used {
		return andon.Order{}, rejected(o, fmt.Sprintf("not sent: %v, for %s", errUsed, known.order.VenueID))
	}
	taken, err := v.send(ctx, request, o)
	switch {
	case err != nil && !errors.Is(err, andon.ErrOutcomeUnknown):
		v.sent.Forget(name)
	default:
		v.sent.Change(name, func(s *sentOrder) { s.accepted, s.sending, s.at = s.accepted || err == nil, false, time.Now() })
	}
	return taken, err
}

func rejected(o andon.Order, reason string) error {
	return &andon.RejectedError{Order: o, Reason: reason}
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
	no(o.Leg != andon.Net, "bluefin has one position a symbol: the leg has to be net")
	no(!o.Filled.IsZero(), "a new order is not filled")
	no(!o.ExpiresAt.IsZero() && !o.ExpiresAt.After(v.clock.Now()), "it has expired already")
	for _, n := range []struct {
		name  string
		value andon.Decimal
	}{{"quantity", o.Quantity}, {"price", o.Price}, {"trigger", o.Trigger}} {
		if _, err := toE9(n.value); err != nil {
			no(true, n.name+": "+err.Error())
		}
	}
	if reasons == nil {
		return nil
	}
	return rejected(o, "not sent: "+strings.Join(reasons, "; "))
}

// unused makes sure that no order at the venue has the client id.
func (v *Venue) unused(ctx context.Context, o andon.Order, name orderName) error {
	if s, sent := v.sent.Get(name); sent {
		return rejected(o, fmt.Sprintf("not sent: %v, for %s", errUsed, s.order.VenueID))
	}
	found, err := v.Lookup(ctx, o.Symbol, o.ClientID)
	switch {
	case errors.Is(err, andon.ErrOrderNotFound):
		return nil
	case err == nil:
		return rejected(o, fmt.Sprintf("not sent: %v, for %s", errUsed, found.VenueID))
	}
	return fmt.Errorf("order %s was not sent: whether its client id was used before is not known: %w", o.ClientID, err)
}

// orderRequest is the body of POST /api/v1/trade/orders.
type orderRequest struct {
	SignedFields   signedFields `json:"signedFields"`
	Signature      string       `json:"signature"`
	ClientOrderID  string       `json:"clientOrderId"`
	Type           string       `json:"type"`
	ReduceOnly     bool         `json:"reduceOnly"`
	PostOnly       bool         `json:"postOnly"`
	TimeInForce    string       `json:"timeInForce,omitempty"`
	TriggerPriceE9 string       `json:"triggerPriceE9,omitempty"`
}

var typeNames = map[andon.Kind]string{
	andon.Market: "MARKET", andon.Limit: "LIMIT", andon.StopMarket: "STOP_MARKET", andon.StopLimit: "STOP_LIMIT",
	andon.TakeProfitMarket: "TAKE_PROFIT_MARKET", andon.TakeProfitLimit: "TAKE_PROFIT_LIMIT",
}

// signed makes the request for an order, and the order as the venue will have it.
func (v *Venue) signed(ctx context.Context, o andon.Order) (orderRequest, andon.Order, error) {
	info, err := v.exchange(ctx)
	if err != nil {
		return orderRequest{}, o, fmt.Errorf("order %s was not sent: %w", o.ClientID, err)
	}
	market, err := v.market(ctx, o, info)
	if err != nil {
		return orderRequest{}, o, err
	}
	now := v.clock.Now()
	switch {
	case o.ExpiresAt.IsZero() && o.Kind == andon.Market:
		o.ExpiresAt = now.Add(v.config.MarketLife)
	case o.ExpiresAt.IsZero():
		o.ExpiresAt = now.Add(v.config.OrderLife)
	}
	o.ExpiresAt = o.ExpiresAt.Truncate(time.Millisecond)
	s := signedFields{
		Symbol: o.Symbol, AccountAddress: v.config.Account, Side: sideName(o.Side), IsIsolated: market.Isolated, Salt: salt(),
		IdsID: info.idsID, ExpiresAtMillis: o.ExpiresAt.UnixMilli(), SignedAtMillis: now.UnixMilli(),
	}
	r := orderRequest{ClientOrderID: o.ClientID, Type: typeNames[o.Kind], ReduceOnly: o.ReduceOnly}
	if o.Kind.Priced() {
		r.TimeInForce = "GTT"
	}
	var errs []error
	for _, n := range []struct {
		to    *string
		value andon.Decimal
	}{{&s.PriceE9, o.Price}, {&s.QuantityE9, o.Quantity}, {&s.LeverageE9, market.Leverage}, {&r.TriggerPriceE9, o.Trigger}} {
		*n.to, err = toE9(n.value)
		errs = append(errs, err)
	}
	if !o.Kind.Conditional() {
		r.TriggerPriceE9 = ""
	}
	message, err := s.message()
	errs = append(errs, err)
	if o.VenueID, err = s.hash(); errors.Join(append(errs, err)...) != nil {
		return orderRequest{}, o, fmt.Errorf("order %s was not sent: %w", o.ClientID, errors.Join(append(errs, err)...))
	}
	r.SignedFields, r.Signature = s, v.config.Key.signMessage(message)
	return r, o, nil
}

// salt makes two orders alike differ.
func salt() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return strconv.FormatUint(binary.LittleEndian.Uint64(b[:])>>1, 10)
}

// heldAge is how long the leverage of a position is believed, for an order that may add
// to it.
const heldAge = time.Minute

// market says with which leverage and margin an order has to be signed: those of the
// position, else what the Config says, else the market's own. What the account holds may be
// unreadable only for a reduce-only order.
func (v *Venue) market(ctx context.Context, o andon.Order, info exchangeInfo) (Market, error) {
	v.mu.Lock()
	held, at := v.held, v.heldAt
	v.mu.Unlock()
	if at.IsZero() || time.Since(at) > heldAge {
		a, _, err := v.account(ctx)
		switch {
		case err == nil:
			held = a.markets
		case !o.ReduceOnly:
			return Market{}, fmt.Errorf("order %s was not sent: the leverage of its position is not known: %w", o.ClientID, err)
		}
	}
	if m, ok := held[o.Symbol]; ok && m.Leverage.Sign() > 0 {
		return m, nil
	}
	if m, ok := v.config.Markets[o.Symbol]; ok {
		return m, nil
	}
	leverage, ok := info.leverage[o.Symbol]
	if !ok {
		return Market{}, rejected(o, "not sent: bluefin has no market "+o.Symbol)
	}
	return Market{Leverage: leverage}, nil
}

// send makes the call, once, and reads what came of it.
func (v *Venue) send(ctx context.Context, r orderRequest, o andon.Order) (andon.Order, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return o, fmt.Errorf("order %s was not sent: %w", o.ClientID, err)
	}
	answer, err := v.do(ctx, v.trade, resthttp.Request{
		Method: http.MethodPost, Path: "/api/v1/trade/orders", Body: body, Urgent: true, Secrets: []string{r.Signature},
	})
	if err != nil {
		return andon.Order{}, notTaken(o, err)
	}
	var w struct {
		OrderHash *string `json:"orderHash"`
	}
	var f resthttp.Fields
	err = decode(answer.Body, &w)
	if err == nil {
		o.VenueID = f.Text("orderHash", w.OrderHash)
		err = f.Err("the answer")
	}
	if err != nil {
		return andon.Order{}, unknown(o, err)
	}
	v.sent.Change(orderName{o.Symbol, o.ClientID}, func(s *sentOrder) { s.order.VenueID = o.VenueID })
	o.Status, o.At = andon.Live, v.clock.Now()
	if answer.Status == http.StatusOK {
		return o, nil
	}
	return v.appears(ctx, o)
}

func unknown(o andon.Order, err error) error {
	return fmt.Errorf("order %s at bluefin: %w: %w; look it up by its client id before anything else is sent for it",
		o.ClientID, andon.ErrOutcomeUnknown, err)
}

// notTaken says what a call without a good answer came to.
func notTaken(o andon.Order, err error) error {
	e, ok := errors.AsType[*resthttp.Error](err)
	switch {
	case !ok || !e.Unknown() && (e.Status == 0 || e.Status == http.StatusTooManyRequests):
		return fmt.Errorf("order %s was not taken by bluefin: %w", o.ClientID, err)
	case e.Unknown():
		return unknown(o, err)
	}
	refused := rejected(o, wordsOf(e))
	if refusedKey(err) {
		return fmt.Errorf("%w: %w", ErrAuth, refused)
	}
	return refused
}

// wordsOf returns what the venue says in an answer that is an error.
func wordsOf(e *resthttp.Error) string {
	var w struct {
		Code    string `json:"errorCode"`
		Message string `json:"message"`
	}
	if json.Unmarshal(e.Body, &w) == nil && w.Code+w.Message != "" {
		return strings.TrimSpace(fmt.Sprintf("%d: %s %s", e.Status, w.Code, w.Message))
	}
	return e.Error()
}

// appears waits for an order that was accepted to be seen, in a list or by a trade.
func (v *Venue) appears(ctx context.Context, o andon.Order) (andon.Order, error) {
	waits := pollWaits()
	deadline := time.Now().Add(v.config.AcceptWait)
	for {
		seen, err := v.Lookup(ctx, o.Symbol, o.ClientID)
		if err == nil {
			return seen, nil
		}
		wait := waits.NextBackOff()
		if time.Now().Add(wait).After(deadline) || resthttp.Sleep(ctx, wait) != nil {
			return andon.Order{}, unknown(o, fmt.Errorf("it was accepted as %s and neither a list nor a trade has it: %w", o.VenueID, err))
		}
	}
}

func pollWaits() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(100*time.Millisecond), backoff.WithMaxInterval(2*time.Second), backoff.WithMaxElapsedTime(0))
}
