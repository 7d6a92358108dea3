package coinbase

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/resthttp"
)

// product is what an order needs to know of what it trades.
type product struct {
	spot     bool
	quote    string
	tick     andon.Decimal
	contract andon.Decimal // units of the base in one unit of size; 1 for spot
}

// spotSymbol reports whether a symbol is of a spot product: BTC-USD is, BIT-28NOV25-CDE
// and BTC-PERP-INTX are not.
func spotSymbol(symbol string) bool { return strings.Count(symbol, "-") == 1 }

// productAge is how long a product is believed.
const productAge = time.Hour

// products keeps what was read. The zero value is empty.
type products struct {
	mu   sync.Mutex
	seen map[string]seenProduct
}

type seenProduct struct {
	product
	at time.Time
}

// product reads a product, or gives the last that was read of it. An old one is better
// than none, since an exit may need it.
func (v *Venue) product(ctx context.Context, symbol string) (product, error) {
	v.products.mu.Lock()
	known, ok := v.products.seen[symbol]
	v.products.mu.Unlock()
	if ok && time.Since(known.at) < productAge {
		return known.product, nil
	}
	p, err := v.readProduct(ctx, symbol)
	if err != nil && ok {
		return known.product, nil
	}
	if err != nil {
		return product{}, err
	}
	v.products.mu.Lock()
	defer v.products.mu.Unlock()
	if v.products.seen == nil {
		v.products.seen = map[string]seenProduct{}
	}
	v.products.seen[symbol] = seenProduct{p, time.Now()}
	return p, nil
}

func (v *Venue) readProduct(ctx context.Context, symbol string) (product, error) {
	if !plainID(symbol) {
		return product{}, fmt.Errorf("coinbase: %q is no product", symbol)
	}
	var body rawJSON
	if _, err := v.get(ctx, "/products/"+symbol, nil, &body); err != nil {
		return product{}, err
	}
	p, err := decodeProduct(body, symbol)
	if err != nil {
		return product{}, fmt.Errorf("coinbase: %w", err)
	}
	return p, nil
}

type wireProduct struct {
	ProductID      *string `json:"product_id"`
	ProductType    *string `json:"product_type"`
	Quote          *string `json:"quote_currency_id"`
	PriceIncrement amount  `json:"price_increment"`
	Future         *struct {
		ContractSize amount `json:"contract_size"`
	} `json:"future_product_details"`
}

// decodeProduct reads the answer of GET /products/{product_id}.
func decodeProduct(body []byte, symbol string) (product, error) {
	var w wireProduct
	if err := decode(body, &w); err != nil {
		return product{}, fmt.Errorf("product %s: %w", symbol, err)
	}
	var f resthttp.Fields
	p := product{
		spot: f.Text("product_type", w.ProductType) == "SPOT", quote: f.Text("quote_currency_id", w.Quote),
		tick: w.PriceIncrement.need(&f, "price_increment"), contract: andon.NewDecimal(1, 0),
	}
	if id := f.Text("product_id", w.ProductID); id != symbol {
		f.Wrong("product_id is %q", id)
	}
	if p.tick.Sign() <= 0 {
		f.Wrong("price_increment is %v", p.tick)
	}
	if !p.spot {
		if w.Future == nil {
			f.Wrong("future_product_details is missing")
		} else if p.contract = w.Future.ContractSize.need(&f, "contract_size"); p.contract.Sign() <= 0 {
			f.Wrong("contract_size is %v", p.contract)
		}
	}
	return p, f.Err("product %s", symbol)
}

// units turns a size as the venue counts it into units of the base.
func (p product) units(size andon.Decimal) (andon.Decimal, error) { return size.Mul(p.contract) }

// size turns units of the base into a size as the venue counts it.
func (p product) size(units andon.Decimal) (andon.Decimal, error) {
	return units.Quo(p.contract, andon.MaxDecimals, andon.Exact)
}
