package isolation

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// NFT is the nftables of this machine, by the nft program. Its rules are one table of
// their own, so that nothing of anybody else's is touched: in nftables what one table
// drops no other lets through.
type NFT struct{}

const table = "andon_isolation"

// Script returns one transaction that replaces the table.
func (NFT) Script(r Rules) string {
	output := []string{
		`oifname "lo" accept`,
		// Without these no neighbour of the allow list is found over IPv6.
		`icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept`,
	}
	forward := []string{`ct state related meta l4proto { icmp, ipv6-icmp } accept`} // a packet too big for a link
	for _, p := range r.Pass {
		there, back := p.nft("daddr", "dport"), p.nft("saddr", "sport")
		answers := " ct direction reply"
		if p.Reply {
			there, back = p.nft("saddr", "dport"), p.nft("daddr", "sport")
			output = append(output, back+answers+p.accept())
		} else {
			output = append(output, there+p.accept())
		}
		forward = append(forward, there+p.accept(), back+answers+p.accept())
	}
	var b strings.Builder
	fmt.Fprintf(&b, "table inet %s\ndelete table inet %s\ntable inet %s {\n", table, table, table)
	for _, chain := range []struct {
		hook  string
		rules []string
	}{{"output", output}, {"forward", forward}} {
		fmt.Fprintf(&b, "\tchain %s {\n\t\ttype filter hook %s priority filter; policy drop;\n", chain.hook, chain.hook)
		for _, rule := range chain.rules {
			fmt.Fprintf(&b, "\t\t%s\n", rule)
		}
		fmt.Fprintf(&b, "\t\tcounter drop comment %q\n\t}\n", seal(r.Mark, len(chain.rules)))
	}
	b.WriteString("}\n")
	return b.String()
}

// nft returns the match of one direction. Ports of an admin are this machine's, so they
// stand on the other side of the address.
func (p Pass) nft(addr, port string) string {
	family := "ip6"
	if p.To.Addr().Is4() {
		family = "ip"
	}
	match := fmt.Sprintf("%s %s %s", family, addr, p.To)
	if p.Port != 0 {
		match += fmt.Sprintf(" %s %s %d", p.Proto, port, p.Port)
	}
	return match
}

func (p Pass) accept() string { return fmt.Sprintf(" accept comment %q", comment(p.Note)) }

// comment fits what both filters keep of one.
func comment(note string) string { return note[:min(len(note), 100)] }

// seal is the comment of a chain's last rule: how many stand before it, so that one
// taken out is missed.
// A plan is nobody's yet: its seal says where the mark of the key will be.
func seal(mark string, rules int) string {
	return fmt.Sprintf("andon %s %d", cmp.Or(mark, "KEY"), rules)
}

// Apply puts the table in force in one transaction.
func (f NFT) Apply(ctx context.Context, r Rules) error {
	_, err := run(ctx, f.Script(r), "nft", "-f", "-")
	return err
}

// nftObject is one of what nft -j lists.
type nftObject struct {
	Table *struct {
		Family, Name string
	}
	Chain *struct {
		Name, Hook, Policy string
	}
	Rule *struct {
		Chain, Comment string
	}
}

func nftList(ctx context.Context, args ...string) ([]nftObject, error) {
	text, err := run(ctx, "", "nft", append([]string{"-j", "list"}, args...)...)
	if err != nil {
		return nil, err
	}
	var answer struct{ Nftables []nftObject }
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return nil, fmt.Errorf("nft -j list %s cannot be read: %w", strings.Join(args, " "), err)
	}
	return answer.Nftables, nil
}

func nftThere(ctx context.Context) (bool, error) {
	all, err := nftList(ctx, "tables")
	return slices.ContainsFunc(all, func(o nftObject) bool {
		return o.Table != nil && o.Table.Family == "inet" && o.Table.Name == table
	}), err
}

// Read reads the table back.
func (NFT) Read(ctx context.Context) (mark string, err error) {
	there, err := nftThere(ctx)
	if err != nil || !there {
		return "", err
	}
	all, err := nftList(ctx, "table", "inet", table)
	if err != nil {
		return "", err
	}
	policies, rules, seals := map[string]string{}, map[string]int{}, map[string]string{}
	for _, o := range all {
		switch {
		case o.Chain != nil && o.Chain.Name == o.Chain.Hook:
			policies[o.Chain.Hook] = o.Chain.Policy
		case o.Rule != nil && strings.HasPrefix(o.Rule.Comment, "andon "):
			seals[o.Rule.Chain] = o.Rule.Comment
		case o.Rule != nil:
			rules[o.Rule.Chain]++
		}
	}
	for _, chain := range []string{"output", "forward"} {
		got := unseal(seals[chain])
		mark = cmp.Or(mark, got)
		if got == "" || got != mark || policies[chain] != "drop" || seals[chain] != seal(mark, rules[chain]) {
			return mark, fmt.Errorf("%w: chain %s of table inet %s is not as it was put", ErrIncomplete, chain, table)
		}
	}
	return mark, nil
}

// unseal returns the mark in a seal, empty if it is none.
func unseal(s string) string {
	fields := strings.Fields(s)
	if len(fields) != 3 || fields[0] != "andon" || len(fields[1]) != 16 {
		return ""
	}
	return fields[1]
}

// Remove deletes the table.
func (NFT) Remove(ctx context.Context) error {
	// The first line makes the second no error where there is none.
	_, err := run(ctx, "table inet "+table+"\ndelete table inet "+table+"\n", "nft", "-f", "-")
	return err
}
