package coinbase_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon"
)

// server is Coinbase as its specification says it is, for one account. It refuses what
// the venue refuses, and fails as it is told to.
type server struct {
	t      testing.TB
	http   *httptest.Server
	public any // ed25519.PublicKey or *ecdsa.PublicKey
	name   string

	mu       sync.Mutex
	skew     time.Duration // of the venue's clock
	nonces   map[string]bool
	asked    []string // method and path, in order
	problems []string // requests that the venue would not understand

	price       andon.Decimal
	cash        andon.Decimal
	coins       andon.Decimal
	futures     map[string]andon.Decimal // contracts, signed
	perpetuals  map[string]andon.Decimal
	orders      []*order // oldest first
	next        int
	pageSize    int  // rows in a page at most
	repeatRow   bool // each page begins with the last row of the one before
	circle      bool // the cursor of the second page leads to the first
	hideNew     int  // how many lists do not show a new order
	cancelReads int  // how many reads an order stays CANCEL_QUEUED
	fillReads   int  // how many reads a market order stays PENDING

	fault func(r *http.Request) fault // of the next request
}

// fault is what goes wrong with one request.
type fault struct {
	status     int  // answered instead of the good answer
	act        bool // after doing what was asked
	cut        bool // the connection is cut, before or after acting
	half       bool // half of the answer is sent
	body       string
	retryAfter string
	slow       time.Duration // how long the answer takes
}

// order is an order on the server.
type order struct {
	id, clientID, product, side, status string
	form                                string
	config                              map[string]string
	filled                              andon.Decimal
	value, fees                         andon.Decimal
	created, traded                     time.Time
	hidden, reads                       int
	cancelReason                        string // why it cannot be cancelled
	reduceOnly                          bool
}

func newServer(t testing.TB, name string, public any) *server {
	s := &server{
		t: t, public: public, name: name, nonces: map[string]bool{}, pageSize: 100,
		price: dec("100"), cash: dec("1000000"), futures: map[string]andon.Decimal{}, perpetuals: map[string]andon.Decimal{},
	}
	s.http = httptest.NewServer(s)
	t.Cleanup(func() {
		s.http.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.problems) > 0 {
			t.Errorf("requests that the venue would not understand:\n%s", strings.Join(s.problems, "\n"))
		}
	})
	return s
}

func dec(s string) andon.Decimal { return andon.MustDecimal(s) }

const path = "/api/v3/brokerage"

// now is the venue's time.
func (s *server) now() time.Time { return time.Now().Add(s.skew) }

// ServeHTTP answers one request.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	s.asked = append(s.asked, r.Method+" "+strings.TrimPrefix(r.URL.Path, path))
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.problem("body: %v", err)
	}
	var f fault
	if s.fault != nil {
		f = s.fault(r)
	}
	if f.cut && !f.act {
		panic(http.ErrAbortHandler)
	}
	status, answer := http.StatusUnauthorized, any(map[string]string{"error": "Unauthorized"})
	if problem := s.authentic(r); problem != "" {
		answer = map[string]string{"error": "unauthorized", "message": problem}
	} else if f.status == 0 || f.act {
		status, answer = s.answer(r, body)
	}
	if f.cut {
		panic(http.ErrAbortHandler)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		s.problem("answer: %v", err)
	}
	if f.body != "" {
		text = []byte(f.body)
	}
	if f.status != 0 {
		status = f.status
		if f.body == "" {
			text = []byte(`{"error":"` + http.StatusText(status) + `","message":"as told"}`)
		}
	}
	if f.retryAfter != "" {
		w.Header().Set("Retry-After", f.retryAfter)
	}
	w.Header().Set("Content-Type", "application/json")
	time.Sleep(f.slow)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if f.half {
		text = text[:len(text)/2]
	}
	if _, err := w.Write(text); err != nil && !f.half {
		s.problem("write: %v", err)
	}
	if f.half {
		panic(http.ErrAbortHandler)
	}
}

func (s *server) problem(format string, args ...any) {
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

// authentic verifies the token of a request: the signature with the public key, the
// nonce, the times and the claims. It returns what is wrong.
func (s *server) authentic(r *http.Request) string {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	parts := strings.Split(token, ".")
	if !ok || len(parts) != 3 {
		return "no token"
	}
	var header struct{ Alg, Kid, Nonce, Typ string }
	var claims struct {
		Sub, Iss, URI string
		Nbf, Exp      int64
	}
	for i, to := range []any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(raw, to) != nil {
			return "token cannot be read"
		}
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !s.verify(header.Alg, []byte(parts[0]+"."+parts[1]), signature) {
		return "signature is wrong"
	}
	now := s.now().Unix()
	switch {
	case header.Kid != s.name || claims.Sub != s.name || claims.Iss != "cdp" || header.Typ != "JWT":
		return "claims are wrong"
	case len(header.Nonce) < 16 || s.nonces[header.Nonce]:
		return "nonce was used"
	case claims.Nbf > now:
		return "token is not valid yet"
	case claims.Exp <= now:
		return "token has expired"
	case claims.Exp-claims.Nbf > 120:
		return "token is valid for too long"
	case claims.URI != r.Method+" "+r.Host+r.URL.Path:
		return "uri is wrong"
	}
	s.nonces[header.Nonce] = true
	return ""
}

func (s *server) verify(alg string, message, signature []byte) bool {
	switch key := s.public.(type) {
	case ed25519.PublicKey:
		return alg == "EdDSA" && ed25519.Verify(key, message, signature)
	case *ecdsa.PublicKey:
		digest := sha256.Sum256(message)
		return alg == "ES256" && len(signature) == 64 &&
			ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
	}
	return false
}

func bad(reason string) (int, any) {
	return http.StatusBadRequest, map[string]string{"error": "INVALID_ARGUMENT", "message": reason, "error_details": reason}
}

// answer does what a request asks for.
func (s *server) answer(r *http.Request, body []byte) (int, any) {
	what := r.Method + " " + strings.TrimPrefix(r.URL.Path, path)
	switch {
	case what == "GET /key_permissions":
		return 200, map[string]any{"can_view": true, "can_trade": true, "can_transfer": false, "portfolio_uuid": "p-1", "portfolio_type": "DEFAULT"}
	case what == "GET /accounts":
		return s.page(r, "accounts", s.accounts())
	case what == "GET /orders/historical/batch":
		return s.page(r, "orders", s.listOrders(r))
	case what == "GET /orders/historical/fills":
		return s.page(r, "fills", s.fills(r))
	case strings.HasPrefix(what, "GET /orders/historical/"):
		return s.oneOrder(strings.TrimPrefix(what, "GET /orders/historical/"))
	case strings.HasPrefix(what, "GET /products/"):
		return s.product(strings.TrimPrefix(what, "GET /products/"))
	case what == "POST /orders":
		return s.create(body)
	case what == "POST /orders/close_position":
		return s.closePosition(body)
	case what == "POST /orders/batch_cancel":
		return s.cancel(body)
	case what == "GET /cfm/positions":
		return 200, map[string]any{"positions": s.futuresPositions()}
	case what == "GET /cfm/balance_summary":
		return 200, map[string]any{"balance_summary": map[string]any{
			"cfm_usd_balance": usd("250.5"), "total_open_orders_hold_amount": usd("10"), "total_usd_balance": usd("999")}}
	case what == "GET /intx/positions/p-intx":
		return 200, map[string]any{"positions": s.perpetualPositions(), "summary": map[string]any{}}
	case what == "GET /intx/balances/p-intx":
		return 200, map[string]any{"portfolio_balances": []any{map[string]any{"portfolio_uuid": "p-intx", "balances": []any{
			map[string]any{"asset": map[string]any{"asset_id": "1", "asset_name": "USDC"}, "quantity": "42.000001", "hold": "2"}}}}}
	}
	s.problem("%s is no call of the API", what)
	return http.StatusNotFound, map[string]string{"error": "NOT_FOUND"}
}

func usd(v string) map[string]string { return map[string]string{"value": v, "currency": "USD"} }

// page gives the part of the rows that a request asks for.
func (s *server) page(r *http.Request, name string, rows []map[string]any) (int, any) {
	q := r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 || limit > 250 {
		s.problem("%s: limit %q", name, q.Get("limit"))
		return bad("limit")
	}
	from := 0
	if c := q.Get("cursor"); c != "" {
		if from, err = strconv.Atoi(strings.TrimPrefix(c, "at-")); err != nil {
			s.problem("%s: cursor %q was never given", name, c)
			return bad("cursor")
		}
	}
	to := min(len(rows), from+min(limit, s.pageSize))
	begin := from
	if s.repeatRow && from > 0 {
		begin--
	}
	answer := map[string]any{name: append([]map[string]any{}, rows[begin:to]...), "cursor": ""}
	if name != "fills" {
		answer["has_next"] = to < len(rows)
	}
	if to < len(rows) {
		answer["cursor"] = fmt.Sprintf("at-%d", to)
	}
	if s.circle && from > 0 {
		answer["cursor"] = "at-" + strconv.Itoa(min(limit, s.pageSize))
		answer["has_next"] = true
	}
	return 200, answer
}

func (s *server) accounts() []map[string]any {
	hold := andon.Decimal{}
	for _, o := range s.orders {
		if o.side == "SELL" && live(o.status) && o.product == "BTC-USD" {
			hold = hold.Add(dec(o.config["base_size"])).Sub(o.filled)
		}
	}
	account := func(currency string, total, hold andon.Decimal) map[string]any {
		return map[string]any{
			"uuid": "account-" + currency, "name": currency + " Wallet", "currency": currency,
			"available_balance": map[string]any{"value": total.Sub(hold).String(), "currency": currency}, "default": true,
			"active": true, "type": "ACCOUNT_TYPE_CRYPTO", "ready": true,
			"hold": map[string]any{"value": hold.String(), "currency": currency}, "retail_portfolio_id": "p-1",
		}
	}
	return []map[string]any{
		account("USD", s.cash, andon.Decimal{}), account("BTC", s.coins, hold.Min(s.coins)),
		account("ETH", andon.Decimal{}, andon.Decimal{}), account("SOL", andon.Decimal{}, andon.Decimal{}),
	}
}

func live(status string) bool {
	return slices.Contains([]string{"PENDING", "OPEN", "QUEUED", "CANCEL_QUEUED", "EDIT_QUEUED"}, status)
}

func (s *server) product(id string) (int, any) {
	p := map[string]any{"product_id": id, "price": s.price.String(), "price_increment": "0.01", "base_increment": "0.00000001", "quote_currency_id": "USD"}
	switch {
	case strings.HasSuffix(id, "-CDE"):
		p["product_type"], p["future_product_details"] = "FUTURE", map[string]any{"contract_size": "0.01"}
	case strings.HasSuffix(id, "-INTX"):
		p["product_type"], p["quote_currency_id"], p["future_product_details"] = "FUTURE", "USDC", map[string]any{"contract_size": "1"}
	case strings.Count(id, "-") == 1:
		p["product_type"] = "SPOT"
	default:
		return http.StatusNotFound, map[string]string{"error": "NOT_FOUND"}
	}
	return 200, p
}

// read lets time pass for an order, as it does between two looks at it.
func (s *server) read(o *order) {
	o.reads++
	switch {
	case o.status == "CANCEL_QUEUED" && o.reads > s.cancelReads:
		o.status = "CANCELLED"
	case o.status == "PENDING" && o.form == "market_market_ioc" && o.reads > s.fillReads:
		s.fill(o)
	}
}

func (s *server) listOrders(r *http.Request) []map[string]any {
	q := r.URL.Query()
	ids, status, products := q["order_ids"], q["order_status"], q["product_ids"]
	if len(status) > 1 {
		s.problem("order_status: OPEN is paired with others: %v", status)
	}
	if len(ids) > 100 {
		s.problem("%d order_ids", len(ids))
	}
	var since time.Time
	if d := q.Get("start_date"); d != "" {
		var err error
		if since, err = time.Parse(time.RFC3339, d); err != nil {
			s.problem("start_date: %v", err)
		}
	}
	var rows []map[string]any
	for _, o := range slices.Backward(s.orders) {
		if len(ids) > 0 && !slices.Contains(ids, o.id) || len(products) > 0 && !slices.Contains(products, o.product) ||
			len(status) > 0 && o.status != status[0] || o.created.Before(since) {
			continue
		}
		if len(ids) == 0 && o.hidden > 0 {
			if q.Get("cursor") == "" {
				o.hidden--
			}
			continue
		}
		if q.Get("cursor") == "" {
			s.read(o)
		}
		rows = append(rows, s.row(o))
	}
	return rows
}

func (s *server) oneOrder(id string) (int, any) {
	for _, o := range s.orders {
		if o.id == id {
			s.read(o)
			return 200, map[string]any{"order": s.row(o)}
		}
	}
	return http.StatusNotFound, map[string]any{"error": "NOT_FOUND", "message": "order with this orderID was not found"}
}

// row is an order as the specification has it.
func (s *server) row(o *order) map[string]any {
	productType := "SPOT"
	if strings.Count(o.product, "-") > 1 {
		productType = "FUTURE"
	}
	filled, fills := o.filled.String(), "1"
	if o.filled.IsZero() {
		filled, fills = "0", "0"
		if o.status == "CANCELLED" {
			filled = ""
		}
	}
	return map[string]any{
		"order_id": o.id, "product_id": o.product, "user_id": "u", "order_configuration": map[string]any{o.form: o.config},
		"side": o.side, "client_order_id": o.clientID, "status": o.status, "time_in_force": "GOOD_UNTIL_CANCELLED",
		"created_time": o.created.UTC().Format(time.RFC3339Nano), "completion_percentage": "0", "filled_size": filled,
		"average_filled_price": "0", "fee": "", "number_of_fills": fills, "filled_value": o.value.String(), "pending_cancel": o.status == "CANCEL_QUEUED",
		"size_in_quote": false, "total_fees": o.fees.String(), "trigger_status": "INVALID_ORDER_TYPE", "order_type": "LIMIT",
		"settled": !live(o.status), "product_type": productType, "last_fill_time": nil,
	}
}

// create makes an order, or refuses it as the venue does.
func (s *server) create(body []byte) (int, any) {
	var w struct {
		ClientOrderID string                       `json:"client_order_id"`
		ProductID     string                       `json:"product_id"`
		Side          string                       `json:"side"`
		Configuration map[string]map[string]string `json:"order_configuration"`
		ReduceOnly    bool                         `json:"reduce_only"`
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&w); err != nil {
		s.problem("POST /orders: %v: %s", err, body)
		return bad(err.Error())
	}
	if w.ClientOrderID == "" || w.Side != "BUY" && w.Side != "SELL" || len(w.Configuration) != 1 {
		s.problem("POST /orders: %s", body)
		return bad("request")
	}
	for _, o := range s.orders {
		if o.clientID == w.ClientOrderID {
			return s.good(o)
		}
	}
	for form, config := range w.Configuration {
		if problem := formProblem(form, config); problem != "" {
			s.problem("POST /orders: %s: %s", problem, body)
			return bad(problem)
		}
		spot := strings.Count(w.ProductID, "-") == 1
		size := dec(config["base_size"])
		switch {
		case w.ReduceOnly && spot:
			return refuse("REDUCE_ONLY_NOT_ALLOWED_ON_SPOT_PRODUCTS")
		case spot && w.Side == "SELL" && form == "market_market_ioc" && s.coins.Less(size):
			return refuse("INSUFFICIENT_FUND")
		}
		return s.good(s.put(&order{clientID: w.ClientOrderID, product: w.ProductID, side: w.Side, form: form, config: config, reduceOnly: w.ReduceOnly}))
	}
	return bad("request")
}

// formProblem says what is wrong with a form, after the specification.
func formProblem(form string, config map[string]string) string {
	want, ok := map[string][]string{
		"market_market_ioc":         {"base_size"},
		"limit_limit_gtc":           {"base_size", "limit_price"},
		"limit_limit_gtd":           {"base_size", "limit_price", "end_time"},
		"stop_limit_stop_limit_gtc": {"base_size", "limit_price", "stop_price", "stop_direction"},
		"stop_limit_stop_limit_gtd": {"base_size", "limit_price", "stop_price", "stop_direction", "end_time"},
		"trigger_bracket_gtc":       {"base_size", "limit_price", "stop_trigger_price"},
		"trigger_bracket_gtd":       {"base_size", "limit_price", "stop_trigger_price", "end_time"},
	}[form]
	if !ok {
		return "no form " + form
	}
	if len(config) != len(want) {
		return fmt.Sprintf("form %s has %d fields", form, len(config))
	}
	for _, name := range want {
		if config[name] == "" {
			return form + " lacks " + name
		}
	}
	return ""
}

func refuse(reason string) (int, any) {
	return 200, map[string]any{"success": false, "error_response": map[string]string{
		"error": "UNKNOWN_FAILURE_REASON", "message": "The order was not created", "error_details": "",
		"preview_failure_reason": "PREVIEW_" + reason, "new_order_failure_reason": "UNKNOWN_FAILURE_REASON",
	}}
}

func (s *server) good(o *order) (int, any) {
	return 200, map[string]any{"success": true, "success_response": map[string]string{
		"order_id": o.id, "product_id": o.product, "side": o.side, "client_order_id": o.clientID,
	}, "order_configuration": map[string]any{o.form: o.config}}
}

// put books an order; a market order waits for its fill.
func (s *server) put(o *order) *order {
	s.next++
	o.id, o.status, o.created, o.hidden = fmt.Sprintf("order-%04d", s.next), "OPEN", s.now(), s.hideNew
	if o.form == "market_market_ioc" {
		o.status = "PENDING"
	}
	s.orders = append(s.orders, o)
	return o
}

// fill trades a market order whole.
func (s *server) fill(o *order) {
	size := dec(o.config["base_size"])
	o.filled, o.status, o.traded = size, "FILLED", s.now()
	if o.side == "SELL" {
		size = size.Neg()
	}
	var err error
	if o.value, err = o.filled.Mul(s.price); err != nil {
		s.problem("fill: %v", err)
	}
	o.fees = dec("0.25")
	switch {
	case strings.HasSuffix(o.product, "-CDE"):
		s.futures[o.product] = s.futures[o.product].Add(size)
	case strings.HasSuffix(o.product, "-INTX"):
		s.perpetuals[o.product] = s.perpetuals[o.product].Add(size)
	default:
		s.coins = s.coins.Add(size)
	}
}

func (s *server) closePosition(body []byte) (int, any) {
	var w struct {
		ClientOrderID string `json:"client_order_id"`
		ProductID     string `json:"product_id"`
		Size          string `json:"size"`
	}
	if err := json.Unmarshal(body, &w); err != nil || w.ClientOrderID == "" || w.Size == "" {
		s.problem("POST /orders/close_position: %s", body)
		return bad("request")
	}
	held := s.futures[w.ProductID]
	if strings.HasSuffix(w.ProductID, "-INTX") {
		held = s.perpetuals[w.ProductID]
	}
	if held.IsZero() || held.Abs().Less(dec(w.Size)) {
		return refuse("REDUCE_ONLY_INCREASED_POSITION_SIZE")
	}
	side := "SELL"
	if held.Sign() < 0 {
		side = "BUY"
	}
	return s.good(s.put(&order{clientID: w.ClientOrderID, product: w.ProductID, side: side, form: "market_market_ioc",
		config: map[string]string{"base_size": w.Size}}))
}

func (s *server) cancel(body []byte) (int, any) {
	var w struct {
		IDs []string `json:"order_ids"`
	}
	if err := json.Unmarshal(body, &w); err != nil || len(w.IDs) == 0 || len(w.IDs) > 100 {
		s.problem("POST /orders/batch_cancel: %d ids", len(w.IDs))
		return bad("order_ids")
	}
	results := []map[string]any{}
	for _, id := range w.IDs {
		reason := "UNKNOWN_CANCEL_ORDER"
		for _, o := range s.orders {
			if o.id != id {
				continue
			}
			switch {
			case o.cancelReason != "":
				reason = o.cancelReason
			case o.status == "FILLED":
				reason = "ORDER_IS_FULLY_FILLED"
			case o.status == "CANCEL_QUEUED":
				reason = "DUPLICATE_CANCEL_REQUEST"
			case live(o.status):
				reason, o.status, o.reads = "", "CANCEL_QUEUED", 0
			}
		}
		result := map[string]any{"success": reason == "", "failure_reason": reason, "order_id": id}
		if reason == "" {
			result["failure_reason"] = "UNKNOWN_CANCEL_FAILURE_REASON"
		}
		results = append(results, result)
	}
	return 200, map[string]any{"results": results}
}

func (s *server) futuresPositions() []map[string]any {
	rows := []map[string]any{}
	for id, n := range s.futures {
		side := "LONG"
		if n.Sign() < 0 {
			side = "SHORT"
		}
		rows = append(rows, map[string]any{"product_id": id, "expiration_time": "2030-12-20T00:00:00Z", "side": side,
			"number_of_contracts": n.Abs().String(), "current_price": s.price.String(), "avg_entry_price": "99.5",
			"unrealized_pnl": "0", "daily_realized_pnl": "0"})
	}
	return rows
}

func (s *server) perpetualPositions() []map[string]any {
	rows := []map[string]any{}
	for id, n := range s.perpetuals {
		side := "POSITION_SIDE_LONG"
		if n.Sign() < 0 {
			side = "POSITION_SIDE_SHORT"
		}
		rows = append(rows, map[string]any{"product_id": id, "product_uuid": "u", "portfolio_uuid": "p-intx", "symbol": id,
			"vwap": usd("99"), "entry_vwap": usd("98.75"), "position_side": side, "margin_type": "MARGIN_TYPE_CROSS",
			"net_size": n.String(), "mark_price": usd(s.price.String())})
	}
	return rows
}

func (s *server) fills(r *http.Request) []map[string]any {
	rows := []map[string]any{}
	for _, o := range slices.Backward(s.orders) {
		since, err := time.Parse(time.RFC3339Nano, r.URL.Query().Get("start_sequence_timestamp"))
		if err != nil {
			s.problem("start_sequence_timestamp: %v", err)
		}
		if o.filled.IsZero() || o.traded.Before(since) {
			continue
		}
		rows = append(rows, map[string]any{
			"entry_id": "entry-" + o.id, "trade_id": "trade-" + o.id, "order_id": o.id, "trade_time": o.traded.UTC().Format(time.RFC3339Nano),
			"trade_type": "FILL", "price": s.price.String(), "size": o.filled.String(), "commission": o.fees.String(), "product_id": o.product,
			"sequence_timestamp": o.created.UTC().Format(time.RFC3339Nano), "liquidity_indicator": "TAKER", "size_in_quote": false,
			"user_id": "u", "side": o.side,
		})
	}
	return rows
}

// do changes the server's state.
func (s *server) do(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// once makes a fault happen to the next request to a path.
func (s *server) once(what string, f fault) {
	s.do(func() {
		s.fault = func(r *http.Request) fault {
			if r.Method+" "+strings.TrimPrefix(r.URL.Path, path) != what {
				return fault{}
			}
			s.fault = nil
			return f
		}
	})
}

// always makes a fault happen to all requests whose method and path begin so.
func (s *server) always(prefix string, f fault) {
	s.do(func() {
		s.fault = func(r *http.Request) fault {
			if strings.HasPrefix(r.Method+" "+strings.TrimPrefix(r.URL.Path, path), prefix) {
				return f
			}
			return fault{}
		}
	})
}

// count returns how often a call was made.
func (s *server) count(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, a := range s.asked {
		if a == what {
			n++
		}
	}
	return n
}
