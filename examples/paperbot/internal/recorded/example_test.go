package recorded_test

import (
	"fmt"
	"strings"

	"github.com/andon-go/andon/examples/paperbot/internal/recorded"
)

func ExampleReadFills() {
	pages := `[
 {"url": "https://example.com/fills?limit=2", "records": [
  {"trade_id": 8, "order_id": "o2", "product_id": "BTC-USDT", "side": "sell",
   "size": "1.035e-05", "price": "104000.5", "fee": "0.0004", "created_at": "2025-06-16T03:20:17.3407Z"},
  {"trade_id": 7, "order_id": "o1", "product_id": "BTC-USDT", "side": "buy",
   "size": "0.01", "price": "104000", "fee": "0.4", "created_at": "2025-06-16T03:20:17Z"}
 ]},
 {"url": "https://example.com/fills?after=8&limit=2", "records": [
  {"trade_id": 7, "order_id": "o1", "product_id": "BTC-USDT", "side": "buy",
   "size": "0.010", "price": "104000", "fee": "0.4", "created_at": "2025-06-16T03:20:17Z"}
 ]}
]`
	got, err := recorded.ReadFills(strings.NewReader(pages), "pages.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(got.Fills), "fills,", got.Repeats, "repeated")
	for _, f := range got.Fills {
		fmt.Println(f.ID, f.Side, f.Quantity, f.FeeCurrency)
	}

	damaged := strings.Replace(pages, `"size": "0.01"`, `"size": "O.01"`, 1)
	_, err = recorded.ReadFills(strings.NewReader(damaged), "pages.json")
	fmt.Println(err)
	// Output:
	// 2 fills, 1 repeated
	// 8 sell 0.00001035 USDT
	// 7 buy 0.01 USDT
	// pages.json:6: page 1, record 2, field "size": decimal "O.01": not a decimal number
}
