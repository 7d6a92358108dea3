package isolation_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/andon-go/andon/incident/evidence/isolation"
)

// What stays reachable while an intruder may still be on the machine.
func Example() {
	iso, err := isolation.New(isolation.Config{
		Filter: isolation.NFT{},
		Allow: []isolation.Allow{
			{Kind: isolation.Loopback},
			{Kind: isolation.Venue, Host: "api.coinbase.com", Port: 443},
			{Kind: isolation.Channel, Host: "events.pagerduty.com", Port: 443},
			{Kind: isolation.Database, Host: "10.0.0.5", Port: 5432},
			{Kind: isolation.Admin, Host: "10.0.9.0/24"},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	plan, err := iso.Preview(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(plan) // read it, then iso.Block(ctx, key, by, why)
}

// An allow list that would trap an exit is refused.
func ExampleNew_refused() {
	_, err := isolation.New(isolation.Config{
		Filter: isolation.NFT{},
		Allow:  []isolation.Allow{{Kind: isolation.Loopback}, {Kind: isolation.Channel, Host: "10.0.0.7", Port: 443}},
	})
	fmt.Println(err)
	// Output:
	// isolation: Allow has no venue: isolation would cut it off
	// Allow has no database: isolation would cut it off
}

// The rules are text that a person can read before they are in force.
func ExampleNFT_Script() {
	pass := []isolation.Pass{{To: netip.MustParsePrefix("10.0.0.5/32"), Proto: "tcp", Port: 5432, Note: "database 10.0.0.5"}}
	fmt.Print(isolation.NFT{}.Script(isolation.Rules{Mark: "0123456789abcdef", Pass: pass}))
	// Output:
	// table inet andon_isolation
	// delete table inet andon_isolation
	// table inet andon_isolation {
	// 	chain output {
	// 		type filter hook output priority filter; policy drop;
	// 		oifname "lo" accept
	// 		icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept
	// 		ip daddr 10.0.0.5/32 tcp dport 5432 accept comment "database 10.0.0.5"
	// 		counter drop comment "andon 0123456789abcdef 3"
	// 	}
	// 	chain forward {
	// 		type filter hook forward priority filter; policy drop;
	// 		ct state related meta l4proto { icmp, ipv6-icmp } accept
	// 		ip daddr 10.0.0.5/32 tcp dport 5432 accept comment "database 10.0.0.5"
	// 		ip saddr 10.0.0.5/32 tcp sport 5432 ct direction reply accept comment "database 10.0.0.5"
	// 		counter drop comment "andon 0123456789abcdef 3"
	// 	}
	// }
}
