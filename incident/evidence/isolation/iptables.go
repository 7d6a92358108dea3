package isolation

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// IPTables is the iptables and ip6tables of this machine, for kernels without nftables.
// Its rules are two chains of their own, called first in OUTPUT and FORWARD; what they let
// pass still goes through the rules that were there. A Docker Engine that starts later
// puts its own call before that in FORWARD: Read then says ErrIncomplete. NFT has no such
// weakness.
type IPTables struct {
	Variant string // "nft" or "legacy"; empty: the system's own
}

var chains = [2][2]string{{"OUTPUT", "ANDON-ISOLATION-OUT"}, {"FORWARD", "ANDON-ISOLATION-FWD"}} // hook, chain of ours

// program returns the name of one of the programs, such as "ip6tables-legacy-restore".
func (f IPTables) program(family, verb string) string {
	for _, part := range []string{f.Variant, verb} {
		if part != "" {
			family += "-" + part
		}
	}
	return family
}

// families are the programs of both families; of IPv6 only where the kernel has it.
func families() ([]string, error) {
	_, err := os.Stat("/proc/thread-self/net/if_inet6")
	switch {
	case err == nil:
		return []string{"iptables", "ip6tables"}, nil
	case errors.Is(err, fs.ErrNotExist):
		return []string{"iptables"}, nil
	}
	return nil, fmt.Errorf("whether the machine has IPv6 cannot be seen: %w", err)
}

// Script returns what iptables-restore and ip6tables-restore are given, one after the
// other.
func (f IPTables) Script(r Rules) string {
	return "# iptables-restore --noflush\n" + f.script("iptables", r, nil) +
		"# ip6tables-restore --noflush\n" + f.script("ip6tables", r, nil)
}

// script is one family's. The calls that are there already are taken out first.
func (f IPTables) script(family string, r Rules, there []string) string {
	rules := [2][]string{{"-o lo -j RETURN"}, nil}
	icmp := "icmp"
	if family == "ip6tables" {
		icmp = "ipv6-icmp"
		for _, kind := range []string{"133", "135", "136"} { // to find routers and neighbours
			rules[0] = append(rules[0], "-p ipv6-icmp -m icmp6 --icmpv6-type "+kind+" -j RETURN")
		}
	}
	rules[1] = append(rules[1], "-p "+icmp+" -m conntrack --ctstate RELATED -j RETURN")
	for _, p := range r.Pass {
		if p.To.Addr().Is4() != (family == "iptables") {
			continue
		}
		there, back := p.iptables("-d", "--dport"), p.iptables("-s", "--sport")
		if p.Reply {
			there, back = p.iptables("-s", "--dport"), p.iptables("-d", "--sport")
		}
		accept := fmt.Sprintf(" -m comment --comment %q -j RETURN", comment(p.Note))
		answers := " -m conntrack --ctstate ESTABLISHED --ctdir REPLY" + accept
		if p.Reply {
			rules[0] = append(rules[0], back+answers)
		} else {
			rules[0] = append(rules[0], there+accept)
		}
		rules[1] = append(rules[1], there+accept, back+answers)
	}
	var b strings.Builder
	b.WriteString("*filter\n")
	for _, c := range chains {
		fmt.Fprintf(&b, ":%s - [0:0]\n", c[1])
	}
	for _, call := range there {
		b.WriteString("-D" + strings.TrimPrefix(call, "-A") + "\n")
	}
	for i, c := range chains {
		for _, rule := range rules[i] {
			fmt.Fprintf(&b, "-A %s %s\n", c[1], rule)
		}
		fmt.Fprintf(&b, "-A %s -m comment --comment %q -j DROP\n", c[1], seal(r.Mark, len(rules[i])))
	}
	for _, c := range chains {
		fmt.Fprintf(&b, "-I %s 1 -j %s\n", c[0], c[1])
	}
	b.WriteString("COMMIT\n")
	return b.String()
}

func (p Pass) iptables(addr, port string) string {
	match := addr + " " + p.To.String()
	if p.Port != 0 {
		match += fmt.Sprintf(" -p %s -m %s %s %d", p.Proto, p.Proto, port, p.Port)
	}
	return match
}

// Apply puts the chains in force, a family at a time; where the second fails the first
// is taken back.
func (f IPTables) Apply(ctx context.Context, r Rules) error {
	all, err := families()
	if err != nil {
		return err
	}
	for _, family := range all {
		lines, err := f.list(ctx, family)
		if err == nil {
			_, err = run(ctx, f.script(family, r, calls(lines)), f.program(family, "restore"), "-w", "5", "--noflush")
		}
		if err != nil {
			back, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
			defer cancel()
			return errors.Join(err, f.Remove(back))
		}
	}
	return nil
}

// list returns the rules of the filter table, as iptables -S writes them.
func (f IPTables) list(ctx context.Context, family string) ([]string, error) {
	text, err := run(ctx, "", f.program(family, ""), "-w", "5", "-S")
	return strings.Split(strings.TrimSpace(text), "\n"), err
}

// calls returns the rules that call our chains, wherever they stand.
func calls(lines []string) []string {
	var out []string
	for _, line := range lines {
		for _, c := range chains {
			if strings.HasPrefix(line, "-A ") && !strings.HasPrefix(line, "-A "+c[1]+" ") && strings.HasSuffix(line, "-j "+c[1]) {
				out = append(out, line)
			}
		}
	}
	return out
}

// Read reads both families back.
func (f IPTables) Read(ctx context.Context) (mark string, err error) {
	all, err := families()
	if err != nil {
		return "", err
	}
	var missing []string
	traces := false
	for _, family := range all {
		lines, err := f.list(ctx, family)
		if err != nil {
			return "", err
		}
		for _, c := range chains {
			traces = traces || slices.Contains(lines, "-N "+c[1])
			rules := after(lines, "-A "+c[1]+" ")
			got := ""
			if n := len(rules); n > 0 {
				if _, text, ok := strings.Cut(rules[n-1], `--comment "`); ok && strings.HasSuffix(text, `" -j DROP`) {
					got = unseal(strings.TrimSuffix(text, `" -j DROP`))
				}
			}
			if mark == "" {
				mark = got
			}
			first := after(lines, "-A "+c[0]+" ")
			if got == "" || got != mark || !strings.Contains(rules[len(rules)-1], `"`+seal(mark, len(rules)-1)+`"`) ||
				len(first) == 0 || first[0] != "-j "+c[1] {
				missing = append(missing, family+" "+c[0])
			}
		}
	}
	switch {
	case !traces:
		return "", nil
	case missing != nil:
		return mark, fmt.Errorf("%w: %s", ErrIncomplete, strings.Join(missing, ", "))
	}
	return mark, nil
}

// after returns what follows a prefix in the lines that have it.
func after(lines []string, prefix string) []string {
	var out []string
	for _, line := range lines {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			out = append(out, rest)
		}
	}
	return out
}

// Remove takes out the calls and the chains of both families.
func (f IPTables) Remove(ctx context.Context) error {
	all, err := families()
	if err != nil {
		return err
	}
	var errs []error
	for _, family := range all {
		lines, err := f.list(ctx, family)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		var b strings.Builder
		for _, call := range calls(lines) {
			b.WriteString("-D" + strings.TrimPrefix(call, "-A") + "\n")
		}
		for _, c := range chains {
			if slices.Contains(lines, "-N "+c[1]) {
				fmt.Fprintf(&b, "-F %s\n-X %s\n", c[1], c[1])
			}
		}
		if b.Len() == 0 {
			continue
		}
		if _, err := run(ctx, "*filter\n"+b.String()+"COMMIT\n", f.program(family, "restore"), "-w", "5", "--noflush"); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
