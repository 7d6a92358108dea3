package isolation_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/incident/evidence/isolation"
	"github.com/stretchr/testify/require"
)

// within runs f's filter in a namespace, as the bot would run it on its machine.
type within struct {
	n *namespace
	f isolation.Filter
}

func (w within) Script(r isolation.Rules) string { return w.f.Script(r) }

func (w within) Apply(ctx context.Context, r isolation.Rules) (err error) {
	w.n.do(func() { err = w.f.Apply(ctx, r) })
	return err
}

func (w within) Read(ctx context.Context) (mark string, err error) {
	w.n.do(func() { mark, err = w.f.Read(ctx) })
	return mark, err
}

func (w within) Remove(ctx context.Context) (err error) {
	w.n.do(func() { err = w.f.Remove(ctx) })
	return err
}

var allow = []isolation.Allow{
	{Kind: isolation.Loopback},
	{Kind: isolation.Venue, Host: "venue.test", Port: 443},
	{Kind: isolation.Channel, Host: "10.9.0.2", Port: 443},
	{Kind: isolation.Database, Host: "10.9.0.3", Port: 5432},
	{Kind: isolation.Admin, Host: admin},
}

func resolve(_ context.Context, name string) ([]netip.Addr, error) {
	if name != "venue.test" {
		return nil, errors.New("no such host")
	}
	return []netip.Addr{netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("fd09::1")}, nil
}

func open(t *testing.T, f isolation.Filter) *isolation.Isolator {
	t.Helper()
	iso, err := isolation.New(isolation.Config{Filter: f, Allow: allow, Resolve: resolve})
	require.NoError(t, err)
	return iso
}

// filters runs a test with each packet filter on a machine of its own.
func filters(t *testing.T, test func(t *testing.T, w *world, f isolation.Filter)) {
	for name, f := range map[string]isolation.Filter{
		"nft": isolation.NFT{}, "iptables": isolation.IPTables{}, "iptables-legacy": isolation.IPTables{Variant: "legacy"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			test(t, w, within{w.host, f})
		})
	}
}

func TestWhatProtectsTheMoneyStaysReachableAndNothingElse(t *testing.T) {
	filters(t, func(t *testing.T, w *world, f isolation.Filter) {
		ctx := t.Context()
		everything := []string{venue, channel, database, intruder, admin + ":443", venue6, intruder6}
		for _, addr := range everything {
			require.True(t, w.host.reaches(addr, long), "before, %s", addr)
			require.True(t, w.container.reaches(addr, long), "before, %s from the container", addr)
		}
		leak, err := w.host.dial(intruder, long) // the connection over which the data leaves
		require.NoError(t, err)
		defer func() { _ = leak.Close() }()
		require.True(t, echoes(leak, long))
		shell, err := w.internet.dial("10.9.0.100:22", long)
		require.NoError(t, err)
		defer func() { _ = shell.Close() }()

		iso := open(t, f)
		_, err = iso.Block(ctx, "INC-1/1/isolate", "Ada", "unknown key in use")
		require.NoError(t, err)
		for _, addr := range everything {
			allowed := addr != intruder && addr != admin+":443" && addr != intruder6
			patience := short
			if allowed {
				patience = long
			}
			require.Equal(t, allowed, w.host.reaches(addr, patience), "isolated, %s", addr)
			require.Equal(t, allowed, w.container.reaches(addr, patience), "isolated, %s from the container", addr)
		}
		require.False(t, w.host.reaches("10.9.0.1:444", short), "another port of the venue")
		require.True(t, w.host.reaches("127.0.0.1:6379", long), "the machine itself")
		require.False(t, echoes(leak, short), "a connection that was open")
		require.False(t, echoes(shell, short), "a shell that is not the admin's")

		_, err = iso.Undo(ctx, "INC-1/1/isolate", "Ada", "keys revoked")
		require.NoError(t, err)
		for _, addr := range everything {
			require.True(t, w.host.reaches(addr, long), "after, %s", addr)
			require.True(t, w.container.reaches(addr, long), "after, %s from the container", addr)
		}
	})
}

func TestAnAdminIsAnswered(t *testing.T) {
	filters(t, func(t *testing.T, w *world, f isolation.Filter) {
		iso := open(t, f)
		_, err := iso.Block(t.Context(), "k", "Ada", "a drill")
		require.NoError(t, err)
		for _, to := range []string{"10.9.0.100:22", "10.8.0.2:22"} {
			w.internet.sh(t, "ip", "route", "replace", "10.9.0.100/32", "dev", "eth0", "src", admin)
			w.internet.sh(t, "ip", "route", "replace", "10.8.0.0/24", "via", "10.9.0.100", "src", admin)
			require.True(t, w.internet.reaches(to, long), "%s from the admin", to)
			w.internet.sh(t, "ip", "route", "replace", "10.9.0.100/32", "dev", "eth0", "src", "10.9.0.66")
			w.internet.sh(t, "ip", "route", "replace", "10.8.0.0/24", "via", "10.9.0.100", "src", "10.9.0.66")
			require.False(t, w.internet.reaches(to, short), "%s from elsewhere", to)
		}
	})
}

func TestUndoRestoresExactlyWhatItFound(t *testing.T) {
	filters(t, func(t *testing.T, w *world, f isolation.Filter) {
		ctx := t.Context()
		w.host.sh(t, "nft", "add table ip mine; add chain ip mine o { type filter hook output priority 5; }; add rule ip mine o ip daddr 10.9.0.2 counter drop")
		for _, p := range []string{"iptables", "ip6tables"} {
			w.host.sh(t, p, "-N", "OTHERS")
			w.host.sh(t, p, "-A", "OUTPUT", "-j", "OTHERS")
			w.host.sh(t, p, "-A", "OTHERS", "-p", "tcp", "--dport", "5432", "-j", "DROP")
			w.host.sh(t, p, "-P", "FORWARD", "DROP")
		}
		before := w.rules(t)
		iso := open(t, f)
		plan, err := iso.Preview(ctx)
		require.NoError(t, err)
		require.Equal(t, before, w.rules(t), "a plan changes nothing")
		evidence, err := iso.Block(ctx, "k", "Ada", "a drill")
		require.NoError(t, err)
		require.NotEqual(t, before, w.rules(t))
		require.Equal(t, strings.ReplaceAll(plan, `"andon KEY `, `"andon `), strings.ReplaceAll(evidence, `"andon `+mark(t, f)+" ", `"andon `), "what is done is the plan")
		require.True(t, w.host.reaches(venue, long))
		require.False(t, w.host.reaches(database, short), "what others deny is not let through")
		require.False(t, w.host.reaches(channel, short), "nor what another table denies")
		_, err = iso.Undo(ctx, "k", "Ada", "over")
		require.NoError(t, err)
		require.Equal(t, before, w.rules(t))
		evidence, err = iso.Undo(ctx, "k", "Ada", "again")
		require.NoError(t, err)
		require.Equal(t, "the machine was not isolated", evidence)
		require.Equal(t, before, w.rules(t))
	})
}

func mark(t *testing.T, f isolation.Filter) string {
	t.Helper()
	m, err := f.Read(t.Context())
	require.NoError(t, err)
	require.Len(t, m, 16)
	return m
}

func TestOneKeyIsOneIsolation(t *testing.T) {
	filters(t, func(t *testing.T, w *world, f isolation.Filter) {
		ctx := t.Context()
		iso := open(t, f)
		done, _, err := iso.Done(ctx, "k")
		require.NoError(t, err)
		require.False(t, done)
		_, err = iso.Block(ctx, "k", "Ada", "a drill")
		require.NoError(t, err)
		rules := w.rules(t)
		done, _, err = iso.Done(ctx, "k")
		require.NoError(t, err)
		require.True(t, done)
		evidence, err := open(t, f).Block(ctx, "k", "Ada", "after a crash")
		require.NoError(t, err)
		require.Equal(t, "isolated under this key already", evidence)
		_, err = iso.Block(ctx, "other", "Grace", "a second run")
		require.ErrorIs(t, err, isolation.ErrIsolated)
		done, evidence, err = iso.Done(ctx, "other")
		require.NoError(t, err)
		require.False(t, done, evidence)
		_, err = iso.Undo(ctx, "other", "Grace", "a second run")
		require.ErrorIs(t, err, isolation.ErrIsolated)
		require.Equal(t, rules, w.rules(t))
		p, err := iso.Plan(ctx)
		require.NoError(t, err)
		require.True(t, p.Isolated)
	})
}

// What a crash, or a person, has left of the rules is seen, put right and taken away.
func TestLaw1_WhatIsLeftOfAnIsolationIsNotOne(t *testing.T) {
	breaks := map[string]map[string][][]string{
		"nft": {
			"a rule is gone":      {{"sh", "-c", `h=$(nft -a list chain inet andon_isolation output | sed -n 's/.*oifname.*handle //p'); nft delete rule inet andon_isolation output handle $h`}},
			"a rule is put in":    {{"nft", "insert rule inet andon_isolation output accept"}},
			"the policy is open":  {{"nft", "chain inet andon_isolation output { policy accept; }"}},
			"the last is gone":    {{"sh", "-c", `h=$(nft -a list chain inet andon_isolation forward | sed -n 's/.*counter.*handle //p'); nft delete rule inet andon_isolation forward handle $h`}},
			"a chain is gone":     {{"nft", "delete chain inet andon_isolation forward"}},
			"a chain has no hook": {{"nft", "delete chain inet andon_isolation forward; add chain inet andon_isolation forward"}},
		},
		"iptables": {
			"a rule is gone":     {{"iptables", "-D", "ANDON-ISOLATION-OUT", "1"}},
			"a rule is put in":   {{"iptables", "-I", "ANDON-ISOLATION-FWD", "1", "-j", "ACCEPT"}},
			"the call is gone":   {{"ip6tables", "-D", "OUTPUT", "1"}},
			"a call before it":   {{"iptables", "-I", "FORWARD", "1", "-j", "ACCEPT"}},
			"a crash in between": {{"ip6tables", "-F"}, {"ip6tables", "-X"}},
		},
	}
	filters(t, func(t *testing.T, w *world, f isolation.Filter) {
		variant := t.Name()[strings.LastIndex(t.Name(), "/")+1:]
		for name, commands := range breaks[strings.TrimSuffix(variant, "-legacy")] {
			t.Run(name, func(t *testing.T) {
				ctx := t.Context()
				// That the break itself takes empty chains of iptables away is not ours.
				rules := func() string {
					if variant == "nft" {
						return w.rules(t)
					}
					return w.iptables(t)
				}
				before := rules()
				iso := open(t, f)
				_, err := iso.Block(ctx, "k", "Ada", "a drill")
				require.NoError(t, err)
				whole := rules()
				for _, c := range commands {
					if strings.HasSuffix(variant, "-legacy") {
						c = append([]string{c[0] + "-legacy"}, c[1:]...)
					}
					w.host.sh(t, c[0], c[1:]...)
				}
				done, evidence, err := iso.Done(ctx, "k")
				require.NoError(t, err)
				require.False(t, done)
				require.Contains(t, evidence, isolation.ErrIncomplete.Error())
				_, err = iso.Block(ctx, "k", "Ada", "again")
				require.NoError(t, err)
				if name != "a call before it" { // which is somebody's own, and stays, behind
					require.Equal(t, whole, rules())
				}
				for _, c := range commands {
					if strings.HasSuffix(variant, "-legacy") {
						c = append([]string{c[0] + "-legacy"}, c[1:]...)
					}
					w.host.sh(t, c[0], c[1:]...)
				}
				_, err = iso.Undo(ctx, "k", "Ada", "over")
				require.NoError(t, err)
				if name != "a call before it" {
					require.Equal(t, before, rules())
				}
			})
		}
	})
}

// halfway fails after, or before, it has done what it was asked.
type halfway struct {
	isolation.Filter
	before, lies bool
}

func (h halfway) Apply(ctx context.Context, r isolation.Rules) error {
	switch {
	case h.before:
		return errors.New("no")
	case h.lies:
		return nil
	}
	return errors.Join(h.Filter.Apply(ctx, r), errors.New("cut off"))
}

func TestABlockThatFailsLeavesNothing(t *testing.T) {
	filters(t, func(t *testing.T, w *world, f isolation.Filter) {
		before := w.rules(t)
		for _, h := range []halfway{{Filter: f}, {Filter: f, before: true}, {Filter: f, lies: true}} {
			_, err := open(t, h).Block(t.Context(), "k", "Ada", "a drill")
			require.ErrorContains(t, err, "nothing is in force")
			require.Equal(t, before, w.rules(t))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := open(t, f).Block(ctx, "k", "Ada", "too late")
		require.Error(t, err)
		require.Equal(t, before, w.rules(t))
	})
}

// The rules of one family are taken back where those of the other cannot be put.
func TestHalfAnIsolationIsTakenBack(t *testing.T) {
	for _, variant := range []string{"", "legacy"} {
		t.Run("iptables"+variant, func(t *testing.T) {
			w := newWorld(t)
			before := w.rules(t)
			f := isolation.IPTables{Variant: variant}
			broken := t.TempDir()
			program := "ip6tables-restore"
			if variant != "" {
				program = "ip6tables-" + variant + "-restore"
			}
			require.NoError(t, os.WriteFile(filepath.Join(broken, program), []byte("#!/bin/sh\necho no room for rules >&2\nexit 1\n"), 0o755))
			t.Setenv("PATH", broken+":"+os.Getenv("PATH"))
			err := within{w.host, f}.Apply(t.Context(), isolation.Rules{Mark: "0123456789abcdef"})
			require.ErrorContains(t, err, "no room for rules")
			// To take away nothing, the program that is broken is not needed.
			require.Equal(t, before, w.rules(t))
			_, err = open(t, within{w.host, f}).Block(t.Context(), "k", "Ada", "a drill")
			require.ErrorContains(t, err, "nothing is in force")
			require.Equal(t, before, w.rules(t))
		})
	}
}

func TestAnAllowListThatWouldTrapAnExitIsRefused(t *testing.T) {
	for i, a := range allow[:4] {
		list := append(append([]isolation.Allow{}, allow[:i]...), allow[i+1:]...)
		_, err := isolation.New(isolation.Config{Filter: isolation.NFT{}, Allow: list})
		require.ErrorContains(t, err, "Allow has no "+string(a.Kind))
	}
	for host, want := range map[string]string{
		"":                    "Host is empty",
		"10.9.0":              "want an address",
		"10.9.0.256":          "want an address",
		"0.0.0.0/0":           "everywhere",
		"::/0":                "everywhere",
		"fe80::1%eth0":        "want an address",
		"::ffff:10.0.0.0/100": "want an address",
		"a b":                 "want an address",
		"a\"; accept; #":      "want an address",
		"-j":                  "want an address",
		"a..b":                "want an address",
	} {
		_, err := isolation.New(isolation.Config{Filter: isolation.NFT{}, Allow: append([]isolation.Allow{{Kind: isolation.Venue, Host: host}}, allow...)})
		require.ErrorContains(t, err, want, "%q", host)
	}
	for _, a := range []isolation.Allow{
		{Kind: "friend", Host: "a"}, {Kind: isolation.Venue, Host: "a", Proto: "icmp"},
		{Kind: isolation.Venue, Host: "a", Proto: "udp"}, {Kind: isolation.Loopback, Port: 1},
	} {
		_, err := isolation.New(isolation.Config{Filter: isolation.NFT{}, Allow: append([]isolation.Allow{a}, allow...)})
		require.Error(t, err, "%+v", a)
	}
	_, err := isolation.New(isolation.Config{})
	require.ErrorContains(t, err, "Filter is nil")

	w := newWorld(t)
	f := within{w.host, isolation.NFT{}}
	iso, err := isolation.New(isolation.Config{Filter: f, Resolve: resolve, Allow: append([]isolation.Allow{{Kind: isolation.Venue, Host: "gone.test"}}, allow...)})
	require.NoError(t, err)
	before := w.rules(t)
	_, err = iso.Block(t.Context(), "k", "Ada", "a drill")
	require.ErrorContains(t, err, "venue gone.test cannot be resolved")
	require.Equal(t, before, w.rules(t))
	for _, said := range [][3]string{{"", "Ada", "why"}, {"k", " ", "why"}, {"k", "Ada", ""}} {
		_, err = open(t, f).Block(t.Context(), said[0], said[1], said[2])
		require.ErrorContains(t, err, "is empty")
		_, err = open(t, f).Undo(t.Context(), said[0], said[1], said[2])
		require.ErrorContains(t, err, "is empty")
	}
}

type timeline struct{ lines []string }

func (r *timeline) Record(_ context.Context, _ time.Time, who, what, why string) error {
	r.lines = append(r.lines, who+": "+what+": "+why)
	return errors.New("the timeline is out of order") // which does not undo it
}

func TestLaw10_ItIsOnTheTimeline(t *testing.T) {
	w := newWorld(t)
	r := &timeline{}
	iso, err := isolation.New(isolation.Config{Filter: within{w.host, isolation.NFT{}}, Allow: allow, Resolve: resolve, Recorder: r})
	require.NoError(t, err)
	_, err = iso.Block(t.Context(), "k", "Ada", "unknown key")
	require.NoError(t, err)
	_, err = iso.Undo(t.Context(), "k", "Grace", "keys revoked")
	require.NoError(t, err)
	require.Equal(t, []string{
		"Ada: isolated the machine: reachable stay itself, admin 10.9.0.77, channel 10.9.0.2, database 10.9.0.3, venue venue.test: unknown key",
		"Grace: lifted the isolation of the machine: keys revoked",
	}, r.lines)
}
