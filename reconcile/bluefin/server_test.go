package bluefin_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/blake2b"

	"github.com/andon-go/andon"
)

// server is Bluefin Pro as its specification says it is, for one account; all three hosts
// in one. It refuses what the venue refuses, and fails as it is told to.
type server struct {
	t       testing.TB
	http    *httptest.Server
	signer  string // the address whose signatures count
	address string // of the account

	mu       sync.Mutex
	skew     time.Duration // of the venue's clock
	asked    []string
	problems []string
	salts    map[string]bool
	access   map[string]time.Time // valid until
	refresh  map[string]bool
	next     int

	accessLife int64 // seconds
	price      andon.Decimal
	size       andon.Decimal // of the position in symbol
	isolated   bool
	leverage   string // E9, of the position
	orders     []*order
	trades     []map[string]any
	canTrade   bool

	sync200   bool // POST orders answers 200 and is done
	lag       int  // how many lists do not show a new order
	tradeLag  int  // how many reads of the trades do not show a new one
	cancelLag int  // how many lists still show a cancelled order
	refuse    bool // accepted orders are refused silently
	pageSize  int  // of trades

	fault func(r *http.Request) fault
}

// fault is what goes wrong with one request.
type fault struct {
	status     int  // answered instead of the good answer
	act        bool // after doing what was asked
	cut, half  bool
	body       string
	retryAfter string
	slow       time.Duration // how long the answer takes
}

type order struct {
	hash, clientID, symbol, side, kind, status string
	price, quantity, trigger, filled           string // E9
	reduceOnly                                 bool
	expires, signed, updated                   int64
	hidden, going                              int // lists until it shows; until it is gone
	cancelled                                  bool
	standby                                    bool
}

const (
	symbol = "ETH-PERP"
	ids    = "0xeb46bc9cd8cca03f9cabde46bf280a5aae264668877b7ee2f24cbaf0692089aa"
)

func newServer(t testing.TB, signer, address string) *server {
	s := &server{t: t, signer: signer, address: address, salts: map[string]bool{}, access: map[string]time.Time{}, refresh: map[string]bool{},
		accessLife: 300, price: dec("100"), leverage: "10000000000", canTrade: true, pageSize: 1000}
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

func (s *server) now() time.Time { return time.Now().Add(s.skew) }

func (s *server) problem(format string, args ...any) {
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

// ServeHTTP answers one request.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	s.asked = append(s.asked, r.Method+" "+r.URL.Path)
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
	status, answer := 0, any(nil)
	if f.status == 0 || f.act {
		status, answer = s.answer(r, body)
	}
	if f.cut {
		panic(http.ErrAbortHandler)
	}
	text := []byte{}
	if answer != nil {
		if text, err = json.Marshal(answer); err != nil {
			s.problem("answer: %v", err)
		}
	}
	if f.body != "" {
		text = []byte(f.body)
	}
	if f.status != 0 {
		status = f.status
		if f.body == "" {
			text = []byte(`{"errorCode":"TOLD","message":"as told"}`)
		}
	}
	if f.retryAfter != "" {
		w.Header().Set("Retry-After", f.retryAfter)
	}
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

func refusal(status int, code, message string) (int, any) {
	return status, map[string]any{"errorCode": code, "message": message}
}

// answer does what a request asks for.
func (s *server) answer(r *http.Request, body []byte) (int, any) {
	what := r.Method + " " + r.URL.Path
	switch what {
	case "POST /auth/v2/token":
		return s.login(r, body)
	case "PUT /auth/token/refresh":
		return s.renew(body)
	case "GET /v1/exchange/info":
		return 200, map[string]any{"assets": []any{}, "contractsConfig": map[string]any{"edsId": ids, "idsId": ids},
			"markets":         []any{map[string]any{"symbol": symbol, "defaultLeverageE9": "3000000000"}, map[string]any{"symbol": "BTC-PERP", "defaultLeverageE9": "5000000000"}},
			"tradingGasFeeE9": "0", "serverTimeAtMillis": s.now().UnixMilli(), "timezone": "UTC"}
	case "GET /api/v1/account":
		if r.URL.Query().Get("accountAddress") != s.address {
			return refusal(404, "ACCOUNT_NOT_FOUND", "account not found")
		}
		return 200, s.account()
	}
	until, ok := s.access[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	if !ok || !s.now().Before(until) {
		return refusal(401, "UNAUTHORIZED", "token is not valid")
	}
	switch what {
	case "GET /api/v1/trade/openOrders":
		return 200, s.list(r, false)
	case "GET /api/v1/trade/standbyOrders":
		return 200, s.list(r, true)
	case "GET /api/v1/account/trades":
		return s.listTrades(r)
	case "POST /api/v1/trade/orders":
		return s.create(body)
	case "PUT /api/v1/trade/orders/cancel":
		return s.cancel(body, false)
	case "PUT /api/v1/trade/orders/cancel/standby":
		return s.cancel(body, true)
	}
	s.problem("%s is no call of the API", what)
	return refusal(404, "NOT_FOUND", what)
}

// signature verifies a Sui personal message and returns who signed it.
func (s *server) signature(text string, message []byte) string {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != 97 || raw[0] != 0 {
		return ""
	}
	digest := blake2b.Sum256(append(binary.AppendUvarint([]byte{3, 0, 0}, uint64(len(message))), message...))
	if !ed25519.Verify(raw[65:], digest[:], raw[1:65]) {
		return ""
	}
	sum := blake2b.Sum256(append([]byte{0}, raw[65:]...))
	return "0x" + hex.EncodeToString(sum[:])
}

func (s *server) recently(millis int64) bool {
	return s.now().Sub(time.UnixMilli(millis)).Abs() < 30*time.Second
}

func (s *server) login(r *http.Request, body []byte) (int, any) {
	var w struct {
		AccountAddress string `json:"accountAddress"`
		SignedAtMillis int64  `json:"signedAtMillis"`
		Audience       string `json:"audience"`
	}
	if err := json.Unmarshal(body, &w); err != nil || w.Audience != "api" {
		return refusal(403, "INVALID_AUDIENCE", "invalid audience")
	}
	switch {
	case s.signature(r.Header.Get("payloadSignature"), body) != s.signer || w.AccountAddress != s.address:
		return refusal(401, "INVALID_SIGNATURE", "invalid signature")
	case !s.recently(w.SignedAtMillis):
		return refusal(400, "BAD_SIGNATURE", "signed too long ago or not yet")
	}
	return s.tokens()
}

func (s *server) tokens() (int, any) {
	access, refresh := "access-"+rand.Text(), "refresh-"+rand.Text()
	s.access[access], s.refresh[refresh] = s.now().Add(time.Duration(s.accessLife)*time.Second), true
	return 200, map[string]any{"accessToken": access, "accessTokenValidForSeconds": s.accessLife,
		"refreshToken": refresh, "refreshTokenValidForSeconds": 2592000}
}

func (s *server) renew(body []byte) (int, any) {
	var w struct{ RefreshToken string }
	if err := json.Unmarshal(body, &w); err != nil || !s.refresh[w.RefreshToken] {
		return refusal(401, "INVALID", "no such refresh token")
	}
	delete(s.refresh, w.RefreshToken)
	return s.tokens()
}

func scaled(d andon.Decimal) string {
	n, err := d.Mul(dec("1000000000"))
	if err != nil {
		panic(err)
	}
	return n.String()
}

func unscaled(text string) andon.Decimal { return dec(text + "e-9") }

func (s *server) account() map[string]any {
	positions := []any{}
	if !s.size.IsZero() {
		side := "LONG"
		if s.size.Sign() < 0 {
			side = "SHORT"
		}
		positions = append(positions, map[string]any{
			"symbol": symbol, "avgEntryPriceE9": "99500000000", "clientSetLeverageE9": s.leverage, "liquidationPriceE9": "0",
			"markPriceE9": scaled(s.price), "notionalValueE9": "0", "sizeE9": scaled(s.size.Abs()), "unrealizedPnlE9": "-1",
			"side": side, "marginRequiredE9": "0", "maintenanceMarginE9": "0", "isIsolated": s.isolated, "isolatedMarginE9": "0",
			"updatedAtMillis": s.now().UnixMilli(), "fundingRatePaymentAllTimeE9": "0",
		})
	}
	return map[string]any{
		"accountAddress": s.address, "canTrade": s.canTrade, "canDeposit": true, "canWithdraw": false, "positions": positions,
		"assets": []any{map[string]any{"symbol": "USDC", "quantityE9": "12000000000001", "effectiveBalanceE9": "12000000000001",
			"maxWithdrawQuantityE9": "11000000000000", "updatedAtMillis": s.now().UnixMilli()}},
		"crossLeverageE9": "1000000000", "updatedAtMillis": s.now().UnixMilli(), "authorizedAccounts": []any{}, "authorizedWallets": []any{},
	}
}

// list gives one of the two lists, and lets time pass for the orders in it.
func (s *server) list(r *http.Request, standby bool) []map[string]any {
	rows := []map[string]any{}
	for _, o := range slices.Clone(s.orders) {
		if q := r.URL.Query().Get("symbol"); q != "" && o.symbol != q || o.standby != standby {
			continue
		}
		if o.hidden > 0 {
			o.hidden--
			continue
		}
		if o.cancelled {
			if o.going--; o.going < 0 {
				s.drop(o)
				continue
			}
		}
		if o.kind == "MARKET" {
			continue // on its way to be filled
		}
		rows = append(rows, map[string]any{
			"orderHash": o.hash, "clientOrderId": o.clientID, "symbol": o.symbol, "accountAddress": s.address, "signerAddress": s.signer,
			"priceE9": o.price, "quantityE9": o.quantity, "side": o.side, "leverageE9": s.leverage, "isIsolated": s.isolated, "salt": "1",
			"expiresAtMillis": o.expires, "signedAtMillis": o.signed, "type": o.kind, "reduceOnly": o.reduceOnly, "postOnly": false,
			"timeInForce": "GTT", "triggerPriceE9": o.trigger, "filledQuantityE9": o.filled, "status": o.status,
			"selfTradePreventionType": "MAKER", "orderTimeAtMillis": o.signed, "updatedAtMillis": o.updated,
		})
	}
	return rows
}

func (s *server) drop(o *order) {
	s.orders = slices.DeleteFunc(s.orders, func(x *order) bool { return x == o })
}

func (s *server) listTrades(r *http.Request) (int, any) {
	q := r.URL.Query()
	n := map[string]int64{}
	for _, name := range []string{"startTimeAtMillis", "endTimeAtMillis", "limit", "page"} {
		v, err := strconv.ParseInt(q.Get(name), 10, 64)
		if err != nil || v < 0 {
			s.problem("trades: %s is %q", name, q.Get(name))
		}
		n[name] = v
	}
	if n["endTimeAtMillis"] <= n["startTimeAtMillis"] || n["endTimeAtMillis"]-n["startTimeAtMillis"] >= 90*24*3600_000 || n["limit"] > 1000 || n["page"] < 1 {
		s.problem("trades: %v", q)
		return refusal(400, "INVALID_REQUEST", "window or page")
	}
	all := []map[string]any{}
	for _, t := range slices.Backward(s.trades) {
		if lag := t["lag"].(int); lag > 0 {
			t["lag"] = lag - 1
			continue
		}
		at := t["executedAtMillis"].(int64)
		if at >= n["startTimeAtMillis"] && at <= n["endTimeAtMillis"] && (q.Get("symbol") == "" || t["symbol"] == q.Get("symbol")) {
			all = append(all, t)
		}
	}
	size := min(int(n["limit"]), s.pageSize)
	from := min(len(all), (int(n["page"])-1)*size)
	return 200, all[from:min(len(all), from+size)]
}

// create verifies and takes an order.
func (s *server) create(body []byte) (int, any) {
	var w struct {
		SignedFields struct {
			Symbol          string `json:"symbol"`
			AccountAddress  string `json:"accountAddress"`
			PriceE9         string `json:"priceE9"`
			QuantityE9      string `json:"quantityE9"`
			Side            string `json:"side"`
			LeverageE9      string `json:"leverageE9"`
			IsIsolated      bool   `json:"isIsolated"`
			Salt            string `json:"salt"`
			IdsID           string `json:"idsId"`
			ExpiresAtMillis int64  `json:"expiresAtMillis"`
			SignedAtMillis  int64  `json:"signedAtMillis"`
		} `json:"signedFields"`
		Signature      string `json:"signature"`
		ClientOrderID  string `json:"clientOrderId"`
		Type           string `json:"type"`
		ReduceOnly     bool   `json:"reduceOnly"`
		PostOnly       bool   `json:"postOnly"`
		TimeInForce    string `json:"timeInForce"`
		TriggerPriceE9 string `json:"triggerPriceE9"`
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&w); err != nil {
		s.problem("POST orders: %v: %s", err, body)
		return refusal(400, "INVALID_REQUEST", err.Error())
	}
	f := w.SignedFields
	position := "CROSS"
	if f.IsIsolated {
		position = "ISOLATED"
	}
	message := fmt.Sprintf(`{
  "type": "Bluefin Pro Order",
  "ids": "%s",
  "account": "%s",
  "market": "%s",
  "price": "%s",
  "quantity": "%s",
  "leverage": "%s",
  "side": "%s",
  "positionType": "%s",
  "expiration": "%d",
  "salt": "%s",
  "signedAt": "%d"
}`, f.IdsID, f.AccountAddress, f.Symbol, f.PriceE9, f.QuantityE9, f.LeverageE9, f.Side, position, f.ExpiresAtMillis, f.Salt, f.SignedAtMillis)
	leverage, isolated := "3000000000", false
	if !s.size.IsZero() {
		leverage, isolated = s.leverage, s.isolated
	}
	conditional := strings.HasPrefix(w.Type, "STOP_") || strings.HasPrefix(w.Type, "TAKE_PROFIT_")
	priced := strings.HasSuffix(w.Type, "LIMIT")
	switch {
	case s.signature(w.Signature, []byte(message)) != s.signer:
		return refusal(401, "INVALID_SIGNATURE", "signature is invalid")
	case f.AccountAddress != s.address, f.IdsID != ids:
		return refusal(400, "INVALID_REQUEST", "account or ids")
	case f.Symbol != symbol:
		return refusal(400, "INVALID_SYMBOL", f.Symbol)
	case !s.recently(f.SignedAtMillis):
		return refusal(400, "SIGNED_AT_TOO_OLD", "signedAtMillis")
	case f.ExpiresAtMillis <= s.now().UnixMilli():
		return refusal(400, "ORDER_EXPIRED", "expiresAtMillis")
	case s.salts[f.Salt]:
		return refusal(400, "DUPLICATE_ORDER", "salt was used")
	case f.LeverageE9 != leverage || f.IsIsolated != isolated:
		return refusal(400, "INVALID_LEVERAGE", f.LeverageE9)
	case priced != (f.PriceE9 != "0"), conditional != (w.TriggerPriceE9 != ""), priced != (w.TimeInForce == "GTT"):
		s.problem("POST orders: price, trigger or time in force does not fit: %s", body)
		return refusal(400, "INVALID_INPUT", "price or trigger")
	}
	s.salts[f.Salt] = true
	o := &order{
		hash:     s.hash(f.AccountAddress, f.Symbol, f.PriceE9, f.QuantityE9, f.LeverageE9, f.Side, position, f.ExpiresAtMillis, f.Salt, f.SignedAtMillis),
		clientID: w.ClientOrderID, symbol: f.Symbol, side: f.Side, kind: w.Type, status: "OPEN", price: f.PriceE9, quantity: f.QuantityE9,
		trigger: w.TriggerPriceE9, filled: "0", reduceOnly: w.ReduceOnly, expires: f.ExpiresAtMillis, signed: f.SignedAtMillis,
		updated: s.now().UnixMilli(), hidden: s.lag, standby: conditional,
	}
	if conditional {
		o.status = "STANDBY"
	}
	if w.ReduceOnly && !conditional && !s.refuse && !s.reduces(o) {
		return refusal(400, "REDUCE_ONLY_WOULD_OPEN", "order is reduce-only")
	}
	s.take(o)
	status := http.StatusAccepted
	if s.sync200 {
		status = http.StatusOK
	}
	return status, map[string]any{"orderHash": o.hash}
}

// hash is the hash of an order's fields in BCS.
func (s *server) hash(account, market, price, quantity, leverage, side, position string, expires int64, salt string, signed int64) string {
	var b []byte
	for _, a := range []string{ids, account} {
		raw, err := hex.DecodeString(a[2:])
		if err != nil {
			s.problem("address %s", a)
		}
		b = append(b, raw...)
	}
	text := func(t string) { b = append(append(b, byte(len(t))), t...) }
	number := func(t string) {
		n, err := strconv.ParseUint(t, 10, 64)
		if err != nil {
			s.problem("number %s", t)
		}
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	text(market)
	number(price)
	number(quantity)
	number(leverage)
	text(side)
	text(position)
	number(strconv.FormatInt(expires, 10))
	number(salt)
	number(strconv.FormatInt(signed, 10))
	sum := blake2b.Sum256(b)
	return "0x" + hex.EncodeToString(sum[:])
}

// reduces reports whether an order makes the position smaller and no more.
func (s *server) reduces(o *order) bool {
	exit := "SHORT"
	if s.size.Sign() < 0 {
		exit = "LONG"
	}
	return !s.size.IsZero() && o.side == exit && !s.size.Abs().Less(unscaled(o.quantity))
}

// take books an order, fills it where it is a market order, and drops what the venue
// refuses after it accepted it.
func (s *server) take(o *order) {
	signed := unscaled(o.quantity)
	if o.side == "SHORT" {
		signed = signed.Neg()
	}
	switch {
	case s.refuse:
		return
	case o.kind == "MARKET":
		s.size = s.size.Add(signed)
		s.trade(o, o.quantity)
		return
	}
	s.orders = append(s.orders, o)
}

func (s *server) trade(o *order, quantity string) {
	s.next++
	s.trades = append(s.trades, map[string]any{
		"id": fmt.Sprintf("trade-%d", s.next), "clientOrderId": o.clientID, "symbol": o.symbol, "orderHash": o.hash, "orderType": o.kind,
		"tradeType": "ORDER", "side": o.side, "isMaker": false, "priceE9": scaled(s.price), "quantityE9": quantity, "quoteQuantityE9": "1",
		"tradingFeeE9": "780000000", "tradingFeeAsset": "USDC", "executedAtMillis": s.now().UnixMilli(), "lag": s.tradeLag,
	})
}

func (s *server) cancel(body []byte, standby bool) (int, any) {
	var w struct {
		Symbol      string   `json:"symbol"`
		OrderHashes []string `json:"orderHashes"`
	}
	if err := json.Unmarshal(body, &w); err != nil || w.Symbol == "" || len(w.OrderHashes) > 10 {
		s.problem("cancel: %s", body)
		return refusal(400, "INVALID_REQUEST", "cancel")
	}
	hashes := []string{}
	for _, o := range s.orders {
		if o.symbol == w.Symbol && o.standby == standby && (len(w.OrderHashes) == 0 || slices.Contains(w.OrderHashes, o.hash)) {
			if !o.cancelled {
				o.cancelled, o.going = true, s.cancelLag
			}
			hashes = append(hashes, o.hash)
		}
	}
	if standby {
		return 200, map[string]any{"orderHashes": hashes}
	}
	return 202, nil
}

// do changes the server's state.
func (s *server) do(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// once makes a fault happen to the next request of a kind.
func (s *server) once(what string, f fault) {
	s.do(func() {
		s.fault = func(r *http.Request) fault {
			if r.Method+" "+r.URL.Path != what {
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
			if strings.HasPrefix(r.Method+" "+r.URL.Path, prefix) {
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
